"""Makes whole orders of the lines of exports: an order's cells on all its lines, and its money among them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from goodstanding.core.sql import identifier, literal, rendered
from goodstanding.ingest.casts import cast
from goodstanding.ingest.exports.inputs import STATUS, TOTAL, else_input, money_input, of_orders
from goodstanding.ingest.stage import CURRENCY
from goodstanding.shops.kinds import ORDERS
from goodstanding.shops.mapping import CUSTOMER, INVOICE, Column, Orders, Shop, Source

ORDER_CELLS, *MONEY_STEPS = (
    Path(__file__).with_name(f"order_{name}.sql") for name in ("cells", "moneys", "sums", "shares", "money")
)
# of currencies whose smallest unit is not a hundredth (ISO 4217)
WITHOUT = ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV")
DECIMALS = {
    **dict.fromkeys((*WITHOUT, "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
# the order that a line is of
ORDER_KEY = f"nullif(trim({INVOICE}), '')"
ONE_AMOUNT = Column.model_validate({"from": "line_total", "as": "decimal", "optional": True})


@dataclass(frozen=True)
class _Money:
    """An `order_money` as SQL: its value (null where blank), whether it cannot be read, and where it goes."""

    name: str
    value: str
    is_wrong: str
    becomes_line: str
    is_conditional: str


def carry_cells(connection: duckdb.DuckDBPyConnection, shop: Shop, source: Source) -> None:
    """Give each line of `text_lines` the cells of its order, and one text where there are several columns.

    What stands for nobody in a column of customers is as blank: the next column may name somebody.
    """
    cells = of_orders(source)
    carried = [name for name, column in source.columns.items() if column.carry_down] + list(cells)
    if not carried and not any(column.else_from for column in source.columns.values()):
        return
    nobody = shop.customer_ids.nobody
    firsts = [
        (name, _first(name, column, nobody if name == CUSTOMER else frozenset()))
        for name, column in source.columns.items()
    ]
    firsts += [(name, f"nullif(trim({name}), '')") for name in cells]
    connection.execute(
        rendered(
            ORDER_CELLS,
            firsts=firsts,
            carried=carried,
            order_key=ORDER_KEY if INVOICE in source.columns else "line_number",
        )
    )


def _first(name: str, column: Column, nobody: frozenset[str]) -> str:
    if not column.else_from and not column.carry_down:
        return identifier(name)
    texts = [f"nullif(trim({identifier(name)}), '')"]
    # as `word_of` has them
    words = ", ".join(map(literal, sorted(nobody)))
    for place, fallback in enumerate(column.else_from):
        text = identifier(else_input(name, place))
        if fallback.keep == "digits":
            text = f"regexp_replace({text}, '[^0-9]', '', 'g')"
        if words:
            word = rf"regexp_replace(lower({texts[-1]}), '^\+?0*([0-9]+)(\.0*)?$', '\1')"
            texts[-1] = f"if({word} in ({words}), null, {texts[-1]})"
        texts.append(f"nullif(trim({text}), '')")
    return f"coalesce({', '.join(texts)})"


def has_money(source: Source) -> bool:
    """Whether orders have money beside their lines, or a total by which they are judged."""
    return isinstance(source, Orders) and bool(source.order_money or source.order_total)


def with_money(source: Source) -> Source:
    """How the lines are read once `count_money` has seen them: each has its amount in `line_total`."""
    if not isinstance(source, Orders) or not has_money(source):
        return source
    return source.model_copy(
        update={
            "columns": {**source.columns, "line_total": ONE_AMOUNT},
            "no_products": (*source.no_products, *(name.upper() for name in source.order_money)),
        }
    )


def count_money(connection: duckdb.DuckDBPyConnection, shop: Shop, source: Source) -> None:
    """Give `text_lines` the money of orders: in `line_total`, and in lines of its own, numbered by `part`.

    An order that does not sum to its own total has an `order_fault`.
    """
    if not isinstance(source, Orders) or not has_money(source):
        connection.execute("alter table text_lines add column part integer default 0")
        connection.execute("alter table text_lines add column order_fault varchar")
        return
    if "line_total" not in source.columns:
        connection.execute("alter table text_lines add column line_total varchar")
    column = source.columns.get("line_total", source.columns.get("unit_price"))
    assert column is not None
    moneys = [_money(name, column, source) for name in source.order_money]
    decimals = DECIMALS.get(shop.currency, 2)
    prices = {"unit_price": source.columns.get("unit_price")}
    mark = prices["unit_price"].decimal_mark if prices["unit_price"] else "."
    amount = "cast(counted_moneys.amount as varchar)"
    of_money = {
        "stock_code": "upper(counted_moneys.name)",
        "description": "null",
        "quantity": "'1'",
        "unit_price": amount if mark == "." else f"replace({amount}, '.', {literal(mark)})",
    }
    values = {
        "order_key": ORDER_KEY,
        "base": _base(source),
        "total": cast(TOTAL, column, decimals=4) if source.order_total else "cast(null as decimal(18, 4))",
        "has_total": source.order_total is not None,
        "moneys": moneys,
        "decimals": decimals,
        "unit": str(10**-decimals) if decimals <= 0 else f"0.{'0' * (decimals - 1)}1",
        "of_money": [(name, value) for name, value in of_money.items() if name in source.columns],
    }
    for step in MONEY_STEPS:
        connection.execute(rendered(step, **values))
    for table in ("line_amounts", "order_moneys", "order_sums", "counted_moneys", "line_shares"):
        connection.execute(f"drop table {table}")


def left_out(shop: Shop, source: Source) -> str:
    """SQL for why a line of `text_lines` is left out, as a topic of notices; null where it is not."""
    branches = []
    if isinstance(source, Orders) and source.no_orders:
        branches.append(f"when regexp_matches({STATUS}, {literal(source.no_orders.matches)}) then 'no_order'")
    if shop.other_currencies == "leave_out" and CURRENCY in source.columns:
        code = f"upper(trim({CURRENCY}))"
        # what is no code is set aside
        branches.append(
            f"when regexp_full_match({code}, '[A-Z]{{3}}') and {code} <> {literal(shop.currency)} "
            "then 'other_currency'"
        )
    if source.columns[source.of.happened].first_seen:
        # an order of nobody is in a file of orders, but a return has to name whose order it lowers
        branches.append(f"when fault is null and coalesce(trim({CUSTOMER}), '') = '' then 'nobodys_return'")
    return f"case {' '.join(branches)} end" if branches else "cast(null as varchar)"


def _money(name: str, column: Column, source: Orders) -> _Money:
    money, text = source.order_money[name], money_input(name)
    value = cast(text, column, decimals=4)
    return _Money(
        name=name,
        value=f"-({value})" if money.sign == "minus" else value,
        is_wrong=f"({value}) is null and {text} is not null",
        becomes_line=literal(money.becomes == "line"),
        is_conditional=literal(money.where == "total_needs_it"),
    )


def _base(source: Orders) -> str:
    """SQL for the amount of a line by itself."""
    parts = []
    if total := source.columns.get("line_total"):
        parts.append(cast("line_total", total, decimals=ORDERS.rounded["line_total"]))
    if price := source.columns.get("unit_price"):
        quantity = cast("quantity", source.columns["quantity"])
        parts.append(
            f"round({quantity} * {cast('unit_price', price, decimals=ORDERS.rounded['unit_price'])}, 4)"
        )
    base = f"coalesce({', '.join(parts)})"
    if len(parts) == 2:
        # a total that cannot be read is not made up for
        base = f"if(nullif(trim(line_total), '') is null, {parts[1]}, {parts[0]})"
    return f"cast({base} as decimal(18, 4))"
