"""The lifetime benchmark measures the fit, scores and intervals of every model, and the docs can quote it."""

from __future__ import annotations

import json

import pytest

from bench import lifetime
from bench.lifetime import measure_lifetime, read_cdnow
from bench.readme import RESULTS, measured_section


def test_cdnow_is_the_data_set_of_the_papers() -> None:
    for name, customers, orders in (("master", 23_570, 69_659), ("sample", 2_357, 6_919)):
        who, days, amounts = read_cdnow(name)

        assert len(set(who)) == customers
        assert len(who) == len(days) == len(amounts) == orders
        assert (str(days.min()), str(days.max())) == ("1997-01-01", "1998-06-30")


def test_a_measurement_can_be_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifetime, "SCORED", 30_000)
    measured = measure_lifetime()
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    results.setdefault("apart", {})["lifetime"] = measured
    quoted = measured_section(results)

    assert "the 23,570 customers of CDNOW are fitted in" in quoted
    assert "30,000 customers scored in" in quoted
    assert all(
        measured[model][what]["cpu_seconds"] > 0 for model in lifetime.MODELS for what in ("fit", "score")
    )
