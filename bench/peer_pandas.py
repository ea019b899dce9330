"""A plain pandas script that computes the classes from a shop's files; the product is compared with it.

It shares no code with the product, nor with the DuckDB peer, and must print the same numbers as that one.
Money is counted in whole ten-thousandths of a pound, so sums are exact:

    python -m bench.peer_pandas LANDING
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

TENTHOUSANDTHS = 10_000
QUARTILES = [0.25, 0.5, 0.75]
CLASSES = ["Worst", "Average", "Good", "Best"]


def read_lines(landing: Path) -> pd.DataFrame:
    """All lines in the order of file names and line numbers, the eight columns as text, and `file`."""
    files = sorted(landing.glob("*.csv"))
    frames = [pd.read_csv(file, dtype=str, keep_default_na=False).assign(file=file.stem) for file in files]
    return pd.concat(frames, ignore_index=True)


def typed(text: pd.DataFrame) -> pd.DataFrame:
    """Cast, and say which lines are set aside before any cancellation is matched, and why."""
    lines = pd.DataFrame(
        {
            "invoice_no": text["InvoiceNo"],
            "stock_code": text["StockCode"],
            "customer_id": text["CustomerID"],
            "ordered_at": pd.to_datetime(text["InvoiceDate"], format="%Y-%m-%d %H:%M:%S"),
            "quantity": text["Quantity"].astype("int64"),
            "price": (text["UnitPrice"].astype("float64") * TENTHOUSANDTHS).round().astype("int64"),
            "is_cancellation": text["InvoiceNo"].str.startswith("C"),
        }
    )
    lines["outcome"] = np.select(
        [text["CustomerID"] == "", text.duplicated(), text["InvoiceNo"].str.startswith("A")],
        ["no_customer", "duplicate", "adjustment"],
        default="",
    )
    return lines


class Purchases:
    """What one customer bought of one product and has not cancelled yet."""

    def __init__(self) -> None:
        self.open: dict[int, int] = {}  # units by line, oldest first
        self.untouched: dict[int, list[int]] = defaultdict(list)  # lines by quantity, oldest first

    def buy(self, line: int, quantity: int) -> None:
        self.open[line] = quantity
        self.untouched[quantity].append(line)

    def cancel(self, quantity: int) -> tuple[bool, list[tuple[int, int]]]:
        """Whether the mirror was found, and what was taken: pairs of line and units."""
        if self.untouched[quantity]:
            line = self.untouched[quantity].pop()
            return True, [(line, self.open.pop(line))]
        taken = []
        while quantity and self.open:
            line, units = self.open.popitem()
            if self.untouched[units] and self.untouched[units][-1] == line:
                self.untouched[units].pop()
            if units > quantity:
                self.open[line] = units - quantity
                units = quantity
            quantity -= units
            taken.append((line, units))
        return False, taken


def match_cancellations(lines: pd.DataFrame) -> tuple[pd.Series[int], int]:
    """Units taken of each purchase and found by each cancellation, and how many met their mirror."""
    events = lines[(lines["outcome"] == "") & (lines["is_cancellation"] == (lines["quantity"] < 0))]
    events = events.sort_values(["ordered_at", "is_cancellation", "invoice_no"], kind="stable")
    product = events.groupby(["customer_id", "stock_code"], sort=False).ngroup()
    events = events[product.isin(product[events["is_cancellation"]])]
    shelves: dict[int, Purchases] = defaultdict(Purchases)
    units = np.zeros(len(lines), dtype=np.int64)
    mirrors = 0
    for line, key, quantity in zip(events.index, product[events.index], events["quantity"], strict=True):
        if quantity > 0:
            shelves[key].buy(line, quantity)
            continue
        mirror, taken = shelves[key].cancel(-quantity)
        mirrors += mirror
        for purchase, count in taken:
            units[purchase] += count
            units[line] += count
    return pd.Series(units, index=lines.index), mirrors


def scores(values: pd.Series[Any]) -> tuple[pd.Series[int], list[float]]:
    """1 to 4 by how many quartiles lie below a value, and the quartiles."""
    borders = values.quantile(QUARTILES).tolist()
    above = [(values > border).astype("int64") for border in borders]
    return 1 + above[0] + above[1] + above[2], borders


def pounds(units: float) -> str:
    """A sum of whole ten-thousandths as an exact decimal."""
    return str((Decimal(int(units)) / TENTHOUSANDTHS).quantize(Decimal("0.0001")))


def standing(landing: Path) -> tuple[dict[str, object], dict[str, pd.DataFrame]]:
    """The numbers of the JSON line, and the tables behind them: `outcomes`, `invoices`, `classes`."""
    lines = typed(read_lines(landing))
    units, mirrors = match_cancellations(lines)
    lines["units"] = units
    is_open = lines["outcome"] == ""
    lines["outcome"] = np.select(
        [
            ~is_open,
            lines["is_cancellation"] & (units > 0),
            lines["is_cancellation"],
            units == 0,
            units == lines["quantity"],
        ],
        [lines["outcome"], "cancellation", "unmatched_cancellation", "kept", "cancelled"],
        default="partly_cancelled",
    )
    lines["net"] = (lines["quantity"] - units) * lines["price"]

    sales = lines[is_open & ~lines["is_cancellation"]]
    days = lines["ordered_at"].dt.normalize().rename("day")
    invoices = sales.groupby(["customer_id", "invoice_no", days]).agg(
        ordered_at=("ordered_at", "min"), net=("net", "sum")
    )
    kept = invoices[invoices["net"] > 0]
    today = lines["ordered_at"].max().normalize()
    classes = kept.groupby("customer_id").agg(
        recency=("ordered_at", lambda days: (today - days.max().normalize()).days),
        frequency=("net", "size"),
        monetary=("net", "sum"),
    )
    recency, recency_borders = scores(classes["recency"])
    classes["r"] = 5 - recency
    classes["f"], frequency_borders = scores(classes["frequency"])
    classes["m"], monetary_borders = scores(classes["monetary"])
    classes["credit_score"] = classes["r"] + classes["f"] + classes["m"]
    ranks, class_borders = scores(classes["credit_score"])
    classes["class"] = ranks.map(dict(enumerate(CLASSES, start=1)))

    numbers: dict[str, object] = {
        "lines": len(lines),
        "customers": int(lines.loc[lines["customer_id"] != "", "customer_id"].nunique()),
        "invoices": int(lines[is_open].groupby(["customer_id", "invoice_no", days]).ngroups),
        "kept": len(kept),
        "classes": {name: int(n) for name, n in classes["class"].value_counts().sort_index().items()},
        "outcomes": {name: int(n) for name, n in lines["outcome"].value_counts().sort_index().items()},
        "mirrors": mirrors,
        "cancelled_units": int(lines.loc[lines["is_cancellation"], "units"].sum()),
        "amount": pounds((lines["quantity"] * lines["price"]).sum()),
        "net": pounds(invoices["net"].sum()),
        "monetary": pounds(classes["monetary"].sum()),
        "borders": {
            "recency": recency_borders,
            "frequency": frequency_borders,
            "monetary": [border / TENTHOUSANDTHS for border in monetary_borders],
            "credit_score": class_borders,
        },
    }
    return numbers, {"outcomes": lines, "invoices": invoices, "classes": classes}


def main() -> None:
    started = time.perf_counter()
    numbers, _ = standing(Path(sys.argv[1]))
    numbers["seconds"] = round(time.perf_counter() - started, 3)
    numbers["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
