"""The steps of a run, one function each: the DAGs' tasks call these and nothing else.

Every step takes the days of its run and the run's id. It may be repeated after a crash, or run beside the
runs of other days: the warehouse ends up the same. What it returns is kept in `ops.steps` and as the task's
XCom.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, NotRequired, TypedDict

from expectations.gate import run_gate
from goodstanding.core.days import Days
from goodstanding.core.errors import GateFailed
from goodstanding.core.settings import settings
from goodstanding.core.vocabulary import RAW_GATE
from goodstanding.ingest.landed import days_in_landing
from goodstanding.ingest.load import IngestCounts
from goodstanding.ingest.load import ingest as load_days
from goodstanding.shops.mapping import load_shop
from goodstanding.warehouse.files import open_warehouse
from goodstanding.warehouse.ledger import (
    days_to_judge,
    has_lines,
    record_verdict,
    required_newest_day,
)
from goodstanding.warehouse.metrics import measured
from goodstanding.warehouse.publish import Publishing
from goodstanding.warehouse.publish import publish as publish_marts
from ml.score import Scoring
from ml.score import score as score_customers
from pipeline.pages.data_docs import build_docs
from pipeline.transform import TransformNumbers
from pipeline.transform import transform as build_marts

if TYPE_CHECKING:
    import duckdb

    from ml.train import Training
    from pipeline.pages.evaluation.report import PublishedEvaluation


log = logging.getLogger(__name__)


class GateNumbers(TypedDict):
    """What a gate found where it lets the run go on.

    Attributes:
        expectations: how many there are. rows: of all batches. notes: what was not judged, and what was
            accepted. barred: the days (ISO) that gate 1 bars, while the run goes on with the others.
    """

    expectations: NotRequired[int]
    rows: NotRequired[int]
    notes: list[str]
    barred: NotRequired[list[str]]


def ingest(days: Days, run_id: str) -> IngestCounts:
    """Replace the raw partitions of `days` by their files (see `goodstanding.ingest.load`)."""
    with measured(settings(), "ingest", days, run_id) as numbers:
        ingested = load_days(settings(), days, run_id)
        numbers |= ingested
    return ingested


def log_ended_before(days: Days) -> str | None:
    """Why no file of these days can be expected, where the mapping says that the log has ended; else None."""
    shop = load_shop(settings())
    landed = days_in_landing(settings(), shop) if shop.archive else None
    if landed is None or days.first <= landed.last:
        return None
    return (
        f"nothing to do for {days}: {shop.mapping_file} says that the log has ended (archive: true), and its "
        f"newest file is of {landed.last}. If the log goes on, set archive: false"
    )


def check_raw(days: Days, run_id: str) -> GateNumbers:
    """Gate 1: raw order lines, their files, and whole days. Only days that pass are admitted to dbt."""
    return _check("check_raw", "raw_orders", days, run_id)


def transform(days: Days, run_id: str) -> TransformNumbers:
    """Bring the marts up to date with every admitted day."""
    with measured(settings(), "transform", days, run_id) as numbers:
        transformed = build_marts(settings(), days, run_id)
        numbers |= transformed
    return transformed


def check_invoices(days: Days, run_id: str) -> GateNumbers:
    """Gate 2: invoices and order lines."""
    return _check("check_invoices", "invoices", days, run_id)


def check_scores(days: Days, run_id: str) -> GateNumbers:
    """Gate 3: RFM scores and classes."""
    return _check("check_scores", "scores", days, run_id)


def score(days: Days, run_id: str) -> Scoring:
    """Score every customer as of the newest day."""
    with measured(settings(), "score", days, run_id) as numbers, open_warehouse(settings()) as connection:
        scored = score_customers(connection, required_newest_day(connection), settings().models)
        numbers |= scored
    return scored


def check_predictions(days: Days, run_id: str) -> GateNumbers:
    """Gate 4: predictions and profiles as of the newest day."""
    return _check("check_predictions", "predictions", days, run_id)


def publish(days: Days, run_id: str) -> Publishing:
    """Make the audited marts visible to readers, and bring Data Docs up to date."""
    with measured(settings(), "publish", days, run_id) as numbers:
        published = publish_marts(settings(), days, run_id)
        numbers |= published
        build_docs(settings())
    return published


def train(days: Days, run_id: str) -> Training:
    """Train on what was known by the last of `days` (or the newest day before it); see `ml.train.train`."""
    # this imports half of scikit-learn, which no daily run needs
    from ml.train import train as train_models

    current = settings()
    with measured(current, "train", days, run_id) as numbers, open_warehouse(current) as connection:
        as_of = min(days.last, required_newest_day(connection))
        training = train_models(connection, as_of, current.models, processes=current.threads)
        numbers["models"] = {name: card["model_id"] for name, card in training["models"].items()}
        numbers["refused"] = training["refused"]
    return training


def evaluate(days: Days, run_id: str) -> PublishedEvaluation:
    """Measure every method on what was known by the last of `days`, and appoint champions for trainings.

    See `pipeline.evaluation` for what is measured and for the page that shows it.
    """
    from pipeline.evaluation import run_evaluation

    with measured(settings(), "evaluate", days, run_id) as numbers:
        evaluation = run_evaluation(settings(), days.last)
        numbers |= {name: task["champion"] or task["refused"] for name, task in evaluation["tasks"].items()}
    return evaluation


def _check(step: str, gate: str, days: Days, run_id: str) -> GateNumbers:
    """Run a gate and record its verdict on each day; where it fails, bring Data Docs up to date first.

    Gate 1 bars the days that fail and lets the run go on with the others, if there are any: they are computed
    and judged, and wait for the barred ones to be mended or accepted, as publish shows no day without those
    before it.
    """
    current = settings()
    with measured(current, step, days, run_id) as numbers, open_warehouse(current) as connection:
        days = days_to_judge(connection, gate, days, run_id)
        if gate == "predictions":
            # a training may be asked for as of a day that is still to come
            newest = required_newest_day(connection)
            days = days if days.first <= newest else Days(newest, newest)
        try:
            result = run_gate(connection, gate, days, run_id, current)
        except GateFailed as error:
            _record(connection, gate, error.messages, run_id, passed=False)
            good_days = sorted({*days} - {*error.days})
            good_notes = {day: "; ".join(error.notes.get(day, ())) for day in good_days}
            _record(connection, gate, good_notes, run_id, passed=True)
            build_docs(current)
            if gate != RAW_GATE or not has_lines(connection, good_days):
                raise
            log.warning("%s", error)
            judged: GateNumbers = {"notes": [str(error)], "barred": [str(day) for day in error.days]}
        else:
            said = {day: "; ".join(notes) for day, notes in result["day_notes"].items()}
            _record(connection, gate, said, run_id, passed=True)
            judged = {
                "expectations": result["expectations"],
                "rows": result["rows"],
                "notes": result["notes"],
            }
        numbers |= judged
    return judged


def _record(
    connection: duckdb.DuckDBPyConnection,
    gate: str,
    messages: Mapping[date, str],
    run_id: str,
    passed: bool,
) -> None:
    """Record a verdict on days, each with what is said of it by itself."""
    days_by_message: dict[str, list[date]] = {}
    for day, message in messages.items():
        days_by_message.setdefault(message, []).append(day)
    for message, days in days_by_message.items():
        record_verdict(connection, gate, days, run_id, passed=passed, message=message)
