"""What is unusual for a shop of any size: the rules by which a day is compared with its recent days.

A share is unusual if it is above a fixed limit and chance does not explain it: at the recent share, so many
or more would come about on fewer than one day in 10,000 (the exact binomial tail). So one unreadable line of
three is no broken export, and 48 of 49 are, without a least number of lines. The lines of an order resemble
one another; so what they have in common is counted by orders.

Counts of lines and sums of sales vary far more than chance alone would have it: orders come in any size, and
weekdays differ. Each is compared with the median of the recent days, as a ratio between 1/8 and 8. Up to ten
usual lines are added to both sides the smaller the shop is, so that one large order in a shop of five lines a
day is nothing; and a shop whose usual days differ widely gets wider bounds (five standard deviations, as its
outer tenths show them), so that a hundredfold day of a steady shop stops and one great day of an
unsteady one does not.

How often good days fail is measured in `tests/expectations/test_usual.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from goodstanding.shops.mapping import Limits

Column = Any
# chance explains what would come about on one day in so many
ONE_DAY_IN = 10_000
DAYS_TO_COMPARE = 7
# lines of sales of the recent days from which their tenths are known well enough
LINES_TO_COMPARE = 50
# what of a day's sales lines is compared with the tenths of recent days
BEYOND = ("prices_above", "prices_below", "quantities_above", "quantities_below")
# how far a ratio may be, in standard deviations of what recent days show
SPREADS = 5
# the lowest and the highest tenth of a normal distribution begin so many standard deviations apart
TENTHS_OF_NORMAL = 2.563


def explained_by_chance(count: Column, of: Column, share: Column) -> Column:
    """Whether so many or more, of so many, come about at a share on at least one day in `ONE_DAY_IN`."""
    from scipy.special import bdtrc

    some = np.maximum(np.asarray(count, dtype=float), 1)
    tail = bdtrc(some - 1, np.maximum(np.asarray(of), some).astype(int), np.clip(share, 0, 1))
    return (np.asarray(count) == 0) | (tail >= 1 / ONE_DAY_IN)


@dataclass(frozen=True)
class Share:
    """A share of a day and what it is compared with.

    Attributes:
        count: of how many it is true.
        of: of how many.
        units: how many independent ones these are, at most `of`.
        recent: the recent share, or at least what is taken for granted.
    """

    count: Column
    of: Column
    units: Column
    recent: Column


def add_share(frame: pd.DataFrame, name: str, share: Share, limit: float) -> None:
    """Add a verdict on a share: it is within the limit, or chance explains it at the recent share.

    Args:
        frame: gets the columns `name` (is it usual; null where there is nothing to judge), `<name>_figure`
            and `<name>_usual`.
        name: of the check.
        share: what is judged.
        limit: what is always allowed.
    """
    count, of, units = (np.asarray(column, dtype=float) for column in (share.count, share.of, share.units))
    figure = np.divide(count, of, out=np.full(len(frame), np.nan), where=of > 0)
    # multiplied first: a count must not become one less by rounding where units are all of them
    of_units = np.floor(np.divide(count * units, of, out=np.zeros(len(frame)), where=of > 0))
    is_chance = explained_by_chance(of_units, units, share.recent)
    _add(frame, name, figure, share.recent, (figure <= limit) | is_chance)


@dataclass(frozen=True)
class Ratio:
    """A figure of a day beside the usual one.

    Attributes:
        value: of the day.
        usual: the median of the recent days.
        spread: between the lowest and the highest tenth of the logarithms of the recent days.
        leave: what is added to both sides because the shop is small (`leave_for_small`).
    """

    value: Column
    usual: Column
    spread: Column
    leave: Column


def add_ratio(frame: pd.DataFrame, name: str, ratio: Ratio, times: float) -> None:
    """Add a verdict on a ratio to the usual, which may be 1/times to times, or as far as recent days spread.

    Args:
        frame: as of `add_share`; needs `days_before`.
        name: of the check.
        ratio: what is judged.
        times: how many times the usual is always allowed.
    """
    value, usual, spread, leave = (
        np.asarray(column, dtype=float) for column in (ratio.value, ratio.usual, ratio.spread, ratio.leave)
    )
    is_comparable = (frame["days_before"].to_numpy(dtype=float) >= DAYS_TO_COMPARE) & (usual > 0)
    figure = np.divide(value, usual, out=np.full(len(frame), np.nan), where=is_comparable)
    ratios = np.divide(value + leave, usual + leave, out=np.ones(len(frame)), where=is_comparable)
    allowed = np.maximum(np.log(times), SPREADS * np.nan_to_num(spread) / TENTHS_OF_NORMAL)
    distance = np.abs(np.log(ratios, out=np.full(len(frame), -np.inf), where=ratios > 0))
    _add(frame, name, figure, np.nan, distance <= allowed)


def leave_for_small(usual: Column, enough: float) -> Column:
    """What is added to both sides of a ratio: 10 where the usual count is near 0, 0 from `enough` on."""
    leave: Column = np.clip((1 - np.asarray(usual, dtype=float) / enough) * 10, 0, 10)
    return leave


def _add(frame: pd.DataFrame, name: str, figure: Column, usual: Column, verdict: Column) -> None:
    import pandas as pd

    is_judged = ~np.isnan(figure)
    frame[name] = pd.Series(np.where(is_judged, verdict, None), index=frame.index, dtype=object)
    frame[f"{name}_figure"] = figure
    frame[f"{name}_usual"] = np.where(is_judged, usual, np.nan)


def recent_share(frame: pd.DataFrame, name: str, of: str, at_least: float = 0) -> Column:
    """The share of the recent days; one half where there are none, and never quite 0 or 1."""
    share = (frame[name].to_numpy(dtype=float) + 1) / (frame[of].to_numpy(dtype=float) + 2)
    return np.maximum(share, at_least)


def judge_days(frame: pd.DataFrame, limits: Limits) -> None:
    """Add the verdicts on the days of `raw_orders_usual.sql`."""
    lines = frame["file_lines"]
    # A fifth of the limit (1 %) is taken for granted: of ten lines three unreadable ones are let pass, of 100
    # six. Not the recent share, which bad days of the same range would raise.
    granted = np.full(len(frame), limits.rejected_share / 5)
    rejected = Share(frame["rejected"], lines, lines, granted)
    add_share(frame, "rejected_share", rejected, limits.rejected_share)
    without_customer, below_zero = limits.share_without_customer, limits.share_below_zero
    for name, column, of, at_least, limit in (
        ("share_without_customer", "orders_without_customer", "orders", 0, without_customer),
        ("share_below_zero", "orders_below_zero", "orders_but_cancellations", 0.2, below_zero),
    ):
        recent = recent_share(frame, f"recent_{column}", f"recent_{of}", at_least)
        add_share(frame, name, Share(frame[column], frame[of], frame[of], recent), limit)
    lines, sales = frame["usual_lines"].astype(float), frame["usual_sales"].astype(float)
    leave = leave_for_small(lines, enough=100)
    for name, ratio in (
        ("lines_of_usual", Ratio(frame["lines"], lines, frame["spread_of_lines"], leave)),
        ("sales_of_usual", Ratio(frame["sales"], sales, frame["spread_of_sales"], leave * sales / lines)),
    ):
        add_ratio(frame, name, ratio, limits.times_usual)
        # a shop whose closed days have a file without lines, as another of the recent days shows
        is_closed = (frame["lines"] == 0) & (frame["empty_days_before"] > 0)
        frame.loc[is_closed, [name, f"{name}_figure"]] = [None, np.nan]


def judge_parts(frame: pd.DataFrame, limits: Limits) -> None:
    """Add the verdicts on the days and halves of days of `raw_orders_parts.sql`."""
    # a tenth by definition; twice that, as the tenths are those of a few days
    recent = np.full(len(frame), 0.2)
    for name in BEYOND:
        share = Share(frame[name], frame["lines"], frame["orders"], recent)
        add_share(frame, f"{name}_share", share, limits.beyond_usual)
        is_unknown = ~(frame["days_before"] >= DAYS_TO_COMPARE) | ~(frame["sampled"] >= LINES_TO_COMPARE)
        frame.loc[is_unknown, [f"{name}_share", f"{name}_share_figure"]] = [None, np.nan]


def judge_invoices(frame: pd.DataFrame, limits: Limits) -> None:
    """Add the verdict on the days of `invoices_days.sql`."""
    usual = frame["usual_invoices"].astype(float)
    ratio = Ratio(frame["invoices"], usual, frame["spread_of_invoices"], leave_for_small(usual, enough=25))
    add_ratio(frame, "invoices_of_usual", ratio, limits.times_usual)


def judge_unmatched(frame: pd.DataFrame, limits: Limits) -> None:
    """Add the verdict on the days and kinds of `invoices_unmatched.sql`."""
    # what is known to be misread makes nothing usual, and needs no recent days to compare with
    recent = recent_share(frame, "recent_unmatched", "recent_referring", at_least=0.05)
    share = Share(frame["unmatched"], frame["referring"], frame["referring"], recent)
    add_share(frame, "unmatched_share", share, limits.unmatched_share)
    is_misread = frame["misread"] > limits.unmatched_share * frame["referring"]
    is_unknown = ~(frame["days_before"] >= DAYS_TO_COMPARE) & ~is_misread
    frame.loc[is_unknown, ["unmatched_share", "unmatched_share_figure"]] = [None, np.nan]
