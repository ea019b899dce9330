"""Fixtures for decisions: the policy of tests, and strategies that draw scorecards and questions."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import strategies as st

from goodstanding.core.vocabulary import CLASSES
from goodstanding.decisions.decide import Question, Standing
from goodstanding.decisions.facts import in_stated_direction
from goodstanding.decisions.policy import COD, EMI, Policy, read_policies
from goodstanding.decisions.scorecard import Bin, Characteristic, Scorecard
from tests.small_policy import POLICY

NAMES = ("credit_score", "return_rate", "basket")


@pytest.fixture(scope="session")
def policy() -> Policy:
    return read_policies(POLICY)[0]


@st.composite
def characteristics(draw: st.DrawFn, name: str) -> Characteristic:
    """Draw bins with any points, monotone or not, with or without a bin for missing values."""
    high = 1000 if name == "basket" else 12
    edges = sorted(draw(st.lists(st.integers(0, high), max_size=4, unique=True)))
    ends = [None, *(float(edge) for edge in edges), None]
    points = st.integers(-60, 120)
    bins = [Bin(draw(points), above, up_to) for above, up_to in pairwise(ends)]
    if draw(st.booleans()):
        bins.append(Bin(draw(points), is_missing=True))
    return Characteristic(name, tuple(bins))


@st.composite
def cards(draw: st.DrawFn) -> Scorecard:
    return in_stated_direction(
        Scorecard(
            model_id="drawn",
            decision=COD,
            bad_outcome="it fails",
            base_points=draw(st.integers(250, 800)),
            anchor_score=600,
            anchor_odds=draw(st.sampled_from([1.0, 5.0, 20.0])),
            points_to_double=draw(st.sampled_from([20, 60])),
            characteristics=tuple(draw(characteristics(name)) for name in NAMES if draw(st.booleans())),
        )
    )


cents = st.integers(1, 300_000).map(lambda amount: Decimal(amount) / 100)
values = st.fixed_dictionaries(
    {
        "credit_score": st.none() | st.integers(3, 12),
        "return_rate": st.none() | st.floats(0, 12),
    }
)
standings = st.builds(
    Standing,
    situation=st.sampled_from([None, None, None, None, "unknown_customer", "first_time_buyer"]),
    as_of=st.just("2011-12-09"),
    age_days=st.integers(0, 12),
    customer_class=st.sampled_from(CLASSES),
    values=values,
    outstanding=st.sampled_from([None, Decimal(0), Decimal("0.01"), Decimal("420.00")]),
    granted_customer=st.sampled_from([Decimal(0), Decimal("80.00"), Decimal("9999.00")]),
    granted_day=st.sampled_from([Decimal(0), Decimal("49950.00"), Decimal("60000.00")]),
)
questions = st.builds(Question, st.sampled_from([COD, EMI]), cents, st.sampled_from([None, 3, 7, 12]))
