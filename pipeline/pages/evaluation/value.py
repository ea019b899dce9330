"""Draws the section on value: how well spend was forecast, and how the RFM score relates to spend."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from ml.value import RfmScore
from pipeline.pages.charts import DOT, Series, axis_from_zero, chart, unit_axis, whole_axis
from pipeline.pages.evaluation.report import EvaluationReport
from pipeline.pages.page import draw, draw_refused
from pipeline.pages.words import number

# The columns of the table of methods; the folded tables have all measures.
SHOWN = ("mae", "bias", "spearman", "gini")
TITLES = {
    "mae": "MAE ↓",
    "rmse": "RMSE ↓",
    "bias": "Bias",
    "spearman": "Spearman ↑",
    "gini": "Gini ↑",
    "decile_mape": "MAPE of ten groups ↓",
    "top_share": "Spend of the top tenth ↑",
}
# the others have three digits
FORMS = {"mae": ",.0f", "rmse": ",.0f", "bias": "+.1%", "decile_mape": ".1%", "top_share": ".1%"}


def value(report: EvaluationReport) -> Markup:
    """What customers spend, or why it was not measured."""
    measured = report.get("value")
    if not measured:
        return Markup()
    scores = measured["rfm_score"]
    if measured["refused"] or not scores:
        return draw_refused("value", measured["question"], measured["refused"] or "")
    return draw(
        "value.html",
        found=measured,
        shown=SHOWN,
        titles=TITLES,
        forms=FORMS,
        charts=_charts(scores),
    )


def _charts(scores: RfmScore) -> list[tuple[Markup, str]]:
    """Means and shares of each credit score with enough customers to tell."""
    rows: list[Any] = [row for row in scores["by_score"] if row["spend"]]
    if not rows:
        return []
    across = whole_axis("RFM score at the cut", rows[0]["score"], rows[-1]["score"])
    customers = sum(row["customers"] for row in scores["by_score"])
    highest = max(max(row["predicted_value"], row["spend"][2]) for row in rows)
    best = rows[-1]
    return [
        (
            chart(
                "RFM score against value",
                across,
                axis_from_zero("spend within 90 days, mean", highest),
                [
                    Series(
                        "spent after the cut, with 95 % interval",
                        [(row["score"], row["spend"][0], 1) for row in rows],
                        [(row["score"], *row["spend"][1:]) for row in rows],
                    ),
                    Series(
                        f"predicted at the cut by {scores['value_by']}",
                        [(row["score"], row["predicted_value"], 1) for row in rows],
                    ),
                ],
                radius=DOT,
            ),
            "RFM score against value. The mean spend of the customers of each score, as predicted at the cut "
            "and as it turned out, over all cuts.",
        ),
        (
            chart(
                "RFM score against the share of all spend",
                across,
                unit_axis("share"),
                [
                    Series("of all spend", [(row["score"], row["share_of_spend"], 1) for row in rows]),
                    Series(
                        "of all customers",
                        [(row["score"], row["customers"] / customers, 1) for row in rows],
                    ),
                ],
                radius=DOT,
            ),
            f"Shares. The {number(best['customers'] / customers, '.1%')} of customers with a score of "
            f"{best['score']} spent {number(best['share_of_spend'], '.1%')} of what all with a score spent.",
        ),
    ]
