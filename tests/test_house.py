"""The house has one direction, and what crosses a room has a named type."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from goodstanding.core.settings import PROJECT

ROOMS = ("app", "bench", "dags", "expectations", "goodstanding", "ml", "pipeline")
LINT = (str(Path(sys.executable).with_name("lint-imports")), "--no-cache")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python files of the project and its contracts, to plant an import in."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copy(PROJECT / "pyproject.toml", folder)
    for room in ROOMS:
        shutil.copytree(PROJECT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    # the folder itself is what is imported, not the project that is installed
    return subprocess.run(LINT, cwd=folder, capture_output=True, text=True)


def test_no_import_of_the_project_runs_back_up(house: Path) -> None:
    done = lint(house)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "upward"),
    [
        ("goodstanding/core/days.py", "from goodstanding.warehouse import files"),
        ("goodstanding/shops/kinds.py", "from goodstanding.ingest import read"),
        ("goodstanding/warehouse/ledger.py", "from expectations import gate"),
        ("expectations/gate.py", "from ml import store"),
        ("ml/store.py", "from pipeline import steps"),
        ("pipeline/steps.py", "from app.cli import main"),
        ("app/api/answers.py", "from app.cli import main"),
        ("dags/wiring.py", "from ml import store"),
    ],
)
def test_an_import_that_runs_back_up_is_refused(house: Path, module: str, upward: str) -> None:
    path = house / module
    kept = path.read_text()
    try:
        path.write_text(f"{kept}\n\n{upward}\n")
        done = lint(house)
    finally:
        path.write_text(kept)
    assert done.returncode == 1, done.stdout
    assert "BROKEN" in done.stdout and module.removesuffix(".py").replace("/", ".") in done.stdout


def test_every_folder_of_python_is_a_room_of_the_contracts() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    folders = {path.partition("/")[0] for path in tracked.stdout.split() if "/" in path}
    # docs/ holds the generator of its reference pages, which reads all rooms and is read by none
    assert folders - {"tests", "dbt_project", "docs"} == set(ROOMS)


def public_functions(tree: ast.AST, outer: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name.startswith("_"):
            continue
        if isinstance(node, ast.FunctionDef):
            yield f"{outer}{node.name}", node
        elif isinstance(node, ast.ClassDef):
            yield from public_functions(node, f"{node.name}.")


def anonymous_dicts(text: str) -> list[str]:
    """The public functions of a module that take or return a dict whose keys no type names."""
    return [
        name
        for name, node in public_functions(ast.parse(text))
        for note in (
            *(argument.annotation for argument in ast.walk(node.args) if isinstance(argument, ast.arg)),
            node.returns,
        )
        if note is not None and re.search(r"\w\[str, Any\]", ast.unparse(note))
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_what_crosses_a_room_has_a_named_type(room: str) -> None:
    found = {
        str(path.relative_to(PROJECT)): anonymous_dicts(path.read_text())
        for path in (PROJECT / room).rglob("*.py")
    }
    assert not {path: names for path, names in found.items() if names}


def test_an_anonymous_dict_in_a_public_signature_is_found() -> None:
    assert anonymous_dicts("def status() -> dict[str, Any]: ...") == ["status"]
    assert anonymous_dicts("class A:\n    def tell(self, card: Mapping[str, Any]) -> None: ...") == ["A.tell"]
    assert not anonymous_dicts("def _inner() -> dict[str, Any]: ...\ndef status() -> Status: ...")
