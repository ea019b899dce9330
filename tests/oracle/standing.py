"""The standing of customers as of a day, in plain Python: borders, scores, classes, behaviour with orders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction

from tests.oracle.lines import Line
from tests.oracle.orders import Invoice, Judged, invoices_of, judge, six_months_before

Key = tuple[object, ...]
Table = dict[Key, dict[str, object]]
QUARTERS = (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4))
CLASSES = ("Worst", "Average", "Good", "Best")


def quantile(values: Sequence[Fraction], share: Fraction) -> Fraction:
    """The quantile of values by linear interpolation between the two nearest."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def quarter(value: Fraction, borders: Sequence[Fraction]) -> int:
    """1 to 4: the quarter of a value; one that lies on a border belongs to the quarter below it."""
    return 1 + sum(value > border for border in borders)


def standing(lines: Iterable[Line], as_of: date) -> dict[str, Table]:
    """rfm_borders, rfm_scores, class_borders and customer_classes as of a day."""
    kept = defaultdict(list)
    for invoice in invoices_of(lines, as_of):
        if invoice.is_kept:
            kept[invoice.customer].append(invoice)
    measures = {
        customer: {
            "recency": (as_of - max(invoice.day for invoice in of_customer)).days,
            "frequency": len(of_customer),
            "monetary": sum(invoice.net for invoice in of_customer),
        }
        for customer, of_customer in kept.items()
    }
    tables: dict[str, Table] = {
        "rfm_borders": {},
        "rfm_scores": {},
        "class_borders": {},
        "customer_classes": {},
    }
    if not measures:
        return tables
    borders = {
        name: [quantile([Fraction(each[name]) for each in measures.values()], share) for share in QUARTERS]
        for name in ("recency", "frequency", "monetary")
    }
    scores = {}
    for customer, each in measures.items():
        r, f, m = (quarter(Fraction(each[name]), borders[name]) for name in borders)
        scores[customer] = {**each, "r_score": 5 - r, "f_score": f, "m_score": m}
    credit = {
        customer: Fraction(each["r_score"] + each["f_score"] + each["m_score"])
        for customer, each in scores.items()
    }
    class_borders = [quantile(list(credit.values()), share) for share in QUARTERS]
    names = ("q25", "q50", "q75")
    tables["rfm_borders"] = {
        (as_of, name): dict(zip(names, of_name, strict=True)) for name, of_name in borders.items()
    }
    tables["rfm_scores"] = {(customer, as_of): each for customer, each in scores.items()}
    tables["class_borders"] = {(as_of,): dict(zip(names, class_borders, strict=True))}
    tables["customer_classes"] = {
        (customer, as_of): {
            **each,
            "credit_score": int(credit[customer]),
            "class": CLASSES[quarter(credit[customer], class_borders) - 1],
        }
        for customer, each in scores.items()
    }
    return tables


def order_behaviour(lines: Iterable[Line], as_of: date) -> dict[str, dict[str, dict[str, object]]]:
    """Of each customer as of a day: return_behaviour, what master_data adds, and customer_features.

    Refusals, which are told by other files, are left out.
    """
    lines = list(lines)
    judged = judge(lines, as_of)
    orders, cancellations = defaultdict(list), defaultdict(list)
    for invoice in invoices_of(lines, as_of):
        if invoice.kind == "sale":
            orders[invoice.customer].append(invoice)
        elif any(each.line.is_product for each in invoice.lines):
            cancellations[invoice.customer].append(invoice)
    return {
        "return_behaviour": {
            customer: _returns(of_customer, cancellations[customer], as_of)
            for customer, of_customer in orders.items()
        },
        "master_data": {customer: _baskets(of_customer, as_of) for customer, of_customer in orders.items()},
        "customer_features": {
            customer: _features(of_customer, judged, as_of)
            for customer, of_customer in orders.items()
            if any(order.is_kept for order in of_customer)
        },
    }


def share(part: Decimal | int, whole: Decimal | int) -> Fraction | None:
    """A part of a whole; None where there is no whole."""
    return Fraction(part) / Fraction(whole) if whole else None


def shrunk_rate(count: int, orders: int) -> Fraction:
    """Shrunk towards 1/6; 0 where there never was any."""
    return Fraction(0) if not count else (count + Fraction(1, 2)) / (orders + 3)


def _share_back(orders: Iterable[Invoice], back: Callable[[Invoice], Decimal]) -> Fraction:
    """The share of the money ordered that came back."""
    orders = list(orders)
    ordered = sum(max(order.gross, 0) for order in orders)
    return share(sum(order.at_most(back(order)) for order in orders), ordered) or Fraction(0)


def _is_returned(order: Invoice) -> bool:
    """Whether a product that cost something was cancelled, or a line of returns names it."""
    return order.returned > 0 or order.is_named_by_returns


def _is_cancelled(order: Invoice) -> bool:
    """Whether nothing is left of its amount, since something came back."""
    return order.came_back > 0 and order.net <= 0


def _returns(orders: list[Invoice], cancellations: list[Invoice], as_of: date) -> dict[str, object]:
    lately = [order for order in orders if order.day > six_months_before(as_of)]
    cancelled_lines = [each for invoice in cancellations for each in invoice.lines if each.line.is_product]
    row: dict[str, object] = {}
    for window, of_window in (("", orders), ("_6m", lately)):
        row[f"orders{window}"] = len(of_window)
        row[f"returned_orders{window}"] = sum(map(_is_returned, of_window))
        row[f"cancelled_orders{window}"] = sum(map(_is_cancelled, of_window))
        row[f"return_rate{window}"] = shrunk_rate(sum(map(_is_returned, of_window)), len(of_window))
    return {
        **row,
        "returned_share": _share_back(orders, lambda order: order.returned),
        "cancellations": len(cancellations),
        "cancelled_lines": len(cancelled_lines),
        "cancellation_rate": shrunk_rate(len(cancellations), len(orders)),
        "cancelled_lines_rate": shrunk_rate(len(cancelled_lines), len(orders)),
        "days_since_cancellation": min(((as_of - each.day).days for each in cancellations), default=None),
    }


def _baskets(orders: list[Invoice], as_of: date) -> dict[str, object]:
    kept = [order for order in orders if order.is_kept]
    ages = [(as_of - order.day).days for order in kept]
    days = [order.day for order in orders]
    after = six_months_before(as_of)
    last = max(orders, key=lambda order: (order.day, order.number))
    return {
        "recency_days": min(ages, default=None),
        "tenure_days": max(ages, default=None),
        "frequency": len(kept),
        "monetary": sum(order.net for order in kept),
        "monetary_6m": sum(order.net for order in kept if order.day > after),
        "mean_gap_days": share((max(days) - min(days)).days, len(orders) - 1),
        "mean_lines": share(sum(len(order.lines) for order in orders), len(orders)),
        "mean_basket": share(sum(order.gross for order in orders), len(orders)),
        "largest_basket": max(order.gross for order in orders),
        "last_basket": last.gross,
    }


def _features(orders: list[Invoice], judged: list[Judged], as_of: date) -> dict[str, object]:
    kept = [order for order in orders if order.is_kept]
    ages = {id(order): (as_of - order.day).days for order in kept}
    oldest, youngest = max(ages.values()), min(ages.values())
    monetary = sum(order.net for order in kept)
    customer = orders[0].customer
    products = {
        each.line["stock_code"]
        for each in judged
        if each.line.customer == customer and each.line.sort == "sale" and each.line.is_product
    }
    row: dict[str, object] = {
        "recency_days": youngest,
        "tenure_days": oldest,
        "frequency": len(kept),
        "monetary": monetary,
        "mean_order_value": share(monetary, len(kept)),
        "distinct_products": len(products),
        "mean_gap_days": share(oldest - youngest, len(kept) - 1),
        "cancelled_share": _share_back(orders, lambda order: order.came_back),
    }
    for window in (30, 90, 180):
        # the window ends with as_of and holds that day
        lately = [order for order in kept if ages[id(order)] < window]
        row[f"orders_{window}d"] = len(lately)
        row[f"spend_{window}d"] = sum(order.net for order in lately)
    return row
