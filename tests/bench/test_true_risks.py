"""A scorecard fitted on simulated orders is compared with the true risks that drew their outcomes.

`bench.true_risks` measures the whole shop of the docs, `simulate ... --customers 20000 --days 730`.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from bench.readme import RESULTS, measured_section
from bench.true_risks import hold_against_truth, rank_correlation
from ml.scorecards.orders import CHARACTERISTICS, COD_REFUSED, read_orders
from ml.scorecards.rivals import SCORECARD
from ml.scorecards.train import methods_on
from tests.ml.order_log import NEWEST_DAY, open_shop
from tests.ml.scorecards.test_train import take_orders, take_refusals

CUT = date(2011, 8, 31)


@pytest.fixture(scope="module")
def held() -> dict[str, Any]:
    with open_shop(60) as shop:
        take_orders(shop, slope=0.8)
        take_refusals(shop)
        shop.execute("update features.order_features set orders = if(orders > 0, 20, 3)")
        # the risks with which take_orders drew returns; take_refusals made refusals of four fifths of these
        chances = shop.execute(
            """
            select
                invoice_no as "order",
                0.8 / (1 + exp(1.2 - 0.8 * (ln(basket) - 5 + return_rate))) as refusal_probability
            from features.order_features
            """
        ).df()
        learnt = read_orders(shop, COD_REFUSED, date.min, CUT - COD_REFUSED.window)
        scorecard = methods_on(COD_REFUSED)[SCORECARD].fit(learnt).card(CHARACTERISTICS, "cod", "x")
        card = {
            "data_day": str(CUT),
            "fitted_on": {"orders": len(learnt.customers)},
            "scorecard": scorecard.to_json(),
        }
        return hold_against_truth(shop, COD_REFUSED, card, chances.set_index("order"), NEWEST_DAY, folds=100)


def test_the_card_is_tested_on_later_orders_and_does_nearly_as_well_as_the_true_risks(
    held: dict[str, Any],
) -> None:
    auc = {name: of["auc"]["value"] for name, of in held["measures"].items()}
    assert auc["truth"] > auc["scorecard"] > auc["basket"] > auc["refusal_rate"]
    assert held["gap"]["value"] == pytest.approx(auc["scorecard"] - auc["truth"], abs=1e-5)
    assert held["gap"]["low"] > -0.05 and held["spearman"]["low"] > 0.9
    assert held["mean"]["scorecard"] == pytest.approx(held["mean"]["truth"], abs=0.02)
    assert 0 < held["orders"] < 1200 < held["learnt"]
    parts = [held["history"][part] for part in ("few", "many")]
    assert sum(part["orders"] for part in parts) == held["orders"]
    assert all(part["truth"]["low"] > 0.5 for part in parts)


def test_the_rank_correlation_equals_scipys_and_lies_in_its_interval() -> None:
    generator = np.random.default_rng(3)
    first = generator.normal(size=300)
    second = first + generator.normal(size=300).round(1)
    customers = np.repeat(np.arange(100), 3).astype(object)
    correlation = rank_correlation(customers, first, second, folds=200)
    assert correlation["value"] == pytest.approx(spearmanr(first, second).statistic, abs=1e-4)
    assert 0.5 < correlation["low"] < correlation["value"] < correlation["high"] < 0.9


def test_the_docs_quote_each_label_or_say_that_no_card_shipped(held: dict[str, Any]) -> None:
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    cost = {"seconds": 12.3, "cpu_seconds": 10.0, "peak_mb": 1234}
    results.setdefault("apart", {})["true_risks"] = {
        "machine": {"load_before": 0.5},
        "customers": 900,
        "days": 374,
        "as_of_days": 730,
        "memory_limit": "2GB",
        "order_lines": 5000,
        "cut": str(CUT),
        "costs": dict.fromkeys(("simulate", "run_to_cut", "train", "run_after"), cost),
        "labels": {"cod_refused": json.loads(json.dumps(held)), "emi": None},
    }
    quoted = measured_section(results)
    (row,) = (line for line in quoted.splitlines() if line.startswith("| cod_refused |"))
    assert f"{held['measures']['scorecard']['auc']['value']:.3f} [" in row and "basket 0." in row
    assert "| emi | no card shipped |" in quoted and "training 12 (10), 1,234 MB" in quoted
    assert "SIMULATED: a shop of 900 customers, 374 days and 5,000 order lines" in quoted
