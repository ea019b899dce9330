"""Publishing: readers see only audited days, and either the whole new publication or the one before."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from app.api.receipts import Inquiry, Now, Receipts
from app.cli.tables import print_status
from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import Settings, settings
from goodstanding.core.vocabulary import GATES
from goodstanding.decisions.decide import Question, Standing
from goodstanding.decisions.policy import EMI, read_policies
from goodstanding.warehouse import publish as publishing
from goodstanding.warehouse.files import open_intake, open_published, open_warehouse
from goodstanding.warehouse.publish import publish
from pipeline import steps
from pipeline.report import read_status
from tests.shop import line, mapping, write_day
from tests.small_policy import POLICY

DAY = date(2011, 1, 4)
NEXT = date(2011, 1, 5)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with two days that passed all gates and are not yet published."""
    folder = tmp_path_factory.mktemp("audited")
    for day in (DAY, NEXT):
        write_day(folder / "landing", day, [line(day, f"{day:%d}{n}", 11 + n) for n in range(5)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOODSTANDING_HOME", str(folder / "home"))
        patch.setenv("GOODSTANDING_LANDING", str(folder / "landing"))
        patch.setenv("GOODSTANDING_SHOP", str(mapping(folder)))
        patch.setitem(Settings.model_config, "env_file", None)
        settings.cache_clear()
        for step in ("ingest", "check_raw", "transform", "check_invoices", "check_scores", "score"):
            getattr(steps, step)(Days(DAY, NEXT), "the run")
        steps.check_predictions(Days(DAY, NEXT), "the run")
    settings.cache_clear()
    yield folder / "home"


@pytest.fixture
def home(audited: Path, tmp_path: Path) -> Settings:
    """A copy of the audited home, for one test to change."""
    shutil.copytree(audited, tmp_path / "home")
    return Settings(home=tmp_path / "home", _env_file=None)


def show(home: Settings) -> dict[str, Any]:
    return publish(home, Days(DAY, NEXT), "the run")


def read(home: Settings, sql: str) -> list[tuple[Any, ...]]:
    with open_published(home) as connection:
        return connection.execute(sql).fetchall()


def write(home: Settings, sql: str) -> None:
    with open_intake(home) as connection:
        connection.execute(sql)


def files(home: Settings) -> list[str]:
    return sorted(path.name for path in home.published.iterdir())


# what ml reads: views on these and on the marts, and the tables that only those views use
FEATURE_VIEWS = {"customer_features", "customer_classes", "order_features", "placed_orders"}
# marts that are views of what is stored
VERSIONED = {"rfm_scores", "customer_classes"}
FEATURE_TABLES = {
    *("invoice_states", "product_cancellations", "order_accounts", "instalment_states", "order_days"),
}


def test_readers_get_the_marts_the_features_and_the_predictions_and_nothing_else(home: Settings) -> None:
    assert show(home) == {"published": True, "as_of": str(NEXT), "waiting_for": [], "restated": 0}
    assert files(home) == ["current.duckdb"]
    with open_warehouse(home) as connection:
        sql = "select table_name from information_schema.tables where table_catalog = 'standing'"
        marts = connection.execute(f"{sql} and table_schema = 'marts'").fetchall()
        versions = connection.execute(f"{sql} and table_schema = 'marts_versions'").fetchall()
        profiles = connection.execute("select * from marts.customer_profiles order by all").fetchall()
    shown = read(home, "select schema_name, table_name from duckdb_tables()")
    assert {name for (name,) in versions} == VERSIONED | {f"{name}_days" for name in VERSIONED}
    assert set(shown) == {("marts", name) for (name,) in marts if name not in VERSIONED} | {
        ("marts", "exposure"),
        ("marts", "publication"),
        ("marts", "source_files"),
        ("marts", "notices"),
        ("marts", "restatements"),
        ("predictions", "customers"),
        ("predictions", "drift"),
        ("predictions", "models"),
        ("predictions", "scorecards"),
    } | {("features", name) for name in FEATURE_TABLES} | {("marts_versions", name) for (name,) in versions}
    views = read(home, "select schema_name, view_name from duckdb_views() where not internal")
    marts_views = {("marts", name) for name in VERSIONED}
    assert set(views) == {("features", name) for name in FEATURE_VIEWS} | marts_views
    for name in FEATURE_VIEWS | FEATURE_TABLES:
        read(home, f"select * from features.{name}")
    features = read(home, "select * from features.customer_features order by all")
    assert features == read(home, "select * from marts.customer_features order by all") != []
    schemas = read(home, "select schema_name from duckdb_schemas() where not internal")
    assert {name for (name,) in schemas} - {"main"} == {"marts", "marts_versions", "features", "predictions"}
    assert read(home, "select * from marts.customer_profiles order by all") == profiles
    assert len(profiles) == 5


def test_what_orders_took_is_published_and_settled_once_readers_see_it(home: Settings) -> None:
    receipts, (policy,) = Receipts(home.receipts), read_policies(POLICY)
    known = Standing(None, str(NEXT), 1, "Best", "all", {"credit_score": 12, "return_rate": 0.0})
    with open_warehouse(home) as connection:
        order = "select customer_id, invoice_no from marts.invoices where event_day = ? order by all limit 1"
        ((customer, invoice),) = connection.execute(order, [NEXT]).fetchall()
    for order_id, basket in ((invoice, "150.00"), ("of tomorrow", "9.00")):
        question = Question(EMI, Decimal(basket), 3)
        (answer,) = receipts.decide([Inquiry(NEXT, customer, question, known, None, policy)])
        receipts.commit(answer["receipt_id"], order_id, Now(NEXT))
    show(home)
    rows = read(home, "select customer_id, order_id, committed_day, granted, open from marts.exposure")
    ((net_amount,),) = read(
        home, f"select least(net_amount, 150) from marts.invoices where invoice_no = '{invoice}'"
    )
    assert sorted(rows) == sorted(
        [
            (customer, invoice, NEXT, Decimal("150.00"), net_amount),
            (customer, "of tomorrow", NEXT, Decimal("9.00"), Decimal("9.00")),
        ]
    )
    ((published_at,),) = read(home, "select published_at from marts.publication")
    inquiry = Inquiry(NEXT, customer, Question(EMI, Decimal("0.01")), known, None, policy)
    (after,) = receipts.decide([replace(inquiry, known=published_at.isoformat(timespec="microseconds"))])
    assert Decimal(after["open_after"]) == net_amount + Decimal("9.01") < Decimal("159.01")


@pytest.mark.parametrize("content", [b"no database at all, of any kind", b""])
def test_receipts_that_cannot_be_read_stop_a_publication_and_empty_ones_do_not(
    home: Settings, content: bytes
) -> None:
    home.receipts.mkdir(parents=True)
    (home.receipts / "receipts.sqlite").write_bytes(content)
    if content:
        with pytest.raises(DataProblem, match=r"receipts.sqlite cannot be read \(file is not a database\)"):
            show(home)
    else:
        assert show(home)["published"] and read(home, "select * from marts.exposure") == []


def test_the_publication_describes_itself_in_one_row(home: Settings) -> None:
    show(home)
    [row] = read(home, "select * from marts.publication")
    columns = [name for (name,) in read(home, "select column_name from (describe marts.publication)")]
    assert columns == [
        "as_of",
        "published_at",
        "run_id",
        "gate_results",
        "gate_notes",
        "simulated",
        "shop",
        "definition",
    ]
    as_of, published_at, run_id, gates, said, simulated, shop, definition = row
    with open_warehouse(home) as connection:
        assert connection.execute("select fingerprint from state.built_by").fetchall() == [(definition,)]
    assert (as_of, run_id, simulated, shop) == (NEXT, "the run", False, "online_retail")
    assert json.loads(gates) == dict.fromkeys(GATES, True)
    assert "lines_of_usual" in json.loads(said)["raw_orders"], "two days are no usual to compare with"
    assert abs(datetime.now(UTC).replace(tzinfo=None) - published_at) < timedelta(minutes=5)


def test_the_publication_names_every_file_that_it_was_built_from(home: Settings) -> None:
    show(home)
    with open_intake(home) as connection:
        taken_in = connection.execute(
            """
            select event_day, file_name, file_hash, lines, version from raw.files
            join (select event_day, version from raw.days) using (event_day) order by event_day
            """
        ).fetchall()
    assert read(home, "select * from marts.source_files") == taken_in
    assert [(day, lines) for day, _, _, lines, _ in taken_in] == [(DAY, 5), (NEXT, 5)]


def test_what_was_noticed_is_published_and_told_by_the_status(home: Settings) -> None:
    write(
        home,
        f"insert into raw.notices values ('shop', '{DAY}', 'a.csv', 'same_bytes', 2, 'a.csv', 'not read')",
    )
    show(home)
    assert read(home, "select * from marts.notices") == [(DAY, "a.csv", "same_bytes", 2, "a.csv", "not read")]
    told = {
        "topic": "same_bytes",
        "message": "not read",
        "lines": 2,
        "days": 1,
        "last_day": DAY,
        "example": "a.csv",
    }
    status = read_status(home)
    assert status["notices"] == [told]
    console = Console(width=132, record=True)
    print_status(status, console)
    assert "not read" in console.export_text()


def test_one_simulated_day_marks_the_whole_publication(home: Settings) -> None:
    write(home, f"update raw.days set simulated = true where event_day = '{DAY}'")
    show(home)
    assert read(home, "select simulated from marts.publication") == [(True,)]


def test_a_reader_with_the_old_publication_open_keeps_reading_it(home: Settings) -> None:
    show(home)
    with open_published(home) as reader:
        before = reader.execute("select published_at from marts.publication").fetchone()
        show(home)
        assert reader.execute("select published_at from marts.publication").fetchone() == before
        assert reader.execute("select count(*) from marts.order_lines").fetchone() == (10,)
        assert reader.execute("select count(*) from marts.restatements").fetchone() == (0,)
    assert read(home, "select published_at from marts.publication") != [before]


@pytest.mark.parametrize("breaking", ["shutil.copyfile", "_strip", "restate", "put_in_place"])
def test_an_error_while_publishing_leaves_the_last_publication_whole_and_no_draft(
    home: Settings, monkeypatch: pytest.MonkeyPatch, breaking: str
) -> None:
    show(home)
    before = (home.published / "current.duckdb").read_bytes()

    def disk_full(source: Path, target: object = None, *_: object) -> None:
        if breaking == "shutil.copyfile":
            Path(str(target)).write_bytes(Path(source).read_bytes()[:1000])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"{publishing.__name__}.{breaking}", disk_full)
    with pytest.raises(OSError, match="No space left"):
        show(home)
    assert files(home) == ["current.duckdb"]
    assert (home.published / "current.duckdb").read_bytes() == before


def test_only_an_old_draft_of_a_killed_publish_is_removed(home: Settings) -> None:
    home.published.mkdir()
    hours_ago = time.time() - 7200
    (home.published / ".current.duckdb.1.tmp").mkdir()  # the folder that DuckDB spilled to
    for name in (".current.duckdb.1", ".current.duckdb.1.wal", ".current.duckdb.1.previous"):
        (home.published / name).write_bytes(b"half")
    for left in home.published.iterdir():
        os.utime(left, (hours_ago, hours_ago))
    (home.published / ".current.duckdb.2").write_bytes(b"another process is at it")
    show(home)
    assert files(home) == [".current.duckdb.2", "current.duckdb"]


def test_no_process_can_write_while_the_working_file_is_copied(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, errors = shutil.copyfile, []

    def look_from_another_process(source: Path, target: Path) -> None:
        command = [sys.executable, "-c", "import sys, duckdb; duckdb.connect(sys.argv[1])", str(source)]
        errors.append(subprocess.run(command, capture_output=True, text=True, check=False).stderr)
        copy(source, target)

    monkeypatch.setattr(f"{publishing.__name__}.shutil.copyfile", look_from_another_process)
    show(home)
    assert f"(PID {os.getpid()})" in errors[0]


def test_a_day_in_flight_delays_the_publication_without_an_error(home: Settings) -> None:
    write(home, f"delete from ops.verdicts where gate = 'predictions' and event_day = '{DAY}'")
    assert show(home) == {"published": False, "as_of": None, "waiting_for": [str(DAY)], "restated": 0}
    assert not (home.published / "current.duckdb").exists()


# the second: loaded by a clock that has been put back since
@pytest.mark.parametrize("minutes", [-61, 63])
def test_a_day_whose_run_has_not_ended_in_an_hour_is_reported_by_name(home: Settings, minutes: int) -> None:
    write(
        home,
        f"""
        delete from ops.verdicts where gate = 'predictions' and event_day = '{DAY}';
        update raw.days set loaded_at = loaded_at + interval ({minutes}) minute where event_day = '{DAY}'
        """,
    )
    with pytest.raises(DataProblem) as raised:
        show(home)
    assert f"{DAY} was ingested at" in str(raised.value)
    assert (
        f"by run the run, which did not end. Readers keep the last good day. Repair its file if need be "
        f"and run {DAY} again" in str(raised.value)
    )


def test_a_failed_day_stops_the_publication_with_its_gate_and_message(home: Settings) -> None:
    write(home, f"update ops.verdicts set passed = false, message = 'too few' where event_day = '{DAY}'")
    with pytest.raises(DataProblem, match=rf"{DAY} failed the gate of raw_orders \(too few\)\. Readers keep"):
        show(home)


def test_an_empty_warehouse_publishes_nothing(tmp_path: Path) -> None:
    empty = Settings(home=tmp_path, _env_file=None)
    assert show(empty) == {"published": False, "as_of": None, "waiting_for": [], "restated": 0}


def test_the_published_file_can_be_moved_and_read_under_any_name(home: Settings, tmp_path: Path) -> None:
    show(home)
    shutil.copy(home.published / "current.duckdb", tmp_path / "copy.of.it.db")
    with duckdb.connect(str(tmp_path / "copy.of.it.db"), read_only=True) as connection:
        profiles = connection.execute("select count(*), min(class) from marts.customer_profiles").fetchone()
    assert profiles is not None and profiles[0] == 5 and profiles[1]
