"""What is unusual for a shop of any size: good days of small shops pass, and what goes wrong is found."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from expectations import invoices, raw_orders
from expectations.usual import Ratio, Share, add_ratio, add_share, explained_by_chance
from goodstanding.shops.mapping import Limits
from tests.expectations.small_shops import BIG, FIRST, STEADY, failures, small_shop

DAY = date(2011, 2, 15)
# what may be unusual of good days, per shop and year
FALSE_ALARMS = 1.0


@pytest.mark.parametrize(("lines_a_day", "shops"), [(5, 6), (20, 4)])
def test_good_days_of_small_and_unsteady_shops_pass(lines_a_day: float, shops: int) -> None:
    found = [failures(small_shop(seed, lines_a_day)) for seed in range(shops)]
    days = sum(len({day for day, _ in unusual}) for unusual in found)
    assert days / shops < FALSE_ALARMS, found


def test_chance_is_the_exact_binomial_tail() -> None:
    count, of = np.array([0, 1, 3, 4, 48]), np.array([10, 1, 10, 10, 49])
    assert list(explained_by_chance(count, of, 0.01)) == [True, True, True, False, False]


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_a_share_of_independent_ones_is_judged_by_its_whole_count(share: float) -> None:
    for number in range(1, 100):
        count, of = np.arange(number + 1.0), np.full(number + 1, float(number))
        frame = pd.DataFrame(index=range(number + 1))
        add_share(frame, "check", Share(count, of, of, np.full(number + 1, share)), limit=0)
        assert list(frame["check"]) == list(explained_by_chance(count, of, share))


Spoiling = Callable[[pd.DataFrame], pd.DataFrame]


def spoiled(shop: pd.DataFrame, spoil: Spoiling, day: date = DAY) -> pd.DataFrame:
    """The shop up to a day, with that day spoiled."""
    before, of_day = shop[shop["event_day"] < day], shop[shop["event_day"] == day].copy()
    assert len(of_day) > 5
    return pd.concat([before, spoil(of_day)])


def unreadable_but_one(lines: pd.DataFrame) -> pd.DataFrame:
    return lines.assign(is_readable=lines.index == lines.index[-1])


def without_customers(lines: pd.DataFrame) -> pd.DataFrame:
    return lines.assign(customer_id=None)


def all_negative(lines: pd.DataFrame) -> pd.DataFrame:
    return lines.assign(quantity=-lines["quantity"].abs())


def all_cancelled(lines: pd.DataFrame) -> pd.DataFrame:
    return all_negative(lines).assign(invoice_kind="cancellation")


def hundredfold(lines: pd.DataFrame) -> pd.DataFrame:
    return lines.assign(unit_price=lines["unit_price"] * 100)


def hundredth(lines: pd.DataFrame) -> pd.DataFrame:
    return lines.assign(unit_price=lines["unit_price"] / 100)


def fortyfold_quantities(lines: pd.DataFrame) -> pd.DataFrame:
    return lines.assign(quantity=lines["quantity"] * 40)


def many_times(lines: pd.DataFrame) -> pd.DataFrame:
    again = pd.concat([lines] * 100)
    return again.assign(line_number=range(2, len(again) + 2))


@pytest.mark.parametrize(
    ("lines_a_day", "spoil", "check"),
    [
        (8, unreadable_but_one, "rejected_share"),
        (20, without_customers, "share_without_customer"),
        (20, all_negative, "share_below_zero"),
        (8, hundredfold, "sales_of_usual"),
        (40, hundredfold, "prices_above_share"),
        (40, hundredth, "prices_below_share"),
        (40, fortyfold_quantities, "quantities_above_share"),
        (8, many_times, "lines_of_usual"),
    ],
)
def test_a_spoiled_day_of_a_small_shop_is_found(lines_a_day: float, spoil: Spoiling, check: str) -> None:
    shop = small_shop(4, lines_a_day, days=60, tastes=STEADY)
    assert (DAY, check) not in failures(spoiled(shop, lambda lines: lines), DAY)
    assert (DAY, check) in failures(spoiled(shop, spoil), DAY)


def test_a_day_of_cancellations_alone_after_closed_days_has_no_sign_that_is_wrong() -> None:
    shop = small_shop(4, 20, days=60, tastes=STEADY)
    assert (DAY, "share_below_zero") not in failures(spoiled(shop, all_cancelled), DAY)


def test_turned_signs_are_found_where_the_sign_makes_the_cancellation() -> None:
    # such an export has cancellations alone, and a shop of a few days has nothing else to compare them with
    shop = small_shop(4, 40, days=6, tastes=STEADY)
    day = shop["event_day"].max()
    spoiled_shop = spoiled(shop, all_cancelled, day)
    assert (day, "share_below_zero") in failures(spoiled_shop, day, rule_column="quantity")
    assert (day, "share_below_zero") not in failures(shop, day, rule_column="quantity")


def test_a_file_that_changes_in_the_middle_is_found_by_its_second_half() -> None:
    shop = small_shop(7, 80, days=60, tastes=BIG)

    def second_half_hundredfold(lines: pd.DataFrame) -> pd.DataFrame:
        is_late = lines["line_number"] > lines["line_number"].median()
        return lines.assign(unit_price=lines["unit_price"] * np.where(is_late, 100, 1))

    assert (DAY, "prices_above_share") in failures(spoiled(shop, second_half_hundredfold), DAY)


def test_the_limits_of_a_mapping_replace_those_of_the_gates() -> None:
    shop = spoiled(small_shop(7, 20, days=60, tastes=STEADY), without_customers)
    assert failures(shop, DAY, Limits(share_without_customer=1)) == set()


def test_what_a_mapping_may_limit_is_said_with_the_key_that_limits_it() -> None:
    compared = [
        expectation
        for batch in (*raw_orders.BATCHES, *invoices.BATCHES)
        for expectation in batch.expectations
        if re.search("^share_|_share$|_of_usual$", getattr(expectation, "column", ""))
    ]
    named = [re.findall(r"\(limits\.(\w+)\)", str(expectation.description)) for expectation in compared]
    assert all(len(keys) == 1 for keys in named)
    # what a later export lacks is refused before any gate (`exports.cut`)
    assert {keys[0] for keys in named} == set(Limits.model_fields) - {"withdrawn_share"}


def test_the_first_week_has_nothing_to_compare_with() -> None:
    shop = small_shop(7, 40, days=7, tastes=STEADY)
    assert failures(spoiled(shop, many_times, FIRST + timedelta(6)), FIRST) == set()


def test_a_shop_of_few_lines_has_more_leave_than_one_of_many() -> None:
    def is_usual(value: float, usual: float, leave: float) -> bool:
        frame = pd.DataFrame({"days_before": [28]})
        add_ratio(frame, "check", Ratio([value], [usual], [0], [leave]), times=8)
        return bool(frame["check"][0])

    assert is_usual(100, 5, leave=9.5) and not is_usual(100, 5, leave=0)
    assert not is_usual(0, 500, leave=0) and is_usual(0, 1, leave=10)
