"""`goodstanding dbt ...` as a user calls it: dbt's exit codes, and a publication that stays as it is."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from goodstanding.core.settings import PROJECT
from tests.conftest import Year, call_goodstanding


def _files(folder: Path) -> dict[Path, tuple[str, int]]:
    return {
        path.relative_to(folder): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_one_model_of_the_real_year_is_built_and_the_publication_stays(
    real_year: Year, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    for folder in ("warehouse", "published", "dbt"):
        shutil.copytree(real_year.home / folder, home / folder)
    published, warehouse = _files(home / "published"), _files(home / "warehouse")
    done = call_goodstanding(home, real_year.landing, "dbt", "build", "-s", "customer_classes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "marts.customer_classes: 969,298 to 969,298 rows, against the publication as of 2011-12-09"
        in done.stdout
    )
    assert "keys (customer_id, as_of): the same, with the same values" in done.stdout
    assert "nothing is published" in done.stderr
    assert _files(home / "published") == published
    assert _files(home / "warehouse") == warehouse


def test_the_exit_code_is_that_of_dbt_and_its_help_is_shown(tmp_path: Path) -> None:
    home = tmp_path / "home"
    parsed = call_goodstanding(home, None, "dbt", "ls", "-s", "customer_classes", "--resource-type", "model")
    assert (parsed.returncode, parsed.stdout.split()[-1]) == (0, "goodstanding.marts.customer_classes")
    wrong = call_goodstanding(home, None, "dbt", "ls", "--no-such-option")
    assert wrong.returncode == 2
    assert "No such option" in wrong.stdout + wrong.stderr
    assert "Traceback" not in wrong.stderr
    helped = call_goodstanding(home, None, "dbt", "build", "--help")
    assert helped.returncode == 0 and "--select" in helped.stdout
    nothing = call_goodstanding(home, None, "dbt", "build", "-s", "customer_classes")
    assert nothing.returncode == 1
    assert nothing.stderr.startswith("goodstanding: there is no ")
    assert "run `goodstanding run` first" in nothing.stderr


def test_make_model_is_short_for_it() -> None:
    asked = ["make", "--dry-run", "model"]
    done = subprocess.run([*asked, "M=customer_classes"], cwd=PROJECT, capture_output=True, text=True)
    assert "goodstanding dbt build -s customer_classes" in done.stdout
    unnamed = subprocess.run(
        ["make", "model", "SETUP="], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    assert unnamed.returncode != 0
    assert "name the model: make model M=customer_classes" in unnamed.stdout
