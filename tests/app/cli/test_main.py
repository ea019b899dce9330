"""The command line: one JSON object, an exit code that says whose turn it is, and never a traceback."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner, Result

from app.cli.main import app
from goodstanding.core.settings import PROJECT, settings
from ml.champions import appoint
from ml.scorecards.orders import DECISIONS
from tests.calls import call_run
from tests.ran import CLOSED, FIRST, LAST, Ran, published
from tests.shop import line, write_day

MONDAY = "2010-12-06"
MODELS_PAGE = PROJECT / "docs" / "explanation" / "models.md"
Call = Callable[..., Result]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Call a command in this process, with settings as a user gives them; the home is new unless given."""

    def call(*arguments: str, **values: object) -> Result:
        for name, value in {"home": tmp_path / "home", **values}.items():
            monkeypatch.setenv(f"GOODSTANDING_{name.upper()}", str(value))
        settings.cache_clear()
        return CliRunner().invoke(app, list(arguments))

    return call


def refused(result: Result, code: int) -> str:
    """The one line of a refusal, which is the error of the JSON object too."""
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit), "anything else would be a traceback"
    said = json.loads(result.stdout)
    assert said["ok"] is False
    assert result.stderr == f"goodstanding: {said['error']}\n"
    return str(said["error"])


@pytest.mark.parametrize(
    ("met", "says"),
    [
        ("(sqlite3.OperationalError) database or disk is full", "database or disk is full"),
        ("[Errno 30] Read-only file system: 'local_runs.log'", "Read-only file system"),
    ],
)
def test_a_disk_problem_outside_the_steps_is_one_line_too(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, met: str, says: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(met)

    monkeypatch.setattr("app.cli.runs.run_days", fail)
    said = refused(call("run", "--from", MONDAY, "--json"), 1)
    assert said.startswith(f"{tmp_path / 'home'} cannot be written: {says} (")


def test_too_little_memory_is_one_line_that_names_the_setting(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("Out of Memory Error: could not allocate block of size 256.0 KiB")

    monkeypatch.setattr("app.cli.runs.run_days", fail)
    said = refused(call("run", "--from", MONDAY, "--json"), 2)
    assert "GOODSTANDING_MEMORY_LIMIT=1200MB" in said


def test_a_range_prints_one_json_object_and_nothing_else(at_once: Ran) -> None:
    report = at_once.report
    assert report["ok"] is True
    assert (report["as_of"], report["days"], report["files"]) == (LAST, 4, 3)
    assert len(report["runs"]) == 1
    lines_of_files = sum(len(path.read_text().splitlines()) - 1 for path in at_once.landing.iterdir())
    assert report["lines"] == sum(report["outcomes"].values()) + report["rejected"] == lines_of_files > 500
    assert sum(report["classes"].values()) == report["customers"] > 50


def test_days_one_by_one_end_in_the_tables_of_one_range(at_once: Ran, day_by_day: Ran) -> None:
    assert len(set(day_by_day.report["runs"])) == 4
    expected, found = published(at_once.home), published(day_by_day.home)
    assert sorted(found) == sorted(expected)
    for table, rows in expected.items():
        assert found[table] == rows, table
    report = at_once.report
    assert len(expected["marts.order_lines"]) == report["lines"] - report["rejected"]


def test_a_second_run_of_the_same_days_ends_the_same(at_once: Ran, tmp_path: Path) -> None:
    home, landing = at_once.copy(tmp_path)
    done = call_run(home, landing, "run", "--from", FIRST, "--to", LAST, "--json")
    assert done.code == 0, done
    assert published(home) == published(at_once.home)
    again, before = json.loads(done.stdout), at_once.report
    for name in ("runs", "run_id", "steps", "paths"):
        assert again.pop(name) != before.pop(name)
    assert again == before


def test_a_profile_is_one_json_object_found_by_the_id_as_the_mapping_casts_it(
    call: Call, at_once: Ran
) -> None:
    result = call("profile", "17850", "--json", home=at_once.home)
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert (found["ok"], found["as_of"], found["simulated"]) == (True, LAST, False)
    assert found["class"] in ("Best", "Good", "Average", "Worst") and found["benefits"]
    assert found["credit_score"] == found["r_score"] + found["f_score"] + found["m_score"]
    assert found["customer_id"] != "17850" and len(found["customer_id"]) == 32
    assert "17850" not in result.output
    for written in (" 17850 ", "17850.0", "017850", "\u00a017850\u200b"):
        assert json.loads(call("profile", written, "--json", home=at_once.home).stdout) == found


def test_the_tables_of_a_profile_and_of_the_status_say_what_their_json_says(call: Call, at_once: Ran) -> None:
    shown = call("profile", "17850", home=at_once.home).stdout
    found = json.loads(call("profile", "17850", "--json", home=at_once.home).stdout)
    for name in ("class", "credit_score", "customer_id", "country", "first_order_day"):
        assert str(found[name]) in shown
    status = call("status", home=at_once.home).stdout
    assert f"Last good day {LAST}" in status
    assert status.count("passed") == 4


def test_the_status_is_one_json_object(call: Call, at_once: Ran) -> None:
    found = json.loads(call("status", "--json", home=at_once.home).stdout)
    assert (found["last_good_day"], found["simulated"], found["waiting"]) == (LAST, False, [])
    gates = ["raw_orders", "invoices", "scores", "predictions"]
    assert found["gates"] == dict.fromkeys(gates, True)
    assert found["age_days"] > 5000


def test_the_status_of_an_empty_home_says_what_to_run(call: Call) -> None:
    result = call("status", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["last_good_day"] is None
    assert "nothing is published yet; run `goodstanding run`" in call("status").stdout


def test_rolling_back_says_who_stands_again_and_what_scores(call: Call, tmp_path: Path) -> None:
    home = tmp_path / "rolled"
    for month, method in ((3, "lda"), (5, "mlp")):
        task = {"refused": None, "champion": method}
        appoint({"tasks": {"buys_90d": task}}, date(2011, month, 31), home / "models", by="evaluate")
    shown = " ".join(call("rollback", "buys_90d", home=home).stdout.split())
    assert "buys_90d: lda is in use again, as of 2011-03-31, instead of mlp; 1 cards were moved" in shown
    assert "no model of it is left: .venv/bin/goodstanding train" in shown
    assert "no champion but lda" in refused(call("rollback", "buys_90d", "--json", home=home), 2)


def test_help_shows_every_command_and_needs_no_settings(call: Call) -> None:
    result = call("--help", threads="none")
    assert result.exit_code == 0
    commands = (
        "run",
        "train",
        "evaluate",
        "rollback",
        "profile",
        "status",
        "as-known",
        "simulate",
        "credit-default",
        "docs",
        "up",
        "down",
    )
    for command in commands:
        assert f" {command} " in result.stdout


def test_simulate_fills_an_empty_folder_says_so_and_refuses_one_with_files(
    call: Call, tmp_path: Path
) -> None:
    landing = tmp_path / "made-up"
    arguments = ("simulate", str(landing), "--customers", "30", "--days", "20", "--json")
    said = json.loads(call(*arguments).stdout)
    assert said["ok"] and said["simulated"] and said["order_lines"] > 0
    assert (landing / "SIMULATED").exists() and Path(said["true_risks"]).is_dir()
    assert "already holds files" in refused(call(*arguments), 1)
    shown = call("simulate", str(tmp_path / "another"), "--customers", "30", "--days", "20").stdout
    assert "SIMULATED: nobody stands behind these files" in shown


def test_credit_default_writes_six_statements_for_everybody_and_names_a_file_that_does_not_fit(
    call: Call, tmp_path: Path
) -> None:
    source, landing = tmp_path / "clients.parquet", tmp_path / "cards"
    status = ", ".join(f"0 as PAY_{month}" for month in (0, 2, 3, 4, 5, 6))
    money = ", ".join(f"100 as BILL_AMT{month}, 50 as PAY_AMT{month}" for month in range(1, 7))
    duckdb.sql(
        f"""
        copy (
            select
                range as ID, 1000 as LIMIT_BAL, 1 as SEX, 30 as AGE, {status}, {money},
                0 as default_payment_next_month
            from range(1, 4)
        ) to '{source}' (format parquet)
        """
    )
    shown = call("credit-default", str(source), str(landing)).stdout
    assert "18 statements of account in" in shown
    assert len(list(landing.glob("2005-0?-??.csv"))) == 6 and (landing / "groups.csv").exists()
    assert "already holds files" in refused(call("credit-default", str(source), str(landing), "--json"), 1)
    said = json.loads(call("credit-default", str(source), str(tmp_path / "again"), "--json").stdout)
    assert said == {"ok": True, "landing": str(tmp_path / "again"), "statements": 18}
    source.write_text("no Parquet")
    other = call("credit-default", str(source), str(tmp_path / "other"), "--json")
    assert "does not hold the data on default of credit card clients" in refused(other, 1)


def test_an_unknown_customer_is_a_data_problem_that_does_not_repeat_the_id(call: Call, at_once: Ran) -> None:
    said = refused(call("profile", "9172635", "--json", home=at_once.home), 1)
    assert "no customer with this id" in said and "9172635" not in said


@pytest.mark.parametrize(
    "command", [("profile",), ("decide", "--basket", "1.00", "--method", "cod")], ids=" ".join
)
@pytest.mark.parametrize(
    ("customer", "reason"),
    [
        *(("SECRET", "no whole number"), ("Guest", "stands for nobody"), ("", "missing")),
        *(("9" * 256, "longer than 255"), (b"9\xff".decode("utf-8", "surrogateescape"), "no whole number")),
    ],
)
def test_an_id_that_the_mapping_gives_to_nobody_is_wrong_use(
    call: Call, command: tuple[str, ...], customer: str, reason: str
) -> None:
    said = refused(call(*command, "--json", "--", customer), 2)
    assert said.startswith(f"customer_id: {reason}") and "SECRET" not in said


def test_a_profile_without_a_publication_says_what_to_run(call: Call) -> None:
    assert "run `goodstanding run` first" in refused(call("profile", "17850", "--json"), 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "--from", "2010-13-01"), "'2010-13-01' is no day; write it like 2011-12-09"),
        (("run", "--from", FIRST, "--to", "tomorrow"), "'tomorrow' is no day"),
        (("run", "--from", LAST, "--to", FIRST), f"ends ({FIRST}) before it begins ({LAST})"),
        (("run", "--to", LAST), "--to and --daily need --from"),
        (("run", "--daily"), "--to and --daily need --from"),
        (("train", "--day", "31.12.2011"), "'31.12.2011' is no day"),
        (("evaluate", "--task", "buys_7d"), "there is no task buys_7d; there are present_class, buys_30d"),
        (("evaluate", "--task", "cod", "--task", "code"), "there is no task code; there are present_class"),
        (("rollback", "buys_7d"), "there is no task buys_7d; there are present_class, buys_30d"),
        (("rollback", "cod"), "cod has no scorecard yet; train or evaluate first"),
        (("rollback", "buys_90d"), "buys_90d has no champion yet; train or evaluate first"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_use_is_told_in_one_line(call: Call, arguments: tuple[str, ...], says: str) -> None:
    assert says in refused(call(*arguments, "--json"), 2)


@pytest.mark.parametrize(
    "command", [("status",), ("run",), ("profile", "17850"), ("train",), ("evaluate",)], ids=" ".join
)
def test_a_wrong_setting_stops_every_command_at_its_start(call: Call, command: tuple[str, ...]) -> None:
    said = refused(call(*command, "--json", memory_limit="lots"), 2)
    assert (
        said == "setting GOODSTANDING_MEMORY_LIMIT: 'lots' is no amount of memory; write it like 800MB or 2GB"
    )


def test_a_wrong_key_is_not_repeated(call: Call) -> None:
    result = call("status", "--json", pseudonym_key="not-so-secret")
    assert "GOODSTANDING_PSEUDONYM_KEY: the key must be hexadecimal" in refused(result, 2)
    assert "not-so-secret" not in result.output


def test_a_home_that_cannot_be_a_folder_is_named(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refused(call("status", "--json", home=tmp_path / "file" / "home"), 2)
    assert f"GOODSTANDING_HOME: {tmp_path / 'file' / 'home'} cannot be used as a folder" in said


def test_a_landing_that_is_set_but_missing_is_an_error(call: Call, tmp_path: Path) -> None:
    said = refused(call("run", "--json", landing=tmp_path / "nowhere"), 2)
    assert f"GOODSTANDING_LANDING: there is no folder {tmp_path / 'nowhere'}" in said
    assert not (tmp_path / "home").exists(), "nothing was begun"


def test_a_bad_mapping_names_the_key_and_the_file(call: Call, tmp_path: Path, few_days: Path) -> None:
    text = (PROJECT / "shops" / "online_retail.yml").read_text()
    mapping = tmp_path / "mistyped.yml"
    mapping.write_text(text.replace("timezone: Europe/London", "timezone: Europe/Londres"))
    said = refused(call("run", "--from", FIRST, "--json", shop=mapping, landing=few_days), 2)
    assert "timezone" in said and str(mapping) in said
    said = refused(call("run", "--json", shop="no_such_shop", landing=few_days), 2)
    assert "no_such_shop" in said


def test_a_missing_file_on_a_trading_day_stops_the_run_and_changes_nothing(
    at_once: Ran, tmp_path: Path
) -> None:
    home, landing = at_once.copy(tmp_path)
    done = call_run(home, landing, "run", "--from", MONDAY, "--json")
    assert (done.code, done.fault) == (1, None)
    said = json.loads(done.stdout)["error"]
    assert f"no file for 1 trading day(s): {MONDAY}; expected {landing / MONDAY}.csv" in said
    assert done.stderr == f"goodstanding: {said}\n"
    assert published(home) == published(at_once.home)


def test_a_failed_gate_stops_the_run_until_the_file_is_mended(
    at_once: Ran, tmp_path: Path, any_landing: Path
) -> None:
    home, landing = at_once.copy(tmp_path)
    write_day(landing, MONDAY, [line(MONDAY, f"{536000 + n}", 17850, price="much") for n in range(500)])
    done = call_run(home, landing, "run", "--daily", "--from", MONDAY, "--json")
    assert (done.code, done.fault) == (1, None)
    said = json.loads(done.stdout)
    assert said["kind"] == "GateFailed"
    assert f"gate raw_orders stops {MONDAY}" in said["error"] and "Nothing is published" in said["error"]
    assert "17850" not in done.stdout + done.stderr
    assert published(home) == published(at_once.home)
    status = json.loads(call_run(home, landing, "status", "--json").stdout)
    assert [(day["day"], day["failed_gate"]) for day in status["waiting"]] == [(MONDAY, "raw_orders")]
    assert status["last_good_day"] == LAST
    shown = call_run(home, landing, "status").stdout
    assert f"waiting for {MONDAY}: failed the gate of raw_orders: gate raw_orders stops" in shown

    shutil.copy(any_landing / f"{MONDAY}.csv", landing)
    done = call_run(home, landing, "run", "--daily", "--from", MONDAY, "--json")
    assert done.code == 0, done
    assert json.loads(done.stdout)["as_of"] == MONDAY
    assert json.loads(call_run(home, landing, "status", "--json").stdout)["waiting"] == []


def test_a_closed_day_without_a_file_is_a_day_like_any_other(day_by_day: Ran) -> None:
    tables = published(day_by_day.home)
    as_of = {str(row[1]) for row in tables["marts.customer_classes"]}
    assert CLOSED in as_of and LAST in as_of


def test_an_evaluation_of_a_young_shop_says_of_each_task_what_would_be_enough(
    call: Call, at_once: Ran, tmp_path: Path
) -> None:
    home, _ = at_once.copy(tmp_path)
    result = call("evaluate", "--task", "buys_90d", "--task", "value_tier_6m", "--json", home=home)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["ok"], found["as_of"], found["simulated"]) == (True, LAST, False)
    assert list(found["tasks"]) == ["buys_90d", "value_tier_6m"]
    for name, enough in (("buys_90d", "2011-06-29"), ("value_tier_6m", "2011-12-31")):
        task = found["tasks"][name]
        assert f"data up to {enough}" in task["refused"]
        assert (task["pooled"], task["champion"]) == ({}, None)
    page = home / "published" / "evaluations" / f"{LAST}.buys_90d.value_tier_6m.html"
    assert found["page"] == str(page) and "data up to 2011-12-31" in page.read_text()
    shown = call("evaluate", "--task", "buys_90d", home=home).stdout
    assert "buys_90d: who buys within 90 days" in shown and "(data up to 2011-06-29) would be enough" in shown
    assert f"page  {page.with_name(f'{LAST}.buys_90d.html')}" in shown


def test_an_evaluation_of_a_label_of_orders_answers_it_or_says_why_not(
    call: Call, at_once: Ran, tmp_path: Path
) -> None:
    """Each of those that the docs list, also one of which the shop reports nothing."""
    home, _ = at_once.copy(tmp_path)
    listed = re.search(r"^\| (.*) \| whether an order goes bad", MODELS_PAGE.read_text(), re.M)
    assert listed
    names = re.findall(r"`(\w+)`", listed[1])
    assert names == [decision.name for decision in DECISIONS]
    whys = {
        "cod_refused": f"cod_refused: the shop reported none up to {LAST}",
        "cod": "cod needs",
        "emi": "emi needs",
    }
    for name in names:
        result = call("evaluate", "--task", name, "--json", home=home)
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert found["tasks"] == {} and list(found["decisions"]["tasks"]) == [name]
        assert found["decisions"]["tasks"][name]["refused"].startswith(whys[name])
        assert Path(found["page"]).name == f"{LAST}.{name}.html"
    shown = call("evaluate", "--task", "cod_refused", "--task", "buys_90d", home=home).stdout
    assert whys["cod_refused"] in " ".join(shown.split()) and "buys_90d: who buys" in shown


def test_an_evaluation_changes_no_table(at_once: Ran, call: Call, tmp_path: Path) -> None:
    home, _ = at_once.copy(tmp_path)
    before = working_tables(home)
    assert call("evaluate", home=home).exit_code == 0
    assert working_tables(home) == before


def working_tables(home: Path) -> dict[str, str]:
    """Every table of both working files as the hash of its rows."""
    hashes = {}
    for file in ("intake", "standing"):
        with duckdb.connect(str(home / "warehouse" / f"{file}.duckdb"), read_only=True) as connection:
            names = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
            for schema, name in names:
                rows = connection.execute(f"select * from {schema}.{name} order by all").fetchall()
                hashes[f"{file}.{schema}.{name}"] = hashlib.sha256(repr(rows).encode()).hexdigest()
    return hashes
