"""The page of an evaluation: one HTML file that needs no network and no script, beside the Data Docs.

A page is a list of sections; each takes what was found and gives a part of the page, or nothing where what
it shows was not asked. Figures come from `found` alone, so a page shows what `--json` prints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from expectations.docs import STYLE, write_page
from goodstanding.cannot_tell import cannot_tell, is_formula, what_is_enough
from goodstanding.charts import Series, unit_chart
from goodstanding.settings import Settings

Found = Mapping[str, Any]

# The columns of the table of methods; the folded tables have all measures.
SHOWN = ("auc", "average_precision", "brier", "ece", "accuracy", "macro_f1")
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


def publish_evaluation(settings: Settings, found: Found) -> Path:
    """Write the page of an evaluation, and the index of all pages anew; both appear by rename.

    One page per as_of; where only some tasks were asked or the classes balanced, a page of its own, so that
    it does not stand in for the whole.
    """
    site = settings.evaluations
    page = site / f"{'.'.join(_name(found))}.html"
    has_data_docs = (settings.published / "data_docs" / "index.html").exists()
    write_page(page, evaluation_page(found, has_data_docs))
    index = site / "index.html"
    named = sorted(path.stem.split(".") for path in site.glob("*.html") if path != index)
    newest_first = sorted(named, key=lambda name: name[0], reverse=True)
    write_page(
        index,
        _drawn(
            "evaluations.html",
            pages=[(f"{'.'.join(name)}.html", name[0], name[1:]) for name in newest_first],
            simulated=found["simulated"],
            has_data_docs=has_data_docs,
        ),
    )
    return page


def _name(found: Found) -> list[str]:
    some = list(found["tasks"]) if found["asked"] else []
    return [found["as_of"], *some, *([found["balance"]] if found["balance"] else [])]


def evaluation_page(found: Found, has_data_docs: bool = False) -> str:
    """The whole page of what `goodstanding.evaluation.run_evaluation` found."""
    page = _drawn(
        "evaluation.html",
        found=found,
        simulated=found["simulated"],
        sections=[part for section in SECTIONS if (part := section(found))],
        has_data_docs=has_data_docs,
    )
    return str(page)


def _asked(found: Found) -> Markup:
    """What was asked of which orders, and the answers in one table."""
    methods = found["methods"].values()
    kinds = {kind: sum(method["kind"] == kind for method in methods) for kind in ("challenger", "baseline")}
    return _drawn("asked.html", found=found, kinds=kinds)


def _questions(found: Found) -> Markup:
    """A part for each question, in the order in which they are asked."""
    return Markup().join(_question(name, task, found) for name, task in found["tasks"].items())


def _question(name: str, task: Mapping[str, Any], found: Found) -> Markup:
    if task["refused"]:
        needed, enough = what_is_enough(task["refused"])
        return _drawn("refused.html", name=name, task=task, needed=needed, enough=enough)
    kinds = {method: found["methods"][method]["kind"] for method in task["pooled"]}
    return _drawn(
        "question.html",
        name=name,
        task=task,
        found=found,
        is_formula=is_formula(task),
        published=PUBLISHED,
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


def _champion_and_rival(task: Mapping[str, Any]) -> list[str]:
    """The champion, and the baseline; where they are the same, the challenger with the greatest AUC."""
    drawn = sorted(
        task["curves"],
        key=lambda name: (name == task["champion"], name == task["baseline"], task["pooled"][name]["auc"][0]),
    )
    return drawn[:-3:-1]


def _charts(name: str, task: Mapping[str, Any]) -> list[tuple[Markup, str]]:
    """ROC, calibration and gain, each with the sentences that say what to read off."""
    curves, pooled = task["curves"], task["pooled"]
    last, two = task["classes"][-1], len(task["classes"]) == 2
    auc, ece = ({method: pooled[method][key][0] for method in curves} for key in ("auc", "ece"))
    pair = _champion_and_rival(task)
    drawn = [*pair, *sorted(set(curves) - set(pair), key=auc.__getitem__, reverse=True)]
    shares, reached = np.array(curves[pair[0]]["gain"]).T
    quarter = float(np.interp(0.25, shares, reached))
    roc = unit_chart(
        f"ROC curves of {name}",
        "false positive rate",
        "true positive rate",
        [Series(f"{method}, AUC {auc[method]:.3f}", curves[method]["roc"]) for method in drawn],
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
        [Series(method, curves[method]["gain"]) for method in drawn],
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


def _cannot_tell(found: Found) -> Markup:
    """What this shop's data cannot tell."""
    return _drawn("cannot_tell.html", remarks=cannot_tell(found))


SECTIONS: tuple[Callable[[Found], Markup], ...] = (_asked, _questions, _cannot_tell)


def _bounds(measured: Sequence[float], form: str = ".3f") -> str:
    """The bounds of a measure."""
    _, low, high = measured
    return f"[{low:{form}}, {high:{form}}]"


PAGES = Environment(
    loader=PackageLoader("goodstanding"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
PAGES.filters |= {"bounds": _bounds, "enough": lambda refused: what_is_enough(refused)[1]}
PAGES.globals |= {"STYLE": Markup(STYLE), "SHOWN": SHOWN, "TITLES": TITLES}


def _drawn(template: str, **given: Any) -> Markup:
    return Markup(PAGES.get_template(template).render(given))
