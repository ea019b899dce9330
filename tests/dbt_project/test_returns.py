"""Lines of returns lower the orders that they name, and all that follows from these, in any order of days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from goodstanding.core.settings import Settings
from goodstanding.warehouse.files import open_warehouse
from ml.features import Snapshot
from ml.tasks import TASKS, window_values
from tests.dbt_project.shops import SmallShop
from tests.shop import line

FIRST, SECOND, THIRD, FOURTH, LAST = tuple(f"2011-09-0{n}" for n in range(1, 6))
ANN, BOB, CY, DAN, EVE, FLO = range(101, 107)


def returned(day: str, invoice: str, customer: int, amount: str, why: str) -> str:
    """A line of a file of returns."""
    return f"{invoice},{customer},{day} 10:00:00,{why},{amount}"


FILES: dict[str, list[str]] = {
    f"{FIRST}.csv": [
        line(FIRST, "a1", ANN, "TEA", 1, 50),
        line(FIRST, "b1", BOB, "TEA", 1, 50),
        line(FIRST, "x1", CY, "TEA", 2, 50),
        line(FIRST, "x1", CY, "MUG", 1, 20),
        line(FIRST, "d1", DAN, "TEA", 1, 50),
        # free goods
        line(FIRST, "f1", FLO, "GIFT", 1, 0),
    ],
    f"{THIRD}.csv": [line(THIRD, "C9", CY, "TEA", -1, 50)],
    f"{FOURTH}.csv": [
        line(FOURTH, "a2", ANN, "TEA", 1, 20),
        line(FOURTH, "b2", BOB, "TEA", 1, 20),
        line(FOURTH, "d1", DAN, "TEA", 1, 30),
    ],
    f"returns/{THIRD}.csv": [
        returned(THIRD, "a1", ANN, "50.00", "does not fit"),
        returned(THIRD, "b1", BOB, "", "refused"),
        returned(THIRD, "x1", CY, "50.00", "broken"),
        returned(THIRD, "none", EVE, "9.00", "of no order"),
        returned(THIRD, "f1", FLO, "", "broken"),
    ],
    # the number d1 came again, so this is of the order of 4 September
    f"returns/{LAST}.csv": [
        returned(LAST, "d1", DAN, "10.00", "late"),
        returned(LAST, "x1", CY, "30.00", "broken too"),
    ],
}
TABLES = (
    *("marts.invoices", "marts.return_behaviour", "marts.customer_classes", "marts.customer_features"),
    *("features.invoice_states", "features.order_accounts"),
)


@pytest.fixture
def shop(tmp_path: Path, use_settings: Callable[..., Settings]) -> SmallShop:
    """A shop with all files in its landing, of which it knows nothing yet."""
    shop = SmallShop(tmp_path, use_settings, accounts=True)
    for name, lines in FILES.items():
        shop.put(name, *lines)
    return shop


def test_what_returns_state_is_taken_off_the_order_once(shop: SmallShop) -> None:
    shop.run(FIRST, LAST)
    assert shop.rows(
        "select invoice_no, event_day, cancelled_amount, returned_amount, net_amount, is_kept "
        "from marts.invoices where kind = 'sale' order by 1, 2"
    ) == [
        ("a1", date(2011, 9, 1), 0, 50, 0, False),
        ("a2", date(2011, 9, 4), 0, 0, 20, True),
        # a refusal without an amount gives back all of the order
        ("b1", date(2011, 9, 1), 0, 50, 0, False),
        ("b2", date(2011, 9, 4), 0, 0, 20, True),
        ("d1", date(2011, 9, 1), 0, 0, 50, True),
        ("d1", date(2011, 9, 4), 0, 10, 20, True),
        ("f1", date(2011, 9, 1), 0, 0, 0, False),
        # 50 are cancelled and stated, and 30 more are stated
        ("x1", date(2011, 9, 1), 50, 30, 40, True),
    ]
    counts = "select customer_id, orders, returned_orders, cancelled_orders, refused_orders "
    assert sorted(shop.rows(f"{counts} from marts.return_behaviour")) == [
        *((ANN, 2, 1, 1, 0), (BOB, 2, 1, 1, 1), (CY, 1, 1, 0, 0), (DAN, 2, 1, 0, 0), (FLO, 1, 1, 0, 0)),
    ]
    classes = shop.rows(
        "select customer_id, as_of, frequency, monetary from marts.customer_classes order by 2"
    )
    assert [row[1:] for row in classes if row[0] == ANN] == [
        *((date(2011, 9, day), 1, Decimal(50)) for day in (1, 2)),
        *((date(2011, 9, day), 1, Decimal(20)) for day in (4, 5)),
    ]


def test_the_label_of_returns_knows_what_came_back_without_a_credit_note(shop: SmallShop) -> None:
    shop.run(FIRST, LAST)
    first, third, last = map(date.fromisoformat, (FIRST, THIRD, LAST))
    customers = {name: number for name, number in shop.ids().items() if number in (ANN, BOB, CY, DAN, FLO)}
    snapshot = Snapshot(first, np.array(list(customers), dtype=object), pd.DataFrame())

    def who_returned(since: date, until: date) -> set[int]:
        with open_warehouse(shop.settings) as connection:
            labels = window_values(connection, TASKS["returns_60d"].outcome, snapshot, since, until)
        return {customers[name] for name, label in zip(snapshot.customers, labels, strict=True) if label}

    assert who_returned(first, third) == {ANN, BOB, CY, FLO}
    assert who_returned(third, last) == {CY, DAN}


CHANGES: dict[str, tuple[str, list[str] | None]] = {
    "a return is taken back": (f"returns/{THIRD}.csv", FILES[f"returns/{THIRD}.csv"][1:3]),
    "a file of returns is withdrawn": (f"returns/{LAST}.csv", None),
    "a return is of another amount": (
        f"returns/{THIRD}.csv",
        [returned(THIRD, "a1", ANN, "10.00", "does not fit")],
    ),
    "the newer order of a number goes": (f"{FOURTH}.csv", FILES[f"{FOURTH}.csv"][:1]),
    "an older order of a number comes": (f"{SECOND}.csv", [line(SECOND, "a2", ANN, "TEA", 1, 40)]),
    "the order comes after its return": (f"{SECOND}.csv", [line(SECOND, "none", EVE, "TEA", 1, 12)]),
    "a cancellation comes late": (f"{LAST}.csv", [line(LAST, "C8", CY, "MUG", -1, 20)]),
}


@pytest.mark.parametrize(("name", "lines"), CHANGES.values(), ids=CHANGES)
def test_days_in_any_order_and_late_changes_end_in_one_clean_build(
    shop: SmallShop, name: str, lines: list[str] | None
) -> None:
    for day in (THIRD, LAST, FIRST, FOURTH, SECOND):
        shop.run(day)
    if lines is None:
        (shop.landing / name).unlink()
    else:
        shop.put(name, *lines)
    shop.run(Path(name).stem)
    found = [shop.rows(f"select * from {table} order by all") for table in TABLES]
    assert all(found)
    shop.move()
    shop.run(FIRST, LAST)
    assert [shop.rows(f"select * from {table} order by all") for table in TABLES] == found
