"""Four days, run once as a range and once day by day: what the tests of the command line look at.

They are real days where these are given. And what an evaluation of a small shop finds.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ml.methods import METHODS
from ml.segments.study import describe_segments
from ml.side_by_side import answer, read_questions
from ml.tasks import tasks_named
from ml.value import measure_value, read_value
from tests.calls import call_run
from tests.conftest import call_goodstanding
from tests.ml.order_log import FIRST_DAY, NEWEST_DAY, open_shop

# Thursday to Sunday; the shop is closed on Saturdays and has no file of them.
FIRST, LAST, CLOSED = "2010-12-02", "2010-12-05", "2010-12-04"


@dataclass(frozen=True)
class Ran:
    """What a call of `goodstanding run` printed, and the home that it filled."""

    home: Path
    landing: Path
    output: str

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.output)
        return report

    def copy(self, folder: Path) -> tuple[Path, Path]:
        """Home and landing again, for one test to change."""
        return (
            Path(shutil.copytree(self.home, folder / "home")),
            Path(shutil.copytree(self.landing, folder / "landing")),
        )


def published(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every published table and view but the publication's own row, which differs by clock and run."""
    with duckdb.connect(str(home / "published" / "current.duckdb"), read_only=True) as connection:
        names = connection.execute(
            "select schema_name, table_name from duckdb_tables() "
            "union all select schema_name, view_name from duckdb_views() where not internal"
        ).fetchall()
        return {
            f"{schema}.{name}": connection.execute(f"select * from {schema}.{name} order by all").fetchall()
            for schema, name in names
            if name != "publication"
        }


@pytest.fixture(scope="session")
def few_days(any_landing: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A landing with the files of these days."""
    landing = tmp_path_factory.mktemp("few_days")
    for path in any_landing.glob("2010-12-0[2-5].csv"):
        shutil.copy(path, landing)
    return landing


@pytest.fixture(scope="session")
def at_once(few_days: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The days as one range, called as a user does; tests only read it."""
    home = tmp_path_factory.mktemp("at_once") / "home"
    done = call_goodstanding(home, few_days, "run", "--from", FIRST, "--to", LAST, "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    return Ran(home, few_days, done.stdout)


@pytest.fixture(scope="session")
def day_by_day(at_once: Ran, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The days one by one in a home without a warehouse; tests only read it."""
    home = tmp_path_factory.mktemp("day_by_day") / "home"
    # the same key gives the same customers the same pseudonyms
    shutil.copytree(at_once.home, home, ignore=shutil.ignore_patterns("warehouse", "published", "checks"))
    done = call_run(home, at_once.landing, "run", "--daily", "--from", FIRST, "--to", LAST, "--json")
    assert done.code == 0, done
    return Ran(home, at_once.landing, done.stdout)


@pytest.fixture(scope="session")
def evaluated() -> dict[str, Any]:
    """What some methods are found to do on a small simulated shop; one of the questions is refused."""
    asked = tasks_named(["present_class", "buys_30d", "value_tier_6m", "returns_60d"])
    with open_shop() as shop:
        questions = read_questions(shop, NEWEST_DAY, asked)
    trained = ("logistic_regression", "naive_bayes", "decision_tree", "lightgbm")
    some = {name: METHODS[name] for name in ("majority", "recency_rule", "rfm_rank", "bg_nbd", *trained)}
    return {
        "as_of": str(NEWEST_DAY),
        "first_day": str(FIRST_DAY),
        "shop": "small_shop",
        "simulated": True,
        "asked": [],
        "page": "/somewhere/page.html",
        **answer(questions, folds=50, methods=some),
    }


@pytest.fixture(scope="session")
def whole(evaluated: dict[str, Any]) -> dict[str, Any]:
    """The same with segments and value, of few resamples."""
    with open_shop() as shop, pytest.MonkeyPatch.context() as patch:
        patch.setattr("ml.segments.study.RESAMPLES", 3)
        patch.setattr("ml.segments.study.RESAMPLES_ALONE", 2)
        segments = describe_segments(shop, NEWEST_DAY)
        value = measure_value(read_value(shop, NEWEST_DAY), folds=20)
    return {**evaluated, "segments": segments, "value": value}
