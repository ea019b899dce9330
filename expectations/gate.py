"""Running a gate: fetch its batches, validate them, keep the result, and stop the run where one fails.

Great Expectations has no data source that works on DuckDB, so each batch is a pandas frame of the days in
question, in chunks where the range is long. A first pass asks for verdicts only; what failed is asked a
second time for counts and row positions. That halves the time of the usual day, on which all is well, and
no value of a row ever reaches a result: results hold counts, bounds of numeric columns and row keys.

Importing Great Expectations takes seconds; it happens at the first gate that a process runs.
"""

from __future__ import annotations

import importlib
import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from goodstanding.core.days import Days
from goodstanding.core.durable import write_in_place
from goodstanding.core.errors import DataProblem, GateFailed, WrongUse
from goodstanding.core.settings import Settings
from goodstanding.core.vocabulary import GATES

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.datasource.fluent.interfaces import Batch as GXBatch
    from great_expectations.expectations import Expectation

    from expectations.suite import Batch

# 540,000 narrow rows are about 40 MB as a frame. A single day is never split: its grain is judged whole.
CHUNK_ROWS = 600_000
KEPT_RESULTS = 60
NAMED_KEYS = 5
NAMED_FAILURES = 5


def run_gate(
    connection: duckdb.DuckDBPyConnection, gate: str, days: Days, run_id: str, settings: Settings
) -> dict[str, Any]:
    """Judge the rows of `days` by the suite of one gate, and write the result under `<home>/checks/<gate>/`.

    Returns:
        gate, days, passed (true), expectations (how many were judged), failed (none), rows (of all batches).

    Raises:
        GateFailed: an expectation does not hold; says which, of how many rows, and names a few. The result
            is on disk by then.
        DataProblem: a table that the gate looks at is not there yet.
        WrongUse: there is no such gate.
    """
    if gate not in GATES:
        raise WrongUse(f"there is no gate '{gate}'; the gates are {', '.join(GATES)}")
    started = time.perf_counter()
    batches: tuple[Batch, ...] = importlib.import_module(f"expectations.{gate}").BATCHES
    judged = [
        found
        for batch in batches
        if (found := _judge(connection, gate, batch, days, settings))["rows"] or not batch.optional
    ]
    failed = [
        check | {"batch": batch["name"]}
        for batch in judged
        for check in batch["checks"]
        if not check["passed"]
    ]
    result = {
        "gate": gate,
        "first_day": str(days.first),
        "last_day": str(days.last),
        "run_id": run_id,
        "judged_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - started, 3),
        "simulated": _simulated(connection, days),
        "passed": not failed,
        "batches": judged,
    }
    path = _store(result, settings)
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


def warm_up() -> None:
    """Do once what every gate does at first, for processes that are forked from this one.

    Under the scheduler each gate has a process of its own: without this the four took 1.1 instead of 0.8 s.
    """
    import pandas as pd

    for gate in GATES:
        batches: tuple[Batch, ...] = importlib.import_module(f"expectations.{gate}").BATCHES
        for batch in batches:
            _sentences(gate, batch.name)
            columns = {name for e in batch.expectations for name in _columns(e).split(", ") if name}
            frame = pd.DataFrame({name: [0] for name in columns | set(batch.key)})
            _outcomes(batch, _any_frame().get_batch({"dataframe": frame}), [0], "BOOLEAN_ONLY")


def results_folder(settings: Settings) -> Path:
    """Where the results of all gates lie, one folder per gate, one JSON file per range of days."""
    return settings.home / "checks"


def _simulated(connection: duckdb.DuckDBPyConnection, days: Days) -> bool:
    """Whether the days come from a simulated shop: then the result says so."""
    row = connection.execute(
        "select bool_or(simulated) from intake.raw.days where event_day between ? and ?",
        [days.first, days.last],
    ).fetchone()
    return bool(row and row[0])


def _judge(
    connection: duckdb.DuckDBPyConnection, gate: str, batch: Batch, days: Days, settings: Settings
) -> dict[str, Any]:
    checks = [
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
    counted = connection.execute(
        f"select event_day, count(*) from {batch.chunked_by} where event_day between ? and ?"
        " group by event_day order by event_day",
        [days.first, days.last],
    ).fetchall()
    first, last, rows = days.first, days.first, 0
    for day, count in counted:
        if rows and rows + count > CHUNK_ROWS:
            yield Days(first, last)
            first, rows = day, 0
        last, rows = day, rows + count
    yield Days(first, days.last)


def _fetch(
    connection: duckdb.DuckDBPyConnection, gate: str, batch: Batch, days: Days, settings: Settings
) -> pd.DataFrame:
    import duckdb

    values = {"first": days.first, "last": days.last, "as_of_days": settings.as_of_days}
    used = {name: value for name, value in values.items() if f"${name}" in batch.sql}
    try:
        return connection.execute(batch.sql, used).df()
    except duckdb.CatalogException as error:
        reason = str(error).splitlines()[0]
        raise DataProblem(
            f"gate {gate} cannot look at the {batch.name}: {reason}; run the step before it"
        ) from None


def _validate(batch: Batch, frame: pd.DataFrame, checks: list[dict[str, Any]]) -> None:
    """Validate one frame and add what came out to `checks`, which stand in the order of the expectations."""
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


def _outcomes(batch: Batch, data: GXBatch, chosen: list[int], detail: str) -> dict[int, Any]:
    from great_expectations import ExpectationSuite

    if not chosen:
        return {}
    suite = ExpectationSuite(name=batch.name)
    for n in chosen:
        # results come back in an order of their own; this tells them apart
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

    # else its progress bars, hidden as they are, start a thread, with which no process may be forked
    tqdm.monitor_interval = 0

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("warehouse").add_dataframe_asset("batch")
    return asset.add_batch_definition_whole_dataframe("whole")


@lru_cache(maxsize=64)
def _sentences(gate: str, batch_name: str) -> tuple[str, ...]:
    """What each expectation says, in words: its own description, else as Great Expectations renders it."""
    batches: tuple[Batch, ...] = importlib.import_module(f"expectations.{gate}").BATCHES
    batch = next(batch for batch in batches if batch.name == batch_name)
    return tuple(e.description or _rendered(e) for e in batch.expectations)


def _rendered(expectation: Expectation) -> str:
    from great_expectations.render.renderer.inline_renderer import InlineRenderer

    content = InlineRenderer(render_object=expectation.configuration).get_rendered_content()[0].value
    params = {name: _written(param["value"]) for name, param in (content.params or {}).items()}
    return Template(content.template or expectation.expectation_type).safe_substitute(params).rstrip(".")


def _columns(expectation: Expectation) -> str:
    settings = expectation.configuration.kwargs
    names = [settings.get(name) for name in ("column", "column_A", "column_B")]
    return ", ".join([name for name in names if name] + list(settings.get("column_list", [])))


def _observed(so_far: Any, column: str, frame: pd.DataFrame, result: dict[str, Any]) -> Any:
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
    return span if so_far is None else [min(so_far[0], span[0]), max(so_far[1], span[1])]


def _written(value: Any) -> str:
    if hasattr(value, "date"):
        return str(value.date())
    return _figure(value) if isinstance(value, float) else str(value)


def _error(exception_info: Any) -> str:
    """Why an expectation could not be judged: most often a column that the query does not select."""
    infos = [exception_info] if "exception_message" in exception_info else list(exception_info.values())
    return str(infos[0]["exception_message"]).splitlines()[0] if infos else "no reason given"


def _message(gate: str, days: Days, failed: list[dict[str, Any]], count: int, path: Path) -> str:
    parts = [_named(check) for check in failed[:NAMED_FAILURES]]
    if len(failed) > NAMED_FAILURES:
        parts.append(f"and {len(failed) - NAMED_FAILURES} more")
    return (
        f"gate {gate} stops {days}: {len(failed)} of {count} expectations failed: {'; '.join(parts)}. "
        f"Nothing is published. All results: {path}"
    )


def _named(check: dict[str, Any]) -> str:
    what = f"{check['type']} on {check['column'] or 'the table'} of the {check['batch']} ({check['text']})"
    if "error" in check:
        return f"{what} could not be judged: {check['error']}"
    observed = f", observed {described(check['observed'])}" if check["observed"] is not None else ""
    if not check["keys"]:
        return f"{what}{observed}"
    return (
        f"{what}: {check['unexpected']} of {check['rows']} rows{observed}, such as {', '.join(check['keys'])}"
    )


def described(observed: Any) -> str:
    """A figure or a span, for people: 0.25, or 0.1 to 7.4."""
    if not isinstance(observed, list):
        return _figure(observed)
    low, high = (_figure(bound) for bound in observed)
    return low if low == high else f"{low} to {high}"


def _figure(number: float) -> str:
    return f"{number:,.0f}" if number.is_integer() else f"{number:,.6g}"


def _store(result: dict[str, Any], settings: Settings) -> Path:
    """Write one result by rename, and drop the oldest beyond KEPT_RESULTS of its gate."""
    folder = results_folder(settings) / result["gate"]
    folder.mkdir(parents=True, exist_ok=True)
    span = [result["first_day"]] + ([result["last_day"]] if result["last_day"] != result["first_day"] else [])
    path = folder / f"{'_to_'.join(span)}.json"
    write_in_place(path, json.dumps(result))
    for old in sorted(folder.glob("*.json"), key=lambda p: p.stat().st_mtime, reverse=True)[KEPT_RESULTS:]:
        old.unlink(missing_ok=True)
    return path
