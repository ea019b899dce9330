"""The benchmark on public sets: equal rows lie in one fold, and what is measured is quoted."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from bench import public_cards
from bench.public_cards import CARD, PublicSet, folds_of, measure, out_of_fold, public_sets
from bench.readme import RESULTS, measured_section


@pytest.fixture(scope="module")
def made_up() -> PublicSet:
    generator = np.random.default_rng(1)
    rows = pd.DataFrame(
        {"days": generator.normal(size=400), "purpose": generator.choice(["car", "boat"], 400).astype(object)}
    )
    rows.iloc[200:] = rows.iloc[:200].to_numpy()
    return PublicSet(
        "made_up", rows, generator.random(400) < 1 / (1 + np.exp(1 - 2 * rows["days"].to_numpy(dtype=float)))
    )


def test_every_row_is_predicted_once_a_split_and_equal_rows_lie_in_one_fold(made_up: PublicSet) -> None:
    splits = folds_of(made_up)
    assert len(splits) == 3
    for parts in splits:
        asked = np.concatenate([rows for _, rows in parts])
        assert sorted(asked) == list(range(400))
        for learnt, rows in parts:
            assert not {at % 200 for at in learnt} & {at % 200 for at in rows}


def test_a_label_that_says_nothing_about_other_rows_is_not_predicted(made_up: PublicSet) -> None:
    noise = made_up._replace(
        bad=np.arange(400) % 200 < 80, rows=made_up.rows[["purpose"]].assign(day=np.arange(400) % 7)
    )
    measured = measure(noise, {CARD: out_of_fold(noise, CARD)}, resamples=20)
    assert measured["measures"][CARD]["auc"]["value"] < 0.6


def test_a_measurement_can_be_quoted(made_up: PublicSet) -> None:
    predicted = {CARD: out_of_fold(made_up, CARD)}
    predicted["lightgbm_tuned"] = [np.full(400, 0.3)] * 3
    measured = measure(made_up, predicted, resamples=20)
    assert measured["auc_more_than"]["lightgbm_tuned"]["value"] > 0.2
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    sets = {"made_up": json.loads(json.dumps(measured))}
    results.setdefault("apart", {})["public_cards"] = {"machine": {}, "sets": sets}
    quoted = measured_section(results)
    (row,) = [line for line in quoted.splitlines() if line.startswith("| made_up |")]
    assert "| 400 |" in row and "| - | - |" in row
    assert "On 1 of 1 sets the card is within 0.012 of LightGBM" in quoted


def test_a_set_whose_package_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_cards, "find_spec", lambda name: None)
    (cancer,) = public_sets()
    assert (cancer.name, cancer.rows.shape, int(cancer.bad.sum())) == ("breast_cancer", (569, 30), 212)
