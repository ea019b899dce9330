"""Ingest of a file: which lines are accepted, which are set aside, and which customers count as changed."""

from __future__ import annotations

import logging
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

import goodstanding.ingest.load as load
import goodstanding.ingest.partitions as partitions
from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem, DayNotOver, WrongUse
from goodstanding.core.settings import PROJECT, Settings
from goodstanding.warehouse.files import open_intake
from tests.goodstanding.ingest.homes import DAY, HEADER, SHOPS, Home, line

SATURDAY = date(2011, 1, 8)
BOM = b"\xef\xbb\xbf"


# --- a file is missing, empty or not what the mapping says ---


def test_a_missing_file_on_a_trading_day_stops_the_whole_range_and_names_day_and_path(home: Home) -> None:
    home.put(line())
    home.ingest()
    before = home.everything()
    home.put(line(price="9.99"))
    with pytest.raises(DataProblem) as problem:
        home.ingest(DAY, date(2011, 1, 5))
    assert "2011-01-05" in str(problem.value)
    assert str(home.landing / "2011-01-05.csv") in str(problem.value)
    assert home.everything() == before


def test_a_missing_file_on_a_day_without_trade_is_a_day_without_lines(home: Home) -> None:
    assert home.ingest(SATURDAY)["files"] == 0
    assert home.rows("select event_day, files, lines, accepted, rejected from raw.days") == [
        (SATURDAY, 0, 0, 0, 0)
    ]


def test_a_day_long_after_the_newest_file_is_refused_as_the_export_may_have_ended(home: Home) -> None:
    home.put(line())
    assert home.ingest(date(2011, 1, 29))["files"] == 0  # a Saturday, 25 days later
    with pytest.raises(DataProblem, match=r"is of 2011-01-04, .* is the shop's export still running\?"):
        home.ingest(date(2011, 2, 5))  # the next one, 32 days later


def test_a_missing_landing_is_reported_by_its_path(home: Home) -> None:
    home.landing.rmdir()
    with pytest.raises(WrongUse, match=r"there is no landing .*GOODSTANDING_LANDING"):
        home.ingest()


def test_a_day_that_is_not_over_is_refused_before_anything_is_read(home: Home) -> None:
    with pytest.raises(DayNotOver):
        home.ingest(date(2900, 1, 1))


# --- the content of a line ---


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"invoice": " "}, "invoice_no: missing"),
        ({"code": ""}, "stock_code: missing"),
        ({"quantity": ""}, "quantity: missing"),
        ({"quantity": "3.7"}, "quantity: no whole number within"),
        ({"quantity": "1000000001"}, "quantity: no whole number within"),
        ({"quantity": "9" * 30}, "quantity: no whole number within"),
        ({"time": "04/01/2011 08:26"}, "ordered_at: no time as the mapping writes it"),
        ({"time": "2011-01-05 00:00:00"}, "ordered_at: a row of 2011-01-05 in the file of 2011-01-04"),
        ({"time": "2011-01-03 23:59:59"}, "ordered_at: a row of 2011-01-03 in the file of 2011-01-04"),
        ({"price": "1e308"}, "unit_price: no amount"),
        (
            {"price": "10000000000"},
            "unit_price: no amount as the mapping writes it, below 10,000,000,000",
        ),
        ({"invoice": "C536365", "price": "-0.01"}, "unit_price: negative on a cancellation"),
        ({"customer": "17850.5"}, "customer_id: no whole number"),
        ({"customer": "N.N."}, "customer_id: no whole number"),
    ],
)
def test_an_unusable_line_is_set_aside_with_its_reason(
    home: Home, fields: dict[str, str], reason: str
) -> None:
    home.put(line(invoice=1), line(**{"invoice": 2, **fields}), line(invoice=3))
    assert home.ingest()["accepted"] == 2
    [(number, stored_reason, file_hash)] = home.rejected("line_number, reason, file_hash")
    assert number == 3
    assert stored_reason.startswith(reason)
    assert [(file_hash,)] == home.rows("select file_hash from raw.files")


def test_an_accepted_line_has_every_column_typed(home: Home) -> None:
    home.put(line(quantity="-6", price="2.5500", description=" HEART "))
    home.ingest()
    assert home.accepted(
        "source, event_day, file_name, line_number, invoice_no, invoice_kind, stock_code, is_product,"
        " description, quantity, cast(ordered_at as varchar), unit_price, customer_id, country"
    ) == [
        (
            *("online_retail", DAY, "2011-01-04.csv", 2, "536365", "sale", "85123A", True, "HEART", -6),
            *("2011-01-04 08:26:00", Decimal("2.5500"), home.pseudonym("17850"), "United Kingdom"),
        )
    ]


def test_kinds_and_codes_that_are_no_products_follow_the_mapping(home: Home) -> None:
    home.put(
        line(invoice="C1", quantity=-1),
        line(invoice="A2", code="B", price="-11062.06", customer=""),
        line(invoice="3", code="post"),
        line(invoice="4", code="gift_0001_20"),
        line(invoice="5", code="POSTER"),
    )
    home.ingest()
    assert home.accepted("invoice_no, invoice_kind, is_product, unit_price < 0") == [
        ("C1", "cancellation", True, False),
        ("A2", "adjustment", False, True),
        ("3", "sale", False, False),
        ("4", "sale", False, False),
        ("5", "sale", True, False),
    ]


def test_first_and_last_second_belong_to_the_day(home: Home) -> None:
    home.put(line(invoice=1, time="2011-01-04 00:00:00"), line(invoice=2, time="2011-01-04 23:59:59"))
    assert home.ingest()["accepted"] == 2


def test_a_day_without_any_customer_is_taken_in(home: Home) -> None:
    home.put(line(customer=""), line(customer="  "))
    assert home.ingest()["accepted"] == 2
    assert home.accepted("customer_id") == [(None,), (None,)]


def test_different_spellings_of_one_id_are_one_customer(home: Home) -> None:
    home.put(*(line(customer=text) for text in ("17850.0", "17850", " 17850.00 ", "17850.")))
    home.ingest()
    assert set(home.accepted("customer_id")) == {(home.pseudonym("17850"),)}


# --- replacing a partition ---


def forget_changes(home: Home) -> None:
    with open_intake(home.settings) as connection:
        connection.execute("delete from raw.changes")
        connection.execute("update raw.days set admitted = true, transformed_version = version")


def changed(home: Home) -> set[tuple[date, str | None]]:
    return set(home.rows("select event_day, customer_id from raw.changes"))


def test_a_new_day_records_all_its_customers_and_itself_as_changed(home: Home) -> None:
    home.put(line(customer=1), line(customer=2), line(customer=""))
    assert home.ingest()["changed_customers"] == 2
    assert changed(home) == {(DAY, None)}


def test_the_same_file_again_changes_nothing_and_stays_admitted(home: Home) -> None:
    home.put(line(customer=1), line(customer=2, quantity="3.7"))
    home.ingest()
    forget_changes(home)
    before = home.rows("select version, transformed_version from raw.days")
    lines = home.accepted("*")
    assert home.ingest()["changed_customers"] == 0
    assert changed(home) == set()
    assert home.accepted("*") == lines
    assert home.rows("select version, transformed_version from raw.days") == before
    assert home.rows("select admitted from raw.days") == [(True,)]


def test_one_corrected_line_marks_only_its_product_as_changed(home: Home) -> None:
    home.put(line(code="10001"), line(code="10002"))
    home.ingest()
    forget_changes(home)
    home.put(line(code="10001"), line(code="10002", price="2.56"))
    home.ingest()
    noted = home.rows("select kind, stock_code from raw.changes order by 1")
    assert noted == [("day", None), ("order_line", "10002")]


def test_one_corrected_line_marks_only_its_customer_and_the_day_is_judged_again(home: Home) -> None:
    home.put(line(customer=1), line(customer=2), line(customer=3))
    home.ingest()
    forget_changes(home)
    home.put(line(customer=1), line(customer=2, price="2.56"), line(customer=3))
    home.ingest()
    assert changed(home) == {(DAY, None), (DAY, home.pseudonym("2"))}
    assert home.rows("select admitted from raw.days") == [(False,)]


def test_a_line_that_moves_to_another_customer_marks_both_as_changed(home: Home) -> None:
    home.put(line(customer=1), line(customer=2))
    home.ingest()
    forget_changes(home)
    home.put(line(customer=1), line(customer=3))
    home.ingest()
    assert changed(home) == {(DAY, None), (DAY, home.pseudonym("2")), (DAY, home.pseudonym("3"))}


def test_a_removed_line_marks_its_customer_as_changed_and_is_deleted(home: Home) -> None:
    home.put(line(customer=1), line(customer=2))
    home.ingest()
    forget_changes(home)
    home.put(line(customer=1))
    home.ingest()
    assert changed(home) == {(DAY, None), (DAY, home.pseudonym("2"))}
    assert home.accepted("customer_id") == [(home.pseudonym("1"),)]


def test_a_line_that_becomes_unreadable_marks_its_customer_as_changed(home: Home) -> None:
    home.put(line(customer=1), line(customer=2))
    home.ingest()
    forget_changes(home)
    home.put(line(customer=1), line(customer=2, quantity="x"))
    home.ingest()
    assert changed(home) == {(DAY, None), (DAY, home.pseudonym("2"))}


@pytest.mark.parametrize("file_goes", [True, False])
def test_a_day_that_becomes_empty_marks_all_its_customers_as_changed(home: Home, file_goes: bool) -> None:
    there = line(customer=1, time="2011-01-08 08:00:00")
    file = home.put(there, there.replace(",1,", ",2,"), day=SATURDAY)
    home.ingest(SATURDAY)
    forget_changes(home)
    if file_goes:
        file.unlink()
    else:
        home.put(day=SATURDAY)
    home.ingest(SATURDAY)
    assert changed(home) == {(SATURDAY, None), *((SATURDAY, home.pseudonym(who)) for who in "12")}
    assert home.accepted("*") == []
    assert home.rows("select lines, accepted from raw.days") == [(0, 0)]


def test_only_the_requested_days_are_replaced(home: Home) -> None:
    other_day = date(2011, 1, 5)
    home.put(line())
    home.put(line(time="2011-01-05 08:00:00"), day=other_day)
    home.ingest(DAY, other_day)
    home.put(line(price="9.99"))
    home.put(line(time="2011-01-05 08:00:00", price="9.99"), day=other_day)
    home.ingest(other_day)
    assert home.accepted("event_day, unit_price") == [(DAY, Decimal("2.55")), (other_day, Decimal("9.99"))]


def test_a_range_taken_in_by_parts_equals_the_range_at_once_also_the_second_time(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    days = [DAY + timedelta(days=n) for n in (0, 1, 2, 3, 5)]  # with a Saturday without a file in between
    homes = {lines: Home(tmp_path / f"{lines}") for lines in (load.PART_LINES, 5, 1)}
    for month, changed in ((2, days), (3, days[1:3])):
        for day in changed:
            lines = (line(time=f"{day} 08:26:00", invoice=n + month, quantity=n or "x") for n in range(4))
            home.put(*lines, day=day)
        monkeypatch.setattr(load, "now_utc", lambda month=month: datetime(2011, month, 1))
        taken = []
        for part_lines, other_home in homes.items():
            monkeypatch.setattr(load, "PART_LINES", part_lines)
            other_home.settings = other_home.settings.model_copy(
                update={"landing": home.landing, "pseudonym_key": SecretStr("ab" * 32)}
            )
            other_home.landing = home.landing
            counts = other_home.ingest(days[0], days[-1])
            taken.append((counts, other_home.everything()))
        assert taken[0][0]["lines"] == 20 and taken[0][0]["rejected"] == 5
        assert taken[0] == taken[1] == taken[2]


def test_an_error_inside_the_replace_leaves_the_old_partition(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.put(line(), line(invoice=2, quantity="x"))
    home.ingest()
    before = home.everything()
    home.put(line(price="9.99"))

    def fail(*_: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(partitions, "_check_nothing_lost", fail)
    with pytest.raises(RuntimeError, match="power cut"):
        home.ingest()
    assert home.everything() == before


def test_a_lost_line_is_noticed_and_nothing_is_changed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.put(line(invoice=1), line(invoice=2))
    load_text = load.load_text

    def lose_one(connection, *rest) -> None:  # type: ignore[no-untyped-def]
        load_text(connection, *rest)
        connection.execute("delete from text_lines where line_number = 3")

    monkeypatch.setattr(load, "load_text", lose_one)
    with pytest.raises(
        DataProblem, match=r"2011-01-04\.csv has 2 lines, but 1 were accepted and 0 set aside"
    ):
        home.ingest()
    assert not any(home.everything().values())


# --- one home, one shop, one key ---


def test_a_home_belongs_to_one_shop(home: Home, tmp_path: Path) -> None:
    home.put(line())
    home.ingest()
    other = Home(tmp_path / "other", str(SHOPS / "garden_store.yml"))
    other.settings = other.settings.model_copy(update={"home": home.settings.home})
    before = home.everything()
    with pytest.raises(WrongUse, match="holds the shop online_retail, the landing is of garden_store"):
        other.ingest()
    assert home.everything() == before


@pytest.mark.parametrize("simulated_first", [True, False])
def test_a_home_is_simulated_or_real(home: Home, simulated_first: bool) -> None:
    marker = home.landing / "SIMULATED"
    home.put(line())
    if simulated_first:
        marker.touch()
    home.ingest()
    assert home.rows("select simulated from raw.days") == [(simulated_first,)]
    if simulated_first:
        marker.unlink()
    else:
        marker.touch()
    with pytest.raises(WrongUse, match="GOODSTANDING_HOME to a folder of its own"):
        home.ingest()


def test_a_home_refuses_another_key_as_its_customers_would_double(home: Home) -> None:
    home.put(line())
    home.ingest()
    (home.settings.home / "pseudonym.key").unlink()
    with pytest.raises(WrongUse, match="another key: restore GOODSTANDING_PSEUDONYM_KEY"):
        home.ingest()


# --- privacy ---

IDS = [f"7700{n:04}" for n in range(40)]
SHAPES = {
    "accepted": line(invoice="GOOD", customer="{}.0"),
    "other day": line(time="2011-01-05 00:00:00", customer="{}.0"),
    "next day": line(time="2011-01-05 09:00:00", customer="{}"),
    "next day, id repeated": line(
        time="2011-01-05 09:00:00", customer="{}.0", description="FOR {}", country="x{}x"
    ),
    "quantity": line(quantity="3.7", customer="{}.0"),
    "price": line(price="1e308", customer="{}.0", description="FOR {}"),
    "time": line(time="{}", customer="{}"),
    "blank invoice": line(invoice="", customer="{}.0"),
    "half customer": line(customer="{}.5"),
    "customer with a letter": line(customer="K{}"),
    # an extra delimiter in the description and no country: the price ends up in the place of the customer
    "shifted right": line(description="WHITE, HEART", price="2", customer="{}.0").rpartition(",")[0],
    "shifted left": line(customer="{}.0").partition(",")[2] + ",x",
    "too many columns": line(customer="{}.0") + ",more",
    "too few columns": line(customer="{}.0").rpartition(",")[0],
    "a stray quote": line(description='"HEART', customer="{}.0"),
    "text beside quotes": line(description='"HEART"S', customer="{}.0"),
    "NUL": line(description="A\0B", customer="{}.0"),
    "not UTF-8": line(description="CAF\udce9", customer="{}.0"),
    "of two lines": line(description='"A\nB"', quantity="x", customer="{}.0"),
    "other digits": line(quantity="x", customer="{}.0", description="\u0667\u0667"),
    "cut off": line(customer="{}").rpartition(",")[0],
}


def test_no_raw_customer_is_stored_or_logged_whatever_is_wrong_with_the_line(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    text = "\n".join(shape.replace("{}", IDS[n]) for n, shape in enumerate(SHAPES.values()))
    home.put_bytes(f"{HEADER}\n{text}".encode("utf-8", "surrogateescape"))
    counts = home.ingest()
    assert (counts["accepted"], counts["rejected"]) == (1, len(SHAPES) - 1)
    with open_intake(home.settings) as connection:
        connection.execute("checkpoint")
    # DuckDB may compress a column, so the bytes alone prove little: check every value of every table, too
    places = {str(path): path.read_bytes() for path in home.settings.home.rglob("*") if path.is_file()}
    places |= {table: str(rows).encode() for table, rows in home.everything().items()}
    places["log"] = caplog.text.encode()
    assert b"GOOD" in places["raw.order_lines"]
    assert home.pseudonym(IDS[0]).encode() in places["raw.order_lines"]
    assert b"GOOD" in places[str(home.settings.warehouse / "intake.duckdb")]
    found = [
        (name, where)
        for name, id in zip(SHAPES, IDS, strict=False)
        for where in places
        if id.encode() in places[where]
    ]
    assert found == []


def test_a_line_set_aside_keeps_its_impersonal_fields(home: Home) -> None:
    home.put(
        line(invoice=1, description='"A ""B"", C"', time="2011-01-05 08:26:00", country="of 17850"),
        line(invoice=2, quantity="3.7"),
    )
    home.ingest()
    who = home.pseudonym("17850")
    assert home.rejected("raw_text") == [
        (f'1,85123A,"A ""B"", C",6,2011-01-05 08:26:00,2.55,{who},xx 99999',),
        ("9,99999x,xxxxx xxxxx,9.9,9999-99-99 99:99:99,9.99,99999.9,xxxxxx xxxxxxx",),
    ]


# --- the real year ---


def test_the_real_year_is_taken_in_completely(real_landing: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, landing=real_landing, _env_file=None)
    counts = load.ingest(settings, Days(date(2010, 12, 1), date(2011, 12, 9)), "test")
    assert counts == {
        "files": 305,
        "lines": 541_909,
        "accepted": 541_909,
        "rejected": 0,
        "changed_customers": 4_372,
    }
    with open_intake(settings) as connection:
        assert connection.execute(
            "select count(*), count(distinct customer_id), sum(quantity * unit_price) from raw.order_lines"
        ).fetchall() == [(541_909, 4_372, Decimal("9747747.9340"))]
        assert connection.execute("select count(*), count_if(lines = 0) from raw.days").fetchall() == [
            (374, 69)
        ]
        numbers = connection.execute(
            "select line_number, invoice_no from raw.order_lines where event_day = ? order by line_number",
            [date(2011, 12, 5)],
        ).fetchall()
    physical = (real_landing / "2011-12-05.csv").read_text().splitlines()
    assert [physical[number - 1].partition(",")[0] for number, _ in numbers] == [no for _, no in numbers]


def test_a_file_cut_in_its_last_field_keeps_its_last_line_aside_until_it_comes_whole(home: Home) -> None:
    whole = f"{HEADER}\n{line(invoice=1)}\n{line(invoice=2)}\n".encode()
    for cut in (1, 4, len("United Kingdom\n")):
        home.put_bytes(whole[:-cut])
        assert home.ingest()["rejected"] == 1
        assert [number for number, _ in home.rejected()] == [3]
        assert "cut off: the file ends without a line break" in home.rejected()[0][1]
    home.put_bytes(whole)
    assert home.ingest()["rejected"] == 0
    assert home.accepted("invoice_no") == [("1",), ("2",)]


def test_a_file_in_the_encoding_of_the_mapping_gives_the_tables_of_one_in_utf_8(tmp_path: Path) -> None:
    mapping = (PROJECT / "shops" / "online_retail.yml").read_text()
    tables = []
    for encoding in ("utf-8", "latin-1", "mac-roman"):
        shop = tmp_path / f"{encoding}.yml"
        shop.write_text(mapping.replace('path: "{day}.csv"', f'path: "{{day}}.csv"\n  encoding: {encoding}'))
        home = Home(tmp_path / encoding, str(shop))
        text = "".join(f"{one}\n" for one in (HEADER, line(country="C\u00f4te d'Ivoire"), line(price="dear")))
        home.put_bytes(text.encode(encoding))
        home.ingest()
        tables.append((home.accepted("invoice_no, country, unit_price"), home.rejected()))
    assert tables[0] == tables[1] == tables[2]
    assert tables[0][0][0][1] == "C\u00f4te d'Ivoire"
