"""Every link of the docs leads somewhere, and what the docs name exists. The network is not asked."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from app.cli.main import app
from tests.docs.pages import PAGES, PROJECT, anchors_of, name_of, prose_of, text_of

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<img[^>]* src=\"([^\"]+)\"")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_within_the_project_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in (first or second for first, second in LINK.findall(prose_of(page))):
        if re.match(r"https?:|mailto:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), f"{name_of(page)}: {target} leads nowhere"
        if anchor:
            assert anchor in anchors_of(path), f"{name_of(page)}: {target}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:`|^\s*)make ([a-z][a-z-]*)", text_of(page), re.M):
        assert re.search(rf"^{target}:", makefile, re.M), f"{name_of(page)}: there is no `make {target}`"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_that_is_named_exists(page: Path) -> None:
    root = typer.main.get_command(app)
    for first, second in re.findall(
        r"(?:`|bin/|exec \w+ )goodstanding ([a-z-]+)(?: ([a-z-]+))?", text_of(page)
    ):
        command = root.commands.get(first)
        assert command, f"{name_of(page)}: there is no `goodstanding {first}`"
        subcommands = getattr(command, "commands", {})
        assert not subcommands or not second or second in subcommands, f"{name_of(page)}: {first} {second}"


def test_the_readme_is_short() -> None:
    assert len((PROJECT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_site_builds_without_a_warning_and_loads_nothing_from_the_network(tmp_path: Path) -> None:
    mkdocs = Path(sys.executable).with_name("mkdocs")
    command = [mkdocs, "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert tmp_path / "site" / "index.html" in pages
    for path in pages:
        html = path.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|link)\b[^>]*(?:src|href)=[\"']?(https?:[^\"'\s>]+)", html)
        assert not loaded, f"{path.name} loads {loaded}"
    every = {path.with_suffix(".html") for path in map(Path, map(name_of, PAGES)) if path.parts[0] == "docs"}
    built = {Path("docs") / path.relative_to(tmp_path / "site") for path in pages}
    assert every <= built
    navigation = (PROJECT / "mkdocs.yml").read_text(encoding="utf-8")
    missing = [
        page.name
        for page in PAGES
        if name_of(page).removeprefix("docs/") not in navigation and name_of(page).startswith("docs/")
    ]
    assert not missing, f"mkdocs.yml has no place for {missing}"


def test_the_generated_pages_are_what_the_code_says() -> None:
    command = [sys.executable, "docs/reference/generate.py", "--check"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
