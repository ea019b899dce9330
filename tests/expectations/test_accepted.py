"""Days that a person has accepted pass what they do not meet, and are named with who and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations import raw_orders
from expectations.gate import run_gate
from expectations.suite import Batch, present
from expectations.usual import BEYOND
from goodstanding.core.days import Days
from goodstanding.core.errors import GateFailed, WrongUse
from goodstanding.core.settings import Settings
from goodstanding.shops.mapping import load_shop

DAY = "2011-03-09"
CHEAP = (
    f"update intake.raw.order_lines set unit_price = 0.1, amount = quantity * 0.1 where event_day = '{DAY}'"
)
MAPPING = Path(__file__).parents[2] / "shops" / "online_retail.yml"

Accepting = Callable[..., dict[str, Any]]


@pytest.fixture
def judge_accepting(warehouse: duckdb.DuckDBPyConnection, settings: Settings, tmp_path: Path) -> Accepting:
    """Judge a day by gate 1 with a mapping that has these entries under `accepted`."""

    def judged(*entries: str, days: Days = Days.parse(DAY)) -> dict[str, Any]:  # noqa: B008
        shop = tmp_path / "shop.yml"
        shop.write_text(MAPPING.read_text() + "accepted:\n" + "".join(f"  - {{{e}}}\n" for e in entries))
        mine = settings.model_copy(update={"shop": str(shop)})
        return dict(run_gate(warehouse, "raw_orders", days, "run 1", mine))

    return judged


def entry(expectation: str, days: str = DAY) -> str:
    return f"days: {days}, expectation: {expectation}, by: Ann, why: a sale of old stock"


def stored(settings: Settings) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((settings.home / "checks" / "raw_orders" / f"{DAY}.json").read_text())
    return result


def test_an_accepted_day_passes_and_says_by_whom_and_why(
    warehouse: duckdb.DuckDBPyConnection, settings: Settings, judge_accepting: Accepting
) -> None:
    warehouse.execute(CHEAP)
    both = [entry("sales_of_usual"), entry("raw_orders.prices_below_share", "2011-03-08 to 2011-03-10")]
    result = judge_accepting(*both)
    names = ("sales_of_usual", "prices_below_share")
    said = [f"accepted: {name} on {DAY} by Ann (a sale of old stock)" for name in names]
    assert result["passed"] and result["notes"] == said
    result = stored(settings)
    checks = {check["column"]: check for batch in result["batches"] for check in batch["checks"]}
    assert checks["sales_of_usual"]["accepted"] == [{"days": DAY, "by": "Ann", "why": "a sale of old stock"}]
    assert (checks["sales_of_usual"]["unexpected"], checks["sales_of_usual"]["failed_days"]) == (1, [])


def test_only_the_accepted_expectation_passes_and_only_on_its_days(
    warehouse: duckdb.DuckDBPyConnection, judge_accepting: Accepting
) -> None:
    warehouse.execute(CHEAP)
    with pytest.raises(GateFailed, match="on prices_below_share of the parts"):
        judge_accepting(entry("sales_of_usual"))
    for days in ("2011-03-08", "[2011-03-01 to 2011-03-08, 2011-03-10]"):
        with pytest.raises(GateFailed, match="on sales_of_usual of the days"):
            judge_accepting(entry("sales_of_usual", days), entry("prices_below_share"))


def test_an_acceptance_that_is_not_needed_is_named(judge_accepting: Accepting) -> None:
    result = judge_accepting(entry("sales_of_usual"))
    unneeded = f"not needed: sales_of_usual is met on {DAY}, which Ann accepted (a sale of old stock)"
    assert result["notes"] == [unneeded]


def test_an_acceptance_of_what_nobody_expects_is_refused(judge_accepting: Accepting) -> None:
    with pytest.raises(WrongUse, match="accepted: no gate has an expectation 'sales'; write the name that"):
        judge_accepting(entry("sales"))


def test_an_acceptance_of_what_several_gates_expect_names_its_gate(judge_accepting: Accepting) -> None:
    with pytest.raises(WrongUse, match=r"several gates .* 'customer_id'; write invoices.customer_id or "):
        judge_accepting(entry("customer_id"))
    assert judge_accepting(entry("invoices.customer_id"))["passed"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("days: 2011-03-09, expectation: sales_of_usual, by: Ann", "accepted.0.why: is missing"),
        ("days: 2011-03-09, expectation: sales_of_usual, why: x", "accepted.0.by: is missing"),
        ("days: 2011-03-09, expectation: sales_of_usual, by: '', why: x", "accepted.0.by: "),
        ("days: tomorrow, expectation: sales_of_usual, by: A, why: x", "'tomorrow' is no day"),
        (f"{entry('sales_of_usual')}, until: 2011-03-10", "accepted.0.until: there is no such key"),
    ],
)
def test_an_acceptance_needs_its_days_who_and_why(tmp_path: Path, text: str, message: str) -> None:
    shop = tmp_path / "shop.yml"
    shop.write_text(f"{MAPPING.read_text()}accepted:\n  - {{{text}}}\n")
    with pytest.raises(WrongUse, match=message):
        load_shop(Settings(home=tmp_path, shop=str(shop), _env_file=None))


def test_what_could_not_be_judged_cannot_be_accepted(
    judge_accepting: Accepting, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgetful = Batch(
        name="lines without their file",
        sql="select event_day from intake.raw.order_lines where event_day between $first and $last",
        key=("event_day",),
        expectations=[present("file_name")],
    )
    monkeypatch.setattr(raw_orders, "BATCHES", (forgetful,))
    with pytest.raises(GateFailed, match=r"on file_name of the lines without .* could not be judged"):
        judge_accepting(entry("file_name"))


def test_a_check_without_a_subject_has_not_passed(
    warehouse: duckdb.DuckDBPyConnection, settings: Settings, judge_accepting: Accepting
) -> None:
    warehouse.execute("delete from intake.raw.days where event_day < '2011-03-05'")
    names = ("lines_of_usual", "sales_of_usual")
    names += tuple(f"{name}_share" for name in BEYOND)
    reason = "there are fewer than 7 trading days before it to compare with"
    assert (
        judge_accepting(entry("lines_of_usual"))["notes"][0] == f"not judged: {', '.join(names)} ({reason})"
    )
    unjudged = {
        check["column"]: check["not_judged"]
        for batch in stored(settings)["batches"]
        for check in batch["checks"]
        if "not_judged" in check
    }
    assert unjudged == dict.fromkeys(names, reason)
