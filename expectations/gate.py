"""Runs a quality gate: judges rows by Great Expectations, keeps the result, and stops the run on failure.

Great Expectations has no data source that works on DuckDB, so each batch is a pandas frame of the days in
question, in chunks where the range is long. Where a batch has verdicts that SQL says less well, its `judge`
adds them to the frame. A first pass asks for verdicts only; a second one asks for the
counts and row positions of what failed. That halves the time of the usual day, on which nothing fails. No
value of a row reaches a result: it holds counts, bounds of numeric columns and keys of rows.

A check that finds no row to judge has not passed: the result says that it was not judged, and why. Days that
a person has accepted (`accepted` in the mapping) pass that expectation, and the result says by whom and why.

Importing Great Expectations takes seconds; it happens at the first gate that a process runs.
"""

from __future__ import annotations

import importlib
import json
import logging
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from expectations.words import check_days, message, notes, told, written
from goodstanding.core.days import Days, in_words
from goodstanding.core.durable import write_in_place
from goodstanding.core.errors import DataProblem, GateFailed, WrongUse
from goodstanding.core.settings import Settings
from goodstanding.core.vocabulary import GATES, moment
from goodstanding.shops.mapping import Accepted, Shop, load_shop

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.datasource.fluent.interfaces import Batch as GXBatch
    from great_expectations.expectations import Expectation

    from expectations.suite import Batch, Told

# 540,000 narrow rows are about 40 MB as a frame. A single day is never split: its grain is judged whole.
CHUNK_ROWS = 600_000
KEPT_RESULTS = 60
NAMED_KEYS = 5

# one figure of an aggregate, or the span [lowest, highest] of a numeric column
Observed = float | list[float]


class AcceptedDays(TypedDict):
    """Days on which an expectation is not met, as a person has accepted."""

    #: like 2011-01-02 to 2011-01-09
    days: str
    by: str
    why: str


class Check(TypedDict):
    """What one expectation found in the rows of a batch."""

    #: the expectation's type, like expect_column_values_to_be_between
    type: str
    #: the columns that it is about, comma-separated; empty for the table
    column: str
    #: the expectation in words
    text: str
    #: whether it stops nothing; where `judged` is 0 it has not passed either
    passed: bool
    #: how many rows there were, how many of them had something to judge, and how many do not meet it
    rows: int
    judged: int
    unexpected: int
    observed: Observed | None
    #: what the recent days had, where it is compared with them
    usual: Observed | None
    #: keys of the first few rows that do not meet it, like 2011-12-01.csv:7
    keys: list[str]
    #: whether a row is a day
    by_day: bool
    #: every day (ISO) on which it is not met and which nobody has accepted
    failed_days: list[str]
    accepted: list[AcceptedDays]
    #: why it is not met, where a query can say it
    causes: list[str]
    #: why no row could be judged
    not_judged: NotRequired[str]
    #: why the expectation itself could not be evaluated
    error: NotRequired[str]


class BatchResult(TypedDict):
    """What the expectations of one batch found."""

    name: str
    rows: int
    checks: list[Check]
    #: what stops nothing and is said beside the verdict
    told: list[str]


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
    #: what was not judged, what was accepted, and acceptances that are not needed: a sentence each
    notes: list[str]


class GatePassed(TypedDict):
    """What `run_gate` returns for a gate that passed the days."""

    gate: str
    #: a day, or a range of days
    days: str
    passed: bool
    #: how many there are, judged or not
    expectations: int
    #: none, or the gate would have raised
    failed: list[str]
    #: of all batches
    rows: int
    #: as in `GateResult`
    notes: list[str]
    #: the same of each day by itself
    day_notes: dict[date, list[str]]


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
    shop = load_shop(settings)
    _require_known(shop)
    judgings = [_Judging(connection, gate, batch, days, settings, shop) for batch in _batches(gate)]
    judged = _with_rows(judgings, [judging.result() for judging in judgings])
    of_days = {day: _with_rows(judgings, [judging.of_day(day) for judging in judgings]) for day in days}
    failed = [(batch["name"], check) for batch in judged for check in batch["checks"] if not check["passed"]]
    said = _said(shop, gate, judged, of_days)
    day_notes = {day: _said(shop, gate, of_day, {day: of_day}) for day, of_day in of_days.items()}
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
        "notes": said,
    }
    path = _store(verdict, settings)
    count = sum(len(batch["checks"]) for batch in judged)
    if failed:
        failed_days = sorted({day for _, check in failed for day in check_days(check)})
        good_notes = {day: of_day for day, of_day in day_notes.items() if day not in failed_days}
        messages = {
            day: message(gate, [day], [pair for pair in failed if day in check_days(pair[1])], count, path)
            for day in failed_days
        }
        raise GateFailed(message(gate, failed_days, failed, count, path), failed_days, good_notes, messages)
    rows = sum(batch["rows"] for batch in judged)
    return {
        "gate": gate,
        "days": str(days),
        "passed": True,
        "expectations": count,
        "failed": [],
        "rows": rows,
        "notes": said,
        "day_notes": day_notes,
    }


def _with_rows(judgings: list[_Judging], results: list[BatchResult]) -> list[BatchResult]:
    """The results, without those of batches that need not have rows and have none."""
    return [
        result
        for judging, result in zip(judgings, results, strict=True)
        if result["rows"] or not judging.batch.optional
    ]


def _said(
    shop: Shop, gate: str, batches: list[BatchResult], of_days: Mapping[date, list[BatchResult]]
) -> list[str]:
    """What is said beside the verdict on some days: what is told, not judged, accepted and not needed."""
    beside = [text for batch in batches for text in batch["told"]]
    return [*beside, *notes(batches), *_idle(shop, gate, of_days)]


def _require_known(shop: Shop) -> None:
    """Refuse an acceptance of what no gate expects, which would never apply, or of what several gates expect,
    as each would take it for its own.

    Raises:
        WrongUse: names the first such.
    """
    for accepted in shop.accepted:
        named = [
            f"{gate}.{column}"
            for gate in GATES
            for column in sorted(_all_columns(gate))
            if _applies(accepted, gate, column)
        ]
        if len(named) > 1:
            raise WrongUse(
                f"{shop.mapping_file}: accepted: several gates have an expectation '{accepted.expectation}'; "
                f"write {' or '.join(named)}"
            )
        if not named:
            raise WrongUse(
                f"{shop.mapping_file}: accepted: no gate has an expectation '{accepted.expectation}'; "
                'write the name that the gate\'s message gives after "on", like lines_of_usual'
            )


def _all_columns(gate: str) -> frozenset[str]:
    return frozenset(_columns(expectation) for batch in _batches(gate) for expectation in batch.expectations)


def _applies(accepted: Accepted, gate: str, column: str) -> bool:
    return accepted.expectation in (column, f"{gate}.{column}")


def _idle(shop: Shop, gate: str, of_days: Mapping[date, list[BatchResult]]) -> list[str]:
    """Name the acceptances that this gate does not need, on days on which it has judged what they are of."""
    sentences = []
    for accepted in shop.accepted:
        idle_days = []
        for day, batches in of_days.items():
            checks = [
                check
                for batch in batches
                for check in batch["checks"]
                if _applies(accepted, gate, check["column"])
            ]
            is_judged = any("not_judged" not in check for check in checks)
            if day in accepted and is_judged and not any(check["accepted"] for check in checks):
                idle_days.append(day)
        if idle_days:
            sentences.append(
                f"not needed: {accepted.expectation} is met on {in_words(idle_days)}, which {accepted.by} "
                f"accepted ({accepted.why})"
            )
    return sentences


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


class _Judging:
    """One batch of a gate being judged: its checks gather what each chunk of its rows shows."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        gate: str,
        batch: Batch,
        days: Days,
        settings: Settings,
        shop: Shop,
    ) -> None:
        self.batch = batch
        self._connection, self._gate, self._batch = connection, gate, batch
        self._days, self._settings, self._shop = days, settings, shop
        self._checks: list[Check] = [
            {
                "type": expectation.expectation_type,
                "column": _columns(expectation),
                "text": text,
                "passed": True,
                "rows": 0,
                "judged": 0,
                "unexpected": 0,
                "observed": None,
                "usual": None,
                "keys": [],
                "by_day": batch.key == ("event_day",),
                "failed_days": [],
                "accepted": [],
                "causes": [],
            }
            for expectation, text in zip(batch.expectations, _sentences(gate, batch.name), strict=True)
        ]
        # how many rows each day (ISO) has, and on which of them each check has something to judge
        self._rows_of_days: Counter[str] | None = None
        self._judged_days: list[set[str]] = [set() for _ in self._checks]
        # who has accepted which days, by check
        self._accepted: list[list[tuple[set[date], Accepted]]] = [[] for _ in self._checks]
        self._told_rows: list[Told] = []
        self._rows = 0

    def result(self) -> BatchResult:
        """Judge all rows of the batch."""
        rows = 0
        for chunk in _chunks(self._connection, self._batch, self._days):
            frame = _fetch(self._connection, self._gate, self._batch, chunk, self._settings, self._shop)
            rows += len(frame)
            # a day without trade has no rows: there is nothing to judge
            if len(frame):
                if self._batch.judge:
                    self._batch.judge(frame, self._shop.limits)
                self._validate(frame)
        if rows > CHUNK_ROWS // 6:
            _any_frame.cache_clear()  # it holds on to the last frame
        self._rows = rows
        for n in range(len(self._checks)):
            self._conclude(n)
        if self._batch.tells and rows:
            from expectations.suite import Told

            self._told_rows = [Told(*row) for row in self._answer(self._batch.tells, [])]
        return {
            "name": self._batch.name,
            "rows": rows,
            "checks": self._checks,
            "told": told(self._told_rows),
        }

    def of_day(self, day: date) -> BatchResult:
        """What `result` says of one of the days; rows that have no day are of all."""
        rows = self._rows if self._rows_of_days is None else self._rows_of_days[str(day)]
        checks = []
        for check, judged_days, accepted_days in zip(
            self._checks, self._judged_days, self._accepted, strict=True
        ):
            of_day = check.copy()
            of_day["accepted"] = [
                {"days": str(day), "by": accepted.by, "why": accepted.why}
                for covered, accepted in accepted_days
                if day in covered
            ]
            if self._rows_of_days is not None:
                of_day.pop("not_judged", None)
                if str(day) not in judged_days:
                    of_day["not_judged"] = self._not_judged(check, rows)
            checks.append(of_day)
        rows_told = [row for row in self._told_rows if row.event_day == day]
        return {"name": self._batch.name, "rows": rows, "checks": checks, "told": told(rows_told)}

    def _not_judged(self, check: Check, rows: int) -> str:
        reason = self._batch.not_judged.get(check["column"], "no row has it")
        return reason if rows else "there are no rows of these days"

    def _texts(self, sql: str, failed_days: list[date]) -> list[str]:
        """The rows of a query of one column of text."""
        return [str(text) for (text,) in self._answer(sql, failed_days)]

    def _answer(self, sql: str, failed_days: list[date]) -> list[tuple[Any, ...]]:
        values = {
            **_of_mapping(self._shop),
            "first": self._days.first,
            "last": self._days.last,
            "days": failed_days,
        }
        rows: list[tuple[Any, ...]] = self._connection.execute(sql, _used(sql, values)).fetchall()
        return rows

    def _validate(self, frame: pd.DataFrame) -> None:
        """Validate one frame and add its outcomes to the checks, which have the order of the expectations."""
        batch = self._batch
        # a row rule that holds has no unexpected row: its verdict says all; other kinds also observe a figure
        rules = [n for n, e in enumerate(batch.expectations) if getattr(e, "mostly", None) == 1]
        others = [n for n in range(len(self._checks)) if n not in rules]
        data = _any_frame().get_batch({"dataframe": frame})
        outcomes = _outcomes(batch, data, rules, "BOOLEAN_ONLY") | _outcomes(batch, data, others, "BASIC")
        broken = [n for n, outcome in outcomes.items() if not outcome.success]
        outcomes |= _outcomes(batch, data, broken, "COMPLETE")
        if "event_day" in frame:
            counts = frame["event_day"].value_counts().items()
            of_days = Counter({str(day)[:10]: int(count) for day, count in counts})
            self._rows_of_days = (self._rows_of_days or Counter()) + of_days
        for n, outcome in outcomes.items():
            check = self._checks[n]
            check["rows"] += len(frame)
            judged = _judged(frame, batch.expectations[n])
            check["judged"] += int(judged.sum())
            if "event_day" in frame:
                self._judged_days[n] |= _days_in(frame["event_day"][judged])
            self._gather(check, frame, outcome)

    def _gather(self, check: Check, frame: pd.DataFrame, outcome: ExpectationValidationResult) -> None:
        result = outcome.result
        check["passed"] = check["passed"] and bool(outcome.success)
        check["unexpected"] += int(result.get("unexpected_count", 0))
        unexpected = frame
        if not outcome.success:
            positions = result.get("unexpected_index_list") or []
            unexpected = frame.iloc[positions] if positions else frame
            keys = [
                _key(row)
                for row in frame[list(self._batch.key)].iloc[positions[:NAMED_KEYS]].itertuples(index=False)
            ]
            check["keys"] = (check["keys"] + keys)[:NAMED_KEYS]
            if "event_day" in frame:
                check["failed_days"] = sorted({*_days_in(unexpected["event_day"]), *check["failed_days"]})
            if not result:
                check["error"] = _error(outcome.exception_info)
        figure = f"{check['column']}_figure"
        if figure in frame:
            check["observed"] = _observed(check["observed"], figure, unexpected, {})
            check["usual"] = _observed(check["usual"], f"{check['column']}_usual", unexpected, {})
        else:
            check["observed"] = _observed(check["observed"], check["column"], frame, result)

    def _conclude(self, n: int) -> None:
        """Add to a check what all rows say together: what is accepted, why it fails, that none was judged."""
        check = self._checks[n]
        # nobody can accept what could not be looked at
        if not check["passed"] and "error" not in check:
            has_days = bool(check["failed_days"])
            left = {date.fromisoformat(day) for day in check["failed_days"]} if has_days else set(self._days)
            for accepted in self._shop.accepted:
                # what is said as of the newest day is accepted with that day
                covered = {
                    day for day in left if day in accepted and (has_days or self._days.last in accepted)
                }
                if covered and _applies(accepted, self._gate, check["column"]):
                    check["accepted"].append(
                        {"days": in_words(covered), "by": accepted.by, "why": accepted.why}
                    )
                    self._accepted[n].append((covered, accepted))
                    left = left - covered if has_days else set()
            check["failed_days"] = [str(day) for day in sorted(left)]
            check["passed"] = not left
        if not check["passed"] and check["column"] in self._batch.causes:
            check["causes"] = self._texts(self._batch.causes[check["column"]], check_days(check))
        if check["passed"] and not check["judged"]:
            check["not_judged"] = self._not_judged(check, check["rows"])


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


def _of_mapping(shop: Shop) -> dict[str, str | int | None]:
    """What queries may ask of the mapping, as `Batch` says."""
    rule = shop.orders.kinds.get("cancellation") if shop.orders else None
    return {
        "invoice_column": shop.sources[0].place_of("invoice_no"),
        "rule_column": rule.column if rule else None,
        "rule": rule.matches if rule else None,
    }


def _used(sql: str, values: Mapping[str, object]) -> dict[str, object]:
    """The values of the parameters of a query; DuckDB refuses any other."""
    return {name: value for name, value in values.items() if re.search(rf"\${name}\b", sql)}


def _fetch(
    connection: duckdb.DuckDBPyConnection,
    gate: str,
    batch: Batch,
    days: Days,
    settings: Settings,
    shop: Shop,
) -> pd.DataFrame:
    import duckdb

    from expectations.suite import ENOUGH

    values = {
        **_of_mapping(shop),
        "first": days.first,
        "last": days.last,
        "as_of_days": settings.as_of_days,
        "enough": ENOUGH,
        "stopped": list(shop.invoices.stopped),
    }
    try:
        frame: pd.DataFrame = connection.execute(batch.sql, _used(batch.sql, values)).df()
        return frame
    except duckdb.CatalogException as error:
        reason = str(error).splitlines()[0]
        raise DataProblem(
            f"gate {gate} cannot look at the {batch.name}: {reason}; run the step before it"
        ) from None


def _judged(frame: pd.DataFrame, expectation: Expectation) -> pd.Series[bool]:
    """Which rows have something to judge: those with a value, as NULL is judged by `present` alone."""
    column = _columns(expectation)
    judges_nulls = expectation.expectation_type == "expect_column_values_to_not_be_null"
    if column not in frame or judges_nulls:
        return frame.iloc[:, 0].isna() | True
    return frame[column].notna()


def _days_in(days: pd.Series[Any]) -> set[str]:
    """The days (ISO) of a column."""
    return {str(day)[:10] for day in days.unique()}


def _key(row: tuple[Any, ...]) -> str:
    import pandas as pd

    return ":".join("null" if pd.isna(value) else written(value) for value in row)


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
    params = {name: written(param["value"]) for name, param in (content.params or {}).items()}
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


def _error(exception_info: Any) -> str:
    """Why an expectation could not be judged: most often a column that the query does not select."""
    infos = [exception_info] if "exception_message" in exception_info else list(exception_info.values())
    return str(infos[0]["exception_message"]).splitlines()[0] if infos else "no reason given"


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
