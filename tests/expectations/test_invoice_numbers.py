"""Gate 1 stops days whose invoice numbers come again, or have several customers, where it is told to."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from expectations.gate import run_gate
from goodstanding.core.days import Days
from goodstanding.core.errors import GateFailed
from goodstanding.warehouse.files import open_intake, open_warehouse
from tests.goodstanding.ingest.homes import DAY, Home
from tests.goodstanding.ingest.test_invoices import NEXT, A, B, home_saying, sale, told


def judged(home: Home, first: date, last: date | None = None) -> str:
    """What gate 1 says of the days; a day that passes is admitted."""
    days = Days(first, last or first)
    home.ingest(days.first, days.last)
    with open_warehouse(home.settings) as connection:
        try:
            run_gate(connection, "raw_orders", days, "run", home.settings)
        except GateFailed as stop:
            return str(stop)
    with open_intake(home.settings) as connection:
        connection.execute(
            "update raw.days set admitted = true where event_day between ? and ?", [days.first, days.last]
        )
    return ""


def test_a_number_that_comes_again_stops_its_day_where_the_mapping_says_so(tmp_path: Path) -> None:
    home = home_saying(tmp_path, "number_again: stop")
    home.put(sale(A), sale(A, code="Y"))
    home.put(sale(A, day=NEXT), sale(A, invoice="2", day=NEXT), day=NEXT)
    stopped = judged(home, DAY, NEXT)
    assert f"stops {NEXT}: 1 of " in stopped
    assert "invoices.number_again in the mapping says stop" in stopped
    assert f"1 of 4 rows, such as {NEXT}.csv:2." in stopped
    assert told(home) == {}
    # whichever of the two comes first
    assert judged(home, NEXT).count(f"{NEXT}.csv:2") == 1
    assert f"stops {NEXT}: " in judged(home, DAY)
    (tmp_path / "late").mkdir()
    late = home_saying(tmp_path / "late", "number_again: stop")
    for name in (f"{DAY}.csv", f"{NEXT}.csv"):
        (home.landing / name).rename(late.landing / name)
    assert not judged(late, NEXT)
    stopped = judged(late, DAY)
    assert f"stops {NEXT}: 1 of " in stopped
    assert f"1 of 3 rows, such as {NEXT}.csv:2." in stopped


def test_two_customers_of_a_number_stop_their_day_where_the_mapping_says_so(tmp_path: Path) -> None:
    home = home_saying(tmp_path, "two_customers: stop")
    home.put(sale(A), sale(B, code="Y"), sale(code="Z"), sale(A, invoice="2"), sale(invoice="2", code="Y"))
    home.put(sale(A, day=NEXT), day=NEXT)
    stopped = judged(home, DAY, NEXT)
    assert "invoices.two_customers in the mapping says stop" in stopped
    assert f"3 of 6 rows, such as {DAY}.csv:2, {DAY}.csv:3, {DAY}.csv:4." in stopped
    assert set(told(home)) == {"missing_customer", "number_again"}
    assert not judged(home, NEXT)


def test_the_gate_says_nothing_of_numbers_unless_told_to(tmp_path: Path) -> None:
    home = home_saying(tmp_path)
    home.put(sale(A), sale(B, code="Y"))
    home.put(sale(A, day=NEXT), day=NEXT)
    assert not judged(home, DAY, NEXT)
    assert set(told(home)) == {"two_customers", "number_again"}
