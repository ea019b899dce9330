"""The decision scorecards are on the evaluation page like the questions, with their risk measures."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from app.cli.evaluation_tables import print_evaluation
from ml.scorecards.orders import COD
from ml.scorecards.train import METHODS, read_question
from ml.side_by_side import answer
from pipeline.pages.evaluation import evaluation_page
from tests.ml.order_log import NEWEST_DAY, open_shop
from tests.ml.scorecards.test_train import take_orders


@pytest.fixture(scope="module")
def decided(evaluated: dict[str, Any]) -> dict[str, Any]:
    with open_shop(60) as shop:
        take_orders(shop, slope=0.8)
        question = read_question(shop, COD, NEWEST_DAY)
    some = {name: each for name, each in METHODS.items() if not each.rival or name == "decision_tree"}
    return {**evaluated, "decisions": answer([question], folds=200, methods=some)}


def test_page_and_tables_show_ks_cost_and_the_shipped_method(decided: dict[str, Any]) -> None:
    page = evaluation_page(decided)
    assert '<section id="cod">' in page
    part = page.partition('<section id="cod">')[2].partition("</section>")[0]
    for title in ("KS ↑", "Top tenth ↑", "F1 of the refused ↑", "Cost ↓"):
        assert title in part
    console = Console(record=True, width=150, file=io.StringIO())
    print_evaluation(decided, console)
    text = console.export_text()
    measured = decided["decisions"]["tasks"]["cod"]
    assert measured["champion"] == "scorecard"
    row = next(line for line in text.splitlines() if line.startswith("│ scorecard"))
    for measure in ("ks", "top_decile", "brier", "ece", "f1", "cost"):
        assert f"{measured['pooled']['scorecard'][measure][0]:.3f}" in row
    assert "│ yes" in " ".join(row.split())


def test_without_decisions_the_page_has_no_such_part(evaluated: dict[str, Any]) -> None:
    assert 'id="cod"' not in evaluation_page({**evaluated, "decisions": None})
