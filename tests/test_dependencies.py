"""What the image of the containers holds: the project's dependencies, and none of those for developing.

Nor has it the optional ones: these may be imported where their methods are, when such a method is fitted.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import metadata, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parent.parent
# bench is measured by hand, in the environment of developers
ROOMS = ("app", "dags", "expectations", "goodstanding", "ml", "pipeline")
FOR_EXTRAS = PROJECT / "ml" / "extras.py"
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


@pytest.fixture(scope="module")
def provided() -> Mapping[str, list[str]]:
    """The distributions that provide each package: 0.6 s to look up."""
    return packages_distributions()


@pytest.fixture(scope="module")
def optional() -> set[str]:
    """The distributions that the extras name."""
    wanted = [Requirement(line) for line in requires("goodstanding") or []]
    extras = metadata("goodstanding").get_all("Provides-Extra") or []
    return {
        canonicalize_name(one.name)
        for one in wanted
        if one.marker and any(one.marker.evaluate({"extra": extra}) for extra in extras)
    }


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_what_a_module_imports_comes_with_the_product(
    module: Path, at_run_time: set[str], optional: set[str], provided: Mapping[str, list[str]]
) -> None:
    # Airflow puts the folder of the DAGs before all others
    own = {*ROOMS, *(path.stem for path in (PROJECT / "dags").glob("*.py")), *sys.stdlib_module_names}
    allowed = at_run_time | optional if module == FOR_EXTRAS else at_run_time - optional
    for name in set(imported(module)) - own:
        # what is not installed may be an optional package, and these are imported by their own names
        by = {canonicalize_name(distribution) for distribution in provided.get(name, [name])}
        assert by & allowed, f"{name} is none of [project.dependencies], nor needed by one of them"


def test_no_optional_package_is_imported_before_a_method_of_its_own_is_fitted(optional: set[str]) -> None:
    assert optional == {"xgboost-cpu", "keras", "jax"}
    known = "from ml.side_by_side import METHODS; import sys; print(*sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", known], cwd=PROJECT, capture_output=True, text=True, check=True
    )

    assert "ml.extras" in told.stdout.split()
    assert not {"xgboost", "keras", "jax"} & set(told.stdout.split())
