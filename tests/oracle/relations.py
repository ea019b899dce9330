"""Metamorphic relations: changes of a shop's files, and exactly what each changes in what is published.

A relation changes a shop, and states how the rows of the marts follow. All others must stay as they were. So
relations can be combined: what they state is applied one after the other.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar
from zoneinfo import ZoneInfo

from tests.oracle.drawn import BLANKS
from tests.oracle.drawn import PRICES as DRAWN_PRICES
from tests.oracle.lines import instant, local_time, normal_text
from tests.oracle.published import Publication, pseudonym
from tests.oracle.shop import COLUMNS, Row, Shop

DateOrTime = TypeVar("DateOrTime", bound=date)
# the number of a customer within an id
KNOWN = "1[1-8]"
Rows = list[dict[str, object]]
Tables = dict[str, Rows]
PLACE = ("order_line_id", "file_name", "line_number")
TIMES = ("ordered_at", "returned_at", "delivered_at", "recorded_at")
PRICES = ("unit_price", "line_total", "amount", "paid_amount", "outstanding", "credit_limit")
# the money of every mart; shares, rates and counts are not listed, for they stay
MONEY = {
    *PRICES,
    *(
        "kept_amount",
        "gross_amount",
        "cancelled_amount",
        "returned_amount",
        "net_amount",
        "monetary",
        "monetary_6m",
    ),
    *("mean_order_value", "spend_30d", "spend_90d", "spend_180d", "mean_basket", "largest_basket"),
    "last_basket",
}
YEARS = 2


class Relation:
    """A change of a shop, and what it changes in the marts: nothing, unless `states` says so."""

    def change(self, shop: Shop, draw: random.Random) -> Shop:
        """The changed shop. It is asked once, before `states`."""
        raise NotImplementedError

    def states(self, tables: Tables) -> Tables:
        """The rows after the change, from those before it."""
        return tables

    def leaves_out(self, table: str, row: dict[str, object]) -> bool:
        """Whether it says nothing of a row."""
        return False


class RenamedCustomers(Relation):
    """Everybody gets another id: pseudonyms follow, and nothing else."""

    def change(self, shop: Shop, draw: random.Random) -> Shop:
        def rename(row: Row, kind: str) -> Row:
            name = re.sub(KNOWN, lambda found: str(int(found[0]) + 5000), row["customer_id"])
            return {**row, "customer_id": name}

        self.names = {
            pseudonym(normal_id(shop, number)): pseudonym(normal_id(shop, number + 5000))
            for number in range(11, 19)
        }
        return of_rows(shop, rename)

    def states(self, tables: Tables) -> Tables:
        return of_values(
            tables, lambda name, value: self.names.get(str(value), value) if name == "customer_id" else value
        )


class OtherSpelling(Relation):
    """Ids, codes and numbers of invoices are written with other blanks, zeros and case: nothing changes."""

    def change(self, shop: Shop, draw: random.Random) -> Shop:
        is_number = shop.rules.customer_as == "whole_number"

        def spelled(row: Row, kind: str) -> Row:
            row = {**row, "invoice_no": _blanks(draw, row["invoice_no"])}
            if "stock_code" in row:
                row["stock_code"] = _blanks(draw, row["stock_code"].swapcase())
            customer = row["customer_id"].replace("+", "")
            if is_number:
                customer = re.sub("[0-9]+", lambda found: f"00{found[0]}", customer, count=1)
            if not is_number and shop.rules.customer_case != "keep":
                customer = customer.swapcase()
            return {**row, "customer_id": _blanks(draw, customer)}

        return of_rows(shop, spelled)


class Parquet(Relation):
    """Parquet in place of CSV: nothing changes but where the lines stand."""

    def change(self, shop: Shop, draw: random.Random) -> Shop:
        return replace(shop, rules=replace(shop.rules, format="parquet"))


class OtherFiles(Relation):
    """Each file is split in two and in another order: nothing changes but where the lines stand.

    The lines of an invoice stay together and in their order, which is that in which the shop recorded them.
    """

    def change(self, shop: Shop, draw: random.Random) -> Shop:
        files: dict[str, list[Row]] = {}
        for path, rows in shop.files.items():
            groups: dict[object, list[Row]] = {}
            for place, row in enumerate(rows):
                is_order = path.startswith("orders/")
                groups.setdefault(normal_text(row["invoice_no"]) if is_order else place, []).append(row)
            shuffled = draw.sample([*groups.values()], len(groups))
            for number, half in enumerate((shuffled[::2], shuffled[1::2])):
                if half or not number:
                    files[f"{path[:-4]}-part-{number}.csv"] = [row for group in half for row in group]
        return shop.with_files(files)


class DearerPrices(Relation):
    """All prices and payments are 100 times as high: so is all money; shares, scores and classes stay.

    Not where amounts are rounded, which they are by the penny.
    """

    factor = 100

    def change(self, shop: Shop, draw: random.Random) -> Shop:
        if _is_odd(shop):
            self.factor = 1

        def dearer(row: Row, kind: str) -> Row:
            return {
                name: _scaled(text, self.factor) if name in PRICES else text for name, text in row.items()
            }

        return of_rows(shop, dearer)

    def states(self, tables: Tables) -> Tables:
        def dearer(name: str, value: object) -> object:
            if value is None or (name not in MONEY):
                return value
            return value * self.factor

        scaled = of_values(tables, dearer)
        for row in scaled["rfm_borders"]:
            if row["measure"] == "monetary":
                row.update({name: row[name] * self.factor for name in ("q25", "q50", "q75")})
        return scaled


class OtherZone(Relation):
    """The shop moves with its clock: local times stay; those with an offset get that of the other zone.

    Not where a clock shows an hour twice, which it does not do elsewhere.
    """

    zone = "Asia/Tokyo"

    def change(self, shop: Shop, draw: random.Random) -> Shop:
        def moved(row: Row, kind: str) -> Row:
            return {
                name: _with_offset(text, shop.rules.zone, self.zone) if name in TIMES else text
                for name, text in row.items()
            }

        self.stays = _is_odd(shop)
        if self.stays:
            return shop
        changed = of_rows(shop, moved)
        return replace(changed, rules=replace(shop.rules, zone=self.zone))

    def states(self, tables: Tables) -> Tables:
        return tables if self.stays else with_instants(tables, self.zone)


class OtherYear(Relation):
    """All days are two years later, between which no leap day lies where none lay: all days follow.

    Times with an offset are written as local times, for the clocks are put back on another day.
    """

    def change(self, shop: Shop, draw: random.Random) -> Shop:
        self.zone = shop.rules.zone
        self.years = 0 if _is_odd(shop) else YEARS

        def later(row: Row, kind: str) -> Row:
            return {name: self._text(name, text, shop.rules.zone) for name, text in row.items()}

        changed = of_rows(shop, later)
        files = {}
        for path, rows in changed.files.items():
            kind, _, name = path.partition("/")
            files[f"{kind}/{_later(date.fromisoformat(name[:10]), self.years)}{name[10:]}"] = rows
        spans = tuple((_later(first, self.years), _later(last, self.years)) for first, last in shop.spans)
        return replace(changed, files=files, spans=spans)

    def _text(self, name: str, text: str, zone: str) -> str:
        if name in ("due_day", "paid_day") and text.strip():
            return str(_later(date.fromisoformat(text), self.years))
        if name in TIMES and text.strip():
            return str(_later(local_time(text, zone), self.years)) if self.years else text
        return text

    def states(self, tables: Tables) -> Tables:
        later = of_values(
            tables, lambda _, value: _later(value, self.years) if isinstance(value, date) else value
        )
        return with_instants(later, self.zone) if self.years else tables


class FileAgain(Relation):
    """Each file comes again under another name: nothing changes."""

    def change(self, shop: Shop, draw: random.Random) -> Shop:
        again = {f"{path[:-4]}-again.csv": rows for path, rows in shop.files.items()}
        return shop.with_files({**shop.files, **again})


class OneWhoNeverOrders(Relation):
    """Somebody without any order has a parcel delivered, to be paid at the door: one row of payments."""

    def change(self, shop: Shop, draw: random.Random) -> Shop:
        self.customer = "999"
        self.newest = shop.spans[-1][1]
        path = f"deliveries/{self.newest}-more.csv"
        at = f"{self.newest} 10:00:00"
        written = dict(zip(COLUMNS["deliveries"], ("nowhere", self.customer, at, "cod"), strict=True))
        return shop.with_files({**shop.files, path: [written]})

    def states(self, tables: Tables) -> Tables:
        zeros = ("instalments", "instalments_due", "overdue_instalments", "outstanding")
        orders = {f"orders_{sort}_6m": 0 for sort in ("e_payment", "auto_billed", "on_account")}
        unknown = ("on_time_share", "worst_days_late", "mean_days_late", "last_days_late", "paid_share")
        added = {
            **{"customer_id": pseudonym(self.customer), "as_of": self.newest, "orders_on_delivery_6m": 1},
            **{**dict.fromkeys(zeros, 0), **orders, **dict.fromkeys(unknown)},
            **{"credit_limit": None, "utilisation": None},
        }
        return {**tables, "payment_behaviour": [*tables["payment_behaviour"], added]}


class CancelledOrder(Relation):
    """Somebody orders a new product on the newest day, and cancels it all: two lines, two invoices.

    No score, class or kept money changes. How the customer's rates of returns follow is left to the oracle.
    """

    def change(self, shop: Shop, draw: random.Random) -> Shop:
        self.day = shop.spans[-1][1]
        ids = [
            row["customer_id"] for path, rows in shop.files.items() for row in rows if _may_count(path, row)
        ]
        self.written, _ = Counter(ids).most_common(1)[0]
        found = re.search(KNOWN, self.written)
        assert found
        self.customer = pseudonym(normal_id(shop, int(found[0])))
        self.country = f"Land {int(found[0]) % 3}"
        order = {
            **{"invoice_no": "all", "stock_code": "NEW", "description": "", "quantity": "2"},
            **{
                "ordered_at": f"{self.day} 23:00:00",
                "unit_price": "4",
                "line_total": "8",
                "customer_id": self.written,
            },
            "country": self.country,
        }
        back = {**order, "invoice_no": "Call", "quantity": "-2", "line_total": "-8"}
        back["ordered_at"] = f"{self.day} 23:30:00"
        self.unmapped = shop.rules.unmapped
        self.zone = shop.rules.zone
        return shop.with_files({**shop.files, f"orders/{self.day}-more.csv": [order, back]})

    def states(self, tables: Tables) -> Tables:
        lines, invoices = tables["order_lines"], tables["invoices"]
        profiles = [
            {**row, "last_order_day": self.day} if row["customer_id"] == self.customer else row
            for row in tables["customer_profiles"]
        ]
        return {
            **tables,
            "order_lines": [*lines, *self._lines(lines[0])],
            "invoices": [*invoices, *self._invoices(invoices[0])],
            "customer_profiles": profiles,
        }

    def _lines(self, like: dict[str, object]) -> Rows:
        shared = {
            **dict.fromkeys(like),
            **{"source": like["source"], "event_day": self.day, "stock_code": "NEW", "is_product": True},
            **{"unit_price": None if "unit_price" in self.unmapped else 4, "customer_id": self.customer},
            **{"country": self.country, "kept_amount": 0},
            **{"cancelled_quantity": 2, "cancellation_rule": "mirror"},
        }
        sorts = (("all", 2, "sale", "cancelled", 0), ("Call", -2, "cancellation", "cancellation", 30))
        rows: Rows = [
            {
                **shared,
                "line_total": None if "line_total" in self.unmapped else 4 * quantity,
                **{"invoice_no": number, "quantity": quantity, "amount": 4 * quantity, "invoice_kind": sort},
                **{"outcome": outcome, "ordered_at": datetime(*self.day.timetuple()[:3], 23, minute)},
            }
            for number, quantity, sort, outcome, minute in sorts
        ]
        return with_instants({"order_lines": rows}, self.zone)["order_lines"]

    def _invoices(self, like: dict[str, object]) -> Rows:
        shared = {
            **dict.fromkeys(like, 0),
            **dict.fromkeys(("payment_type", "channel", "weight")),
            **{"customer_id": self.customer, "event_day": self.day, "lines": 1, "is_kept": False},
        }
        at = datetime(*self.day.timetuple()[:3], 23)
        sale = {
            "invoice_no": "all",
            "kind": "sale",
            "ordered_at": at,
            "gross_amount": 8,
            "cancelled_amount": 8,
        }
        back = {
            **{"invoice_no": "Call", "kind": "cancellation", "ordered_at": at.replace(minute=30)},
            **{"gross_amount": -8, "net_amount": -8},
        }
        return [{**shared, **sale}, {**shared, **back}]

    def leaves_out(self, table: str, row: dict[str, object]) -> bool:
        behaviour = ("return_behaviour", "master_data", "customer_features")
        return table in behaviour and row["customer_id"] == self.customer and row["as_of"] == self.day


def normal_id(shop: Shop, number: int) -> str:
    """The id of a drawn customer in its normal form."""
    prefix = {"upper": "KÉ", "lower": "ké", "keep": "Ké"}[shop.rules.customer_case]
    return f"{prefix if shop.rules.customer_as == 'text' else ''}{number}"


def _may_count(path: str, row: Row) -> bool:
    """Whether a row is a sale of somebody which nothing can be wrong with."""
    return (
        path.startswith("orders/")
        and re.search(KNOWN, row["customer_id"]) is not None
        and re.search("^[0-9]", normal_text(row["invoice_no"])) is not None
        and re.fullmatch("[0-9.]+", row["quantity"]) is not None
        and row["unit_price"] in DRAWN_PRICES
        and row["ordered_at"][:10] == path.partition("/")[2][:10]
    )


ALIKE: tuple[type[Relation], ...] = (
    RenamedCustomers,
    OtherSpelling,
    Parquet,
    OtherFiles,
    DearerPrices,
    OtherZone,
    OtherYear,
)
ADDED: tuple[type[Relation], ...] = (FileAgain, OneWhoNeverOrders, CancelledOrder)


def of_rows(shop: Shop, change: Callable[[Row, str], Row]) -> Shop:
    """The shop with every row changed."""
    return shop.with_files(
        {path: [change(row, path.partition("/")[0]) for row in rows] for path, rows in shop.files.items()}
    )


def of_values(tables: Tables, change: Callable[[str, object], object]) -> Tables:
    """The tables with every value changed, by the name of its column."""
    return {
        table: [{name: change(name, value) for name, value in row.items()} for row in rows]
        for table, rows in tables.items()
    }


def combined(relations: Sequence[type[Relation]], shop: Shop, seed: int) -> tuple[Shop, list[Relation]]:
    """The shop after all of some relations, and these relations."""
    draw = random.Random(f"relations {seed}")
    made = [relation() for relation in relations]
    for relation in made:
        shop = relation.change(shop, draw)

    return shop, made


def stated(relations: Sequence[Relation], before: Tables) -> Tables:
    """The rows that relations state together, from those before them."""
    for relation in relations:
        before = relation.states(before)
    return before


def told_of(relations: Sequence[Relation], tables: Tables) -> Tables:
    """The rows of which all of the relations say something."""
    return {
        table: [row for row in rows if not any(relation.leaves_out(table, row) for relation in relations)]
        for table, rows in tables.items()
    }


def check_relations(shop: Shop, build: Callable[[Shop], Publication], seed: int) -> list[str]:
    """Run a shop, and again after each set of relations; return what is not as they state, in words.

    Where a set fails, each of its relations is tried alone, so that the words name it.
    """
    before = tables_of(build(shop))

    def told_by(relations: Sequence[type[Relation]]) -> list[str]:
        changed, made = combined(relations, shop, seed)
        wanted, found = stated(made, before), tables_of(build(changed))
        return list(broken(told_of(made, wanted), told_of(made, found)))

    told = []
    for relations in (ALIKE, ADDED):
        if together := told_by(relations):
            alone = [relation.__name__ for relation in relations if told_by([relation])]
            told += [f"{' '.join(alone) or 'all at once'}: {text}" for text in together]
    return told


def with_instants(tables: Tables, zone: str) -> Tables:
    """The tables with the instants of order lines by the clock of a zone, where that shows no hour twice."""
    lines = [
        {**row, "ordered_at_utc": instant(str(row["ordered_at"]), zone)} for row in tables["order_lines"]
    ]
    return {**tables, "order_lines": lines}


def tables_of(publication: Publication) -> Tables:
    """The rows of a publication, without the places of order lines."""
    return {
        table: [{name: value for name, value in row.items() if name not in PLACE} for row in rows.values()]
        for table, rows in publication.tables.items()
    }


def broken(wanted: Tables, found: Tables) -> Iterator[str]:
    """The rows that are in one and not in the other, in words."""
    for table in wanted:
        ours, theirs = _counted(wanted[table]), _counted(found[table])
        for what, rows in (("missing", ours - theirs), ("not expected", theirs - ours)):
            for row in rows:
                yield f"{table}: {what}: {dict(row)}"


def _counted(rows: Rows) -> Counter[tuple[tuple[str, object], ...]]:
    return Counter(tuple((name, _rounded(value)) for name, value in sorted(row.items())) for row in rows)


def _rounded(value: object) -> object:
    """Numbers alike, whatever their type; shares, which are floating point numbers, to 10 digits."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return f"{float(value):.10g}" if isinstance(value, float) else f"{Decimal(value).normalize():f}"
    return value


def _blanks(draw: random.Random, text: str) -> str:
    """A text with other blanks around it; one without anything else stays as it is."""
    core = normal_text(text)
    return draw.choice(BLANKS) + core + draw.choice(BLANKS) if core else text


def _scaled(text: str, factor: int) -> str:
    """A price times a factor; one of too many decimals stays as it is, for that would make it readable."""
    try:
        price = Decimal(text.strip())
    except ArithmeticError:
        return text
    return text if price != round(price, 4) else str(price * factor)


def _with_offset(text: str, zone: str, other: str) -> str:
    if not text.strip() or datetime.fromisoformat(text).tzinfo is None:
        return text
    return local_time(text, zone).replace(tzinfo=ZoneInfo(other)).isoformat()


def _later(day: DateOrTime, years: int) -> DateOrTime:
    return day.replace(year=day.year + years)


def _is_odd(shop: Shop) -> bool:
    """Whether a shop has prices that are rounded, totals, or times within the hour that is shown twice."""
    rows = [row for path, rows in shop.files.items() if path.startswith("orders/") for row in rows]
    return any(
        len(row["unit_price"].partition(".")[2]) > 4
        or row["line_total"]
        or "10-31T0" in row["ordered_at"][:16]
        for row in rows
        if row["ordered_at"][11:13] in ("00", "01")
        or row["unit_price"] not in DRAWN_PRICES
        or row["line_total"]
    )
