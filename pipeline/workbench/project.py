"""Run dbt in this process on the working files of any home: parse a project once, then run its commands."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goodstanding.core.errors import WrongUse
from goodstanding.core.settings import Settings
from goodstanding.core.strict_yaml import loaded
from pipeline.transform import DBT_PROJECT, QUIET, dbt_environment
from pipeline.workbench.contracts import parse_fault

PARSED = Path("dbt") / "target" / "partial_parse.msgpack"


@dataclass(frozen=True)
class Outcome:
    """How a dbt command ended."""

    #: 0 done, 1 a model or test failed, 2 dbt could not do it at all
    exit_code: int
    #: what dbt keeps of each node that it ran (`dbt.artifacts.schemas.results.NodeResult`)
    results: tuple[Any, ...]
    #: what `ls` lists
    listed: tuple[str, ...] = ()
    #: what dbt says of a command that it could not do at all, else nothing
    said: str = ""


class DbtProject:
    """A dbt project, parsed, with the home whose working files it opens.

    Args:
        settings: of that home.
        folder: of the project; default: this one's.
        variables: dbt vars besides those that the settings give.
        like: the home of whose parsed project something may be taken over, which saves seconds.

    Raises:
        WrongUse: it does not parse; the message says where.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path | None = None,
        variables: Mapping[str, object] | None = None,
        like: Settings | None = None,
    ) -> None:
        self.settings, self.folder = settings, folder or DBT_PROJECT
        self._variables = json.dumps({"as_of_days": settings.as_of_days, **(variables or {})})
        parsed = settings.home / PARSED
        if like is not None and not parsed.exists() and (like.home / PARSED).exists():
            parsed.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(like.home / PARSED, parsed)
        # dbt takes over nothing of a project that was parsed for another home
        outcome = self._invoke(None, [*QUIET, "parse"], home=like)
        self.manifest = outcome.result
        if outcome.exception is not None:
            text = str(outcome.exception)
            raise WrongUse(parse_fault(text) or f"dbt could not run: {' '.join(text.split())}")

    def run(self, arguments: Sequence[str]) -> Outcome:
        """Run a dbt command, like ["build", "-s", "invoices"]; dbt prints what it prints."""
        outcome = self._invoke(self.manifest, arguments)
        if outcome.exception is not None:
            return Outcome(2, (), said=str(outcome.exception))
        result = outcome.result
        return Outcome(
            0 if outcome.success else 1,
            tuple(getattr(result, "results", None) or ()),
            tuple(result) if isinstance(result, list) else (),
        )

    def _invoke(self, manifest: Any, arguments: Sequence[str], home: Settings | None = None) -> Any:
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        from dbt.cli.main import dbtRunner

        with self._environment(home or self.settings):
            try:
                return dbtRunner(manifest=manifest).invoke([*arguments, "--vars", self._variables])
            finally:
                # dbt would keep the warehouse open until the process ends
                DuckDBConnectionManager.close_all_connections()

    @contextmanager
    def _environment(self, home: Settings) -> Iterator[None]:
        before = dict(os.environ)
        os.environ.update(dbt_environment(self.settings))
        os.environ.update(GOODSTANDING_HOME=str(home.home), DBT_PROJECT_DIR=str(self.folder))
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def without_vars(arguments: Sequence[str]) -> tuple[list[str], dict[str, object]]:
    """The arguments of a dbt command without `--vars`, and what it gave.

    Raises:
        WrongUse: it gives no YAML mapping, or a key of it twice.
    """
    rest, given = list(arguments), ""
    for place, text in enumerate(arguments):
        if text == "--vars" and place + 1 < len(arguments):
            rest[place : place + 2], given = [], arguments[place + 1]
        elif text.startswith("--vars="):
            rest[place : place + 1], given = [], text.removeprefix("--vars=")
    variables = loaded(given or "{}", f"--vars {given}")
    if not isinstance(variables, dict):
        raise WrongUse(f"--vars {given}: give a YAML mapping, like '{{as_of_days: 30}}'")
    return rest, variables


def key_of(manifest: Any, model: str) -> list[str]:
    """The columns that no two rows of a model share, as its YAML states them; empty where it states none.

    A view of one other model has the key of that model.
    """
    node = manifest.nodes[model]
    for constraint in node.constraints if hasattr(node, "constraints") else ():
        if constraint.type.value == "primary_key":
            return list(constraint.columns)
    single: list[str] = []
    for test in manifest.nodes.values():
        if getattr(test, "attached_node", None) != model or not test.test_metadata:
            continue
        said = test.test_metadata.kwargs
        for name in ("grain", "combination_of_columns"):
            if name in said:
                return list(said[name])
        if test.test_metadata.name == "unique":
            single = [said["column_name"]]
    reads = node.depends_on_nodes
    if not single and node.config.materialized == "view" and len(reads) == 1 and reads[0] in manifest.nodes:
        return key_of(manifest, reads[0])
    return single


def scope_of(node: Any) -> str | None:
    """Which rows a daily run of a model replaces; None: all of them."""
    return node.config.meta.get("scope") if node.config.meta else None


def tells_of_the_last_run_alone(node: Any) -> bool:
    """Whether the table of a model holds, after a daily run, only what that run computed."""
    return node.config.materialized == "replaced" and scope_of(node) in (None, "passing")
