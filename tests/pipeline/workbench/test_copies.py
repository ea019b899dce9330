"""Copying a DuckDB file that others write: the copy is whole, and no writer has to wait."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from goodstanding.core.errors import DataProblem, WarehouseBusy
from goodstanding.warehouse import metadata_blocks
from pipeline.workbench import copies
from pipeline.workbench.copies import copy_as_closed, only_one

# writes like a step of a run: keeps blocks when it opens the file, one checkpoint when it closes it
WRITER = """
import os, sys, time
from pathlib import Path
import duckdb
from goodstanding.warehouse import metadata_blocks
path, rounds, hold = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
engine = duckdb.connect(config={"wal_autocheckpoint": "1TB"})
for n in range(rounds):
    engine.execute(f"attach '{path}' as file")
    descriptor = os.open(path, os.O_RDONLY)
    metadata_blocks.keep(engine, "file", path, descriptor)
    engine.execute("begin")
    engine.execute("delete from file.sums")
    engine.execute("insert into file.sums select i, i * $n, $n from range(20000) as r (i)", {"n": n})
    engine.execute("commit")
    if hold:
        print("open", flush=True)
        time.sleep(hold)
    engine.execute("detach file")
    os.close(descriptor)
print("done", flush=True)
"""


def _write(path: Path, rounds: int, hold: float = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(rounds), str(hold)], stdout=subprocess.PIPE, text=True
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "standing.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table sums (i bigint, product bigint, round bigint)")
    return path


def test_the_copy_lacks_what_a_writer_has_not_closed_and_the_writer_continues(file, tmp_path):
    assert _write(file, 1).wait() == 0
    with _write(file, 2, hold=1.5) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "open\n"
        with pytest.raises(duckdb.IOException):
            duckdb.connect(str(file), read_only=True)
        copy_as_closed(file, tmp_path / "copy.duckdb")
        assert writer.poll() is None, "the copy was taken while the file was open"
        assert writer.wait() == 0
    with duckdb.connect(str(tmp_path / "copy.duckdb")) as connection:
        assert connection.execute("select count(*), max(round) from sums").fetchall() == [(20000, 0)]


def test_each_copy_of_a_file_that_is_written_again_and_again_is_whole(file, tmp_path):
    assert _write(file, 1).wait() == 0
    rounds = set()
    with _write(file, 60) as writer:
        while writer.poll() is None:
            target = tmp_path / "copy.duckdb"
            try:
                copy_as_closed(file, target)
            except WarehouseBusy:
                continue
            with duckdb.connect(str(target)) as connection:
                counts = connection.execute(
                    "select count(*), max(round), count(*) filter (where product <> i * round) from sums"
                ).fetchone()
            assert (counts[0], counts[2]) == (20000, 0)
            rounds.add(counts[1])
            target.unlink()
    assert writer.returncode == 0
    assert len(rounds) > 1, "copies were taken while the writer was at work"


def test_a_file_that_changes_during_each_try_is_given_up_with_advice(file, tmp_path, monkeypatch):
    monkeypatch.setattr(copies, "PAUSE_SECONDS", 0)
    headers = iter(range(1000))
    monkeypatch.setattr(copies, "_header", lambda path: str(next(headers)).encode())
    with pytest.raises(WarehouseBusy, match="once more when the run is over"):
        copy_as_closed(file, tmp_path / "copy.duckdb")


def test_a_block_that_a_checkpoint_has_half_written_is_put_back_in_the_copy(file, tmp_path):
    assert _write(file, 1).wait() == 0
    with duckdb.connect() as connection:
        connection.execute(f"attach '{file}' as file")
        with file.open("rb") as opened:
            metadata_blocks.keep(connection, "file", file, opened.fileno())
            number = connection.execute("select block_id from pragma_metadata_info('file')").fetchone()[0]
        size = 262_144
    whole = file.read_bytes()
    at = metadata_blocks.HEADERS_BYTES + number * size
    file.write_bytes(whole[:at] + bytes(size // 2) + whole[at + size // 2 :])
    copy_as_closed(file, tmp_path / "copy.duckdb")
    assert (tmp_path / "copy.duckdb").read_bytes() == whole
    assert not (tmp_path / "copy.duckdb.wal").exists()


def test_before_any_build_the_error_says_what_to_do(tmp_path, use_settings):
    current = use_settings(home=tmp_path)
    with pytest.raises(DataProblem, match="run `goodstanding run` first"):
        copies.copy_of(current)


def test_two_commands_do_not_work_on_one_copy(tmp_path, use_settings):
    current = use_settings(home=tmp_path)
    script = (
        "import sys, time; from filelock import FileLock\n"
        "with FileLock(sys.argv[1]): print('held', flush=True); time.sleep(30)"
    )
    folder = tmp_path / "workbench"
    folder.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder / "lock")], stdout=subprocess.PIPE, text=True
    ) as second:
        assert second.stdout is not None and second.stdout.readline() == "held\n"
        started = time.monotonic()
        with pytest.raises(WarehouseBusy, match="another `goodstanding dbt` is at work"), only_one(current):
            pass
        assert time.monotonic() - started < 5
        second.kill()
    with only_one(current):
        pass
