"""A shop is one YAML file: other shops need no code, and errors name the key and the file."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet
import pytest
import yaml

from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import PROJECT, Settings
from goodstanding.shops.mapping import Shop, load_shop
from tests.goodstanding.ingest.homes import SHOPS, Home

ONLINE = PROJECT / "shops" / "online_retail.yml"
DAY = date(2011, 1, 5)


def shop_of(path: Path | str) -> Shop:
    return load_shop(Settings(shop=str(path), _env_file=None))


# --- other shops ---


def test_a_shop_of_semicolons_decimal_commas_and_another_zone_needs_no_code(tmp_path: Path) -> None:
    home = Home(tmp_path, str(SHOPS / "garden_store.yml"))
    home.put(
        '00017.0;ROSE;2;2011-01-05 08:00:00;"1.234,50";M-1',
        "18;bag;1;2011-01-05 08:00:00;0,1;",
        '19;"card; blue";-3;2011-01-05T10:59:59;2,5;M-1',
        "20;CARD BLUE;1;2011-01-05 08:00:00;1.50;M-1",
        name="2011/01/takings-20110105-till2.csv",
        header='Receipt;Article;Pieces;Moment;"Price, each";Member',
        end="\r\n",
    )
    assert home.ingest(DAY)["rejected"] == 1
    who = home.pseudonym("M-1")
    assert home.accepted(
        "source, invoice_no, invoice_kind, stock_code, is_product, description, quantity,"
        " cast(ordered_at as varchar), unit_price, customer_id, country"
    ) == [
        (
            *("garden_store", "17", "sale", "ROSE", True, None, 2),
            *("2011-01-05 21:00:00", Decimal("1234.5"), who, None),
        ),
        (
            *("garden_store", "18", "sale", "BAG", False, None, 1),
            *("2011-01-05 21:00:00", Decimal("0.1"), None, None),
        ),
        (
            *("garden_store", "19", "cancellation", "CARD; BLUE", True, None, -3),
            *("2011-01-05 23:59:59", Decimal("2.5"), who, None),
        ),
    ]
    [(number, reason)] = home.rejected()
    assert (number, reason.split(":")[0]) == (5, "unit_price")


def parquet(home: Home, select: str, day: date = DAY, name: str = "orders.parquet") -> None:
    file = home.put_bytes(b"", f"day={day}/{name}")
    duckdb.execute(f"copy ({select}) to '{file}' (format parquet)")


BOOK = (
    "select {order} as order_id, 'X-1' as isbn, 'A, \"B\"' as title, cast({copies} as bigint) as copies,"
    " 1 as till,"
    " timestamptz '{day} 17:00:00+00' as placed_at, cast(9.99 as double) as price, {reader} as reader"
)


def book(day: date = DAY, order: str = "7", copies: str = "1", reader: str = "17850.0::double") -> str:
    return BOOK.format(day=day, order=order, copies=copies, reader=reader)


def test_a_shop_of_parquet_files_needs_no_code(tmp_path: Path) -> None:
    home = Home(tmp_path, str(SHOPS / "book_store.yml"))
    parquet(home, f"{book()} union all {book(order='8', copies='2000000000')} union all {book(order='9')}")
    assert home.ingest(DAY) == {"files": 1, "lines": 3, "accepted": 2, "rejected": 1, "changed_customers": 1}
    assert home.accepted(
        "line_number, invoice_no, description, cast(ordered_at as varchar), unit_price, customer_id"
    ) == [
        (n, no, 'A, "B"', f"{DAY} 12:00:00", Decimal("9.99"), home.pseudonym("17850"))
        for n, no in ((1, "7"), (3, "9"))
    ]
    assert home.rejected("line_number") == [(2,)]


def test_a_parquet_file_is_read_independently_of_the_files_beside_it(tmp_path: Path) -> None:
    """If one day has integer ids and another floats, DuckDB would read both together as floats."""
    home, days = Home(tmp_path, str(SHOPS / "book_store.yml")), Days(DAY, date(2011, 1, 6))
    parquet(home, book(order="7::bigint"))
    parquet(home, book(days.last, order="8.0::double"), days.last)
    home.ingest(days.first, days.last)
    together = home.accepted("invoice_no")
    for day in days:
        home.ingest(day)
    assert home.accepted("invoice_no") == together == [("7",), ("8",)]


@pytest.mark.parametrize("content", [b"", b"PAR1 no more", b"order_id,isbn\n"])
def test_a_file_that_is_no_parquet_is_reported_by_name(tmp_path: Path, content: bytes) -> None:
    home = Home(tmp_path, str(SHOPS / "book_store.yml"))
    home.put_bytes(content, f"day={DAY}/orders.parquet")
    with pytest.raises(DataProblem, match=r"day=2011-01-05/orders\.parquet is no readable Parquet file"):
        home.ingest(DAY)


# one file is refused as its lines are read, the other as their length is taken
@pytest.mark.parametrize("rows", [1, 20_000])
def test_a_text_of_a_parquet_file_that_is_no_utf_8_is_not_repeated(tmp_path: Path, rows: int) -> None:
    home = Home(tmp_path, str(SHOPS / "book_store.yml"))
    home.settings = home.settings.model_copy(update={"max_file_mb": 1})
    parquet(home, f"{book()} from range({rows})")
    file = home.landing / f"day={DAY}" / "orders.parquet"
    table, spoiled = pyarrow.parquet.read_table(file, partitioning=None), b"SECRET\xff"
    ends = b"".join((len(spoiled) * n).to_bytes(4, "little") for n in range(rows + 1))
    buffers = [None, pyarrow.py_buffer(ends), pyarrow.py_buffer(spoiled * rows)]
    titles = pyarrow.Array.from_buffers(pyarrow.string(), rows, buffers)
    table = table.set_column(table.column_names.index("title"), "title", titles)
    pyarrow.parquet.write_table(table, file)
    with pytest.raises(
        DataProblem, match=r"orders\.parquet .*: Invalid Input Error: Invalid string"
    ) as caught:
        home.ingest(DAY)
    assert "SECRET" not in str(caught.value)


def test_a_parquet_file_without_a_mapped_column_is_reported_like_any_other(tmp_path: Path) -> None:
    home = Home(tmp_path, str(SHOPS / "book_store.yml"))
    parquet(home, f"select * exclude (price), price as amount from ({book()})")
    with pytest.raises(
        DataProblem, match=r"has no column 'price'.*columns\.unit_price\.from in book_store\.yml"
    ):
        home.ingest(DAY)


# --- days and files ---


@pytest.mark.parametrize(
    ("day", "trades"),
    [
        (date(2010, 12, 23), True),
        (date(2010, 12, 24), False),
        (date(2011, 1, 3), False),
        (date(2011, 1, 4), True),
        (date(2011, 1, 8), False),  # a Saturday
        (date(2011, 1, 9), True),
        (date(2011, 4, 29), False),
    ],
)
def test_the_online_shop_trades_except_on_saturdays_and_holidays(day: date, trades: bool) -> None:
    assert shop_of(ONLINE).trades_on(day) is trades


def test_without_closed_days_any_day_may_lack_a_file(tmp_path: Path) -> None:
    assert not shop_of(SHOPS / "garden_store.yml").trades_on(DAY)


@pytest.mark.parametrize(
    ("pattern", "names", "of_the_day"),
    [
        ("{day}.csv", ["2011-01-05.csv", "2011-01-05.csv.bak", "2011-01-06.csv"], ["2011-01-05.csv"]),
        (
            "{day}*.csv",
            ["2011-01-05.csv", "2011-01-05b.csv", "2011-01-06.csv"],
            ["2011-01-05.csv", "2011-01-05b.csv"],
        ),
        (
            "{day:%Y}/*/{day:%m%d}.csv",
            ["2011/a/0105.csv", "2011/b/0105.csv", "2010/a/0105.csv", "2011/a/0106.csv"],
            ["2011/a/0105.csv", "2011/b/0105.csv"],
        ),
        (
            "{day}/x-{day}.csv",
            ["2011-01-05/x-2011-01-05.csv", "2011-01-05/x-2011-01-06.csv"],
            ["2011-01-05/x-2011-01-05.csv"],
        ),
    ],
)
def test_files_of_a_day_are_found_by_the_pattern(
    tmp_path: Path, changed: Callable[..., Path], pattern: str, names: list[str], of_the_day: list[str]
) -> None:
    landing = tmp_path / "landing"
    for name in names:
        (landing / name).parent.mkdir(parents=True, exist_ok=True)
        (landing / name).touch()
    shop = shop_of(changed("files.path", pattern))
    assert [
        file.relative_to(landing).as_posix() for file in shop.sources[0].files_of(landing, DAY)
    ] == of_the_day


def test_first_and_last_day_are_read_from_the_file_names(
    tmp_path: Path, changed: Callable[..., Path]
) -> None:
    shop = shop_of(changed("files.path", "{day:%Y/%m}/x-{day:%Y%m%d}*.csv"))
    assert not shop.days_named(tmp_path)
    for name in (
        "x-20110105.csv",
        "x-20110131-late.csv",
        "x-20110230.csv",
        "y-20110301.csv",
        "x-20120101.csv",
    ):
        (tmp_path / "2011" / name[6:8]).mkdir(parents=True, exist_ok=True)
        (tmp_path / "2011" / name[6:8] / name).touch()
    assert shop.days_named(tmp_path) == {DAY, date(2011, 1, 31)}


def test_non_product_codes_match_as_a_whole_and_ignore_case() -> None:
    orders = shop_of(ONLINE).orders
    assert orders is not None
    pattern = orders.no_products_pattern()
    codes = ["POST", "post", "BANK CHARGES", "gift_0001_20", "GIFT_", "POSTER", "22", "xgift_1", "S"]
    matched = duckdb.execute(
        "select code from unnest(?) as codes(code) where regexp_matches(code, ?)", [codes, pattern]
    )
    assert {code for (code,) in matched.fetchall()} == {*codes[:5], "S"}
    assert not duckdb.execute(
        "select regexp_matches('', ?)",
        [orders.model_copy(update={"no_products": ()}).no_products_pattern()],
    ).fetchall()[0][0]


# --- bad mappings ---


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """Write the online shop's mapping with one key changed (or left out, where the value is None)."""

    def changed(key: str, value: Any) -> Path:
        content = yaml.safe_load(ONLINE.read_text())
        *folders, last = key.split(".")
        place = content
        for folder in folders:
            place = place[folder]
        place[last] = value
        if value is None:
            del place[last]
        path = tmp_path / "mine.yml"
        path.write_text(yaml.safe_dump(content))
        return path

    return changed


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("colour", "red", "colour: there is no such key"),
        ("columns.quantity.decimals", 2, "columns.quantity.decimals: there is no such key"),
        ("columns.colour", {"from": "Colour", "as": "text"}, "columns.colour: "),
        ("timezone", None, "timezone: is missing"),
        ("columns.unit_price", None, "columns.unit_price is missing"),
        ("columns.unit_price.from", None, "columns.unit_price.from: is missing"),
        ("columns.unit_price.as", "float", "columns.unit_price.as: "),
        ("columns.unit_price.as", "text", "columns.unit_price.as is 'text'; it must be decimal"),
        ("columns.customer_id.as", "integer", "columns.customer_id.as is 'integer'; it must be text or"),
        ("columns.quantity.optional", True, "columns.quantity.optional: "),
        (
            "columns.quantity.format",
            "%d",
            "columns.quantity: format may be set with 'as: timestamp or date' only",
        ),
        ("columns.country.zone", "UTC", "columns.country: zone may be set with 'as: timestamp' only"),
        ("columns.country.decimal_mark", ",", "columns.country: decimal_mark may be set with"),
        ("columns.unit_price.thousands_mark", ".", "columns.unit_price: decimal_mark and thousands_mark are"),
        ("columns.ordered_at.format", "%d.%Q", "columns.ordered_at.format: '%d.%Q' is no time format"),
        ("columns.ordered_at.zone", "Mars", "columns.ordered_at.zone: 'Mars' is no time zone"),
        ("timezone", "Europe/Londn", "timezone: 'Europe/Londn' is no time zone"),
        ("timezone", "../London", "timezone: '../London' is no time zone"),
        ("timezone", "Europe", "timezone: 'Europe' is no time zone"),
        ("currency", "pounds", "currency: "),
        ("source", "Online Retail", "source: "),
        ("files.path", "{day:%Y-%m}.csv", "files.path: must name year, month and day"),
        ("files.path", "{day:%Y-%m-%d-%H}.csv", "files.path: must name year, month and day"),
        ("files.path", "{date}.csv", "files.path: may hold {day}, * and plain characters"),
        ("files.path", "", "files.path: may hold {day}, * and plain characters"),
        ("files.path", "**/orders.csv", "files.path: may hold {day}, * and plain characters"),
        ("files.path", "../orders.csv", "files.path: must lie within the landing"),
        ("files.path", "{day}-{shop}.csv", "files.path: may hold {day}, * and plain characters"),
        ("files.path", "**/{day}.csv", "files.path: may hold {day}, * and plain characters"),
        ("files.path", "/data/{day}.csv", "files.path: must lie within the landing"),
        ("files.path", "../{day}.csv", "files.path: must lie within the landing"),
        ("files.format", "xlsx", "files.format: "),
        ("files.delimiter", "||", "files.delimiter: "),
        ("files.delimiter", '"', "files.delimiter: must be an ASCII character"),
        ("files.encoding", "latin-one", "files.encoding: 'latin-one' is no encoding that Python knows"),
        ("files.encoding", "", "files.encoding: '' is no encoding that Python knows"),
        ("files.encoding", "base64", "files.encoding: 'base64' is no encoding"),
        ("files.encoding", "rot13", "files.encoding: 'rot13' is no encoding"),
        ("files.encoding", "idna", "files.encoding: 'idna' is no encoding"),
        ("files.encoding", "unicode_escape", "files.encoding: 'unicode_escape' is no encoding"),
        ("files.last_line_break", "sometimes", "files.last_line_break: "),
        ("files.rows_of_other_days", "keep", "files.rows_of_other_days: "),
        ("files", {"path": "{day}", "format": "parquet", "encoding": "latin-1"}, "files: encoding may be"),
        ("invoice_kinds.adjustment.matches", "(A", "invoice_kinds.adjustment.matches: '(A' is no regular"),
        ("invoice_kinds.cancellation.matches", "(?=C)", "invoice_kinds.cancellation.matches: '(?=C)' is no"),
        ("invoice_kinds.cancellation.column", "country", "invoice_kinds.cancellation.column: "),
        ("no_products", ["POST", {"M": 1}], "no_products.1: "),
        ("closed.weekdays", ["caturday"], "closed.weekdays.0: "),
        ("closed.days", ["2011-02-30"], "closed.days: '2011-02-30' is no day"),
        ("closed.days", ["2011-02-03 to 2011-02-01"], "closed.days: the range of days ends"),
        ("closed.days", ["2011-02-03 to 2011-02-04 to 2011-02-05"], "closed.days: "),
        ("closed.days", "2011-02-03", "closed.days: must be a list"),
    ],
)
def test_a_bad_mapping_names_the_key_and_the_file(
    changed: Callable[..., Path], key: str, value: Any, message: str
) -> None:
    path = changed(key, value)
    with pytest.raises(WrongUse) as problem:
        shop_of(path)
    assert str(problem.value).startswith(f"{path}: {message}")
    assert "\n" not in str(problem.value)


RETURNS = {
    "files": {"path": "r-{day}.csv"},
    "columns": {
        "customer_id": {"from": "c", "as": "whole_number"},
        "invoice_no": {"from": "i", "as": "text"},
        "returned_at": {"from": "t", "as": "timestamp"},
    },
}
PAYMENTS = {
    "files": {"path": "p-{day}.csv"},
    "columns": {
        "customer_id": {"from": "c", "as": "whole_number"},
        "amount": {"from": "a", "as": "decimal"},
        "due_day": {"from": "d", "as": "date"},
    },
}
GROUPS = {
    "files": {"path": "groups.csv"},
    "columns": {"customer_id": {"from": "c", "as": "whole_number"}, "sex": {"from": "s", "as": "text"}},
}


def _with(section: dict[str, Any], part: str, **keys: Any) -> dict[str, Any]:
    return {**section, part: {**section[part], **keys}}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        *(
            ("files", {"path": "{day}", "format": "parquet", key: value}, f"files: {key} may be set with")
            for key, value in (("delimiter", ";"), ("encoding", "latin-1"), ("last_line_break", "optional"))
        ),
        (
            "returns",
            _with(RETURNS, "files", format="parquet", delimiter=","),
            "returns.files: delimiter may be set with 'format: csv' only",
        ),
        (
            "groups",
            _with(GROUPS, "files", format="parquet", delimiter=","),
            "groups.files: delimiter may be set with 'format: csv' only",
        ),
        *(
            (
                "payments",
                _with(PAYMENTS, "files", rows_of_other_days=value),
                "payments: files.rows_of_other_days: needs columns.recorded_at",
            )
            for value in ("set_aside", "take_in")
        ),
        (
            "payments",
            {**PAYMENTS, "amounts": "each"},
            "payments: amounts: 'each' needs columns.paid_amount, which says how much a payment was",
        ),
        ("returns", {**RETURNS, "amounts": "each"}, "returns.amounts: there is no such key"),
        (
            "groups",
            _with(GROUPS, "columns", sex={"from": "s", "as": "text", "optional": True}),
            "groups: columns.sex.optional: a group may always be blank",
        ),
        ("mapping_file", "mine.yml", "mapping_file: there is no such key"),
        ("returns", {**RETURNS, "mapping_file": "mine.yml"}, "returns.mapping_file: there is no such key"),
        ("returns", {**RETURNS, "no_products": ["M"]}, "returns.no_products: there is no such key"),
        ("columns.customer_id.case", "lower", "columns.customer_id: case may be set with 'as: text' only"),
        ("columns.quantity.zone", "UTC", "columns.quantity: zone may be set with"),
        ("columns.quantity.thousands_mark", ",", "columns.quantity: thousands_mark may be set with"),
        ("columns.country.case", "lower", "columns: columns.country.case: only"),
    ],
)
def test_a_key_that_would_do_nothing_is_refused(
    changed: Callable[..., Path], key: str, value: Any, message: str
) -> None:
    path = changed(key, value)
    with pytest.raises(WrongUse) as problem:
        shop_of(path)
    assert str(problem.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "invoices",
            {"missing_customer": "leave"},
            "invoices.missing_customer: no line may lack its customer",
        ),
        ("limits", {"share_without_customer": 0.5}, "limits.share_without_customer: no line may lack its"),
    ],
)
def test_a_key_about_lines_without_a_customer_needs_that_there_may_be_some(
    tmp_path: Path, changed: Callable[..., Path], key: str, value: Any, message: str
) -> None:
    path = changed(key, value)
    shop_of(path)
    content = yaml.safe_load(path.read_text())
    del content["columns"]["customer_id"]["optional"]
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(WrongUse) as problem:
        shop_of(path)
    assert str(problem.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    ("key", "value"), [("closed", {"weekdays": ["sunday"]}), ("invoices", {"number_again": "stop"})]
)
def test_a_key_of_orders_is_refused_where_there_are_none(tmp_path: Path, key: str, value: Any) -> None:
    path = tmp_path / "mine.yml"
    content = {"source": "s", "timezone": "UTC", "currency": "GBP", "payments": PAYMENTS, key: value}
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(WrongUse) as problem:
        shop_of(path)
    assert str(problem.value) == f"{path}: {key}: the shop has no orders; leave it out"


def test_a_time_zone_together_with_an_offset_in_the_format_is_refused(changed: Callable[..., Path]) -> None:
    path = changed("columns.ordered_at", {"from": "T", "as": "timestamp", "format": "%c %z", "zone": "UTC"})
    with pytest.raises(WrongUse, match=r"columns\.ordered_at: zone contradicts the offset in format"):
        shop_of(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"source: [", "no readable YAML"),
        (b"source: caf\xe9", "no readable YAML"),
        (b"", "must hold the keys source, timezone"),
        (b"- a list", "must hold the keys source, timezone"),
    ],
)
def test_a_file_that_is_no_mapping_is_reported(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "mine.yml"
    path.write_bytes(content)
    with pytest.raises(WrongUse) as problem:
        shop_of(path)
    assert str(problem.value).startswith(f"{path}: {message}")
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize("name", ["nowhere", "/nowhere/shop.yml"])
def test_the_error_for_a_missing_mapping_names_the_setting(name: str) -> None:
    with pytest.raises(WrongUse, match=r"GOODSTANDING_SHOP: there is no mapping .*nowhere"):
        shop_of(name)


def test_a_key_twice_in_a_mapping_stops_with_its_lines(use_settings, tmp_path):
    path = tmp_path / "mine.yml"
    written = ONLINE.read_text()
    path.write_text(f"{written}no_products: [M]\n")
    first = (
        written.splitlines().index(next(t for t in written.splitlines() if t.startswith("no_products"))) + 1
    )
    again = f"line {len(written.splitlines()) + 1}: the key no_products stands here again after line {first}"
    with pytest.raises(WrongUse, match=again):
        load_shop(use_settings(shop=path))


def test_codes_of_a_mapping_come_as_they_are_written(use_settings, tmp_path):
    path = tmp_path / "mine.yml"
    codes = ("0123", "NO", "on", "1_000", "12:30", "2011-12-01", "NULL", "1.10")
    text = re.sub(r"no_products: \[.*\]", f"no_products: [{', '.join(codes)}]", ONLINE.read_text())
    path.write_text(text)
    assert load_shop(use_settings(shop=path)).orders.no_products == codes
