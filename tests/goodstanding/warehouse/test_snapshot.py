"""The snapshot of the ledger: readers see which days wait, and open no working file for it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from goodstanding.core.days import Days
from goodstanding.core.settings import Settings
from goodstanding.core.vocabulary import now_utc
from goodstanding.warehouse.files import INTAKE, STANDING, open_intake, open_warehouse
from goodstanding.warehouse.metrics import measured
from goodstanding.warehouse.snapshot import holder, read_snapshot
from pipeline.report import read_status
from tests.goodstanding.warehouse.test_files import held_open

DAY = date(2011, 1, 4)


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """A home in which a step has left one day that waits."""
    settings = Settings(home=tmp_path / "home", _env_file=None)
    with measured(settings, "ingest", Days(DAY, DAY), "a run"), open_intake(settings) as connection:
        connection.execute(
            "insert into raw.days values ('shop', ?, 'v1', null, false, 1, 1, 1, 0, false, ?, 'a run')",
            [DAY, now_utc()],
        )
    return settings


def test_a_step_leaves_the_days_that_wait_for_readers(home: Settings) -> None:
    snapshot = read_snapshot(home)
    assert snapshot is not None
    assert [(day.day, day.run_id, day.failed_gate) for day in snapshot.waiting] == [(DAY, "a run", None)]
    assert now_utc() - snapshot.taken_at < timedelta(minutes=1)


def test_a_home_without_a_snapshot_or_with_a_broken_one_has_none(home: Settings) -> None:
    for content in (b"", b"[]", b"{}", b"\xff", b'{"taken_at": 3, "waiting": []}'):
        (home.warehouse / "ledger.json").write_bytes(content)
        assert read_snapshot(home) is None
        status = read_status(home)
        assert (status["waiting"], status["waiting_as_of"]) == (None, None)
    (home.warehouse / "ledger.json").unlink()
    assert read_snapshot(home) is None


def test_the_status_opens_no_working_file(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even for reading: a lock for reading keeps a run out too."""
    opened: list[object] = []
    monkeypatch.setattr("goodstanding.warehouse.files._opened", lambda *names: opened.append(names))
    before = {path: path.stat().st_mtime_ns for path in home.warehouse.iterdir()}
    status = read_status(home)
    assert [day["day"] for day in status["waiting"] or []] == [DAY]
    assert not opened
    assert {path: path.stat().st_mtime_ns for path in home.warehouse.iterdir()} == before


@pytest.mark.parametrize("name", [INTAKE, STANDING])
def test_a_run_that_writes_is_told_with_the_days_as_of_its_last_step(home: Settings, name: str) -> None:
    with open_warehouse(home):
        pass  # makes both files
    assert read_status(home)["running"] is False
    with held_open(home.warehouse / name, "write") as process:
        assert holder(home.warehouse / name) == process
        status = read_status(home)
        assert status["running"] is True
        assert [day["day"] for day in status["waiting"] or []] == [DAY]
    assert holder(home.warehouse / name) is None


def test_a_reader_of_a_working_file_is_no_run(home: Settings) -> None:
    with held_open(home.warehouse / INTAKE, "read"):
        assert read_status(home)["running"] is False


def test_the_status_of_a_home_that_cannot_be_written_is_told(home: Settings) -> None:
    """A person may look at a home that belongs to another."""
    code = "import sys; from app.cli.main import app; app()"
    folders = (home.home, home.warehouse)
    for folder in folders:
        folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, "status", "--json"],
            env=os.environ | {"GOODSTANDING_HOME": str(home.home)},
            capture_output=True,
            text=True,
        )
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert str(DAY) in done.stdout
