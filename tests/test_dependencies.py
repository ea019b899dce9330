"""What the image of the containers holds: the project's dependencies, and none of those for developing."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parent.parent
# bench is measured by hand, in the environment of developers
ROOMS = ("dags", "expectations", "goodstanding", "ingest", "ml", "warehouse")
MODULES = sorted(path for room in ROOMS for path in (PROJECT / room).rglob("*.py"))


def imported(module: Path) -> Iterator[str]:
    """Every package that a module imports, at once or later, by its first name."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module).partition(".")[0]


def needed(distribution: str, extras: frozenset[str], found: set[tuple[str, frozenset[str]]]) -> None:
    """Add to `found` a distribution with its extras and all that they need at run time."""
    if (distribution, extras) in found:
        return
    found.add((distribution, extras))
    for line in requires(distribution) or []:
        wanted = Requirement(line)
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in extras | {""}):
            needed(canonicalize_name(wanted.name), frozenset(wanted.extras), found)


@pytest.fixture(scope="module")
def at_run_time() -> set[str]:
    found: set[tuple[str, frozenset[str]]] = set()
    needed("goodstanding", frozenset(), found)
    return {distribution for distribution, _ in found}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_what_a_module_imports_comes_with_the_product(module: Path, at_run_time: set[str]) -> None:
    # Airflow puts the folder of the DAGs before all others
    own = {*ROOMS, *(path.stem for path in (PROJECT / "dags").glob("*.py")), *sys.stdlib_module_names}
    provided = packages_distributions()
    for name in set(imported(module)) - own:
        by = {canonicalize_name(distribution) for distribution in provided.get(name, [])}
        assert by & at_run_time, f"{name} is none of [project.dependencies], nor needed by one of them"
