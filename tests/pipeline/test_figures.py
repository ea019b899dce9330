"""What decides the figures is noticed when it is edited, and a model that has learnt from others says so."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from app.cli.tables import print_status
from goodstanding.core.days import Days
from goodstanding.core.settings import POLICY, Settings
from goodstanding.core.vocabulary import STEPS
from goodstanding.warehouse.files import open_published, open_warehouse
from ml import store
from pipeline import steps, transform
from pipeline.report import read_status
from tests.shop import line, mapping, write_day

FIRST, LAST = date(2011, 1, 3), date(2011, 4, 30)
DAYS = Days(FIRST, LAST)
WORD = "its model was trained on figures that were computed otherwise"
UseSettings = Callable[..., Settings]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the dbt project, which a test may edit."""
    folder = tmp_path / "project" / "dbt_project"
    shutil.copytree(transform.DBT_PROJECT, folder, ignore=shutil.ignore_patterns("target", "logs"))
    monkeypatch.setattr(transform, "DBT_PROJECT", folder)
    monkeypatch.setattr(transform, "POLICY", folder / "seeds" / POLICY.name)
    return folder


def edit(path: Path, before: str, after: str) -> None:
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))


EDITS: list[tuple[str, str, str, bool, bool]] = [
    # file, text, its replacement; whether everything is built again; whether models should learn anew
    (
        "models/marts/customer_features.sql",
        "select * from final",
        "select * from final where true",
        True,
        True,
    ),
    ("macros/quartile_score.sql", "{%- endmacro", "{#- edited -#}{%- endmacro", True, True),
    ("dbt_project.yml", "as_of_days: 400", "as_of_days: 401", True, True),
    ("seeds/policy.csv", "cod,margin_share,,,,0.30", "cod,margin_share,,,,0.35", True, False),
    ("seeds/class_benefits.csv", "Best", "Best ", True, False),
    # a test is run at every build, and decides whether a run goes on, never a figure
    ("tests/generic/keeps.sql", "{% endtest %}", "{#- edited -#}{% endtest %}", False, False),
]


@pytest.mark.parametrize(
    ("file", "before", "after", "rebuilds", "learns"), EDITS, ids=lambda value: str(value)
)
def test_an_edit_of_the_project_is_noticed_where_it_decides_a_figure(
    project: Path, use_settings: UseSettings, file: str, before: str, after: str, rebuilds: bool, learns: bool
) -> None:
    current = use_settings(home=project.parent / "home")
    was = transform._fingerprint(current), transform.sql_of_figures()
    edit(project / file, before, after)
    now = transform._fingerprint(current), transform.sql_of_figures()
    assert (was[0] != now[0], was[1] != now[1]) == (rebuilds, learns)


@pytest.mark.parametrize("package", ["duckdb", "dbt-core", "dbt-duckdb"])
def test_another_version_of_what_runs_the_sql_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, use_settings: UseSettings, package: str
) -> None:
    current = use_settings(home=tmp_path)
    was = transform._fingerprint(current), transform.sql_of_figures()
    known = transform.version
    monkeypatch.setattr(transform, "version", lambda name: "9" if name == package else known(name))
    transform._files_hash.cache_clear()
    assert transform._fingerprint(current) != was[0] and transform.sql_of_figures() != was[1]
    transform._files_hash.cache_clear()


def test_of_the_settings_those_that_the_sql_reads_are_noticed(
    tmp_path: Path, use_settings: UseSettings
) -> None:
    was = transform._fingerprint(use_settings(home=tmp_path))
    assert transform._fingerprint(use_settings(home=tmp_path, as_of_days=30)) != was
    assert transform._fingerprint(use_settings(home=tmp_path, memory_limit="700MB", as_of_days=400)) == was


def run(what: Days, *names: str) -> dict[str, Any]:
    return {name: getattr(steps, name)(what, "the run") for name in names}


def read(sql: str) -> list[tuple[Any, ...]]:
    with open_published(steps.settings()) as connection:
        return connection.execute(sql).fetchall()


def test_an_edited_policy_and_fewer_days_build_what_they_touch_in_the_next_run(
    project: Path, tmp_path: Path, use_settings: UseSettings
) -> None:
    shop, landing = mapping(tmp_path), tmp_path / "landing"
    landing.mkdir()
    use_settings(home=tmp_path / "home", landing=landing, shop=shop)
    for offset in range(3):
        day = FIRST + timedelta(days=offset)
        write_day(landing, day, [line(day, f"{offset}{number}", number) for number in range(11, 19)])
    run(Days(FIRST, FIRST + timedelta(days=1)), *STEPS)
    margin = "select value from marts.policy where decision = 'cod' and rule = 'margin_share'"
    assert [float(value) for (value,) in read(margin)] == [0.3]
    edit(project / "seeds/policy.csv", "cod,margin_share,,,,0.30", "cod,margin_share,,,,0.35")
    use_settings(home=tmp_path / "home", landing=landing, shop=shop, as_of_days=2)
    day = FIRST + timedelta(days=2)
    assert run(Days(day, day), *STEPS)["transform"]["rebuilt"]
    assert [float(value) for (value,) in read(margin)] == [0.35]
    assert read("select min(as_of) from marts.rfm_scores") == [(FIRST + timedelta(days=1),)]


def test_the_days_without_trade_decide_no_figure(tmp_path: Path, use_settings: UseSettings) -> None:
    """`closed` says only on which days a file may be missing."""
    marts = []
    for closed in ("", "closed: {weekdays: [sunday], days: [2011-01-03]}\n"):
        folder = tmp_path / f"closed_{bool(closed)}"
        folder.mkdir()
        shop, landing = mapping(folder), folder / "landing"
        landing.mkdir()
        shop.write_text(shop.read_text() + closed)
        use_settings(home=folder / "home", landing=landing, shop=shop, pseudonym_key="ab" * 32)
        for day in Days(FIRST, FIRST + timedelta(days=1)):
            write_day(landing, day, [line(day, f"{day.day}{number}", number) for number in range(11, 19)])
        run(Days(FIRST, FIRST + timedelta(days=1)), "ingest", "check_raw", "transform")
        with open_warehouse(steps.settings()) as connection:
            tables = connection.execute(
                "select table_schema || '.' || table_name from information_schema.tables "
                "where table_catalog = 'standing' and table_schema in ('marts', 'features') order by 1"
            ).fetchall()
            assert tables
            marts.append(
                {name: connection.execute(f"from {name} order by all").fetchall() for (name,) in tables}
            )
    assert marts[0]["marts.rfm_scores"] and marts[0] == marts[1]


@pytest.fixture
def shop(tmp_path: Path, use_settings: UseSettings) -> Path:
    """The mapping of a shop of four months whose customers come back, with a file of every tenth day."""
    path, landing = mapping(tmp_path), tmp_path / "landing"
    landing.mkdir()
    use_settings(home=tmp_path / "home", landing=landing, shop=path, as_of_days=2)
    for count, day in enumerate(day for day in DAYS if (LAST - day).days % 9 == 0):
        coming = [number for number in range(100, 180) if count in (0, number % 7, number % 11)]
        write_day(landing, day, [line(day, f"{count}{number}", number, price=number) for number in coming])
    return path


def remarks() -> dict[str, str]:
    """What scoring says of models that it uses."""
    said: dict[str, str] = run(Days(LAST, LAST), "score")["score"]["remarks"]
    return said


def test_a_model_that_learnt_from_figures_of_another_kind_says_so_until_it_is_trained_again(
    shop: Path, project: Path
) -> None:
    build = ("ingest", "check_raw", "transform", "check_invoices", "check_scores")
    run(DAYS, *build)
    run(DAYS, "train")
    assert run(DAYS, *STEPS[STEPS.index("score") :])["score"]["remarks"] == {}
    assert read("select note from predictions.models where question = 'worth_90d'") == [(None,)]

    edit(shop, '"^C"', '"^X"')
    run(DAYS, *build)
    scored = run(DAYS, *STEPS[STEPS.index("score") :])["score"]
    word = f"{WORD} (the reading of the files has changed since); train again (`goodstanding train`)"
    assert scored["remarks"] == {"worth_90d": word} and "worth_90d" in scored["models"]
    status = read_status(steps.settings())
    assert {answer["question"]: answer["note"] for answer in status["answers"]}["worth_90d"] == word
    console = Console(record=True, width=300, file=io.StringIO())
    print_status(status, console)
    assert word in console.export_text()
    assert read("select count(*) from predictions.customers where expected_orders_90d is not null") != [(0,)]

    # a card that does not say from which figures its model has learnt
    (path,) = steps.settings().models.glob("worth_90d-*.json")
    card = json.loads(path.read_text())
    del card["figures"]
    store.save(store.load(path.parent, path.stem), card, path.parent)
    assert "(the reading of the files and the SQL have changed since)" in remarks()["worth_90d"]

    run(DAYS, "train")
    assert remarks() == {}
    # a policy is no figure of a customer
    edit(project / "seeds/policy.csv", "cod,margin_share,,,,0.30", "cod,margin_share,,,,0.35")
    assert run(Days(LAST, LAST), "transform")["transform"]["rebuilt"] and remarks() == {}
    edit(project / "macros/quartile_score.sql", "{%- endmacro", "{#- edited -#}{%- endmacro")
    assert run(Days(LAST, LAST), "transform")["transform"]["rebuilt"]
    assert "(the SQL has changed since)" in remarks()["worth_90d"]
