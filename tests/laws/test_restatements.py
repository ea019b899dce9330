"""The law of restatements: what was published first, with all restatements, gives what is published now."""

from __future__ import annotations

import random
from datetime import date
from typing import Any

import pytest

from goodstanding.core.vocabulary import STEPS
from tests.laws.conftest import days_from, drawn_day
from tests.shop import write_day

Published = dict[tuple[str, date], tuple[str, int]]


def published(warehouse) -> Published:
    """The class and credit score of each customer as of each day, as published."""
    return {
        (customer, as_of): (name, score)
        for customer, as_of, name, score in warehouse.rows(
            "select customer_id, as_of, class, credit_score from marts.customer_classes"
        )
    }


def restatements(warehouse) -> list[tuple[Any, ...]]:
    return warehouse.rows(
        """
        select customer_id, as_of, from_class, from_credit_score, to_class, to_credit_score, restated_at,
            cause, changed_day, file_name
        from marts.restatements order by restated_at, as_of, customer_id
        """
    )


def applied(first_published: Published, rows: list[tuple[Any, ...]]) -> Published:
    """Apply every restatement to the first publication; the old values of each must match."""
    known = dict(first_published)
    for customer, as_of, from_class, from_score, to_class, to_score, *_ in rows:
        before = known.pop((customer, as_of), (None, None))
        assert before == (from_class, from_score), "a restatement starts from the published values"
        assert before != (to_class, to_score)
        if to_class is not None:
            known[customer, as_of] = (to_class, to_score)
    return known


class Crash(BaseException):
    """Stands for a killed process."""


@pytest.mark.parametrize("seed", [1, 2])
def test_the_first_publication_plus_all_restatements_gives_the_current_one(warehouse, monkeypatch, seed):
    """Days in any order; corrected, withdrawn and returned files; a run killed just before it publishes."""
    days, draw = days_from(4), random.Random(seed)
    lived = warehouse("lived")
    first_published: Published = {}
    carried: list[tuple[Any, ...]] = []
    order = [*draw.sample(days, len(days)), *(draw.choice(days) for _ in range(3))]
    for number, day in enumerate(order):
        path = lived.landing / f"{day}.csv"
        if path.exists() and draw.random() < 0.25:
            path.unlink()
        else:
            write_day(lived.landing, day, drawn_day(draw, day))
        for step in STEPS[:-1]:
            lived.step(step, day)
        if number == len(order) // 2:
            with monkeypatch.context() as patch, pytest.raises(Crash):
                patch.setattr(
                    "goodstanding.warehouse.publish.put_in_place", lambda *_: (_ for _ in ()).throw(Crash)
                )
                lived.step("publish", day)
            assert restatements(lived) == carried, "an unpublished run restates nothing"
        lived.step("publish", day)
        now, rows = published(lived), restatements(lived)
        assert rows[: len(carried)] == carried, "a restatement is never taken back"
        assert all(row[8] == day and row[9] == path.name for row in rows[len(carried) :]), "only it changed"
        if number % 2:
            lived.step("publish", day)
            assert restatements(lived) == rows, "publishing again restates nothing"
        carried = rows
        restated = {(customer, as_of) for customer, as_of, *_ in rows}
        first_published |= {key: now[key] for key in now.keys() - first_published.keys() - restated}
        assert applied(first_published, rows) == now
    assert {row[7] for row in carried} == {"own_lines", "borders"}
    assert any(row[4] is None for row in carried), "a restatement withdraws a customer"
