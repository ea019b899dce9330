"""Payments, returns and deliveries are taken in like orders; a shop without them is unaffected."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import Settings
from goodstanding.ingest.landed import days_in_landing
from goodstanding.ingest.load import ingest
from goodstanding.shops.kinds import KINDS, OPTIONAL_KINDS
from goodstanding.shops.mapping import load_shop
from goodstanding.warehouse.files import open_intake
from tests.goodstanding.ingest.homes import DAY, Home, line
from tests.shop import ACCOUNT_HEADERS, mapping, write_accounts

NEXT = DAY + timedelta(days=1)
PAID = f"payments:A1,11,card,1,25.50,{DAY},{DAY},0,100"
OPEN = f"payments:A1,11,debit,2,25.50,{NEXT},,25.50,100"
STATEMENT = f"payments:,12,,,9.0001,{DAY},,,"
REFUSED = f"returns:A2,12,{DAY} 09:00:00,refused,10"
RETURNED = f"returns:A1,11,{DAY} 09:30:00,too large,"
HANDED_OVER = f"deliveries:A2,12,{DAY} 09:00:00,cod"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, str(mapping(tmp_path, accounts=True)))


def test_every_kind_reaches_its_table_typed_and_with_pseudonyms(home: Home) -> None:
    home.put(line())
    write_accounts(home.landing, DAY, [PAID, OPEN, STATEMENT, REFUSED, RETURNED, HANDED_OVER])
    counts = home.ingest()
    assert counts == {"files": 4, "lines": 7, "accepted": 7, "rejected": 0, "changed_customers": 3}
    ann, bob = home.pseudonym("11"), home.pseudonym("12")
    money, limit = Decimal("25.5"), Decimal(100)
    payments = home.rows(
        "select * exclude (source, file_hash, method, recorded_at_utc) from raw.payments order by all"
    )
    file = f"payments/{DAY}.csv"
    assert payments == [
        (DAY, file, 2, "A1", ann, "e_payment", 1, money, DAY, DAY, None, True, False, None, 0, limit, None),
        (
            DAY,
            file,
            3,
            "A1",
            ann,
            "auto_billed",
            2,
            money,
            NEXT,
            None,
            None,
            True,
            False,
            None,
            money,
            limit,
            None,
        ),
        (
            *(DAY, file, 4, None, bob, "e_payment", None, Decimal("9.0001"), DAY),
            *(None, None, True, False, None, None, None, None),
        ),
    ]
    assert home.rows("select invoice_no, customer_id, return_kind, amount, cause from raw.returns") == [
        ("A2", bob, "refusal", 10, "refused"),
        ("A1", ann, "return", None, "too large"),
    ]
    assert home.rows("select invoice_no, customer_id, method_kind from raw.deliveries") == [
        ("A2", bob, "on_delivery")
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"payments:A1,,card,1,2,{DAY},,,", "customer_id: missing"),
        (f"payments:A1,11,card,one,2,{DAY},,,", "instalment_no: no whole number"),
        (f"payments:A1,11,card,1,2.00001,{DAY},,,", "amount: no amount"),
        ("payments:A1,11,card,1,2,soon,,,", "due_day: no day as the mapping writes it"),
        (f"payments:A1,11,card,1,2,{DAY} 12:00:00,,,", "due_day: no day as the mapping writes it"),
        (f"payments:A1,11,card,1,2,{DAY},{NEXT},,", "paid_day: after the day of its file"),
        (f"payments:A1,11,card,1,2,{DAY},,,-5", "credit_limit: below zero"),
        (f"payments:A1,11,card,1,2,{DAY}", "6 columns instead of 9"),
        (f"returns:,11,{DAY} 09:00:00,refused,10", "invoice_no: missing"),
        (f"returns:A1,11,{NEXT} 09:00:00,refused,10", f"returned_at: a row of {NEXT} in the file of {DAY}"),
        (f"returns:A1,11,{DAY} 09:00:00,refused,-10", "amount: below zero"),
        (f"deliveries:A1,11,{NEXT} 09:00:00,cod", f"delivered_at: a row of {NEXT} in the file of {DAY}"),
    ],
)
def test_an_unusable_line_is_set_aside_with_its_reason_and_counted(
    home: Home, text: str, reason: str
) -> None:
    kind = text.partition(":")[0]
    write_accounts(home.landing, DAY, [PAID, REFUSED, HANDED_OVER, f"{text}\n"])
    counts = home.ingest()
    assert (counts["lines"], counts["accepted"], counts["rejected"]) == (4, 3, 1)
    [(number, stored_reason, raw_text)] = home.rows(
        f"select line_number, reason, raw_text from raw.rejected_{kind}"
    )
    assert number == 3 and stored_reason.startswith(reason)
    assert "11" not in raw_text.split(",")


def test_a_missing_file_of_an_optional_kind_is_no_error_and_a_withdrawn_one_removes_its_lines(
    home: Home,
) -> None:
    home.put(line())
    write_accounts(home.landing, DAY, [PAID, OPEN])
    home.ingest()
    write_accounts(home.landing, DAY, [])
    home.ingest()
    assert home.rows("select count(*) from raw.payments") == [(0,)]
    assert home.rows("select instalment_no, known_until is null from raw.superseded_payments") == [
        (1, False),
        (2, False),
    ]
    assert home.rows("select files, lines, accepted from raw.days") == [(1, 1, 1)]
    versions = home.rows("select file_name, known_until is null from raw.file_versions order by all")
    assert versions == [(f"{DAY}.csv", True), (f"payments/{DAY}.csv", False)]


def test_a_corrected_file_records_only_its_own_customers_as_changed(home: Home) -> None:
    home.put(line())
    write_accounts(home.landing, DAY, [PAID, OPEN, STATEMENT, HANDED_OVER])
    home.ingest()
    with open_intake(home.settings) as connection:
        connection.execute("update raw.days set transformed_version = version; delete from raw.changes")
    write_accounts(home.landing, DAY, [PAID, OPEN.replace(",,", f",{DAY},", 1), STATEMENT, HANDED_OVER])
    assert home.ingest()["changed_customers"] == 1
    assert home.rows("from raw.changes order by all") == [
        (DAY, home.pseudonym("11"), None, None, None, "account"),
        (DAY, None, None, None, None, "day"),
    ]
    assert home.rows("select customer_id is not null, count(*) from raw.superseded_payments group by 1") == [
        (True, 3)
    ]


def test_an_unchanged_day_is_no_change_and_no_new_version(home: Home) -> None:
    home.put(line())
    write_accounts(home.landing, DAY, [PAID, OPEN, REFUSED, HANDED_OVER])
    home.ingest()
    before = {name: rows for name, rows in home.everything().items() if name not in ("raw.files", "raw.days")}
    home.ingest()
    after = {name: rows for name, rows in home.everything().items() if name not in ("raw.files", "raw.days")}
    assert after == before


def test_the_version_of_a_day_of_orders_does_not_depend_on_other_kinds_a_shop_could_have(
    tmp_path: Path,
) -> None:
    versions = []
    for accounts in (False, True):
        folder = tmp_path / str(accounts)
        folder.mkdir()
        home = Home(folder, str(mapping(folder, accounts)))
        home.put(line())
        home.settings = home.settings.model_copy(update={"pseudonym_key": SecretStr("ab" * 32)})
        home.ingest()
        versions += home.rows("select version from raw.days")
    assert versions[0] == versions[1]


def test_lines_of_a_kind_no_longer_mapped_are_removed_with_their_day(home: Home, tmp_path: Path) -> None:
    home.put(line())
    write_accounts(home.landing, DAY, [PAID])
    home.ingest()
    mapping(tmp_path)
    home.ingest()
    assert home.rows("select count(*) from raw.payments") == [(0,)]
    assert home.rows("select count(*) from raw.superseded_payments") == [(1,)]


def test_each_kind_has_its_four_tables_with_the_columns_that_it_stores(home: Home) -> None:
    tables = dict(
        home.rows(
            "select table_name, list(column_name order by column_index) from duckdb_columns()"
            " where schema_name = 'raw' group by 1"
        )
    )
    for kind in KINDS:
        assert set(tables[kind.table]) == set(kind.columns.split(", "))
        assert tables[f"superseded_{kind.table}"] == [*tables[kind.table], "known_from", "known_until"]
        rejected = tables[f"rejected_{kind.table}"]
        assert rejected == tables["rejected_order_lines"]
        assert tables[f"superseded_rejected_{kind.table}"] == [*rejected, "known_from", "known_until"]


def test_no_customer_id_is_left_in_any_table_of_any_kind(home: Home) -> None:
    known, spoilt = 9172635, 8264719
    known_field = f",{known},"
    good = [
        text.replace(",11,", known_field).replace(",12,", known_field)
        for text in (PAID, OPEN, REFUSED, HANDED_OVER)
    ]
    bad = [
        f"payments:A1,{spoilt},card,one,2,{DAY},,,",
        f"payments:A1,{spoilt}.5,card,1,2,{DAY},,,",
        f"payments:A1,{spoilt},card,1,2,{DAY},{NEXT},,",
        f"payments:A1,{spoilt},of {spoilt},1,2,{DAY},{NEXT},,",
        f"returns:A1,{spoilt},{NEXT} 09:00:00,by {spoilt},10",
        f"deliveries:A1,{spoilt},{DAY}",
    ]
    home.put(line())
    write_accounts(home.landing, DAY, [*good, *bad])
    assert home.ingest()["rejected"] == len(bad)
    write_accounts(home.landing, DAY, [])
    home.ingest()
    contents = repr(home.everything())
    assert home.pseudonym(str(known)) in contents
    assert not re.search(f"{known}|{spoilt}", contents)


# --- mappings ---


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """Write the mapping with one key changed, or left out where the value is None."""

    def changed(key: str, value: Any) -> Path:
        path = mapping(tmp_path, accounts=True)
        content = yaml.safe_load(path.read_text())
        *folders, last = key.split(".")
        place = content
        for folder in folders:
            place = place[folder]
        place[last] = value
        if value is None:
            del place[last]
        path.write_text(yaml.safe_dump(content))
        return path

    return changed


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("orders", {}, "orders: there is no such key"),
        ("payments.colour", "red", "payments.colour: there is no such key"),
        ("payments.files", None, "payments.files: is missing"),
        ("payments.columns.due_day", None, "payments: columns.due_day is missing"),
        (
            "payments.columns.due_day.as",
            "timestamp",
            "payments: columns.due_day.as is 'timestamp'; it must be",
        ),
        ("payments.columns.amount.optional", True, "payments: columns.amount.optional: "),
        (
            "payments.columns.colour",
            {"from": "C", "as": "text"},
            "payments: columns.colour: there is no such",
        ),
        (
            "payments.columns.paid_day.format",
            "%Q",
            "payments.columns.paid_day.format: '%Q' is no time format",
        ),
        ("payments.kinds.on_account.matches", "(a", "payments.kinds.on_account.matches: '(a' is no regular"),
        ("payments.kinds.on_account.column", "amount", "payments: kinds.on_account.column: must be one of"),
        (
            "payments.kinds.gift",
            {"column": "method", "matches": "g"},
            "payments: kinds.gift: there is no such",
        ),
        (
            "deliveries.columns.method",
            None,
            "deliveries: kinds.on_delivery.column: columns.method is missing",
        ),
        ("returns.files.path", "{day:%m}.csv", "returns.files.path: must name year, month and day"),
        ("payments.files.path", "payments.csv", "payments: files.path: names no {day}, so that columns."),
        ("files", None, "files: is missing"),
    ],
)
def test_a_bad_section_names_the_key_and_the_file(
    changed: Callable[..., Path], key: str, value: Any, message: str
) -> None:
    path = changed(key, value)
    with pytest.raises(WrongUse) as problem:
        load_shop(Settings(shop=str(path), _env_file=None))
    assert str(problem.value).startswith(f"{path}: {message}")


def test_a_file_that_matches_two_kinds_is_refused(changed: Callable[..., Path], tmp_path: Path) -> None:
    home = Home(tmp_path, str(changed("payments.files.path", "*s/{day}.csv")))
    write_accounts(home.landing, DAY, [PAID, REFUSED])
    with pytest.raises(
        WrongUse, match=r"tiny\.yml: payments\.files\.path and returns\.files\.path both match"
    ):
        home.ingest()


def test_a_payments_file_without_a_mapped_column_names_the_key(home: Home) -> None:
    path = home.landing / "payments" / f"{DAY}.csv"
    path.parent.mkdir()
    path.write_text(ACCOUNT_HEADERS["payments"].replace("Due", "DueDate") + "\n")
    with pytest.raises(DataProblem, match=r"no column 'Due'.*payments\.columns\.due_day\.from in tiny\.yml"):
        home.ingest()


def test_a_shop_with_payments_needs_no_orders(tmp_path: Path) -> None:
    path = mapping(tmp_path, accounts=True)
    content = yaml.safe_load(path.read_text())
    for key in ("files", "columns", "invoice_kinds", "no_products"):
        del content[key]
    path.write_text(yaml.safe_dump(content))
    home = Home(tmp_path, str(path))
    write_accounts(home.landing, DAY, [PAID, OPEN, REFUSED])
    write_accounts(home.landing, NEXT, [HANDED_OVER.replace(str(DAY), str(NEXT))])
    shop = load_shop(home.settings)
    assert [source.of for source in shop.sources] == list(OPTIONAL_KINDS)
    assert days_in_landing(home.settings, shop) == Days(DAY, NEXT)
    counts = ingest(home.settings, Days(DAY, date(2011, 1, 6)), "test")
    assert counts == {"files": 3, "lines": 4, "accepted": 4, "rejected": 0, "changed_customers": 2}
