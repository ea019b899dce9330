"""A block half written by a killed checkpoint is restored, and no committed data are lost."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import Settings
from goodstanding.warehouse.files import INTAKE, STANDING, open_intake, open_warehouse
from goodstanding.warehouse.metadata_blocks import KNOWN_VERSIONS
from tests.laws.kill import in_child, kill_this_process

HEADERS = 3 * 4096
BLOCK = 262144
PAGE = 4096
# separate tables, so that a checkpoint has metadata to write
GROW = "create table {database}.main.t{number} as select range as i, 'row ' || range as s from range(1000)"
COUNT = "select count(*) from duckdb_tables() where schema_name = 'main' and table_name like 't%'"


def grow(home: Settings, number: int, *, killed: bool = False) -> None:
    """Add a table to both files; after a kill it is only in the log beside each file."""
    with open_warehouse(home) as connection:
        for database in ("standing", "intake"):
            connection.execute(GROW.format(database=database, number=number))
        if killed:
            kill_this_process()


def tables(home: Settings) -> list[int]:
    """The number of added tables in each file, opened as a run opens it."""
    with open_warehouse(home) as connection:
        rows = connection.execute(f"{COUNT} and estimated_size = 1000 group by database_name").fetchall()
        return [count for (count,) in rows]


def make_files(home: Settings, version: str) -> None:
    """Make both files empty, in the layout of an older DuckDB."""
    home.warehouse.mkdir(parents=True)
    with duckdb.connect() as connection:
        for name in (INTAKE, STANDING):
            file = home.warehouse / name
            connection.execute(f"attach '{file}' as made (storage_version '{version}'); detach made")


@pytest.fixture
def torn(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """A home whose last writer was killed inside its checkpoint.

    In each metadata block that it was writing, either the first page or all the others are new and the rest
    is old. No header points to the new pages.
    """
    part = slice(PAGE, BLOCK) if request.param == "last" else slice(0, PAGE)
    home = Settings(home=tmp_path / "home", _env_file=None)
    if request.param.startswith("v"):
        make_files(home, request.param)
    grow(home, 1)
    grow(home, 2)
    assert in_child(lambda: grow(home, 3, killed=True))
    # the same checkpoint without a kill
    whole = tmp_path / "whole"
    shutil.copytree(home.warehouse, whole)
    for name in (INTAKE, STANDING):
        with duckdb.connect(str(whole / name)) as connection:
            numbers = connection.execute("select block_id from pragma_metadata_info()").fetchall()
        after, before = (whole / name).read_bytes(), bytearray((home.warehouse / name).read_bytes())
        for (number,) in numbers:
            start = HEADERS + number * BLOCK
            if start < len(before):
                before[start + part.start : start + part.stop] = after[start + part.start : start + part.stop]
        (home.warehouse / name).write_bytes(before)
    return home


@pytest.mark.parametrize("torn", ["first", "last", *KNOWN_VERSIONS.values()], indirect=True)
def test_a_torn_block_is_restored_and_committed_data_are_there(torn: Settings) -> None:
    for name in (INTAKE, STANDING):
        shutil.copytree(torn.warehouse, torn.home / name)
        with (
            pytest.raises(duckdb.Error, match="Corrupt database file"),
            duckdb.connect(str(torn.home / name / name)) as connection,
        ):
            connection.execute(COUNT)
    assert tables(torn) == [3, 3]
    grow(torn, 4)
    assert tables(torn) == [4, 4]


@pytest.mark.parametrize("torn", ["first"], indirect=True)
def test_a_kill_during_the_restoration_changes_nothing(torn: Settings) -> None:
    def killed_halfway() -> None:
        write = os.pwrite

        def half(descriptor: int, content: bytes, place: int) -> int:
            write(descriptor, content[: BLOCK // 3], place)
            kill_this_process()
            return 0

        os.pwrite = half  # type: ignore[assignment]
        tables(torn)

    assert in_child(killed_halfway)
    assert tables(torn) == [3, 3]


def test_another_process_that_writes_is_not_disturbed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goodstanding.warehouse.files.WAIT_SECONDS", 0.2)
    home = Settings(home=tmp_path, _env_file=None)
    grow(home, 1)
    code = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], config={"wal_autocheckpoint": "1TB"})
connection.execute("create table other as select 1 as one")
print("written", flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", code, str(home.warehouse / INTAKE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "written\n"
        before = (home.warehouse / INTAKE).stat().st_mtime_ns
        with pytest.raises(Exception, match=f"is open in process {process.pid}"), open_intake(home):
            pass
        assert (home.warehouse / INTAKE).stat().st_mtime_ns == before
        process.communicate()
    with open_intake(home) as connection:
        assert connection.execute("select one from main.other").fetchone() == (1,)


def test_no_checkpoint_is_made_between_the_copy_and_the_end_of_a_session(tmp_path: Path) -> None:
    home = Settings(home=tmp_path, _env_file=None)
    grow(home, 1)
    with open_warehouse(home) as connection:
        headers = (home.warehouse / INTAKE).read_bytes()[:HEADERS]
        for number in range(2, 5):
            # some 30 MB of log; DuckDB's own limit is 16
            connection.execute(f"create table intake.main.big{number} (s varchar)")
            rows = "select repeat(md5(range::varchar), 3) from range(100000)"
            connection.execute(f"insert into intake.main.big{number} {rows}")
        assert (home.warehouse / f"{INTAKE}.wal").stat().st_size > 16_000_000
        copied = home.warehouse / f"{INTAKE}.metadata"
        assert copied.read_bytes()[:HEADERS] == headers
    assert (home.warehouse / INTAKE).read_bytes()[:HEADERS] != headers
    assert not (home.warehouse / f"{INTAKE}.wal").exists()


@pytest.mark.parametrize("version", KNOWN_VERSIONS.values())
def test_the_layouts_that_the_locked_duckdb_writes_are_known(tmp_path: Path, version: str) -> None:
    home = Settings(home=tmp_path, _env_file=None)
    make_files(home, version)
    grow(home, 1)
    headers = (home.warehouse / INTAKE).read_bytes()[:HEADERS]
    number = struct.unpack_from("<Q", headers, 12)[0]
    serializations = {struct.unpack_from("<Q", headers, turn + 56)[0] for turn in (4096, 8192)}
    assert {KNOWN_VERSIONS[number, serialization] for serialization in serializations} == {version}


@pytest.mark.parametrize(("place", "number", "version"), [(12, 1000, "1000/69"), (4096 + 56, 70, "999/70")])
@pytest.mark.parametrize("name", [INTAKE, STANDING])
def test_a_file_of_an_unknown_storage_version_is_refused_and_not_written_to(
    tmp_path: Path, name: str, place: int, number: int, version: str
) -> None:
    home = Settings(home=tmp_path, _env_file=None)
    grow(home, 1)
    assert in_child(lambda: grow(home, 2, killed=True))
    path = home.warehouse / name
    content = bytearray(path.read_bytes())
    # the later of the two headers, which DuckDB writes in turn
    for at in {place, place + 4096} if place > 4096 else {place}:
        content[at : at + 8] = struct.pack("<Q", number)
    path.write_bytes(content)
    before = {file.name: file.read_bytes() for file in home.warehouse.iterdir() if file.is_file()}
    with pytest.raises(DataProblem) as refusal, open_warehouse(home):
        pass
    message = str(refusal.value)
    assert message.startswith(f"{path} has DuckDB's storage version {version}, ")
    assert "locked in requirements.lock (`make setup`)" in message
    assert path.read_bytes() == before[name]
    assert (home.warehouse / f"{name}.wal").read_bytes() == before[f"{name}.wal"]
