"""Ingest gives every text of a file the normal form that a look-up gives it, by every way that it takes."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from goodstanding.core.errors import WrongUse
from goodstanding.core.settings import PROJECT, Settings
from goodstanding.identity.normal_form import LONGEST_ID, normal_form
from goodstanding.identity.pseudonyms import pseudonym
from goodstanding.ingest.casts import cast
from goodstanding.ingest.normal_forms import joined_texts, read_customers, read_texts
from goodstanding.shops.mapping import Section, Shop, load_shop
from goodstanding.warehouse.files import open_intake
from goodstanding.warehouse.notices import notice_groups
from tests.goodstanding.ingest.homes import DAY, SHOPS, Home, line

KEY = b"k" * 32
texts = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=10),
    st.text("0123456789.+ \t\u00a0", max_size=8),
    st.text("aZß éİ\u0301\ufeff\u200f/%", max_size=8),
)


def shop_with(folder: Path, columns: dict[str, object] | None = None, **keys: object) -> str:
    """The path of a mapping like that of the online shop, with other columns and keys."""
    content = yaml.safe_load((PROJECT / "shops" / "online_retail.yml").read_text())
    for name, column in (columns or {}).items():
        content["columns"][name].update(column)
    path = folder / "shop.yml"
    path.write_text(yaml.safe_dump({**content, **keys}, sort_keys=False))
    return str(path)


def mapped(folder: Path, **columns: object) -> tuple[Shop, Section]:
    shop = load_shop(Settings(shop=shop_with(folder, columns), _env_file=None))
    assert shop.orders is not None
    return shop, shop.orders


def lines_of(section: Section, values: list[str | None]) -> duckdb.DuckDBPyConnection:
    """A connection with `text_lines` that hold each value in every column."""
    connection = duckdb.connect(config={"threads": 1})
    names = ", ".join(f"{name} varchar" for name in section.columns)
    connection.execute(f"create temp table text_lines (line_number bigint, {names})")
    marks = ", ".join("?" for _ in section.columns)
    for number, value in enumerate(values):
        connection.execute(
            f"insert into text_lines values (?, {marks})", [number, *[value] * len(section.columns)]
        )
    return connection


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"invoice_no": {"as": "whole_number"}, "stock_code": {"case": "lower"}},
        {"invoice_no": {"case": "upper"}, "stock_code": {"case": "keep"}},
    ],
)
def test_sql_gives_codes_the_same_normal_form_as_python(tmp_path_factory, columns) -> None:  # type: ignore[no-untyped-def]
    _, section = mapped(tmp_path_factory.mktemp("shop"), **columns)

    @settings(max_examples=40, deadline=None)
    @given(st.lists(texts, max_size=25))
    def check(values: list[str]) -> None:
        with lines_of(section, [*values, None]) as connection:
            frames = read_texts(connection, section)
            for name, frame in frames.items():
                connection.register(name, frame)
            for name in ("invoice_no", "stock_code", "description"):
                column, case = section.columns[name], section.case_of(name)
                rows = connection.execute(
                    f"select {cast(name, column, case)} from text_lines {joined_texts(frames)} "
                    "order by line_number"
                ).fetchall()
                forms = [normal_form(value, column.cast, case) for value in values]  # type: ignore[arg-type]
                assert [value for (value,) in rows] == [*forms, None]

    check()


@pytest.mark.parametrize("column", [{"as": "whole_number"}, {"as": "text"}, {"as": "text", "case": "lower"}])
def test_ingest_and_a_look_up_give_every_text_the_same_pseudonym(tmp_path_factory, column) -> None:  # type: ignore[no-untyped-def]
    shop, section = mapped(tmp_path_factory.mktemp("shop"), customer_id=column)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.one_of(texts, st.sampled_from(shop.nobody)), max_size=25, unique=True))
    def check(values: list[str]) -> None:
        with lines_of(section, [*values, None]) as connection:
            customers = read_customers(connection, section, shop.customer_ids, KEY)
        assert sorted(customers.text) == sorted(values)
        for text, stored, fault in zip(customers.text, customers.pseudonym, customers.fault, strict=True):
            try:
                assert stored == pseudonym(shop.customer_ids.require(text), KEY)
                assert not isinstance(fault, str)
            except WrongUse:
                assert not isinstance(stored, str)

    check()


# --- whole lines through ingest ---


def test_a_customer_is_one_whichever_blanks_stand_at_the_id(tmp_path: Path) -> None:
    home = Home(tmp_path, shop_with(tmp_path, {"customer_id": {"as": "text"}}))
    ways = ("K\u00e9", "K\u00e9 ", "\u00a0K\u00e9\u200b", "Ke\u0301\ufeff", '"\u202aK\u00e9\u202c\t"')
    home.put(
        *(line(invoice=number, customer=way) for number, way in enumerate(ways, 1)), line(customer="k\u00e9")
    )
    assert home.ingest()["accepted"] == 6
    assert home.accepted("customer_id") == [(home.pseudonym("K\u00e9"),)] * 5 + [(home.pseudonym("k\u00e9"),)]


def test_a_leading_zero_makes_no_other_whole_number(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.put(
        *(line(invoice=number, customer=way) for number, way in enumerate(("17850", "017850", "+17850.0"), 1))
    )
    home.ingest()
    assert home.accepted("customer_id") == [(home.pseudonym("17850"),)] * 3


def test_case_is_kept_in_ids_and_no_matter_in_codes_unless_the_mapping_says_otherwise(tmp_path: Path) -> None:
    lines = [
        line(invoice="c1", code=" 85123a", customer="k1", quantity=-1),
        line(invoice="C1", code="85123A\u00a0", customer="K1", quantity=-1),
    ]
    home = Home(tmp_path / "usual", shop_with(tmp_path, {"customer_id": {"as": "text"}}))
    home.put(*lines)
    home.ingest()
    assert home.accepted("invoice_no, invoice_kind, stock_code, customer_id") == [
        ("c1", "sale", "85123A", home.pseudonym("k1")),
        ("C1", "cancellation", "85123A", home.pseudonym("K1")),
    ]
    other = {
        "customer_id": {"as": "text", "case": "upper"},
        "stock_code": {"case": "keep"},
        "invoice_no": {"case": "upper"},
    }
    home = Home(tmp_path / "other", shop_with(tmp_path, other))
    home.put(*lines)
    home.ingest()
    # the rule for cancellations looks at the invoice as it is written
    assert home.accepted("invoice_no, invoice_kind, stock_code, customer_id") == [
        ("C1", "sale", "85123a", home.pseudonym("K1")),
        ("C1", "cancellation", "85123A", home.pseudonym("K1")),
    ]


def test_rules_and_codes_of_no_products_look_at_a_code_as_it_is_written(tmp_path: Path) -> None:
    kinds = {"adjustment": {"column": "stock_code", "matches": "^adj$"}}
    home = Home(tmp_path, shop_with(tmp_path, invoice_kinds=kinds, no_products=["Übung*"]))
    home.put(
        *(
            line(invoice=n, code=code)
            for n, code in enumerate(("\u00a0adj ", "ADJ", "U\u0308bung 7", "ÜBUNG"), 1)
        )
    )
    home.ingest()
    assert home.accepted("stock_code, invoice_kind, is_product") == [
        ("ADJ", "adjustment", True),
        ("ADJ", "sale", True),
        ("ÜBUNG 7", "sale", False),
        ("ÜBUNG", "sale", False),
    ]


def test_rules_and_codes_of_no_products_look_at_the_number_that_a_code_is(tmp_path: Path) -> None:
    columns, kinds = {"stock_code": {"as": "whole_number"}}, {"column": "stock_code", "matches": "^55$"}
    shop = shop_with(tmp_path, columns, no_products=["99", "0077"], invoice_kinds={"adjustment": kinds})
    home = Home(tmp_path, shop)
    ways = ("{}", "0{}", "{}.0", "{}\u00a0", "+{}")
    home.put(*(line(code=way.format(code)) for code in (55, 77, 99, 11) for way in ways))
    home.ingest()
    assert home.accepted("stock_code, invoice_kind, is_product") == [
        *[("55", "adjustment", True)] * 5,
        *[("77", "sale", False)] * 5,
        *[("99", "sale", False)] * 5,
        *[("11", "sale", True)] * 5,
    ]


def test_a_code_of_blanks_alone_is_missing(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.put(line(), line(code="\u00a0\u200b"), line(invoice="\ufeff"), line(description="\u3000"))
    home.ingest()
    assert home.rejected() == [(3, "stock_code: missing"), (4, "invoice_no: missing")]
    assert home.accepted("description") == [("WHITE HEART",), (None,)]


@pytest.mark.parametrize("cast_of_ids", ["text", "whole_number"])
def test_what_stands_for_nobody_makes_a_line_without_a_customer(tmp_path: Path, cast_of_ids: str) -> None:
    home = Home(tmp_path, shop_with(tmp_path, {"customer_id": {"as": cast_of_ids}}))
    words = ("NULL", "\\N", " guest", "0", "0.0", "NaN", "n/a\u00a0", "")
    home.put(*(line(invoice=number, customer=word) for number, word in enumerate(words, 1)))
    assert home.ingest()["accepted"] == len(words)
    assert home.accepted("customer_id") == [(None,)] * len(words)


def test_a_word_of_nobody_is_counted_and_told_where_it_is_new_or_more_than_usual(tmp_path: Path) -> None:
    home = Home(tmp_path, shop_with(tmp_path, {}, closed={"days": []}))
    days = [DAY + timedelta(days=n) for n in range(5)]
    guests = [2, 3, 2, 7, 2]
    for day, count in zip(days, guests, strict=True):
        words = [" Guest"] * count + ["0.0"] * (day == days[2]) + ["", "17850"]
        home.put(*(line(invoice=n, customer=word, time=day) for n, word in enumerate(words)), day=day)
    home.ingest(days[0], days[-1])
    counted = home.rows("select event_day, lines from raw.notices where message like '%guest%' order by all")
    assert counted == list(zip(days, guests, strict=True))
    with open_intake(home.settings) as connection:
        groups = notice_groups(connection, "raw.notices")
    said = "a customer_id of '{}' stands for nobody (nobody of the mapping): no customer's lines"
    assert [(group["message"], group["lines"], group["days"], group["example"]) for group in groups] == [
        (said.format("guest"), 9, 2, f"{days[3]}.csv:2"),
        (said.format("0"), 1, 1, f"{days[2]}.csv:4"),
    ]


def test_where_a_customer_is_needed_nobody_is_set_aside_and_named(tmp_path: Path) -> None:
    home = Home(tmp_path, shop_with(tmp_path, {"customer_id": {"optional": False}}, nobody=["NULL", 99]))
    home.put(*(line(invoice=n, customer=word) for n, word in enumerate(("null", "099.0", "0", "", "x"), 1)))
    home.ingest()
    nobody = "customer_id: stands for nobody (key nobody of the mapping)"
    assert home.rejected() == [
        *((2, nobody), (3, nobody), (5, "customer_id: missing"), (6, "customer_id: no whole number")),
    ]


def test_an_id_may_be_long_and_one_that_is_too_long_is_set_aside(tmp_path: Path) -> None:
    home = Home(tmp_path, shop_with(tmp_path, {"customer_id": {"as": "text"}}))
    home.put(line(customer="x" * LONGEST_ID), line(customer="x" * (LONGEST_ID + 1)))
    home.ingest()
    assert home.accepted("customer_id") == [(home.pseudonym("x" * LONGEST_ID),)]
    assert home.rejected() == [(3, f"customer_id: longer than {LONGEST_ID} characters")]


def test_a_line_set_aside_names_its_customer_in_no_way_of_writing(tmp_path: Path) -> None:
    home = Home(tmp_path, shop_with(tmp_path, {"customer_id": {"as": "text", "case": "upper"}}))
    home.put(
        line(
            invoice="cust-ÉA-1",
            customer=" Cust-éa ",
            time="2011-01-09 00:00:00",
            country="mail CUST-E\u0301A",
        ),
    )
    home.ingest()
    [(kept,)] = home.rejected("raw_text")
    assert "cust" not in kept.lower() and home.pseudonym("CUST-ÉA") in kept


# --- Parquet ---

BOOK = (
    "select '{no}' as order_id, 'X-1' as isbn, 'A' as title, 1::bigint as copies, 1 as till, "
    "timestamptz '2011-01-04 17:00:00+00' as placed_at, 9.99::double as price, {reader} as reader"
)


def book_store(folder: Path, cast_of_ids: str, *readers: str) -> Home:
    """A home that has taken in one Parquet file for each reader, written as SQL."""
    text = (SHOPS / "book_store.yml").read_text()
    mapping = folder / "books.yml"
    mapping.write_text(re.sub(r"(customer_id: .*as: )whole_number", rf"\g<1>{cast_of_ids}", text))
    assert f"as: {cast_of_ids}" in mapping.read_text()
    home = Home(folder, str(mapping))
    for number, reader in enumerate(readers):
        file = home.put_bytes(b"", f"day={DAY}/{number}.parquet")
        duckdb.execute(f"copy ({BOOK.format(no=number, reader=reader)}) to '{file}' (format parquet)")
    home.ingest()
    return home


@pytest.mark.parametrize("cast_of_ids", ["text", "whole_number"])
def test_a_whole_number_is_one_customer_by_every_type_of_a_file(tmp_path: Path, cast_of_ids: str) -> None:
    types = ("bigint", "double", "float", "decimal(12, 2)", "decimal(9, 0)", "varchar", "hugeint", "utinyint")
    ids = [f"{200 if type_ == 'utinyint' else 17850}::{type_}" for type_ in types]
    home = book_store(tmp_path, cast_of_ids, *ids, "'17850'::blob", "1e15::double")
    names = ["17850"] * 7 + ["200", "17850", "1000000000000000"]
    assert home.accepted("customer_id") == [(home.pseudonym(name),) for name in names]


def test_bytes_are_text_in_utf_8_and_set_aside_where_they_are_not(tmp_path: Path) -> None:
    home = book_store(
        tmp_path, "text", "'\\xC3\\xA9 \\xE2\\x80\\x8B'::blob", "'\u00e9'", "'\\xE9\\xFF'::blob"
    )
    assert home.accepted("customer_id") == [(home.pseudonym("\u00e9"),)] * 2
    assert home.rejected() == [(1, "customer_id: bytes that are no UTF-8")]


@pytest.mark.parametrize("number", ["9007199254740994::double", "1e16::double", "16777218::float"])
def test_a_float_that_no_longer_tells_its_neighbours_apart_is_no_id(tmp_path: Path, number: str) -> None:
    home = book_store(tmp_path, "text", number)
    assert home.rejected() == [(1, "customer_id: a float that has lost digits")]


@pytest.mark.parametrize("number", ["'nan'::double", "0::double", "-0.0::float", "0.00::decimal(5, 2)"])
@pytest.mark.parametrize("cast_of_ids", ["text", "whole_number"])
def test_a_number_of_nobody_is_nobody_by_every_type(tmp_path: Path, cast_of_ids: str, number: str) -> None:
    assert book_store(tmp_path, cast_of_ids, number).accepted("customer_id") == [(None,)]


# --- the mapping ---


@pytest.mark.parametrize(
    ("columns", "keys", "message"),
    [
        ({"customer_id": {"case": "upper"}}, {}, "case may be set with 'as: text' only"),
        ({"description": {"case": "upper"}}, {}, "columns.description.case: only customer_id, invoice_no"),
        ({"stock_code": {"case": "UPPER"}}, {}, "columns.stock_code.case"),
        (
            {},
            {
                "groups": {
                    "files": {"path": "g.csv"},
                    "columns": {
                        "customer_id": {"from": "Id", "as": "text"},
                        "sex": {"from": "Sex", "as": "text"},
                    },
                }
            },
            "groups.columns.customer_id and columns.customer_id differ in as or case",
        ),
    ],
)
def test_a_mapping_that_gives_ids_no_one_form_is_refused(tmp_path: Path, columns, keys, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(WrongUse, match=message):
        load_shop(Settings(shop=shop_with(tmp_path, columns, **keys), _env_file=None))
