"""Which days go through which DAG, and on what: the landing, the public data, or a simulated shop."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console
from rich.progress import Progress

from app.cli.runs import run_landing
from app.cli.tables import print_report
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import PROJECT, Settings
from tests.calls import call_run
from tests.conftest import call_goodstanding

# `goodstanding run` on a machine without network and landing, and on a shop small enough for a test.
RUN = """
import sys
from functools import partial
from pathlib import Path
import app.cli.runs as runs
import goodstanding.core.settings as settings
from app.cli.main import app

settings.DEFAULT_LANDING = Path(sys.argv.pop(1))
closed_port = "http://127.0.0.1:9/online+retail.zip"
runs.download_online_retail = partial(runs.download_online_retail, url=closed_port)
runs.simulate_shop = partial(runs.simulate_shop, days=23, customers=600)
runs.LAST_DAYS = 2
app()
"""


@dataclass(frozen=True)
class Simulated:
    """A home that `goodstanding run` filled without a landing and without a network."""

    home: Path
    done: subprocess.CompletedProcess[str]

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.done.stdout)
        return report

    def customer(self) -> str:
        """The id of somebody who orders there."""
        for path in sorted((self.home / "simulated_landing").glob("*.csv")):
            for row in csv.DictReader(path.open(encoding="utf-8")):
                if re.fullmatch(r"\d+\.0", row["CustomerID"] or ""):
                    return row["CustomerID"].removesuffix(".0")
        raise AssertionError("nobody orders in the simulated shop")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """The run of such a machine; tests only read it."""
    folder = tmp_path_factory.mktemp("simulated")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GOODSTANDING_")}
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(folder / "landing"), "run", "--json"],
        env=environment | {"GOODSTANDING_HOME": str(folder / "home"), "PYTHONDONTWRITEBYTECODE": ""},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Simulated(folder / "home", done)


def test_without_landing_and_network_it_says_so_and_runs_on_a_simulated_shop(simulated: Simulated) -> None:
    assert "http://127.0.0.1:9/online+retail.zip cannot be reached" in simulated.done.stderr
    assert "Running on a simulated shop instead" in simulated.done.stderr
    assert f"SIMULATED: the orders are made up ({simulated.home / 'simulated_landing'})" in " ".join(
        simulated.done.stderr.split()
    )
    assert simulated.report["lines"] > 1000 and simulated.report["rejected"] > 0


def test_the_landing_is_run_as_one_range_and_its_last_days_one_by_one(simulated: Simulated) -> None:
    with duckdb.connect(str(simulated.home / "warehouse" / "intake.duckdb"), read_only=True) as connection:
        spans = connection.execute(
            """
            select first_day::varchar, last_day::varchar from ops.steps
            where step = 'publish' order by started_at
            """
        ).fetchall()
    assert spans == [
        ("2010-12-01", "2010-12-21"),
        ("2010-12-22", "2010-12-22"),
        ("2010-12-23", "2010-12-23"),
    ]


def test_a_shop_too_young_for_a_model_runs_without_one_and_says_why(simulated: Simulated) -> None:
    assert {model["model_id"] for model in simulated.report["models"]} == {None}
    assert "training as of 2010-12-23: buys_30d needs" in simulated.report["model_note"]


def test_everything_that_comes_of_a_simulated_shop_is_marked_so(simulated: Simulated) -> None:
    assert simulated.report["simulated"] is True
    for command in (("status",), ("profile", simulated.customer())):
        done = call_goodstanding(simulated.home, None, *command, "--json")
        assert json.loads(done.stdout)["simulated"] is True
        assert "SIMULATED" in call_goodstanding(simulated.home, None, *command).stdout
    path = simulated.report["paths"]["published"]
    with duckdb.connect(path, read_only=True) as connection:
        assert connection.execute("select simulated from marts.publication").fetchall() == [(True,)]
    site = Path(simulated.report["paths"]["data_docs"])
    pages = [site, *site.parent.glob("*/*.html")]
    assert len(pages) > 4
    for page in pages:
        assert "simulated" in page.read_text().lower(), page
    for path in simulated.home.glob("checks/*/*.json"):
        assert json.loads(path.read_text())["simulated"] is True


def test_every_table_of_a_simulated_report_has_the_mark_in_its_title(simulated: Simulated) -> None:
    console = Console(record=True, width=120, file=io.StringIO())
    print_report(simulated.report, console)
    text = console.export_text()
    titles = re.findall(r"(.*)\n[┏┌]", text)
    assert len(titles) >= 5
    for title in titles:
        assert title.startswith("SIMULATED · "), title
    assert "No model: training as of" in text


def test_the_home_of_a_simulated_shop_refuses_real_files_and_says_what_to_do(
    simulated: Simulated, any_landing: Path
) -> None:
    done = call_run(simulated.home, any_landing, "run", "--from", "2010-12-02", "--json")
    assert (done.code, done.fault) == (2, None)
    said = json.loads(done.stdout)["error"]
    assert "holds the shop online_retail (simulated), the landing is of online_retail" in said
    assert "set GOODSTANDING_HOME to a folder of its own" in said


def test_where_the_real_data_are_required_neither_download_nor_simulation_is_tried(
    use_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goodstanding.core.settings.DEFAULT_LANDING", tmp_path / "landing")
    current = use_settings(home=tmp_path / "home", real_data_required="true")
    with Progress(disable=True) as progress, pytest.raises(WrongUse, match="real data are required"):
        run_landing(current, progress)
    assert list(tmp_path.iterdir()) == []


def test_a_landing_without_a_day_file_names_the_pattern_and_the_mapping(
    use_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "orders.txt").touch()
    current = use_settings(home=tmp_path / "home", landing=tmp_path / "landing")
    with Progress(disable=True) as progress, pytest.raises(DataProblem) as told:
        run_landing(current, progress)
    assert f"no file in {tmp_path / 'landing'} matches '{{day}}.csv'" in str(told.value)
    assert "online_retail.yml" in str(told.value)
