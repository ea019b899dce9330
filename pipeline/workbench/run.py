"""Runs a dbt command on a copy of the warehouse, and says how the result differs from the publication.

A daily run computes what changed. Here a model is computed for all its rows (`--full-refresh`), because rows
of the old SQL beside rows of the new could be compared with nothing. What is not selected is read as it is in
the copy. Nothing is published.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from goodstanding.core.durable import write_in_place
from goodstanding.core.settings import Settings
from goodstanding.core.sql import identifier, literal
from goodstanding.warehouse.files import INTAKE, STANDING, spill_folder
from pipeline.transform import QUIET
from pipeline.workbench.compare import TableChange, compare_tables
from pipeline.workbench.contracts import contract_fault, no_yml
from pipeline.workbench.copies import Copy, copy_of, only_one, workbench_of
from pipeline.workbench.project import (
    DbtProject,
    key_of,
    tells_of_the_last_run_alone,
    without_vars,
)

BUILDS = ("build", "run", "seed")
# what takes --full-refresh
WHOLE = (*BUILDS, "compile", "show")
WITHOUT_WAREHOUSE = ("parse", "ls", "list")
CHANGES = "changes.json"


@dataclass
class WorkbenchRun:
    """How a dbt command on the workbench ended, and what it changed."""

    #: dbt's: 0 done, 1 a model or test failed, 2 dbt could not do it; 1 also where a model has no YAML
    exit_code: int
    #: one for each table that was built, in the order of building; only of commands that build
    changes: list[TableChange] = field(default_factory=list)
    #: on what it was done and with what it was compared
    notes: list[str] = field(default_factory=list)
    #: what has to be mended, each in a sentence
    problems: list[str] = field(default_factory=list)


def run_on_copy(
    settings: Settings,
    arguments: Sequence[str],
    fresh: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> WorkbenchRun:
    """Run one dbt command on the home's workbench; dbt prints what it prints.

    Args:
        settings: of the process.
        arguments: of dbt, like ["build", "-s", "customer_classes+"].
        fresh: take a new copy of the warehouse, whatever was built on the one before.
        say: called with a sentence for each thing that is done before dbt begins.

    Raises:
        DataProblem: nothing was built under this home yet.
        WarehouseBusy: another command is at work on the workbench, or the warehouse changes all the time.
        WrongUse: the project does not parse.
    """
    command, variables = without_vars(arguments)
    opens = not (command[0] in WITHOUT_WAREHOUSE or "--help" in command or command[:2] == ["docs", "serve"])
    with only_one(settings) if opens else nullcontext():
        copy, lost = copy_of(settings, fresh) if opens else (None, [])
        project = DbtProject(workbench_of(settings), variables=variables, like=settings)
        if copy is not None:
            _say_what_copy(copy, lost, say)
            make_whole(copy, project, say)
        if command[0] in WHOLE and not {"--full-refresh", "-f", "--no-full-refresh"} & {*command}:
            command.append("--full-refresh")
        outcome = project.run(command)
        done = WorkbenchRun(outcome.exit_code, problems=faults(outcome.results))
        if done.problems and done.exit_code == 0:
            done.exit_code = 1
        if outcome.said:
            done.problems.append(_one_line(outcome.said))
        if copy is not None and command[0] in BUILDS:
            built = built_tables(outcome.results)
            done.notes += _what_was_read(copy, project, built)
            copy.built |= {node.unique_id: node.checksum.checksum for node in built}
            copy.save()
            with both_sides(settings, copy) as (connection, sides):
                done.notes += sides.notes
                done.changes = compare_nodes(connection, sides, project.manifest, built)
            write_in_place(copy.folder / CHANGES, json.dumps(done.changes, default=str, indent=1))
        if copy is not None:
            done.notes += _what_is_stale(copy, project)
        return done


def _say_what_copy(copy: Copy, lost: Sequence[str], say: Callable[[str], None]) -> None:
    if lost:
        say(f"the warehouse has changed, so its copy is a new one; gone with the old: {', '.join(lost)}")
    say(
        f"on the copy of {copy.taken_at:%Y-%m-%d %H:%M} UTC in {copy.folder} ({copy.megabytes:,.0f} MB); "
        "nothing is published"
    )


def make_whole(copy: Copy, project: DbtProject, say: Callable[[str], None] = lambda text: None) -> None:
    """Once per copy: build the models whose tables do not hold the rows of all days.

    These are views, and tables that hold only the last run. They are built again with the models that are
    built where they are selected.
    """
    if copy.is_whole:
        return
    unkept = [node for node in project.manifest.nodes.values() if _is_model(node) and keeps_no_rows(node)]
    done = project.run([*QUIET, "run", "--full-refresh", "--select", *(node.name for node in unkept)])
    copy.is_whole = done.exit_code == 0
    copy.made = {node.unique_id: node.checksum.checksum for node in unkept}
    copy.save()
    for result in done.results:
        if result.status.value not in ("success", "skipped"):
            say(f"{result.node.name} could not be computed for all days: {_one_line(result.message)}")


def _is_model(node: Any) -> bool:
    return bool(node.resource_type.value == "model")


def keeps_no_rows(node: Any) -> bool:
    """Whether a model is a view, or a table that holds only the last run."""
    return node.config.materialized == "view" or tells_of_the_last_run_alone(node)


def built_tables(results: Sequence[Any]) -> list[Any]:
    """The models and seeds that a command has built, as dbt describes them."""
    return [
        result.node
        for result in results
        if result.node.resource_type.value in ("model", "seed") and result.status.value == "success"
    ]


def faults(results: Sequence[Any]) -> list[str]:
    """The faults in the YAML of the models that a command ran, each in a sentence."""
    sentences = []
    for result in results:
        node = result.node
        if node.resource_type.value != "model":
            continue
        fault = contract_fault(str(result.message or ""), node.original_file_path, yml_of(node))
        if fault is None and node.patch_path is None and result.status.value == "success":
            fault = no_yml(node.original_file_path)
        sentences += [fault] if fault else []
    return sentences


def yml_of(node: Any) -> str | None:
    """The file with a model's YAML, from the project's folder on; None where there is none."""
    return node.patch_path.partition("://")[2] if node.patch_path else None


def _what_was_read(copy: Copy, project: DbtProject, built: Sequence[Any]) -> list[str]:
    """A note on the tables that the built models read and that were not built with them."""
    nodes = project.manifest.nodes
    ids = {node.unique_id for node in built}
    read = sorted({parent for node in built for parent in node.depends_on_nodes} - ids)
    read = [parent for parent in read if parent in nodes]
    notes = []
    if read:
        names = (nodes[name].name + (" (built here)" if name in copy.built else "") for name in read)
        notes.append(f"not selected, so read as the copy has it: {', '.join(names)}")
    return notes


def _what_is_stale(copy: Copy, project: DbtProject) -> list[str]:
    """Which models in the copy were built from an SQL that their files do not have any more."""
    nodes = project.manifest.nodes
    known = {**copy.made, **copy.built}
    stale = sorted(
        nodes[name].name
        for name, checksum in known.items()
        if name in nodes and nodes[name].checksum.checksum != checksum
    )
    if not stale:
        return []
    return [
        f"{', '.join(stale)} in the copy was built from another SQL than the file has now: build it again, "
        "or take a new copy with --fresh"
    ]


@dataclass(frozen=True)
class Sides:
    """What tables are compared with, as databases of one connection: `after`, and `published` or `before`."""

    #: tables and views of the publication, with their schemas; empty where there is none
    published: frozenset[str]
    #: what the publication is, in words
    publication: str
    #: tables and views of versions of the copy as it was taken, with their schemas; its other views read the
    #: copy as it is now
    taken: frozenset[str]
    notes: tuple[str, ...]

    def before(self, node: Any) -> tuple[str, str] | None:
        """With what a model's table is compared: its name in SQL, and what that is."""
        table = f"{node.schema}.{node.alias}"
        if table in self.published:
            return f"published.{_quoted(table)}", self.publication
        if table in self.taken and not tells_of_the_last_run_alone(node):
            return f"before.{_quoted(table)}", "the warehouse as it was copied"
        return None


@contextmanager
def both_sides(settings: Settings, copy: Copy) -> Iterator[tuple[duckdb.DuckDBPyConnection, Sides]]:
    """A connection that reads the copy, what it was when it was taken, and the publication."""
    limits = {
        "memory_limit": settings.memory_limit,
        "threads": settings.threads,
        "temp_directory": str(spill_folder(copy.settings)),
    }
    with duckdb.connect(config=limits) as connection:
        for name, path in (
            (Path(STANDING).stem, copy.settings.warehouse / STANDING),
            (Path(INTAKE).stem, copy.settings.warehouse / INTAKE),
            ("before", copy.before),
            *((("published", settings.publication),) if settings.publication.exists() else ()),
        ):
            connection.execute(f"attach {literal(path)} as {name} (read_only)")
        # views name what they read without the file
        connection.execute(f"use {Path(STANDING).stem}")
        yield connection, _sides(connection)


def _sides(connection: duckdb.DuckDBPyConnection) -> Sides:
    rows = connection.execute(
        """
        select database_name, schema_name, table_name from duckdb_tables()
        union all
        select database_name, schema_name, view_name from duckdb_views()
        where
            database_name = 'published'
            or (database_name, schema_name || '_versions', view_name) in (
                select (database_name, schema_name, table_name) from duckdb_tables()
            )
        """
    ).fetchall()
    tables = {
        side: frozenset(f"{schema}.{table}" for database, schema, table in rows if database == side)
        for side in ("published", "before")
    }
    notes = []
    if connection.execute("select count(*) from before.state.built_by").fetchone() == (0,):
        notes.append(
            "the warehouse is not whole: a run is rebuilding it, or failed to; once a run has done it, "
            "the next command takes a new copy"
        )
    if "marts.publication" not in tables["published"]:
        notes.append("nothing is published yet: compared with the warehouse as it was copied")
        return Sides(frozenset(), "", tables["before"], tuple(notes))
    publication = connection.execute(
        "select as_of, strftime(published_at, '%Y-%m-%d %H:%M') from published.marts.publication"
    ).fetchone()
    assert publication is not None
    publication_text = f"the publication as of {publication[0]}"
    notes.append(f"compared with {publication_text}, published {publication[1]} UTC")
    (others,) = connection.execute(
        """
        select count(*)
        from (select distinct event_day, version from intake.raw.days where admitted and files > 0) as days
        full join (select distinct event_day, day_version from published.marts.source_files) as files
            on days.event_day = files.event_day and days.version = files.day_version
        where files.event_day is null or days.event_day is null
        """
    ).fetchone() or (0,)
    if others:
        notes.append(
            f"{others} day(s) are others in the warehouse than in the publication, so not every difference "
            "is one of the SQL"
        )
    return Sides(tables["published"], publication_text, tables["before"], tuple(notes))


def compare_nodes(
    connection: duckdb.DuckDBPyConnection, sides: Sides, manifest: Any, nodes: Sequence[Any]
) -> list[TableChange]:
    """Compare the tables of some models with what they were."""
    changes = []
    for node in nodes:
        table = f"{node.schema}.{node.alias}"
        before = sides.before(node)
        after = f"{Path(STANDING).stem}.{_quoted(table)}"
        change = compare_tables(connection, table, before, after, key_of(manifest, node.unique_id))
        if before is None and tells_of_the_last_run_alone(node):
            change["note"] = "holds rows of one run alone, so there is nothing to compare it with"
        elif before is None and node.config.materialized == "view":
            change["note"] = "a view that is not published: compare what reads it"
        changes.append(change)
    return changes


def _quoted(table: str) -> str:
    return ".".join(identifier(part) for part in table.split("."))


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
