"""Commands and a running server give the same answers; keys, receipts and publications work over a socket."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner

from app.cli.main import app
from goodstanding.core.settings import settings
from tests.app.api.publication import KEY, Publication, publish
from tests.app.api.serving import serving
from tests.shop import mapping
from tests.small_policy import POLICY

Call = Callable[..., Any]
TODAY = date.today()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    mapping(folder)
    publish(folder / "home" / "published" / "current.duckdb", of(TODAY - timedelta(days=1)))
    return folder / "home"


def of(as_of: date) -> Publication:
    return Publication(as_of=as_of, published_at=datetime.combine(TODAY, datetime.min.time()))


@dataclass(frozen=True)
class Called:
    """What a command gave."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def call(home: Path) -> Call:
    """Call a command in this process: each of its own takes a second to start."""
    shop = str(home.parent / "tiny.yml")
    own = {"GOODSTANDING_HOME": str(home), "GOODSTANDING_SHOP": shop, "GOODSTANDING_PSEUDONYM_KEY": KEY}

    def invoke(*arguments: str) -> Called:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in own.items():
                patch.setenv(name, value)
            settings.cache_clear()
            # a console takes the stream that there is when it is made
            patch.setattr("app.cli.main.console", Console(stderr=True))
            done = CliRunner().invoke(app, arguments)
        settings.cache_clear()
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Called(done.exit_code, done.stdout, done.stderr)

    return invoke


@pytest.fixture(scope="module")
def served(home: Path) -> Iterator[httpx.Client]:
    """Two workers, and a client with a key of every scope."""
    with serving(home) as server:
        yield server.client


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (
            ["12", "--basket", "120.00", "--method", "cod"],
            {"customer_id": "12", "basket": "120.00", "method": "cod"},
        ),
        (
            ["13", "--basket", "90", "--method", "emi", "--months", "6"],
            {"customer_id": "13", "basket": "90", "method": "emi", "months": 6},
        ),
        (
            ["99", "--basket", "1.50", "--method", "cod"],
            {"customer_id": "99", "basket": "1.50", "method": "cod"},
        ),
    ],
)
def test_the_command_and_the_server_give_one_answer(call, served, arguments, asked):
    told = call("decide", *arguments, "--json")
    assert told.returncode == 0, told.stderr
    by_command = json.loads(told.stdout)
    by_server = served.post("/v1/decisions", json=asked).json()
    assert by_command.pop("ok") is True
    ids = {found.pop("receipt_id") for found in (by_command, by_server)}
    assert by_command.pop("at") < by_server.pop("at")
    until = [found.pop("quote_until") for found in (by_command, by_server)]
    # nothing is granted by instalments where nobody's payments are known
    assert until == [None, None] if asked["method"] == "emi" else until[0] < until[1]
    assert by_command == by_server
    for receipt_id in ids:
        verified = call("receipt", "verify", receipt_id)
        assert (
            verified.returncode == 0 and f"receipt {receipt_id}: equal, by the same code" in verified.stderr
        )


def test_a_receipt_that_was_altered_or_dropped_ends_in_exit_1(call, served, home):
    answer = served.post(
        "/v1/decisions", json={"customer_id": "11", "basket": "5.00", "method": "cod"}
    ).json()
    with sqlite3.connect(home / "receipts" / "receipts.sqlite") as connection:
        altered = (
            """update receipts set content = replace(content, '"score":', '"score":1') where receipt_id = ?"""
        )
        connection.execute(altered, [answer["receipt_id"]])
    verified = call("receipt", "verify", answer["receipt_id"], "--json")
    assert verified.returncode == 1 and json.loads(verified.stdout)["differences"] == ["score"]
    with sqlite3.connect(home / "receipts" / "receipts.sqlite") as connection:
        connection.execute(
            "update receipts set day = '2000-01-01' where receipt_id = ?", [answer["receipt_id"]]
        )
    pruned = call("receipt", "prune", "--json")
    assert pruned.returncode == 0 and json.loads(pruned.stdout)["dropped"]["receipts"] == 1
    missing = call("receipt", "verify", answer["receipt_id"], "--json")
    assert missing.returncode == 1 and f"there is no receipt {answer['receipt_id']}; it may" in missing.stderr


def test_publications_during_a_load_lose_no_request(served, home):
    def asks(number: int) -> tuple[int, str]:
        asked = {"customer_id": str(11 + number % 7), "basket": f"{1 + number % 90}.00", "method": "cod"}
        answered = served.post("/v1/decisions", json=asked)
        return answered.status_code, answered.json()["as_of"]

    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(asks, range(400))
        for back in range(5, 0, -1):
            publish(home / "published" / "current.duckdb", of(TODAY - timedelta(days=back)))
            time.sleep(0.1)
        found = list(answers)
    assert {status for status, _ in found} == {200}
    for _ in range(100):
        if {served.get("/ready").json()["as_of"] for _ in range(4)} == {str(TODAY - timedelta(days=1))}:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the last publication was not taken up")


def test_a_key_made_shown_once_rotated_and_revoked_by_command(call, served):
    made = json.loads(call("key", "new", "--scope", "policy", "--json").stdout)
    headers = {"X-API-Key": made["key"]}
    assert served.get("/v1/policy", headers=headers).status_code == 200
    rotated = json.loads(call("key", "rotate", made["key_id"], "--hours", "0", "--json").stdout)
    assert served.get("/v1/policy", headers=headers).status_code == 401
    assert served.get("/v1/policy", headers={"X-API-Key": rotated["key"]}).status_code == 200
    assert call("key", "revoke", rotated["key_id"]).returncode == 0
    assert served.get("/v1/policy", headers={"X-API-Key": rotated["key"]}).status_code == 401
    listed = call("key", "list")
    assert made["key_id"] in listed.stdout and made["key"] not in listed.stdout
    wrong = call("key", "new", "--scope", "all")
    assert wrong.returncode == 2 and "scopes are" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["12", "--basket", "1.234", "--method", "cod"], "write an amount above 0 like 120.00"),
        (["12", "--basket", "0.00", "--method", "cod"], "write an amount above 0"),
        (["12", "--basket", "5.00", "--method", "cod", "--months", "6"], "--months is for --method emi"),
    ],
)
def test_wrong_use_is_one_line(call, arguments, said):
    refused = call("decide", *arguments)
    assert refused.returncode == 2 and said in refused.stderr and "Traceback" not in refused.stderr


def test_an_answer_is_printed_in_words(call, served):
    told = call("decide", "11", "--basket", "90.00", "--method", "cod")
    assert told.returncode == 0 and "Yes (as of" in told.stdout
    told = call("decide", "13", "--basket", "400.00", "--method", "emi", "--months", "3")
    assert told.returncode == 0 and "No (as of" in told.stdout


def test_what_another_policy_changes_is_printed_in_tables(call, tmp_path):
    dearer = tmp_path / "new.csv"
    dearer.write_text(POLICY.read_text().replace("failure_cost_share,,,,0.60", "failure_cost_share,,,,9.00"))
    told = call("policy", "diff", "1", str(dearer), "--basket", "60.00")
    assert told.returncode == 0 and "cod 60.00" in told.stdout and "Examples" in told.stdout
    plain = call("policy", "diff", "1", str(dearer), "--basket", "60.00", "--json")
    assert json.loads(plain.stdout)["rows"][0]["lose"] > 0
    beside = call("policy", "compare")
    assert beside.returncode == 0 and "no answer with another version beside it" in beside.stdout
    wrong = call("policy", "diff", "1", "99")
    assert wrong.returncode == 2 and "there is no policy 99" in wrong.stderr


def test_the_command_line_starts_without_the_server(call):
    code = "import app.cli.main, sys; print({'fastapi', 'uvicorn', 'app.api'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
