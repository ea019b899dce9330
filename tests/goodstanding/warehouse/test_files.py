"""Opening the warehouse: one writer at a time, reported to others by name; readers never wait."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from goodstanding.core.errors import DataProblem, DiskProblem, MemoryShort, WarehouseBusy
from goodstanding.core.settings import Settings
from goodstanding.warehouse.files import (
    INTAKE,
    STANDING,
    machine_problem,
    open_intake,
    open_published,
    open_warehouse,
)

HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
connection.execute("select 1")
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_open(path: Path, how: str) -> Iterator[int]:
    """Let another process hold the file open until the block ends; yields its process id."""
    command = [sys.executable, "-c", HOLD, str(path), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "open\n"
        yield process.pid
        process.communicate()


@pytest.fixture(autouse=True)
def writers_wait_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("goodstanding.warehouse.files.WAIT_SECONDS", 0.2)


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """A home whose working files are there, with one published table."""
    settings = Settings(home=tmp_path, _env_file=None)
    for opened in (open_intake, open_warehouse):
        with opened(settings):
            pass
    settings.published.mkdir()
    with duckdb.connect(str(settings.published / "current.duckdb")) as connection:
        connection.execute("create table figures as select 42 as figure")
    return settings


@pytest.mark.parametrize("name", [INTAKE, STANDING])
@pytest.mark.parametrize("how", ["write", "read"])
def test_the_process_that_holds_a_working_file_is_reported_with_advice(
    home: Settings, name: str, how: str
) -> None:
    with held_open(home.warehouse / name, how) as pid:
        with pytest.raises(WarehouseBusy) as busy, open_warehouse(home):
            pass
        assert f"{home.warehouse / name} is open in process {pid} (python" in str(busy.value)
        assert "wait for it or close it" in str(busy.value)
        assert "read the published copy instead" in str(busy.value)
        assert "\n" not in str(busy.value)


def test_a_process_that_holds_only_the_intake_is_reported_and_the_file_opens_once_released(
    home: Settings,
) -> None:
    with (
        held_open(home.warehouse / INTAKE, "write") as pid,
        pytest.raises(WarehouseBusy, match=f"process {pid} "),
        open_intake(home),
    ):
        pass
    with open_intake(home) as connection:
        assert connection.execute("select count(*) from raw.days").fetchone() == (0,)


def test_if_the_second_file_cannot_be_opened_the_first_is_released(home: Settings) -> None:
    with (
        held_open(home.warehouse / INTAKE, "write"),
        pytest.raises(WarehouseBusy),
        open_warehouse(home),
    ):
        pass
    with held_open(home.warehouse / STANDING, "write"):
        pass


def test_readers_of_the_published_file_wait_neither_for_each_other_nor_for_a_run(home: Settings) -> None:
    with (
        held_open(home.published / "current.duckdb", "read"),
        held_open(home.warehouse / STANDING, "write"),
        open_published(home) as connection,
    ):
        assert connection.execute("select figure from figures").fetchone() == (42,)
        with pytest.raises(duckdb.InvalidInputException, match="read-only"):
            connection.execute("update figures set figure = 43")


def test_without_a_publication_the_error_names_the_command_to_run(tmp_path: Path) -> None:
    with (
        pytest.raises(
            DataProblem, match=f"nothing is published under {tmp_path} yet; run `goodstanding run`"
        ),
        open_published(Settings(home=tmp_path, _env_file=None)),
    ):
        pass


def test_a_file_that_is_no_database_is_reported_by_name(home: Settings) -> None:
    (home.warehouse / STANDING).write_bytes(b"no database" * 1000)
    with pytest.raises(DataProblem, match=f"{STANDING} cannot be opened: ") as raised, open_warehouse(home):
        pass
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", [INTAKE, STANDING])
def test_a_file_with_a_torn_block_is_reported_with_advice_and_the_other_is_released(
    home: Settings, name: str
) -> None:
    torn = home.warehouse / name
    with torn.open("r+b") as file:
        # in the first block, after its checksum
        file.seek(12288 + 8)
        file.write(b"torn")
    message = r"is damaged \(Corrupt database file.*disk may be failing.*run all days again"
    with pytest.raises(DataProblem, match=message) as raised, open_warehouse(home):
        pass
    assert name in str(raised.value) and f"Move {home.warehouse} aside" in str(raised.value)
    other_name = STANDING if name == INTAKE else INTAKE
    with duckdb.connect(str(home.warehouse / other_name)):
        pass


def test_both_files_are_in_one_connection_with_standing_as_its_default(home: Settings) -> None:
    with open_warehouse(home) as connection:
        assert connection.execute("select current_database()").fetchone() == ("standing",)
        assert connection.execute("select count(*) from intake.raw.days").fetchone() == (0,)
        limit = connection.execute("select current_setting('memory_limit')").fetchone()
        assert limit == ("572.2 MiB",), "600MB, as the settings say"


def test_spilled_files_of_a_killed_run_are_deleted_before_the_next_write(home: Settings) -> None:
    spilled = home.warehouse / "spill" / "duckdb_temp_storage-0.tmp"
    spilled.parent.mkdir(exist_ok=True)
    spilled.write_text("a line as the shop wrote it")
    with open_intake(home):
        assert not spilled.exists()


@pytest.mark.parametrize(("limit", "more"), [("600MB", "1200MB"), ("1.5 GB", "3GB")])
def test_too_little_memory_names_the_setting_and_what_to_set(tmp_path: Path, limit: str, more: str) -> None:
    current = Settings(home=tmp_path, memory_limit=limit, _env_file=None)
    with (
        duckdb.connect(config={"memory_limit": "10MB", "temp_directory": ""}) as connection,
        pytest.raises(duckdb.Error) as met,
    ):
        connection.execute("select list(n order by hash(n)) from range(10_000_000) as numbers (n)").fetchall()
    for error in (met.value, f"Runtime Error in model rfm_borders {met.value}"):
        problem = machine_problem(error, current)
        assert isinstance(problem, MemoryShort) and problem.exit_code == 2
        assert f"set GOODSTANDING_MEMORY_LIMIT={more} (or more)" in str(problem)
        assert "\n" not in str(problem)
    assert machine_problem("Binder Error: no such column", current) is None


def test_a_spill_folder_without_room_is_a_problem_of_the_disk(tmp_path: Path) -> None:
    current = Settings(home=tmp_path, _env_file=None)
    said = "Out of Memory Error: failed to offload data block ... exceed the max_temp_directory_size 1.0 GiB"
    problem = machine_problem(said, current)
    assert isinstance(problem, DiskProblem) and "spill has no room" in str(problem)


def test_a_home_from_before_a_kind_had_a_column_gets_it(home: Settings) -> None:
    with open_intake(home) as connection:
        for table in ("payments", "superseded_payments"):
            connection.execute(f"alter table raw.{table} drop column tells_payment")
        connection.execute("comment on table ops.facts is 'another schema'")
    with open_intake(home) as connection:
        assert connection.execute("select tells_payment from raw.payments").fetchall() == []
        assert connection.execute("select tells_payment from raw.superseded_payments").fetchall() == []


def test_a_writer_waits_for_a_foreign_reader_that_is_soon_gone(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goodstanding.warehouse.files.WAIT_SECONDS", 20)
    code = HOLD.replace("sys.stdin.read()", "import time; time.sleep(0.5)")
    command = [sys.executable, "-c", code, str(home.warehouse / STANDING), "read"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "open\n"
        with open_warehouse(home) as connection:
            assert connection.execute("select count(*) from intake.raw.days").fetchone() == (0,)
