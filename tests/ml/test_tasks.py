"""The prediction tasks: their names, windows and borders."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from goodstanding.core.errors import WrongUse
from ml.tasks import TASKS, tasks_named

CUT = date(2011, 8, 31)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("present_class", CUT, CUT),
        ("buys_30d", date(2011, 8, 1), date(2011, 9, 30)),
        ("returns_60d", date(2011, 7, 2), date(2011, 10, 30)),
        ("class_next_quarter", date(2011, 5, 31), date(2011, 11, 30)),
        ("value_tier_6m", date(2011, 2, 28), date(2012, 2, 29)),
    ],
)
def test_the_windows_before_and_after_a_cut_have_the_same_length(
    name: str, before: date, after: date
) -> None:
    assert (TASKS[name].moved(CUT, -1), TASKS[name].moved(CUT, 1)) == (before, after)


def test_the_tiers_are_zero_spend_and_the_thirds_of_those_who_spent() -> None:
    borders = TASKS["value_tier_6m"].borders
    spent = np.array([0.0, 0.0, 0.0, *range(1, 10)])

    assert np.searchsorted(borders(spent), spent).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert np.searchsorted(borders(np.zeros(3)), [0.0, 5.0]).tolist() == [0, 1]


def test_tasks_are_found_by_name_and_the_error_for_an_unknown_one_lists_them() -> None:
    assert tasks_named(["returns_60d", "buys_30d"]) == [TASKS["returns_60d"], TASKS["buys_30d"]]
    assert tasks_named([]) == list(TASKS.values())
    with pytest.raises(WrongUse, match="there is no task buys_7d; there are present_class, buys_30d"):
        tasks_named(["buys_90d", "buys_7d"])
