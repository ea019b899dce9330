"""Names that several packages share, each written once: classes, gates, steps, the writer's pool."""

from __future__ import annotations

from datetime import UTC, datetime

# From the lowest credit scores to the highest.
CLASSES = ("Worst", "Average", "Good", "Best")

# The first gate admits a day to dbt; the later ones judge what dbt built.
RAW_GATE = "raw_orders"
GATES = (RAW_GATE, "invoices", "scores", "predictions")

# The tasks of a run, in their order; each is a function of `pipeline.steps`.
STEPS = (
    "ingest",
    "check_raw",
    "transform",
    "check_invoices",
    "check_scores",
    "score",
    "check_predictions",
    "publish",
)

# DuckDB admits one writing process: every task that opens the working files takes this pool's only slot.
WRITER_POOL = "duckdb_writer"

# The file that readers open, in `<home>/published/`.
PUBLICATION = "current.duckdb"


def moment() -> datetime:
    """The present moment, with its zone UTC: for what counts in the zone of a shop or of Airflow."""
    return datetime.now(UTC)


def now_utc() -> datetime:
    """The present moment in UTC without a zone, as every time in the warehouse is written."""
    return moment().replace(tzinfo=None)
