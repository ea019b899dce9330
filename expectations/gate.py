"""Runs a quality gate: judges rows by Great Expectations, keeps the result, and stops the run on failure.

Great Expectations has no data source that works on DuckDB, so each batch is a pandas frame of the days in
question, in chunks where the range is long. A first pass asks for verdicts only; a second one asks for the
counts and row positions of what failed. That halves the time of the usual day, on which nothing fails. No
value of a row reaches a result: it holds counts, bounds of numeric columns and keys of rows.

Importing Great Expectations takes seconds; it happens at the first gate that a process runs.
"""

from __future__ import annotations

import importlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from goodstanding.core.days import Days
from goodstanding.core.durable import write_in_place
from goodstanding.core.errors import DataProblem, GateFailed, WrongUse
from goodstanding.core.settings import Settings
from goodstanding.core.vocabulary import GATES, moment

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.datasource.fluent.interfaces import Batch as GXBatch
    from great_expectations.expectations import Expectation

    from expectations.suite import Batch

# 540,000 narrow rows are about 40 MB as a frame. A single day is never split: its grain is judged whole.
CHUNK_ROWS = 600_000
KEPT_RESULTS = 60
NAMED_KEYS = 5
NAMED_FAILURES = 5

# one figure of an aggregate, or the span [lowest, highest] of a numeric column
Observed = float | list[float]


class Check(TypedDict):
    """What one expectation found in the rows of a batch."""

    #: the expectation's type, like expect_column_values_to_be_between
    type: str
    #: the columns that it is about, comma-separated; empty for the table
    column: str
    #: the expectation in words
    text: str
    passed: bool
    #: how many rows were judged, and how many of them do not meet it
    rows: int
    unexpected: int
    observed: Observed | None
    #: keys of the first few rows that do not meet it, like 2011-12-01.csv:7
    keys: list[str]
    #: why it could not be judged at all
    error: NotRequired[str]


class BatchResult(TypedDict):
    """What the expectations of one batch found."""

    name: str
    rows: int
    checks: list[Check]


class GateResult(TypedDict):
    """The verdict of a gate on some days, as it is kept in `<home>/checks/<gate>/` and shown by Data Docs."""

    gate: str
    #: days like 2011-12-01
    first_day: str
    last_day: str
    run_id: str
    #: UTC, in ISO 8601
    judged_at: str
    seconds: float
    #: whether any of the days comes from a simulated shop
    simulated: bool
    passed: bool
    batches: list[BatchResult]


class GatePassed(TypedDict):
    """What `run_gate` returns for a gate that passed the days."""

    gate: str
    #: a day, or a range of days
    days: str
    passed: bool
    #: how many were judged
    expectations: int
    #: none, or the gate would have raised
    failed: list[str]
    #: of all batches
    rows: int


def run_gate(
    connection: duckdb.DuckDBPyConnection, gate: str, days: Days, run_id: str, settings: Settings
) -> GatePassed:
    """Judge the rows of `days` by the suite of one gate, and write the result under `<home>/checks/<gate>/`.

    Raises:
        GateFailed: an expectation is not met; the message says which, in how many rows, and names a few. The
            result is on disk by then.
        DataProblem: a table that the gate looks at is not there yet.
        WrongUse: there is no such gate.
    """
    if gate not in GATES:
        raise WrongUse(f"there is no gate '{gate}'; the gates are {', '.join(GATES)}")
    started = time.perf_counter()
    judged = [
        result
        for batch in _batches(gate)
        if (result := _judge(connection, gate, batch, days, settings))["rows"] or not batch.optional
    ]
    failed = [(batch["name"], check) for batch in judged for check in batch["checks"] if not check["passed"]]
    verdict: GateResult = {
        "gate": gate,
        "first_day": str(days.first),
        "last_day": str(days.last),
        "run_id": run_id,
        "judged_at": moment().isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - started, 3),
        "simulated": _simulated(connection, days),
        "passed": not failed,
        "batches": judged,
    }
    path = _store(verdict, settings)
    count = sum(len(batch["checks"]) for batch in judged)
    if failed:
        raise GateFailed(_message(gate, days, failed, count, path))
    rows = sum(batch["rows"] for batch in judged)
    return {
        "gate": gate,
        "days": str(days),
        "passed": True,
        "expectations": count,
        "failed": [],
        "rows": rows,
    }


def _batches(gate: str) -> tuple[Batch, ...]:
    batches: tuple[Batch, ...] = importlib.import_module(f"expectations.{gate}").BATCHES
    return batches


def warm_up() -> None:
    """Do once, for the processes that are forked from this one, what every gate does at its first run.

    Under the scheduler each gate has a process of its own: without this the four took 1.1 instead of 0.8 s.
    """
    import pandas as pd

    for gate in GATES:
        for batch in _batches(gate):
            _sentences(gate, batch.name)
            columns = {name for e in batch.expectations for name in _columns(e).split(", ") if name}
            frame = pd.DataFrame({name: [0] for name in columns | set(batch.key)})
            _outcomes(batch, _any_frame().get_batch({"dataframe": frame}), [0], "BOOLEAN_ONLY")


def results_folder(settings: Settings) -> Path:
    """Where the results of all gates lie, one folder per gate, one JSON file per range of days."""
    return settings.home / "checks"


def _simulated(connection: duckdb.DuckDBPyConnection, days: Days) -> bool:
    """Whether any of the days comes from a simulated shop."""
    row = connection.execute(
        "select bool_or(simulated) from intake.raw.days where event_day between ? and ?",
        [days.first, days.last],
    ).fetchone()
    return bool(row and row[0])


def _judge(
    connection: duckdb.DuckDBPyConnection, gate: str, batch: Batch, days: Days, settings: Settings
) -> BatchResult:
    checks: list[Check] = [
        {
            "type": expectation.expectation_type,
            "column": _columns(expectation),
            "text": text,
            "passed": True,
            "rows": 0,
            "unexpected": 0,
            "observed": None,
            "keys": [],
        }
        for expectation, text in zip(batch.expectations, _sentences(gate, batch.name), strict=True)
    ]
    rows = 0
    for chunk in _chunks(connection, batch, days):
        frame = _fetch(connection, gate, batch, chunk, settings)
        rows += len(frame)
        # a day without trade has no rows: there is nothing to judge
        if len(frame):
            _validate(batch, frame, checks)
    if rows > CHUNK_ROWS // 6:
        _any_frame.cache_clear()  # it holds on to the last frame
    return {"name": batch.name, "rows": rows, "checks": checks}


def _chunks(connection: duckdb.DuckDBPyConnection, batch: Batch, days: Days) -> Iterator[Days]:
    """Split the range so that a chunk has at most CHUNK_ROWS rows, or is one day."""
    if batch.chunked_by is None or len(days) == 1:
        yield days
        return
    day_counts = connection.execute(
        f"select event_day, count(*) from {batch.chunked_by} where event_day between ? and ?"
        " group by event_day order by event_day",
        [days.first, days.last],
    ).fetchall()
    first, last, rows = days.first, days.first, 0
    for day, count in day_counts:
        if rows and rows + count > CHUNK_ROWS:
            yield Days(first, last)
            first, rows = day, 0
        last, rows = day, rows + count
    yield Days(first, days.last)


def _fetch(
    connection: duckdb.DuckDBPyConnection, gate: str, batch: Batch, days: Days, settings: Settings
) -> pd.DataFrame:
    import duckdb

    from expectations.suite import ENOUGH

    values = {
        "first": days.first,
        "last": days.last,
        "as_of_days": settings.as_of_days,
        "enough": ENOUGH,
    }
    used = {name: value for name, value in values.items() if f"${name}" in batch.sql}
    try:
        frame: pd.DataFrame = connection.execute(batch.sql, used).df()
        return frame
    except duckdb.CatalogException as error:
        reason = str(error).splitlines()[0]
        raise DataProblem(
            f"gate {gate} cannot look at the {batch.name}: {reason}; run the step before it"
        ) from None


def _validate(batch: Batch, frame: pd.DataFrame, checks: list[Check]) -> None:
    """Validate one frame and add its outcomes to `checks`, which have the order of the expectations."""
    import pandas as pd

    # a row rule that holds has no unexpected row, so its verdict says all; other kinds also observe a figure
    rules = [n for n, e in enumerate(batch.expectations) if getattr(e, "mostly", None) == 1]
    others = [n for n in range(len(checks)) if n not in rules]
    data = _any_frame().get_batch({"dataframe": frame})
    outcomes = _outcomes(batch, data, rules, "BOOLEAN_ONLY") | _outcomes(batch, data, others, "BASIC")
    broken = [n for n, outcome in outcomes.items() if not outcome.success]
    outcomes |= _outcomes(batch, data, broken, "SUMMARY")
    for n, outcome in outcomes.items():
        check, result = checks[n], outcome.result
        check["passed"] = check["passed"] and bool(outcome.success)
        check["rows"] += len(frame)
        check["unexpected"] += int(result.get("unexpected_count", 0))
        check["observed"] = _observed(check["observed"], check["column"], frame, result)
        if not outcome.success:
            positions = result.get("partial_unexpected_index_list") or []
            rows = frame[list(batch.key)].iloc[positions].itertuples(index=False)
            keys = [":".join("null" if pd.isna(value) else _written(value) for value in row) for row in rows]
            check["keys"] = (check["keys"] + keys)[:NAMED_KEYS]
            if not result:
                check["error"] = _error(outcome.exception_info)


def _outcomes(
    batch: Batch, data: GXBatch, chosen: list[int], detail: str
) -> dict[int, ExpectationValidationResult]:
    """Validate the chosen expectations of a batch, given and returned by their position in it."""
    from great_expectations import ExpectationSuite

    if not chosen:
        return {}
    suite = ExpectationSuite(name=batch.name)
    for n in chosen:
        # results come back in another order; the position says which is which
        suite.expectations.append(batch.expectations[n].copy(update={"meta": {"position": n}}))
    detailed = {"result_format": detail, "partial_unexpected_count": NAMED_KEYS}
    validated = data.validate(suite, result_format=detailed)
    return {r.expectation_config.meta["position"]: r for r in validated.results if r.expectation_config}


@lru_cache(maxsize=1)
def _any_frame() -> BatchDefinition[Any]:
    """An ephemeral context and its one data asset, any pandas frame: 10 ms to make, so one per process."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from tqdm import tqdm

    # else its progress bars, though hidden, start a thread, and a process with threads may not be forked
    tqdm.monitor_interval = 0

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("warehouse").add_dataframe_asset("batch")
    return asset.add_batch_definition_whole_dataframe("whole")


@lru_cache(maxsize=64)
def _sentences(gate: str, batch_name: str) -> tuple[str, ...]:
    """Each expectation in words: its description or, without one, what Great Expectations renders."""
    batch = next(batch for batch in _batches(gate) if batch.name == batch_name)
    return tuple(e.description or _rendered(e) for e in batch.expectations)


def _rendered(expectation: Expectation) -> str:
    from great_expectations.render.renderer.inline_renderer import InlineRenderer

    content = InlineRenderer(render_object=expectation.configuration).get_rendered_content()[0].value
    params = {name: _written(param["value"]) for name, param in (content.params or {}).items()}
    return Template(content.template or expectation.expectation_type).safe_substitute(params).rstrip(".")


def _columns(expectation: Expectation) -> str:
    given = expectation.configuration.kwargs
    names = [given.get(name) for name in ("column", "column_A", "column_B")]
    return ", ".join([name for name in names if name] + list(given.get("column_list", [])))


def _observed(
    so_far: Observed | None, column: str, frame: pd.DataFrame, result: Mapping[str, Any]
) -> Observed | None:
    """The one figure that an aggregate observed, or the span [lowest, highest] of a numeric column."""
    import pandas as pd

    if "observed_value" in result:
        value = result["observed_value"]
        # lists of values could be lists of customers
        return round(float(str(value)), 6) if pd.api.types.is_number(value) else None
    if column not in frame or not pd.api.types.is_numeric_dtype(frame[column]):
        return None
    if pd.api.types.is_bool_dtype(frame[column]) or frame[column].isna().all():
        return so_far
    span = [round(float(frame[column].min()), 6), round(float(frame[column].max()), 6)]
    if not isinstance(so_far, list):
        return span
    return [min(so_far[0], span[0]), max(so_far[1], span[1])]


def _written(value: Any) -> str:
    if hasattr(value, "date"):
        return str(value.date())
    return _figure(value) if isinstance(value, float) else str(value)


def _error(exception_info: Any) -> str:
    """Why an expectation could not be judged: most often a column that the query does not select."""
    infos = [exception_info] if "exception_message" in exception_info else list(exception_info.values())
    return str(infos[0]["exception_message"]).splitlines()[0] if infos else "no reason given"


def _message(gate: str, days: Days, failed: list[tuple[str, Check]], count: int, path: Path) -> str:
    parts = [_named(batch, check) for batch, check in failed[:NAMED_FAILURES]]
    if len(failed) > NAMED_FAILURES:
        parts.append(f"and {len(failed) - NAMED_FAILURES} more")
    return (
        f"gate {gate} stops {days}: {len(failed)} of {count} expectations failed: {'; '.join(parts)}. "
        f"Nothing is published. All results: {path}"
    )


def _named(batch: str, check: Check) -> str:
    what = f"{check['type']} on {check['column'] or 'the table'} of the {batch} ({check['text']})"
    if "error" in check:
        return f"{what} could not be judged: {check['error']}"
    observed = f", observed {described(check['observed'])}" if check["observed"] is not None else ""
    if not check["keys"]:
        return f"{what}{observed}"
    return (
        f"{what}: {check['unexpected']} of {check['rows']} rows{observed}, such as {', '.join(check['keys'])}"
    )


def described(observed: Observed) -> str:
    """An observed figure or span, for people: 0.25, or 0.1 to 7.4."""
    if not isinstance(observed, list):
        return _figure(observed)
    low, high = (_figure(bound) for bound in observed)
    return low if low == high else f"{low} to {high}"


def _figure(number: float) -> str:
    return f"{number:,.0f}" if number.is_integer() else f"{number:,.6g}"


def _store(result: GateResult, settings: Settings) -> Path:
    """Write one result by rename, and drop the oldest beyond KEPT_RESULTS of its gate."""
    folder = results_folder(settings) / result["gate"]
    folder.mkdir(parents=True, exist_ok=True)
    span = [result["first_day"]] + ([result["last_day"]] if result["last_day"] != result["first_day"] else [])
    path = folder / f"{'_to_'.join(span)}.json"
    write_in_place(path, json.dumps(result))
    for old in sorted(folder.glob("*.json"), key=lambda p: p.stat().st_mtime, reverse=True)[KEPT_RESULTS:]:
        old.unlink(missing_ok=True)
    return path
