"""Writes the reference pages of the docs from the code, so that the two cannot disagree.

python docs/reference/generate.py           writes the pages (`make reference`)
python docs/reference/generate.py --check   ends with 1 and names each page that is out of date (`make lint`)

Each page is one function that returns its whole text. `home.md` beside them is written by hand.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
import types
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import duckdb
import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

PROJECT = Path(__file__).resolve().parents[2]
# another copy of the project is described by its own code, not by that which is installed
sys.path.insert(0, str(PROJECT))

from goodstanding.core.strict_yaml import loaded, text_of  # noqa: E402

HERE = PROJECT / "docs" / "reference"
MODELS = PROJECT / "dbt_project" / "models"
# of the schemas of dbt models, those that readers never see
INNER_LAYERS = ("staging", "intermediate")


def main() -> int:
    """Write or check the pages; returns the exit code."""
    stale = []
    for name, text in pages().items():
        path = HERE / name
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(str(path.relative_to(PROJECT)))
    if stale:
        print(f"out of date: {', '.join(stale)}; `make reference` writes them again")
    return 1 if stale else 0


def pages() -> dict[str, str]:
    """The text of every generated page, by file name."""
    made = {
        "command-line.md": command_line(),
        "dags.md": dags(),
        "make.md": make_targets(),
        "mapping.md": mapping(),
        "settings.md": settings_page(),
        "tables.md": tables(),
    }
    return {name: _tidied(text) for name, text in made.items()}


def _tidied(text: str) -> str:
    """The page with the note by what it is written at its end: a site takes the title from the first line."""
    note, _, page = re.sub(r"\n{3,}", "\n\n", text).partition("\n")
    return f"{page.strip()}\n\n{note}\n"


def _written_by(source: str) -> str:
    return f"<!-- Written by docs/reference/generate.py from {source}; `make reference` updates it. -->\n"


def _cell(text: object) -> str:
    """Text that fits a cell of a Markdown table."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def _table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _prose(docstring: str | None) -> str:
    """A docstring as Markdown, without the sections about errors and arguments."""
    text = cleandoc(docstring or "")
    return re.split(r"\n\s*(?:Raises|Returns|Args|Attributes):", text)[0].strip()


# --- command line


def command_line() -> str:
    """Every command with its arguments and options, from typer."""
    from app.cli.main import app

    root = typer.main.get_command(app)
    parts = [_written_by("app/cli/"), "# Command line\n"]
    parts.append(f"`.venv/bin/goodstanding COMMAND`. {root.help}\n")
    parts.append("Exit codes: 0 done; 1 a problem of the data or a gate; 2 wrong use or a wrong setting.\n")
    commands = list(_commands(root, "goodstanding"))
    rows = [
        (f"[`{name}`](#{name.replace(' ', '-')})", _first_sentence(command.help))
        for name, command in commands
    ]
    parts.append(_table(("command", "does"), [*rows]))
    for name, command in commands:
        parts.append(f"## {name}\n\n{_prose(command.help)}\n")
        parts.append(f"```text\n{_usage(name, command)}\n```\n")
        shown = [
            _parameter(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)
        ]
        if shown:
            parts.append(_table(("option", "means", "default"), [*shown]))
    return "\n".join(parts)


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
        elif not command.hidden:
            yield f"{path} {name}", command


def _first_sentence(text: str | None) -> str:
    return re.split(r"(?<=[.?])\s", " ".join((text or "").split()), maxsplit=1)[0]


def _usage(name: str, command: Any) -> str:
    arguments = [
        parameter.name.upper() for parameter in command.params if parameter.param_type_name == "argument"
    ]
    options = any(parameter.param_type_name == "option" for parameter in command.params)
    rest = ["ARGUMENTS..."] if command.context_settings.get("allow_extra_args") else []
    return " ".join([name, *(["[OPTIONS]"] if options else []), *arguments, *rest])


def _parameter(parameter: Any) -> tuple[str, str, str]:
    annotation = parameter.type_descriptor.annotation
    if parameter.param_type_name == "argument":
        shown = f"`{parameter.name.upper()}`"
    elif parameter.is_flag:
        shown = ", ".join(f"`{name}`" for name in parameter.opts)
    elif get_origin(annotation) is Literal:
        shown = f"`{parameter.opts[0]}` {' or '.join(f'`{value}`' for value in get_args(annotation))}"
    else:
        shown = (
            f"`{parameter.opts[0]} {getattr(annotation, '__name__', 'text').upper().replace('STR', 'TEXT')}`"
        )
    default = parameter.default
    is_plain = default not in (None, False) and not callable(default)
    return (
        shown,
        parameter.help or "",
        "required" if parameter.required else f"`{default}`" if is_plain else "",
    )


# --- settings


def settings_page() -> str:
    """Every setting with its default, from the class `Settings` and the comments of `.env.example`."""
    from goodstanding.core.settings import Settings

    comments = _comments_of_env_example()
    names = {f"GOODSTANDING_{name.upper()}": field for name, field in Settings.model_fields.items()}
    unknown = set(comments) - set(names)
    if unknown or set(names) - set(comments):
        raise SystemExit(f".env.example and Settings differ in {unknown | set(names) - set(comments)}")
    parts = [_written_by("goodstanding/core/settings.py and .env.example"), "# Settings\n"]
    parts.append(
        "A setting is an environment variable, or a line of the file `.env` in the project's folder. The "
        "environment wins. Copy `.env.example` to `.env` to begin. A wrong value stops the program at start "
        "with one line.\n"
    )
    rows = [(f"[`{name}`](#{name.lower()})", _default(field)) for name, field in names.items()]
    parts.append(_table(("setting", "default"), [*rows]))
    for name, field in names.items():
        what, example = comments[name]
        parts.append(f"## {name}\n\n{what}\n")
        parts.append(f"Type: {_type_name(field)}. Default: {_default(field)}.\n")
        if example and example != _default(field).strip("`"):
            parts.append(f"Example: `{name}={example}`\n")
    return "\n".join(parts)


def _comments_of_env_example() -> dict[str, tuple[str, str]]:
    """Of each setting what its comment says, and the example value beside it."""
    settings: dict[str, tuple[str, str]] = {}
    comment: list[str] = []
    for line in (PROJECT / ".env.example").read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"#?(GOODSTANDING_\w+)=(.*)", line)
        if match:  # a comment is of all settings up to the next blank line
            settings[match[1]] = (" ".join(comment), match[2])
        else:
            comment = [*comment, line.removeprefix("# ")] if line else []
    return settings


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, Path):
        return f"`./{default.relative_to(PROJECT)}`"
    if default in (None, "", (), {}):
        return "none"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


# --- mapping


def mapping() -> str:
    """Every key of a shop's mapping, from the pydantic models that read it."""
    from goodstanding.shops import kinds
    from goodstanding.shops import mapping as models

    parts = [_written_by("goodstanding/shops/"), "# Mapping of a shop\n"]
    parts.append(
        "A mapping is the YAML file in `shops/` that says what one shop's files look like. "
        "[Add a source](../how-to/add-a-source.md) shows how to write one. A key that is not listed here "
        "stops the run with its name and the file.\n"
    )
    for heading, model in _sections(models):
        parts.append(f"## {heading}\n\n{_prose(model.__doc__)}\n")
        rows = [
            (f"`{field.alias or name}`", _type_name(field), _default(field), _means(field))
            for name, field in model.model_fields.items()
            if name not in ("mapping_file", "orders")
        ]
        described = any(row[3] for row in rows)
        head = ("key", "type", "default", "means")
        parts.append(_table(head if described else head[:3], [row if described else row[:3] for row in rows]))
    parts.append("## Columns of each kind of line\n")
    for kind in kinds.KINDS:
        parts.append(f"### {kind.name}\n")
        rows = [
            (
                f"`{name}`",
                " or ".join(f"`{cast}`" for cast in casts),
                "yes" if name in kind.may_be_unmapped else "",
                "yes" if name in kind.may_be_blank else "",
            )
            for name, casts in kind.casts.items()
        ]
        parts.append(_table(("column", "`as`", "may be left out", "may be blank (`optional`)"), [*rows]))
        sorts = ", ".join(f"`{name}`" for name in kind.others)
        ruled = ", ".join(f"`{name}`" for name in kind.ruled_by)
        key = "invoice_kinds" if kind.name == "orders" else "kinds"
        parts.append(
            f"Rules under `{key}` may name the sorts {sorts}, by a pattern on {ruled}. A line that no rule "
            f"matches is `{kind.usual}`.\n"
        )
    return "\n".join(parts)


def _sections(models: types.ModuleType) -> Iterator[tuple[str, type[BaseModel]]]:
    """The models of a mapping, the whole first, each under the key where it is written."""
    yield "The whole mapping", models.Shop
    yield "files and columns of orders", models.Orders
    for heading, name in (
        ("returns, deliveries", "Source"),
        ("payments", "Payments"),
        ("files", "Files"),
        ("columns.&lt;name&gt;", "Column"),
        ("columns.&lt;name&gt;.else_from", "Fallback"),
        ("order_money.&lt;name&gt;", "OrderMoney"),
        ("order_total", "OrderTotal"),
        ("no_orders", "NoOrders"),
        ("kinds.&lt;name&gt; and invoice_kinds.&lt;name&gt;", "Rule"),
        ("groups", "Groups"),
        ("groups.files", "OneFile"),
        ("closed", "Closed"),
        ("accepted", "Accepted"),
        ("limits", "Limits"),
        ("letters", "Letters"),
    ):
        yield heading, getattr(models, name)


def _means(field: FieldInfo) -> str:
    """What the key is described by, else what its section is."""
    models = [type_ for type_ in get_args(field.annotation) if isinstance(type_, type)]
    described = [type_.__doc__ for type_ in models if issubclass(type_, BaseModel)]
    return field.description or _first_sentence(described[0] if described else "")


def _type_name(field: FieldInfo) -> str:
    return _name_of_type(field.annotation)


def _name_of_type(kind: Any) -> str:
    """A type in words that a writer of YAML knows."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _name_of_type(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" if value != "" else "nothing" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_name_of_type(type_) for type_ in arguments if type_ is not type(None))
    if origin is tuple:
        return f"list of {_name_of_type(arguments[0])}"
    if origin is dict:
        return f"keys, each with {_name_of_type(arguments[1])}"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "a section of its own"
    names = {
        "str": "text",
        "bool": "true or false",
        "int": "whole number",
        "Path": "path",
        "SecretStr": "secret text",
    }
    name = getattr(kind, "__name__", str(kind))
    return "day or range of days" if name == "Days" else names.get(name, name)


# --- tables


def tables() -> str:
    """Every published table with its columns, from the YAML files of dbt and the schema of predictions."""
    parts = [_written_by("the YAML files of dbt_project/ and goodstanding/warehouse/standing.sql")]
    parts.append("# Published tables\n")
    parts.append(
        "These tables are in `published/current.duckdb`, the file that readers open "
        "([Read the published warehouse](../how-to/read-the-published-warehouse.md)). `customer_id` is "
        "always the customer's pseudonym.\n"
    )
    tables = sorted(_published_tables(), key=lambda table: (table[0] != "marts", table[0], table[1]))
    rows = [
        (f"[`{schema}.{name}`](#{schema}{name})", _first_sentence(description))
        for schema, name, description, _ in tables
    ]
    parts.append(_table(("table", "holds"), [*rows]))
    for schema, name, description, columns in tables:
        parts.append(f"## {schema}.{name}\n\n{' '.join(description.split())}\n")
        has_types = any(column[1] for column in columns)
        head = ("column", "type", "means") if has_types else ("column", "means")
        parts.append(_table(head, [column if has_types else (column[0], column[2]) for column in columns]))
    return "\n".join(parts)


Columns = list[tuple[str, str, str]]


def _published_tables() -> Iterator[tuple[str, str, str, Columns]]:
    """(schema, name, description, columns) of each table."""
    known: dict[str, str] = {}
    for path in sorted(MODELS.rglob("*.yml")):
        content = loaded(text_of(path), path) or {}
        layer = path.relative_to(MODELS).parts[0]
        for model in content.get("models", []):
            config = model.get("config", {})
            schema = config.get("schema", layer)
            if schema in INNER_LAYERS:
                continue
            columns = _columns_of(model)
            known |= {name.strip("`"): what for name, _, what in columns if schema == "marts"}
            yield schema, config.get("alias", model["name"]), model["description"], columns
        for source in content.get("sources", []) if path.name == "published.yml" else []:
            for table in source["tables"]:
                yield source["schema"], table["name"], table["description"], _columns_of(table)
    for path in sorted((PROJECT / "dbt_project" / "seeds").glob("*.yml")):
        for seed in loaded(text_of(path), path)["seeds"]:
            config = seed.get("config", {})
            if config.get("schema") == "marts":
                casts = config.get("column_types", {})
                yield "marts", seed["name"], seed["description"], _columns_of(seed, casts)
    yield from _predictions(known)


def _columns_of(table: dict[str, Any], casts: dict[str, str] | None = None) -> Columns:
    return [
        (
            f"`{column['name']}`",
            column.get("data_type") or (casts or {}).get(column["name"], ""),
            column.get("description", ""),
        )
        for column in table.get("columns", [])
    ]


def _predictions(known: dict[str, str]) -> Iterator[tuple[str, str, str, Columns]]:
    """The tables that the scoring step writes: dbt describes them as sources, SQL names their columns."""
    path = MODELS / "staging" / "_sources.yml"
    sources = loaded(text_of(path), path)["sources"]
    described = {
        table["name"]: table
        for source in sources
        if source["name"] == "predictions"
        for table in source["tables"]
    }
    schema = (PROJECT / "goodstanding" / "warehouse" / "standing.sql").read_text(encoding="utf-8")
    with duckdb.connect() as connection:
        connection.execute(schema)
        rows = connection.execute(
            """
            select table_name, column_name, lower(data_type) from duckdb_columns()
            where schema_name = 'predictions' order by table_oid, column_index
            """
        ).fetchall()
    for name, table in described.items():
        words = {column["name"]: column.get("description", "") for column in table.get("columns", [])}
        columns = [
            (f"`{column}`", kind, words.get(column) or known.get(column, ""))
            for of, column, kind in rows
            if of == name
        ]
        yield "predictions", name, table["description"], columns


# --- DAGs


def dags() -> str:
    """Every DAG with its docstring, schedule, tasks and parameters, from the DAG objects themselves."""
    parts = [_written_by("dags/"), "# DAGs\n"]
    parts.append(
        "A DAG is a chain of tasks that Airflow runs. goodstanding has the following; the page of "
        "a DAG in Airflow's UI shows the same text. Days are event days in the shop's time zone; schedules "
        "are in UTC.\n"
    )
    dags = _dags()
    rows = [(f"[`{dag.dag_id}`](#{dag.dag_id})", _schedule(dag), dag.description) for dag in dags]
    parts.append(_table(("DAG", "schedule", "does"), [*rows]))
    for dag in dags:
        parts.append(f"## {dag.dag_id}\n\n{_listed(cleandoc(dag.doc_md or ''))}\n")
        tasks = " → ".join(f"`{task.task_id}`" for task in dag.tasks)
        retries = next(iter(dag.tasks)).retries
        pools = ", ".join(sorted({f"`{task.pool}`" for task in dag.tasks}))
        tags = ", ".join(f"`{tag}`" for tag in sorted(dag.tags))
        parts.append(
            f"- Schedule: {_schedule(dag)}\n- Tasks: {tasks}\n- Tags: {tags}\n"
            f"- Retries: at most {retries}; wrong data and wrong settings are not retried. Pool: {pools}\n"
        )
        params = [
            (
                f"`{name}`",
                "required" if "null" not in param.schema.get("type", ()) else "may be empty",
                param.schema.get("format", ""),
                param.description or "",
            )
            for name in dag.params
            for param in [dag.params.get_param(name)]
        ]
        parts.append(_table(("parameter", "", "format", "means"), [*params]))
    return "\n".join(parts)


def _listed(docstring: str) -> str:
    """The docstring with each bold heading as a point of a list."""
    first, *points = re.split(r"(?=\*\*[A-Z])", docstring)
    return first + "\n".join(f"- {' '.join(point.split())}" for point in points)


def _schedule(dag: Any) -> str:
    timetable = dag.timetable if hasattr(dag, "timetable") else dag.schedule
    expression = getattr(timetable, "expression", None) or getattr(timetable, "_expression", None)
    words = {
        "0 0 * * *": "every day at 00:00",
        "0 0 * * MON": "every Monday at 00:00",
        "0 0 1 * *": "the first of every month at 00:00",
    }
    return f"{words.get(expression, '')} (`{expression}`)".strip() if expression else "by hand"


def _dags() -> list[Any]:
    """The DAGs of `dags/`. Airflow gets a home that is thrown away."""
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.sqlite",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        }
        logging.disable(logging.WARNING)
        from airflow.dag_processing.dagbag import BundleDagBag

        folder = PROJECT / "dags"
        bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="dags-folder")
    if bag.import_errors:
        raise SystemExit(f"DAGs cannot be read: {bag.import_errors}")
    return sorted(bag.dags.values(), key=lambda dag: (not dag.dag_id.startswith("orders"), dag.dag_id))


# --- make


def make_targets() -> str:
    """Every target of the Makefile with its comment."""
    text = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):.*?## (.*)$", text, flags=re.M)
    parts = [_written_by("the Makefile"), "# Make targets\n"]
    parts.append("`make TARGET` sets up what the target needs in `.venv`; a second call finds it done.\n")
    parts.append(_table(("target", "does"), [(f"`make {name}`", what) for name, what in targets]))
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
