"""Draws a section of the page for each question: its cuts, methods, curves and confusion matrices."""

from __future__ import annotations

from typing import cast

import numpy as np
from markupsafe import Markup

from ml.side_by_side import TaskResult
from pipeline.pages.charts import Series, unit_chart
from pipeline.pages.evaluation.remarks import is_formula
from pipeline.pages.evaluation.report import EvaluationReport, figure
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
# Accuracies that published work on classes of RFM reports.
PUBLISHED = {
    "logistic_regression": 0.87,
    "lda": 0.84,
    "decision_tree": 0.78,
    "random_forest": 0.90,
    "naive_bayes": 0.88,
    "hybrid_kmeans": 0.92,
}


def questions(report: EvaluationReport) -> Markup:
    """A part for each question, in the order in which they are asked."""
    return Markup().join(_question(name, task, report) for name, task in report["tasks"].items())


def decisions(report: EvaluationReport) -> Markup | None:
    """The same for the scorecards of decisions and their rivals; None where they were not asked."""
    asked = report.get("decisions")
    return questions(cast(EvaluationReport, {**report, **asked})) if asked else None


def _question(name: str, task: TaskResult, report: EvaluationReport) -> Markup:
    if task["refused"]:
        return draw_refused(name, task["question"], task["refused"])
    kinds = {method: report["methods"][method]["kind"] for method in task["pooled"]}
    return draw(
        "question.html",
        name=name,
        task=task,
        found=report,
        is_formula=is_formula(task),
        rows="orders" if is_risk(task) else "customers",
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


def is_risk(task: TaskResult) -> bool:
    """Whether it is a question of decisions: then its rows are orders, and wrong answers have costs."""
    return any("cost" in measured for measured in task["pooled"].values())


def _champion_and_rival(task: TaskResult) -> list[str]:
    """The champion, and the baseline; where they are the same, the challenger with the greatest AUC."""
    by_auc = sorted(
        task["curves"],
        key=lambda name: (name == task["champion"], name == task["baseline"], figure(task, name, "auc")[0]),
    )
    return by_auc[:-3:-1]


def _charts(name: str, task: TaskResult) -> list[tuple[Markup, str]]:
    """ROC, calibration and gain, each with the sentences that say what to read off."""
    curves = task["curves"]
    rows = "orders" if is_risk(task) else "customers"
    last, two = task["classes"][-1], len(task["classes"]) == 2
    auc, ece = ({method: figure(task, method, key)[0] for method in curves} for key in ("auc", "ece"))
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
        f"share of {rows}, likeliest first",
        f"share of '{last}' reached",
        [Series(method, curves[method]["gain"]) for method in shown],
        f"{rows} in any order",
    )
    lead = (
        f"ROC. How many of '{last}' are found"
        if two
        else "ROC, the mean over the classes. How many are found"
    )
    predicted = f"a probability of '{last}'" if two else "their likeliest class with a probability"
    return [
        (
            roc,
            f"{lead} (up) where so many of the others are taken for such (across): the nearer to "
            "the upper left corner, the better. Lines that lie on each other are methods that rank alike.",
        ),
        (
            calibration,
            f"Calibration. Of the {rows} that were given {predicted} (across), for what share it came true "
            "(up). Above the diagonal too little was predicted, below it too much. A greater dot stands for "
            f"more {rows}, fewer than ten have none. Unlike for the ECE, all cuts are taken together.",
        ),
        (
            gain,
            f"Gain. Whoever turns to the likeliest quarter of the {rows} by {pair[0]} reaches "
            f"{quarter * 100:.0f} % of all '{last}'; in any order it would be 25 %.",
        ),
    ]
