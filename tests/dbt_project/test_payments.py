"""What shops of several ways to tell of payments say of a customer: mapped, read, and built by dbt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from goodstanding.core.days import Days
from goodstanding.core.settings import Settings
from goodstanding.warehouse.files import open_warehouse
from pipeline import steps

MAPPING = """
source: tiny
timezone: Europe/London
currency: GBP
archive: true
payments:
  amounts: {amounts}
  files: {{path: "pay-{{day}}*.csv"}}
  columns:
    customer_id: {{from: customer, as: text}}
    invoice_no: {{from: order, as: text}}
    instalment_no: {{from: instalment, as: integer}}
    amount: {{from: amount, as: decimal}}
    due_day: {{from: due, as: date}}
{columns}
"""
COLUMNS = {
    "paid_day": "{from: paid, as: date, optional: true}",
    "paid_amount": "{from: paid_amount, as: decimal, optional: true}",
    "days_late": "{from: late, as: integer, optional: true}",
    "outstanding": "{from: left, as: decimal, optional: true}",
    "recorded_at": "{from: at, as: timestamp}",
}
HEADER = "customer,order,instalment,amount,due,paid,paid_amount,late,left,at"
Behaviour = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
def behaviour(tmp_path: Path, use_settings: Callable[..., Settings]) -> Behaviour:
    """Load files, given by the part of their names after `pay-`, and tell what is known of each customer.

    The rows: overdue_instalments, on_time_share, paid_share, outstanding; in the order of their orders.
    """

    def told(
        columns: list[str], files: dict[str, list[str]], amounts: str = "so_far"
    ) -> list[tuple[object, ...]]:
        landing, mapping = tmp_path / "landing", tmp_path / "shop.yml"
        landing.mkdir()
        listed = "\n".join(f"    {name}: {COLUMNS[name]}" for name in columns)
        mapping.write_text(MAPPING.format(columns=listed, amounts=amounts))
        for name, lines in files.items():
            (landing / f"pay-{name}.csv").write_text("\n".join([HEADER, *lines]) + "\n")
        days = sorted(date.fromisoformat(name[:10]) for name in files)
        current = use_settings(home=tmp_path / "home", landing=landing, shop=str(mapping))
        for step in (steps.ingest, steps.check_raw, steps.transform):
            step(Days(days[0], days[-1]), "run")
        with open_warehouse(current) as connection:
            return connection.execute(
                """
                select overdue_instalments, on_time_share, paid_share, outstanding
                from marts.payment_behaviour
                inner join (
                    select customer_id, min(invoice_no) as first_order from features.instalment_states
                    group by customer_id
                ) using (customer_id)
                where as_of = (select max(as_of) from marts.payment_behaviour)
                order by first_order
                """
            ).fetchall()

    return told


def test_a_part_payment_leaves_the_rest_owed_whether_or_not_its_day_is_told(behaviour: Behaviour) -> None:
    told = behaviour(
        ["paid_day", "paid_amount", "recorded_at"],
        {
            "2011-12-01": [
                "1,o1,1,100.00,2011-12-10,2011-12-01,30.00,,,2011-12-01 10:00:00",
                "2,o2,1,100.00,2011-12-10,,30.00,,,2011-12-01 10:00:00",
                # the day alone says that all was paid; what is due already is late by what is missing
                "3,o3,1,100.00,2011-12-10,2011-12-01,,,,2011-12-01 10:00:00",
                "4,o4,1,100.00,2011-11-30,2011-11-29,30.00,,,2011-12-01 10:00:00",
            ]
        },
    )
    assert told == [
        (0, None, None, Decimal(70)),
        (0, None, None, Decimal(70)),
        (0, 1.0, 1.0, Decimal(0)),
        (1, 0.0, 0.3, Decimal(70)),
    ]


def test_payments_with_amounts_of_their_own_are_added_up_and_each_counts_once(behaviour: Behaviour) -> None:
    told = behaviour(
        ["paid_day", "paid_amount", "recorded_at"],
        {
            "2011-12-01": [
                "1,o1,1,100.00,2011-12-10,2011-12-01,30.00,,,2011-12-01 10:00:00",
                # two payments of a day, and one line twice
                "2,o2,1,100.00,2011-12-10,2011-12-01,30.00,,,2011-12-01 10:00:00",
                "2,o2,1,100.00,2011-12-10,2011-12-01,30.00,,,2011-12-01 11:00:00",
                "3,o3,1,100.00,2011-12-10,2011-12-01,30.00,,,2011-12-01 10:00:00",
                "3,o3,1,100.00,2011-12-10,2011-12-01,30.00,,,2011-12-01 10:00:00",
                "4,o4,1,100.00,2011-12-03,,0,,,2011-12-01 10:00:00",
            ],
            "2011-12-05": [
                "1,o1,1,100.00,2011-12-10,2011-12-05,70.00,,,2011-12-05 10:00:00",
                "2,o2,1,100.00,2011-12-10,2011-12-05,30.00,,,2011-12-05 10:00:00",
                "4,o4,1,100.00,2011-12-03,2011-12-05,60.00,,,2011-12-05 10:00:00",
                "4,o4,1,100.00,2011-12-03,2011-12-05,40.00,,,2011-12-05 11:00:00",
            ],
        },
        "each",
    )
    assert told == [
        (0, 1.0, 1.0, Decimal(0)),
        (0, None, None, Decimal(10)),
        (0, None, None, Decimal(70)),
        (0, 0.0, 1.0, Decimal(0)),
    ]


def test_a_payment_told_again_in_a_later_file_is_no_further_one(behaviour: Behaviour) -> None:
    first, second = (f"1,o1,1,100.00,2011-12-10,2011-12-0{day},30.00,,," for day in (1, 5))
    files = {"2011-12-01": [first], "2011-12-05": [first, second], "2011-12-06": [second, first]}
    assert behaviour(["paid_day", "paid_amount"], files, "each") == [(0, None, None, Decimal(40))]


def test_several_part_payments_are_what_was_paid_so_far(behaviour: Behaviour) -> None:
    told = behaviour(
        ["paid_day", "paid_amount"],
        {
            "2011-12-01": ["1,o1,1,100.00,2011-12-10,2011-12-01,30.00,,,", "2,o2,1,100.00,2011-12-10,,,,,"],
            "2011-12-05": ["1,o1,1,100.00,2011-12-10,2011-12-05,60.00,,,"],
            "2011-12-12": ["1,o1,1,100.00,2011-12-10,2011-12-12,100.00,,,"],
        },
    )
    assert told == [(0, 0.0, 1.0, Decimal(0)), (1, 0.0, 0.0, Decimal(100))]


ONE = ["1,o1,1,100.00,2011-11-10,,,,,", "2,o2,1,100.00,2011-11-10,2011-11-10,100.00,0,0.00,"]


@pytest.mark.parametrize(
    ("columns", "of_the_first", "of_the_second"),
    [
        ([], (None, None, None, None), (None, None, None, None)),
        (["outstanding"], (None, None, None, None), (None, None, None, Decimal(0))),
        (["days_late"], (None, None, None, None), (None, 1.0, None, None)),
        (["paid_amount"], (1, 0.0, 0.0, Decimal(100)), (0, None, 1.0, Decimal(0))),
        (["paid_day"], (1, 0.0, 0.0, Decimal(100)), (0, 1.0, 1.0, Decimal(0))),
    ],
)
def test_what_the_mapping_does_not_name_is_not_known(
    behaviour: Behaviour, columns: list[str], of_the_first: tuple[object], of_the_second: tuple[object]
) -> None:
    """The first line has nothing but what is due; the second has all that a shop may tell."""
    assert behaviour(columns, {"2011-12-01": ONE}) == [of_the_first, of_the_second]


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_of_a_day_the_line_recorded_last_counts_whatever_its_file_is_called(
    behaviour: Behaviour, names: tuple[str, str]
) -> None:
    paid, taken_back = (f"2011-12-01-{name}" for name in names)
    told = behaviour(
        ["paid_day", "paid_amount", "recorded_at"],
        {
            paid: ["1,o1,1,100.00,2011-12-10,2011-12-01,100.00,,,2011-12-01 10:00:00"],
            taken_back: ["1,o1,1,100.00,2011-12-10,,0.00,,,2011-12-01 11:00:00"],
        },
    )
    assert told == [(0, None, None, Decimal(100))]


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_of_a_day_without_times_the_line_counts_by_which_more_is_paid(
    behaviour: Behaviour, names: tuple[str, str]
) -> None:
    agreed, paid = (f"2011-12-01-{name}" for name in names)
    told = behaviour(
        ["paid_day"],
        {
            agreed: ["1,o1,1,100.00,2011-12-10,,,,,"],
            paid: ["1,o1,1,100.00,2011-12-10,2011-12-01,,,,"],
        },
    )
    assert told == [(0, 1.0, 1.0, Decimal(0))]
