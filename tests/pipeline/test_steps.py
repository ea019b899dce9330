"""The steps of a run: each records what it did, succeeded or failed, and names missing earlier steps."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from app.cli.tables import print_report
from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem, GateFailed
from goodstanding.core.settings import Settings, settings
from goodstanding.core.vocabulary import STEPS
from goodstanding.warehouse.files import open_published, open_warehouse
from pipeline import steps
from pipeline.report import read_report
from tests.shop import line, mapping, write_day

DAY = date(2011, 1, 4)
NEXT = date(2011, 1, 5)


@pytest.fixture
def landing(tmp_path: Path, use_settings: Any) -> Iterator[Path]:
    """Use a new home and the landing of a tiny shop as the settings of this process."""
    folder = tmp_path / "landing"
    folder.mkdir()
    use_settings(home=tmp_path / "home", landing=folder, shop=mapping(tmp_path))
    yield folder


def rows(sql: str) -> list[tuple[Any, ...]]:
    with open_warehouse(settings()) as connection:
        return connection.execute(sql).fetchall()


def read_rows(sql: str) -> list[tuple[Any, ...]]:
    with open_published(settings()) as connection:
        return connection.execute(sql).fetchall()


def test_the_steps_in_order_publish_a_day_and_leave_a_record_each(landing: Path) -> None:
    write_day(landing, DAY, [line(DAY, "1", 11), line(DAY, "2", 12), line(DAY, "3", None)])
    returned = {step: getattr(steps, step)(Days(DAY, DAY), "the run") for step in STEPS}
    assert returned["ingest"]["accepted"] == 3
    assert returned["publish"] == {"published": True, "as_of": str(DAY), "waiting_for": [], "restated": 0}
    kept = rows("select step, outcome, numbers from intake.ops.steps order by started_at")
    assert [(step, outcome) for step, outcome, _ in kept] == [(step, "done") for step in STEPS]
    assert {step: json.loads(numbers) for step, _, numbers in kept} == json.loads(
        json.dumps(returned, default=str)
    )
    verdicts = rows("select gate, passed, run_id from intake.ops.verdicts order by judged_at")
    gates = ("raw_orders", "invoices", "scores", "predictions")
    assert verdicts == [(gate, True, "the run") for gate in gates]
    assert (settings().published / "data_docs" / "index.html").exists()


def test_the_report_counts_the_customers_that_a_corrected_file_restates(landing: Path) -> None:
    customers = range(11, 19)
    write_day(landing, DAY, [line(DAY, str(n), n, price=n) for n in customers])
    for step in STEPS:
        getattr(steps, step)(Days(DAY, DAY), "the run")
    assert read_report(settings(), ["the run"])["restated"] == 0
    write_day(landing, DAY, [line(DAY, str(n), n, price=n if n != 18 else 1) for n in customers])
    returned = {step: getattr(steps, step)(Days(DAY, DAY), "the correction") for step in STEPS}
    restatements = read_rows("select customer_id, file_name, run_id from marts.restatements")
    assert (
        returned["publish"]["restated"]
        == len(restatements)
        == len({customer for customer, *_ in restatements})
        > 0
    )
    assert {(file, run) for _, file, run in restatements} == {(f"{DAY}.csv", "the correction")}
    report = read_report(settings(), ["the run", "the correction"])
    assert report["restated"] == len(restatements)
    console = Console(record=True, width=120, file=io.StringIO())
    print_report({**report, "card": None}, console)
    assert re.search(rf"restated +│ +{len(restatements)} │", console.export_text())


def test_a_failing_gate_is_recorded_with_its_message_before_the_error_is_raised(landing: Path) -> None:
    write_day(landing, DAY, ["unreadable"] * 9)
    steps.ingest(Days(DAY, DAY), "the run")
    with pytest.raises(GateFailed) as raised:
        steps.check_raw(Days(DAY, DAY), "the run")
    assert rows("select gate, passed, message from intake.ops.verdicts") == [
        ("raw_orders", False, str(raised.value))
    ]
    assert rows("select step, outcome from intake.ops.steps order by started_at") == [
        ("ingest", "done"),
        ("check_raw", "failed: GateFailed"),
    ]
    assert rows("select admitted from intake.raw.days") == [(False,)]


def test_each_day_of_a_range_that_a_gate_stops_is_recorded_with_its_own_failures_alone(landing: Path) -> None:
    write_day(landing, DAY, ["unreadable"] * 9)
    write_day(landing, NEXT, [line(NEXT, "1", 11, quantity=90_000_000, price=0.01)])
    steps.ingest(Days(DAY, NEXT), "the run")
    with pytest.raises(GateFailed):
        steps.check_raw(Days(DAY, NEXT), "the run")
    first, second = rows("select message from intake.ops.verdicts order by event_day")
    assert f"stops {DAY}: 2 of" in first[0] and "rejected_share" in first[0] and "quantity" not in first[0]
    assert f"stops {NEXT}: 1 of" in second[0] and "quantity" in second[0] and "rejected" not in second[0]


@pytest.mark.parametrize("step", ["score", "train", "evaluate"])
def test_a_step_run_too_early_names_the_steps_to_run_first(landing: Path, step: str) -> None:
    with pytest.raises(DataProblem, match="run the steps ingest, check_raw and transform first"):
        getattr(steps, step)(Days(DAY, DAY), "the run")


def test_the_steps_use_the_settings_of_their_process(landing: Path, use_settings: Any) -> None:
    write_day(landing, DAY, [line(DAY, "1", 11)])
    other: Settings = use_settings(home=landing.parent / "other")
    steps.ingest(Days(DAY, DAY), "the run")
    assert (other.warehouse / "intake.duckdb").exists()
    assert not (landing.parent / "home").exists()
