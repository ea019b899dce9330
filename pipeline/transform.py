"""Runs dbt: one `dbt build` per run, with a result kept per model and test.

The models compute only what `raw.changes` names. After an edit of a model, seed or macro its old results no
longer hold, so the next run builds everything again by itself.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict

import duckdb

from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import POLICY, PROJECT, Settings
from goodstanding.core.vocabulary import now_utc
from goodstanding.decisions.policy import read_policies
from goodstanding.shops.kinds import OPTIONAL_KINDS
from goodstanding.warehouse.figures import note_figures
from goodstanding.warehouse.files import STANDING, machine_problem, open_intake, open_warehouse
from goodstanding.warehouse.ledger import note_everything, note_whole_days, settle_changes
from pipeline.workbench.contracts import contract_fault, parse_fault

log = logging.getLogger(__name__)

DBT_PROJECT = PROJECT / "dbt_project"
# Whether there is a line of payments, returns or deliveries, or was one when the marts were last built.
HAS_ACCOUNTS = " or ".join(
    f"exists (from {table})"
    for table in (
        *(f"intake.raw.{kind.table}" for kind in OPTIONAL_KINDS),
        *("features.instalment_states", "features.order_accounts"),
    )
)
FAILED = ("error", "fail", "runtime error")
QUIET = ["--quiet", "--log-level", "none", "--log-level-file", "none"]


class NodeResult(TypedDict):
    """The result of one model, seed or test in dbt."""

    node: str
    """Its name."""
    kind: str
    """Its resource type: model, seed, test."""
    status: str
    """dbt's own: success, pass, warn, fail, error, skipped, ..."""
    seconds: float
    failures: int | None
    """Rows that a test found."""
    message: str
    sql: str | None
    """As compiled."""


class TransformNumbers(TypedDict):
    """The result of a transform."""

    rebuilt: bool
    """Whether everything was recomputed."""
    models: int
    tests: int


def transform(settings: Settings, days: Days, run_id: str) -> TransformNumbers:
    """Bring the marts up to date with every admitted day.

    Raises:
        DataProblem: a model or test failed; the message names it and what dbt said. Nothing is published,
            and the next run computes the same changes again.
        MemoryShort: one failed for want of memory; the message names the setting.
        WrongUse: the policy cannot be used; names its line and key.
    """
    read_policies(POLICY)
    rebuilt, has_accounts = _prepare(settings)
    results = _dbt_build(settings, rebuilt, has_accounts)
    failed = _failed(results)
    _name_broken_rules(settings, failed)
    with open_intake(settings) as connection:
        connection.execute("begin")
        _keep_results(connection, results, days, run_id)
        if not failed:
            settle_changes(connection)
            note_figures(connection, "sql", sql_of_figures())
        connection.execute("commit")
    if rebuilt and not failed:
        # last: after a crash before this line everything is built once more
        with open_warehouse(settings) as connection:
            connection.execute("insert into state.built_by values (?)", [_fingerprint(settings)])
    require_success(results, settings)
    kinds = [result["kind"] for result in results]
    return {"rebuilt": rebuilt, "models": kinds.count("model"), "tests": kinds.count("test")}


def _failed(results: list[NodeResult]) -> list[NodeResult]:
    return [result for result in results if result["status"] in FAILED]


def require_success(results: list[NodeResult], settings: Settings) -> None:
    """Do nothing if every model and test succeeded.

    Raises:
        DataProblem: one failed; the message names the first and repeats what dbt said of it.
    """
    failed = _failed(results)
    if failed:
        first = failed[0]
        # of what fails for want of memory or disk, the rest may fail otherwise
        known = (machine_problem(result["message"], settings) for result in failed)
        raise next(filter(None, known), None) or DataProblem(
            f"dbt: {first['kind']} {first['node']} failed ({first['message']}); {len(failed)} of "
            f"{len(results)} nodes failed. Mend the model or the data and run the day again; "
            "every result is in the task's log"
        )


def _prepare(settings: Settings) -> tuple[bool, bool]:
    """Delete the marts if they were built by other SQL than the project's present one.

    Returns:
        Whether everything has to be recomputed, and whether the models of payments, returns and deliveries
        have anything to compute.
    """
    with open_warehouse(settings) as connection:
        known = connection.execute("select fingerprint from state.built_by").fetchone()
        if known == (_fingerprint(settings),):
            note_whole_days(connection)
            has_accounts = connection.execute(f"select {HAS_ACCOUNTS}").fetchone()
            return False, has_accounts == (True,)
    log.info("everything is recomputed: %s", "the SQL has changed" if known else "nothing was built yet")
    with open_intake(settings) as connection:
        note_everything(connection)
    (settings.warehouse / STANDING).unlink()
    (settings.warehouse / f"{STANDING}.wal").unlink(missing_ok=True)
    return True, True


def _fingerprint(settings: Settings) -> str:
    """A hash of everything besides the data on which the models' results depend."""
    return _files_hash(_stamp()) + f"/{settings.as_of_days}"


def sql_of_figures() -> str:
    """A hash of what computes the figures of customers and orders, from which models learn.

    The seeds (policy, benefits) decide what is made of these figures; how many days are kept decides none.
    """
    return _files_hash(_stamp(("models", "macros")))


def _sources(folders: Sequence[str]) -> list[Path]:
    files = [path for folder in folders for path in (DBT_PROJECT / folder).rglob("*.*")]
    return sorted([*files, DBT_PROJECT / "dbt_project.yml"])


def _stamp(folders: Sequence[str] = ("models", "macros", "seeds")) -> tuple[tuple[str, int, int], ...]:
    stats = [(path, path.stat()) for path in _sources(folders)]
    return tuple((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in stats)


@lru_cache(maxsize=4)
def _files_hash(stamp: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    # what runs the SQL may compute another figure of the same SQL
    for package in ("duckdb", "dbt-core", "dbt-duckdb"):
        digest.update(f"{package} {version(package)}".encode() + b"\0")
    for name, _, _ in stamp:
        path = Path(name)
        digest.update(path.relative_to(DBT_PROJECT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def dbt_environment(settings: Settings) -> dict[str, str]:
    """The variables of `dbt_project/profiles.yml`, by which dbt opens the same files by hand and in a run."""
    return {
        "GOODSTANDING_HOME": str(settings.home),
        "GOODSTANDING_MEMORY_LIMIT": settings.memory_limit,
        "GOODSTANDING_THREADS": str(settings.threads),
        "DBT_PROJECT_DIR": str(DBT_PROJECT),
        "DBT_PROFILES_DIR": str(DBT_PROJECT),
        "DBT_TARGET_PATH": str(settings.home / "dbt" / "target"),
        "DBT_LOG_PATH": str(settings.home / "dbt" / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


def _dbt_build(settings: Settings, rebuilt: bool, has_accounts: bool) -> list[NodeResult]:
    """Run `dbt build` in this process.

    Unit tests test the SQL and not the data: `make test` runs them. Seeds and views change only with the
    project, and then everything is rebuilt; leaving them out saves a fifth of a daily run. The models of
    payments, returns and deliveries are left out for shops that have none.
    """
    with open_warehouse(settings):
        pass  # makes its tables, and keeps copies of what a kill during dbt's writes would leave torn
    arguments = ["build", "--exclude-resource-type", "unit_test"]
    if rebuilt:
        arguments += ["--full-refresh"]
    else:
        # not by --exclude: with a view dbt leaves out every test that reads it, that of conservation too
        chosen = ["config.materialized:replaced", "config.materialized:versioned", "resource_type:test"]
        left_out = ["resource_type:seed", *([] if has_accounts else ["tag:accounts"])]
        arguments += ["--select", *chosen, "--exclude", *left_out]
    results = run_dbt(settings, arguments)
    if not results:
        raise DataProblem("dbt built nothing; see the task's log")
    return results


def run_dbt(
    settings: Settings,
    arguments: list[str],
    variables: Mapping[str, str] | None = None,
    home: Path | None = None,
) -> list[NodeResult]:
    """Run one dbt command in this process and return its results per node.

    Args:
        settings: of the process.
        arguments: of the command line, like ["build"].
        variables: dbt vars besides those that the settings give.
        home: whose working files dbt opens, if not those of the settings.

    Raises:
        DataProblem: dbt could not run at all (a model that does not parse, a file that is locked).
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    # the results are taken from memory: writing the artifacts costs a third of a second
    is_build = arguments[0] == "build"
    flags = [*QUIET, "--no-write-json"] if is_build else QUIET
    given = json.dumps({"as_of_days": settings.as_of_days, **(variables or {})})
    with _dbt_environment(settings):
        manifest = _manifest(_stamp(), settings.home) if is_build else None
        os.environ["GOODSTANDING_HOME"] = str(home or settings.home)
        try:
            outcome = dbtRunner(manifest=manifest).invoke([*flags, *arguments, "--vars", given])
        finally:
            # dbt would keep the warehouse open until the process ends
            DuckDBConnectionManager.close_all_connections()
    if outcome.exception is not None:
        text = str(outcome.exception)
        raise machine_problem(outcome.exception, settings) or DataProblem(
            parse_fault(text) or f"dbt could not run: {' '.join(text.split())}"
        )
    results: list[NodeResult] = [
        {
            "node": node.node.name,
            "kind": str(node.node.resource_type.value),
            "status": str(node.status.value),
            "seconds": float(node.execution_time),
            "failures": node.failures,
            "message": _message(node),
            "sql": getattr(node.node, "compiled_code", None),
        }
        for node in getattr(outcome.result, "results", None) or []
    ]
    for result in results:
        log.log(
            logging.ERROR if result["status"] in FAILED else logging.INFO,
            "%-8s %6.2f s  %s %s  %s",
            result["status"],
            result["seconds"],
            result["kind"],
            result["node"],
            result["message"],
        )
    return results


def _message(result: Any) -> str:
    """dbt's message about a node in one line; in one sentence where its SQL and its YAML do not agree."""
    node, text = result.node, str(result.message or "")
    yml = (getattr(node, "patch_path", None) or "").partition("://")[2] or None
    return contract_fault(text, node.original_file_path, yml) or " ".join(text.split())[:2000]


def warm_up(settings: Settings) -> None:
    """Parse the project in the scheduler, so that the tasks forked from it need not."""
    with _dbt_environment(settings):
        _manifest(_stamp(), settings.home)


@contextmanager
def _dbt_environment(settings: Settings) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(dbt_environment(settings))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@lru_cache(maxsize=2)
def _manifest(stamp: tuple[tuple[str, int, int], ...], home: Path) -> Any:
    """The parsed project as it stands, parsed once in a process; None where it does not parse."""
    from dbt.cli.main import dbtRunner

    return dbtRunner().invoke([*QUIET, "parse"]).result


def _name_broken_rules(settings: Settings, failed: list[NodeResult]) -> None:
    """Add to the message of a failed test of rules which of them were broken, and in how many rows."""
    tests = [
        result for result in failed if result["status"] == "fail" and "broken_rule" in (result["sql"] or "")
    ]
    if not tests:
        return
    with open_warehouse(settings) as connection:
        for test in tests:
            rows = connection.execute(
                f"select broken_rule, count(*) from ({test['sql']}) group by 1 order by 2 desc, 1"
            ).fetchall()
            test["message"] += ": " + ", ".join(f"{rule} in {count:,} row(s)" for rule, count in rows)


def _keep_results(
    connection: duckdb.DuckDBPyConnection, results: list[NodeResult], days: Days, run_id: str
) -> None:
    now = now_utc()
    connection.executemany(
        "insert into ops.dbt_results values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            [
                run_id,
                days.first,
                days.last,
                result["node"],
                result["kind"],
                result["status"],
                result["seconds"],
                result["failures"],
                result["message"],
                now,
            ]
            for result in results
        ],
    )
