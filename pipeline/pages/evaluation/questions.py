"""A part of the page for each question: its cuts, the table of methods, curves and confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline.pages.cannot_tell import is_formula
from pipeline.pages.charts import Series, unit_chart
from pipeline.pages.page import draw, draw_refused

# The columns of the table of methods; the folded tables have all measures.
SHOWN = ("auc", "average_precision", "brier", "ece", "accuracy", "macro_f1")
SHOWN_OF_RISKS = ("auc", "ks", "top_decile", "brier", "ece", "f1", "cost")
TITLES = {
    "auc": "AUC ↑",
    "average_precision": "AP ↑",
    "brier": "Brier ↓",
    "log_loss": "Log loss ↓",
    "ece": "ECE ↓",
    "accuracy": "Accuracy ↑",
    "majority": "Majority",
    "macro_precision": "Macro precision ↑",
    "macro_recall": "Macro recall ↑",
    "macro_specificity": "Macro specificity ↑",
    "macro_f1": "Macro F1 ↑",
    "ks": "KS ↑",
    "top_decile": "Top tenth ↑",
    "f1": "F1 of the refused ↑",
    "cost": "Cost ↓",
}
# As work on the classes of RFM reports them.
PUBLISHED = {
    "logistic_regression": 0.87,
    "lda": 0.84,
    "decision_tree": 0.78,
    "random_forest": 0.90,
    "naive_bayes": 0.88,
    "hybrid_kmeans": 0.92,
}

Found = Mapping[str, Any]


def questions(found: Found) -> Markup:
    """A part for each question, in the order in which they are asked."""
    return Markup().join(_question(name, task, found) for name, task in found["tasks"].items())


def decisions(found: Found) -> Markup | None:
    """The same for the scorecards of decisions and their rivals; None where they were not asked."""
    asked = found.get("decisions")
    return questions({**found, **asked}) if asked else None


def _question(name: str, task: Mapping[str, Any], found: Found) -> Markup:
    if task["refused"]:
        return draw_refused(name, task["question"], task["refused"])
    kinds = {method: found["methods"][method]["kind"] for method in task["pooled"]}
    return draw(
        "question.html",
        name=name,
        task=task,
        found=found,
        is_formula=is_formula(task),
        published=PUBLISHED,
        shown=SHOWN_OF_RISKS if is_risk(task) else SHOWN,
        titles=TITLES,
        grouped=[
            (title, [method for method in task["pooled"] if kinds[method] == kind])
            for kind, title in (
                ("baseline", "Baselines"),
                ("challenger", "Trained methods"),
            )
        ],
        charts=_charts(name, task),
        matrices=_champion_and_rival(task),
    )


def is_risk(task: Mapping[str, Any]) -> bool:
    """Whether the question is by whom one loses, so that wrong answers have costs."""
    return any("cost" in measured for measured in task["pooled"].values())


def _champion_and_rival(task: Mapping[str, Any]) -> list[str]:
    """The champion, and the baseline; where they are the same, the challenger with the greatest AUC."""
    by_auc = sorted(
        task["curves"],
        key=lambda name: (name == task["champion"], name == task["baseline"], task["pooled"][name]["auc"][0]),
    )
    return by_auc[:-3:-1]


def _charts(name: str, task: Mapping[str, Any]) -> list[tuple[Markup, str]]:
    """ROC, calibration and gain, each with the sentences that say what to read off."""
    curves, pooled = task["curves"], task["pooled"]
    last, two = task["classes"][-1], len(task["classes"]) == 2
    auc, ece = ({method: pooled[method][key][0] for method in curves} for key in ("auc", "ece"))
    pair = _champion_and_rival(task)
    shown = [*pair, *sorted(set(curves) - set(pair), key=auc.__getitem__, reverse=True)]
    shares, reached = np.array(curves[pair[0]]["gain"]).T
    quarter = float(np.interp(0.25, shares, reached))
    roc = unit_chart(
        f"ROC curves of {name}",
        "false positive rate",
        "true positive rate",
        [Series(f"{method}, AUC {auc[method]:.3f}", curves[method]["roc"]) for method in shown],
        "chance, AUC 0.500",
    )
    calibration = unit_chart(
        f"Calibration of {name}",
        "mean predicted probability",
        "observed share",
        [Series(f"{method}, ECE {ece[method]:.3f}", curves[method]["calibration"]) for method in pair],
        "observed as predicted",
    )
    gain = unit_chart(
        f"Cumulative gain of {name}",
        "share of customers, likeliest first",
        f"share of '{last}' reached",
        [Series(method, curves[method]["gain"]) for method in shown],
        "customers in any order",
    )
    found = (
        f"ROC. How many of '{last}' are found"
        if two
        else "ROC, the mean over the classes. How many are found"
    )
    predicted = f"a probability of '{last}'" if two else "their likeliest class with a probability"
    return [
        (
            roc,
            f"{found} (up) where so many of the others are taken for such (across): the nearer to "
            "the upper left corner, the better. Lines that lie on each other are methods that rank alike.",
        ),
        (
            calibration,
            f"Calibration. Of the customers who were given {predicted} (across), for how many it came true "
            "(up). Above the diagonal too little was predicted, below it too much. A greater dot stands for "
            "more customers, fewer than ten have none. Unlike for the ECE, the cuts are taken as one.",
        ),
        (
            gain,
            f"Gain. Whoever turns to the likeliest quarter of the customers by {pair[0]} reaches "
            f"{quarter * 100:.0f} % of all '{last}'; in any order it would be 25 %.",
        ),
    ]
