"""The steps of a run, one function each: what the DAGs' tasks call and all that they call.

Every step takes the days of its run and the run's id, brings the warehouse nearer to what the landing says,
and may be repeated, after a crash or beside the runs of other days, with the same end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from expectations.gate import run_gate
from goodstanding.core.days import Days
from goodstanding.core.errors import GateFailed
from goodstanding.core.settings import settings
from goodstanding.ingest.load import ingest as load_days
from goodstanding.warehouse.files import open_warehouse
from goodstanding.warehouse.ledger import record_verdict, required_newest_day
from goodstanding.warehouse.metrics import measured
from goodstanding.warehouse.publish import publish as show_marts
from ml.score import score as score_customers
from pipeline.pages.data_docs import build_docs
from pipeline.transform import transform as build_marts

if TYPE_CHECKING:
    from ml.train import Training


def ingest(days: Days, run_id: str) -> dict[str, Any]:
    """Replace the raw partitions of `days` by their files (see `goodstanding.ingest.load`)."""
    with measured(settings(), "ingest", days, run_id) as numbers:
        numbers |= load_days(settings(), days, run_id)
    return numbers


def check_raw(days: Days, run_id: str) -> dict[str, Any]:
    """Gate 1: the raw orders of `days`. Only days that pass are read by dbt."""
    return _check("check_raw", "raw_orders", days, run_id)


def transform(days: Days, run_id: str) -> dict[str, Any]:
    """One `dbt build` over what changed (see `pipeline.transform`)."""
    with measured(settings(), "transform", days, run_id) as numbers:
        numbers |= build_marts(settings(), days, run_id)
    return numbers


def check_invoices(days: Days, run_id: str) -> dict[str, Any]:
    """Gate 2: invoices and order lines of `days`."""
    return _check("check_invoices", "invoices", days, run_id)


def check_scores(days: Days, run_id: str) -> dict[str, Any]:
    """Gate 3: scores and classes as of the newest of `days`."""
    return _check("check_scores", "scores", days, run_id)


def score(days: Days, run_id: str) -> dict[str, Any]:
    """Predictions as of the newest day, by the newest models that knew no later day."""
    with measured(settings(), "score", days, run_id) as numbers, open_warehouse(settings()) as connection:
        numbers |= score_customers(connection, required_newest_day(connection), settings().models)
    return numbers


def check_predictions(days: Days, run_id: str) -> dict[str, Any]:
    """Gate 4: predictions and profiles as of the newest day."""
    return _check("check_predictions", "predictions", days, run_id)


def publish(days: Days, run_id: str) -> dict[str, Any]:
    """Show readers the audited marts, and rebuild the site with the checks."""
    with measured(settings(), "publish", days, run_id) as numbers:
        numbers |= show_marts(settings(), days, run_id)
        build_docs(settings())
    return numbers


def train(days: Days, run_id: str) -> Training:
    """Train on what was known by the last of `days` (or the newest day before it); see `ml.train.train`."""
    # the methods bring half of scikit-learn with them, which no daily run needs
    from ml.train import train as train_models

    current = settings()
    with measured(current, "train", days, run_id) as numbers, open_warehouse(current) as connection:
        as_of = min(days.last, required_newest_day(connection))
        found = train_models(connection, as_of, current.models, processes=current.threads)
        numbers["models"] = {name: card["model_id"] for name, card in found["models"].items()}
        numbers["refused"] = found["refused"]
    return found


def evaluate(days: Days, run_id: str) -> dict[str, Any]:
    """Every method side by side on what was known by the last of `days`; appoints champions for trainings.

    What it returns, and the page that shows it: see `pipeline.evaluation`.
    """
    from pipeline.evaluation import run_evaluation

    with measured(settings(), "evaluate", days, run_id) as numbers:
        found = run_evaluation(settings(), days.last)
        numbers |= {name: task["champion"] or task["refused"] for name, task in found["tasks"].items()}
    return found


def _check(step: str, gate: str, days: Days, run_id: str) -> dict[str, Any]:
    """Run a gate and note its verdict, whichever it is, before a failure goes on up."""
    current = settings()
    with measured(current, step, days, run_id) as numbers, open_warehouse(current) as connection:
        try:
            result = run_gate(connection, gate, days, run_id, current)
        except GateFailed as error:
            record_verdict(connection, gate, days, run_id, passed=False, message=str(error))
            build_docs(current)
            raise
        record_verdict(connection, gate, days, run_id, passed=True, message="")
        numbers |= {"expectations": result["expectations"], "rows": result["rows"]}
    return numbers
