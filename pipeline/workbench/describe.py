"""Writes a model's YAML: adds the columns and types that DuckDB reports, and keeps what a person wrote.

A YAML that is there is changed line by line, so that descriptions, tests, comments and layout stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

import duckdb
import yaml

from goodstanding.core.durable import write_in_place
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import Settings
from goodstanding.core.strict_yaml import composed
from pipeline.transform import DBT_PROJECT, QUIET
from pipeline.workbench.copies import Copy, copy_of, only_one
from pipeline.workbench.project import DbtProject
from pipeline.workbench.run import both_sides, make_whole, yml_of

# what a person has to write
UNSAID = "TODO"
# types in which names of the shop's own may stand keep their letters
NAMED = re.compile(r"struct|enum|union", re.IGNORECASE)


@dataclass(frozen=True)
class Described:
    """A model's YAML as it should be."""

    path: Path
    text: str
    #: whether there is no such file yet
    is_new: bool
    #: what of it a person has to write, or nothing
    to_write: str


def describe(settings: Settings, model: str, write: bool = False) -> Described:
    """The YAML of a model, with the columns and types that its SQL has on the copy of the warehouse.

    Args:
        settings: of the process.
        model: its name.
        write: put it in place, beside the SQL.

    Raises:
        WrongUse: there is no such model, or the project does not parse.
        DataProblem: its SQL cannot be read, for one because it reads a model that was never built.
    """
    with only_one(settings):
        copy, _ = copy_of(settings)
        with _project(settings, copy) as project:
            node = _model_named(project.manifest, model)
            make_whole(copy, project)
            columns = _columns(settings, copy, project, node)
            known = _descriptions(project.manifest, node)
    kept = yml_of(node)
    sql = DBT_PROJECT / node.original_file_path
    path = DBT_PROJECT / kept if kept else sql.with_suffix(".yml")
    if kept:
        text = _updated(path.read_text(), model, columns, known)
    elif path.exists():
        raise WrongUse(f"{path} is there and does not name {model}: put `- name: {model}` into it")
    else:
        text = _new(model, columns, known, is_enforced=bool(node.config.contract.enforced))
    if write:
        # a file of the project, not of the home
        write_in_place(path, text, mode=0o644)
    said = "the lines with TODO" if UNSAID in text else ""
    return Described(path, text, not kept, said)


@contextmanager
def _project(settings: Settings, copy: Copy) -> Iterator[DbtProject]:
    """The project, parsed; without its contracts where one of them keeps it from being parsed."""
    try:
        yield DbtProject(copy.settings, like=settings)
        return
    except WrongUse as error:
        if "names no columns" not in str(error):
            raise
    folder = copy.folder / "without_contracts"
    rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        for path in DBT_PROJECT.iterdir():
            if path.is_dir():
                (folder / path.name).symlink_to(path)
        text = (DBT_PROJECT / "dbt_project.yml").read_text()
        (folder / "dbt_project.yml").write_text(re.sub(r"\+contract: .*", "", text))
        yield DbtProject(copy.settings, folder)
    finally:
        rmtree(folder, ignore_errors=True)


def _model_named(manifest: Any, name: str) -> Any:
    models = {node.name: node for node in manifest.nodes.values() if node.resource_type.value == "model"}
    if name not in models:
        raise WrongUse(
            f"there is no model {name} in {DBT_PROJECT.name}; there are {', '.join(sorted(models))}"
        )
    return models[name]


def _columns(settings: Settings, copy: Copy, project: DbtProject, node: Any) -> dict[str, str]:
    """The columns of a model's SQL in their order, each with its type."""
    done = project.run([*QUIET, "compile", "--full-refresh", "--select", node.name])
    if done.exit_code:
        said = done.said or " ".join(str(result.message) for result in done.results)
        raise DataProblem(f"dbt_project/{node.original_file_path}: {' '.join(said.split())}")
    with both_sides(settings, copy) as (connection, _):
        try:
            rows = connection.execute(f"describe ({done.results[0].node.compiled_code})").fetchall()
        except duckdb.Error as error:
            raise DataProblem(
                f"dbt_project/{node.original_file_path} cannot be read: {str(error).splitlines()[0]}. "
                "Mend it, or build first what it reads: "
                f"`goodstanding dbt run -s +{node.name} --exclude {node.name}`"
            ) from None
        return {name: _plain(str(type_)) for name, type_, *_ in rows}


def _plain(type_: str) -> str:
    return type_ if NAMED.search(type_) else type_.lower()


def _descriptions(manifest: Any, node: Any) -> dict[str, str]:
    """The descriptions of columns in the models that this one reads, by name: they often fit here too."""
    known: dict[str, str] = {}
    for parent in node.depends_on_nodes:
        for name, column in getattr(manifest.nodes.get(parent), "columns", {}).items():
            if column.description:
                known.setdefault(name, " ".join(column.description.split()))
    return known


def _new(model: str, columns: Mapping[str, str], known: Mapping[str, str], is_enforced: bool) -> str:
    lines = [
        "models:",
        f"  - name: {model}",
        "    description: >",
        f"      {UNSAID}: what a row says, and for whom. One row per {UNSAID}.",
    ]
    if not is_enforced:
        lines += ["    config:", "      contract: {enforced: true}"]
    lines += [
        f"    # {UNSAID}: the grain again, as a test; no two rows share these columns",
        "    # data_tests:",
        "    #   - keeps:",
        f"    #       name: {model}_keeps_its_grain",
        "    #       arguments:",
        f"    #         grain: [{next(iter(columns))}]",
        "    columns:",
    ]
    for name, type_ in columns.items():
        lines += _column(name, type_, known, "      ")
    return "\n".join(lines) + "\n"


def _column(name: str, type_: str, known: Mapping[str, str], margin: str) -> list[str]:
    description = known.get(name, UNSAID)
    quoted = yaml.safe_dump(description, width=10_000, allow_unicode=True).splitlines()[0]
    return [
        f"{margin}- name: {name}",
        f"{margin}  data_type: {type_}",
        f"{margin}  description: {quoted}",
    ]


def _updated(text: str, model: str, columns: Mapping[str, str], known: Mapping[str, str]) -> str:
    """A YAML with the columns of the SQL: those that are gone left out, new ones added, types set right."""
    lines = text.splitlines()
    entry = _entry(composed(text, model), model)
    of_model = _children(entry)
    listed = of_model.get("columns")
    if listed is None or not listed.value:
        at = entry.end_mark.line
        while at and not lines[at - 1].strip():
            at -= 1
        if listed is not None:  # `columns:` or `columns: []`
            at = listed.start_mark.line
            lines[at : at + 1] = []
        margin = " " * entry.start_mark.column
        added = [
            text for name, type_ in columns.items() for text in _column(name, type_, known, f"{margin}  ")
        ]
        lines[at:at] = [f"{margin}columns:", *added]
        return "\n".join(lines) + "\n"
    margin = " " * (listed.value[0].start_mark.column - 2)
    # from the last line to the first, so that the numbers of the lines before stay true
    for item, end in reversed(list(zip(listed.value, _ends(listed, lines), strict=True))):
        said = _children(item)
        name = said["name"].value
        if name not in columns:
            lines[item.start_mark.line : end] = []
        elif "data_type" not in said:
            at = said["name"].end_mark.line + 1
            lines[at:at] = [f"{margin}  data_type: {columns[name]}"]
        elif not _is_same(said["data_type"].value, columns[name]):
            mark = said["data_type"]
            line = lines[mark.start_mark.line]
            lines[mark.start_mark.line] = (
                line[: mark.start_mark.column] + columns[name] + line[mark.end_mark.column :]
            )
    return "\n".join(_added(lines, model, columns, known, margin)) + "\n"


def _added(
    lines: list[str], model: str, columns: Mapping[str, str], known: Mapping[str, str], margin: str
) -> list[str]:
    """The lines with the columns that no line names yet, after the last one."""
    listed = _children(_entry(composed("\n".join(lines) + "\n", model), model))["columns"]
    there = {_children(item)["name"].value for item in listed.value or ()}
    at = _ends(listed, lines)[-1] if listed.value else listed.start_mark.line + 1
    added = [
        text
        for name, type_ in columns.items()
        if name not in there
        for text in _column(name, type_, known, margin)
    ]
    return [*lines[:at], *added, *lines[at:]]


def _entry(root: Any, model: str) -> Any:
    for entry in _children(root)["models"].value:
        if _children(entry)["name"].value == model:
            return entry
    raise WrongUse(f"the YAML does not name {model}")


def _children(node: Any) -> dict[str, Any]:
    return {key.value: value for key, value in node.value}


def _ends(listed: Any, lines: list[str]) -> list[int]:
    """After which line each item of a list ends: the last one before what is no part of it."""
    starts = [item.start_mark.line for item in listed.value]
    end = listed.end_mark.line if listed.end_mark.column == 0 else listed.end_mark.line + 1
    end = max(starts[-1] + 1, min(end, len(lines)))
    while end - 1 > starts[-1] and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    # the mark of an end may stand in the line of what follows
    while (
        end - 1 > starts[-1]
        and len(lines[end - 1]) - len(lines[end - 1].lstrip()) <= listed.start_mark.column
    ):
        end -= 1
    return [*starts[1:], end]


def _is_same(one: str, other: str) -> bool:
    """Whether two names are of one type, like text and varchar."""
    with duckdb.connect() as connection:
        try:
            answer = connection.execute(
                f"select typeof(cast(null as {one})) = typeof(cast(null as {other}))"
            ).fetchone()
        except duckdb.Error:
            return False
    return bool(answer == (True,))
