"""Shows what a change of the SQL in git would do: builds both versions on the same data and compares them.

Only what the change touches is built, once by the SQL of a base in git and once by that of the working tree,
each on a copy of its own, which is removed at the end. No model is trained and nobody is scored: predictions
are those of the warehouse on both sides.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any, TypedDict

import duckdb

from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import PROJECT, Settings
from goodstanding.core.sql import identifier, literal
from goodstanding.core.vocabulary import CLASSES
from goodstanding.warehouse.files import INTAKE, STANDING, spill_folder
from goodstanding.warehouse.publish import KEPT_SCHEMAS, keep_for_readers
from pipeline.transform import DBT_PROJECT, QUIET
from pipeline.workbench.compare import TableChange, compare_tables
from pipeline.workbench.copies import Copy, copy_of, only_one
from pipeline.workbench.project import DbtProject, key_of
from pipeline.workbench.run import faults, keeps_no_rows

# the tests are for `goodstanding dbt build`
LEFT_OUT = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
CLASSES_SQL = Path(__file__).with_name("class_changes.sql")


class TouchedModel(TypedDict):
    """A model or seed that the change reaches."""

    name: str
    #: edited, downstream (reads an edited one), added or removed
    kind: str
    #: how its table differs; None where it keeps no rows, and of one that was removed
    change: TableChange | None


class ClassMove(TypedDict):
    """How many customers move from one class to another; None stands for no class."""

    before: str | None
    after: str | None
    customers: int


class ClassChanges(TypedDict):
    """The customers whose class or credit score changes, as of the newest day."""

    customers: int
    #: who is in another class, or in one on one side only
    other_class: int
    moves: list[ClassMove]
    other_score: int
    #: of those with a credit score (3 to 12) on both sides: how many fall and rise, and by how much
    score_falls: int
    score_rises: int
    mean_score_change: float
    largest_score_change: int


@dataclass(frozen=True)
class Versions:
    """The two versions, built: each a file like a publication."""

    #: as it was named, and the commit
    base: str
    commit: str
    as_of: date
    simulated: bool
    touched: list[TouchedModel]
    classes: ClassChanges | None
    #: of the base and of the working tree
    before: Path
    after: Path


@contextmanager
def both_versions(settings: Settings, base: str) -> Iterator[Versions]:
    """Build what differs between a base in git and the working tree, on copies of the home's warehouse.

    Args:
        settings: of the process.
        base: a branch, tag or commit; compared is where the working tree's history left it.

    Yields:
        The two versions; their files go at the end.

    Raises:
        WrongUse: there is no such base, or a version does not parse.
        DataProblem: nothing is published yet, or a version cannot be built.
    """
    commit = _commit(base)
    if not settings.publication.exists():
        raise DataProblem(f"nothing is published under {settings.home} yet; run `goodstanding run` first")
    with only_one(settings):
        copy, _ = copy_of(settings)
        folder = copy.folder / "impact"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            yield _compare(settings, copy, folder, base, commit)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _compare(settings: Settings, copy: Copy, folder: Path, base: str, commit: str) -> Versions:
    before, after = (_home(copy, folder / name) for name in ("before", "after"))
    old = DbtProject(before, _checked_out(commit, folder / "base"))
    new = DbtProject(after, like=settings)
    kinds = _touched(old, new, before)
    for project, title in ((old, f"{base} ({commit[:10]})"), (new, "the working tree")):
        if kinds:
            _build(project, [name for name in kinds if name in _names(project)], title)
    models = {node.name: node for project in (old, new) for node in _models(project)}
    touched: list[TouchedModel] = []
    with _attached(settings, before, after) as connection:
        for name, kind in kinds.items():
            is_table = kind != "removed" and not keeps_no_rows(models[name])
            change = _table_change(connection, new, models[name], kind) if is_table else None
            touched.append({"name": name, "kind": kind, "change": change})
    for home in (before, after):
        _show_as_published(home, settings.publication)
    with _attached(settings, before, after) as connection:
        for model in touched:
            node = models[model["name"]]
            # the views of a publication read the tables beside them, and may be compared now
            if model["change"] is None and node.schema in KEPT_SCHEMAS and model["kind"] != "removed":
                model["change"] = _table_change(connection, new, node, model["kind"])
        ((as_of, simulated),) = connection.execute(
            "select as_of, simulated from after.marts.publication"
        ).fetchall()
        classes = _class_changes(connection, as_of)
    files = (home.warehouse / STANDING for home in (before, after))
    return Versions(base, commit, as_of, simulated, touched, classes, *files)


def _commit(base: str) -> str:
    """The commit at which the history of the working tree left a base."""
    command = ["git", "-C", str(PROJECT), "merge-base", base, "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise WrongUse("git is not installed, and the base is read from it") from None
    if done.returncode:
        reason = done.stderr.strip() or "they have no history in common"
        raise WrongUse(f"--base {base}: {reason}; name a branch, tag or commit of {PROJECT}")
    return done.stdout.strip()


def _checked_out(commit: str, folder: Path) -> Path:
    """The dbt project of a commit, in a folder."""
    command = ["git", "-C", str(PROJECT), "archive", commit, DBT_PROJECT.name]
    done = subprocess.run(command, capture_output=True)
    if done.returncode:
        raise WrongUse(f"commit {commit} has no {DBT_PROJECT.name}: {done.stderr.decode().strip()}")
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / DBT_PROJECT.name


def _home(copy: Copy, folder: Path) -> Settings:
    """A home with the warehouse as it was when the copy was taken."""
    home = copy.settings.model_copy(update={"home": folder})
    home.warehouse.mkdir(parents=True)
    shutil.copyfile(copy.before, home.warehouse / STANDING)
    shutil.copyfile(copy.settings.warehouse / INTAKE, home.warehouse / INTAKE)
    return home


def _touched(old: DbtProject, new: DbtProject, before: Settings) -> dict[str, str]:
    """The models and seeds that differ, in the order in which they are built, each with its kind."""
    state = str(before.home / "dbt" / "target")
    select = [*QUIET, "ls", "--output", "name", "--resource-type", "model", "--resource-type", "seed"]
    listed = [
        new.run([*select, "--state", state, "--select", chosen])
        for chosen in ("state:modified", "state:modified+")
    ]
    for outcome in listed:
        if outcome.exit_code:
            raise DataProblem(f"dbt could not compare the two versions: {outcome.said}")
    edited, reached = (set(outcome.listed) for outcome in listed)
    there = _names(old)
    kinds = {
        name: "edited" if name in edited and name in there else "downstream" if name in there else "added"
        for name in _in_order(new)
        if name in reached
    }
    return kinds | {name: "removed" for name in _in_order(old) if name not in _names(new)}


def _models(project: DbtProject) -> list[Any]:
    nodes = project.manifest.nodes.values()
    return [node for node in nodes if node.resource_type.value in ("model", "seed")]


def _names(project: DbtProject) -> set[str]:
    return {node.name for node in _models(project)}


def _in_order(project: DbtProject) -> list[str]:
    """The models and seeds, each after what it reads."""
    nodes = {node.unique_id: node for node in _models(project)}
    order: dict[str, None] = {}

    def visit(unique_id: str) -> None:
        if unique_id in order or unique_id not in nodes:
            return
        for parent in sorted(nodes[unique_id].depends_on_nodes):
            visit(parent)
        order[unique_id] = None

    for unique_id in sorted(nodes):
        visit(unique_id)
    return [nodes[unique_id].name for unique_id in order]


def _build(project: DbtProject, names: Sequence[str], title: str) -> None:
    unkept = [node.name for node in _models(project) if keeps_no_rows(node)]
    done = project.run([*QUIET, "build", "--full-refresh", *LEFT_OUT, "--select", *unkept, *names])
    if done.exit_code:
        said = faults(done.results) or [
            f"{result.node.name}: {' '.join(str(result.message).split())}"
            for result in done.results
            if result.status.value == "error"
        ]
        raise DataProblem(f"{title} cannot be built: {'; '.join(said) or done.said}")


def _show_as_published(home: Settings, publication: Path) -> None:
    """Leave in a version's file what readers may see, and the row that says what is published."""
    limits = {"memory_limit": home.memory_limit, "threads": home.threads}
    with duckdb.connect(str(home.warehouse / STANDING), config=limits) as connection:
        connection.execute(f"attach {literal(publication)} as published (read_only)")
        connection.execute(
            "create or replace table marts.publication as select * from published.marts.publication"
        )
        connection.execute("detach published")
        # views read the lines that were ingested
        connection.execute(f"attach {literal(home.warehouse / INTAKE)} as intake (read_only)")
        keep_for_readers(connection)


@contextmanager
def _attached(settings: Settings, before: Settings, after: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    limits = {
        "memory_limit": settings.memory_limit,
        "threads": settings.threads,
        "temp_directory": str(spill_folder(after)),
    }
    with duckdb.connect(config=limits) as connection:
        for name, home in (("before", before), ("after", after)):
            connection.execute(f"attach {literal(home.warehouse / STANDING)} as {name} (read_only)")
        yield connection


def _table_change(
    connection: duckdb.DuckDBPyConnection, project: DbtProject, node: Any, kind: str
) -> TableChange:
    table = f"{identifier(node.schema)}.{identifier(node.alias)}"
    before = None if kind == "added" else (f"before.{table}", "the base")
    key = key_of(project.manifest, node.unique_id)
    return compare_tables(connection, f"{node.schema}.{node.alias}", before, f"after.{table}", key)


def _class_changes(connection: duckdb.DuckDBPyConnection, as_of: date) -> ClassChanges | None:
    """The changes of class and credit score, if both versions still have classes."""
    try:
        rows = connection.execute(CLASSES_SQL.read_text(), {"as_of": as_of}).fetchall()
    except (duckdb.CatalogException, duckdb.BinderException):
        return None
    moves: dict[tuple[str | None, str | None], int] = {}
    steps: list[int] = []
    other_score = 0
    for from_class, to_class, from_score, to_score, customers in rows:
        moves[from_class, to_class] = moves.get((from_class, to_class), 0) + customers
        if from_score is not None and to_score is not None:
            steps += [to_score - from_score] * customers
        other_score += customers * (from_score != to_score)
    places = (None, *CLASSES)
    return {
        "customers": sum(moves.values()),
        "other_class": sum(count for (one, other), count in moves.items() if one != other),
        "moves": [
            {"before": one, "after": other, "customers": moves[one, other]}
            for one in places
            for other in places
            if one != other and moves.get((one, other))
        ],
        "other_score": other_score,
        "score_falls": sum(step < 0 for step in steps),
        "score_rises": sum(step > 0 for step in steps),
        "mean_score_change": round(sum(steps) / len(steps), 4) if steps else 0.0,
        "largest_score_change": max(steps, key=abs, default=0),
    }
