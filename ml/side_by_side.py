"""All methods side by side on the future: what `goodstanding evaluate` and the DAG `evaluate_models` measure.

First everything is read, so that the warehouse is open no longer than that; then methods are fitted and
measured in processes of their own, with one thread of linear algebra each. Nothing depends on their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import numpy as np

from goodstanding.core.errors import DataProblem
from ml import evaluate
from ml.candidate import SEED, Balance, Candidate, probabilities
from ml.curves import curves
from ml.extras import load_keras
from ml.measures import Floats, Labels, confusion_matrix
from ml.methods import METHODS
from ml.pairs import Pair, read_pairs, too_few_cuts
from ml.processes import run
from ml.tasks import TASKS, Task

Tell = Callable[[str, int, int], None]

# So many challengers are drawn beside the baseline.
DRAWN = 3


@dataclass(frozen=True)
class Question:
    """A task as a shop can answer it: its pairs or why there are none, and what is missing to all of them."""

    task: Task
    pairs: Sequence[Pair] = ()
    refused: str | None = None
    note: str | None = None


def read_questions(
    connection: duckdb.DuckDBPyConnection, as_of: date, tasks: Iterable[Task] = tuple(TASKS.values())
) -> list[Question]:
    """Tasks with their labelled snapshots as of a day, or why they are refused."""
    questions = []
    for task in tasks:
        try:
            pairs = read_pairs(connection, task, as_of)
            note = too_few_cuts(connection, task, as_of, len(pairs))
            questions.append(Question(task, pairs, note=note))
        except DataProblem as error:
            questions.append(Question(task, refused=str(error)))
    return questions


def answer(
    questions: Sequence[Question],
    tell: Tell = lambda what, done, total: None,
    balance: Balance | None = None,
    processes: int = 1,
    folds: int = evaluate.FOLDS,
    methods: Mapping[str, Candidate] = METHODS,
) -> dict[str, Any]:
    """Measure every method on every task.

    Args:
        tell: called with what has been done, and how much of how much is done.
        balance: how the challengers balance the classes when they are fitted; default: not at all.
        processes: how many at once; the result is the same for any number.
        folds: bootstrap resamples.

    Returns:
        {tasks, methods: {name: {kind, description, balance, may_ship}}, balance, bootstrap_folds, confidence,
        seed}. A measure is [value, low, high], the bounds a bootstrap interval over customers. Of each task:

        - `question`, `classes`, `refused` (why nothing was measured, or None), `note` (what is missing to all
          test cuts, or None);
        - `cuts`: a list of {train_cut, test_cut, label_until, train_customers, customers, train_shares,
          shares (of each class in the train and the test cut), measures: {method: {measure: [...]}},
          confusion: {method: a row for each class that came, a column for each that was chosen}};
        - `pooled`: {method: every measure of `ml.measures`, `majority` (the accuracy of always choosing the
          commonest class of the train cut), `confusion`};
        - `curves`: {method: {roc, calibration, gain}} as in `ml.curves`, of the baseline, the champion and
          the three challengers with the greatest pooled AUC;
        - `left_out`: {method: why it says nothing on this task};
        - `remarks`: {method: what its fits could not find, and in how many of them};
        - `baseline` (the strongest, by pooled AUC), `gains`: {method: [value, low, high] of the pooled AUC
          over it}, `p_holm`: {challenger: p}, `champion`, `gain` (the champion's; 0 where the baseline
          stands), `reason`.
    """
    missing = {name: why for name, method in methods.items() if (why := method.missing())}
    if balance:
        methods = {
            name: method.balanced(balance) if method.kind == "challenger" and name not in missing else method
            for name, method in methods.items()
        }
    asked = [question for question in questions if question.pairs]
    jobs = [
        (question, method) for question in asked for name, method in methods.items() if name not in missing
    ]
    total = len(jobs) + len(asked)

    predicted: dict[str, dict[str, list[Floats]]] = {question.task.name: {} for question in asked}
    left_out: dict[str, dict[str, str]] = {question.task.name: dict(missing) for question in asked}
    remarks: dict[str, dict[str, str]] = {question.task.name: {} for question in asked}
    needed = {package for _, method in jobs for package in method.packages}
    prepare = load_keras if "keras" in needed else None
    fitted = run(
        _fit_and_predict, [(method, question.pairs) for question, method in jobs], processes, prepare
    )
    for done, ((question, method), (said, remark)) in enumerate(zip(jobs, fitted, strict=True), 1):
        kept = left_out if isinstance(said, str) else predicted
        kept[question.task.name][method.name] = said
        if remark:
            remarks[question.task.name][method.name] = remark
        tell(f"{question.task.name}: {method.name}", done, total)

    tests = [_test_cuts(question, predicted[question.task.name]) for question in asked]
    kinds = {name: method.kind for name, method in methods.items()}
    results = {}
    barred = [name for name, method in methods.items() if not method.may_ship]
    compared = run(_compare, [(cuts, kinds, barred, folds) for cuts in tests], processes, prepare)
    for done, (question, cuts, found) in enumerate(zip(asked, tests, compared, strict=True), len(jobs) + 1):
        results[question.task.name] = {
            "cuts": _cuts(question, cuts, found),
            **_pooled(cuts, found),
            "curves": {name: curves(cuts, name) for name in _drawn(found, kinds)},
            "left_out": left_out[question.task.name],
            "remarks": remarks[question.task.name],
        }
        tell(f"{question.task.name}: intervals", done, total)
    return {
        "tasks": {
            question.task.name: {
                "question": question.task.question,
                "classes": list(question.task.classes),
                "refused": question.refused,
                "note": question.note,
                **results.get(question.task.name, NOTHING),
            }
            for question in questions
        },
        "methods": {
            name: {
                "kind": method.kind,
                "description": method.description,
                "balance": method.balance,
                "may_ship": method.may_ship,
            }
            for name, method in methods.items()
        },
        "balance": balance,
        "bootstrap_folds": folds,
        "confidence": evaluate.CONFIDENCE,
        "seed": SEED,
    }


# What is said of a task that was refused, in place of results.
NOTHING: dict[str, Any] = {
    "cuts": [],
    "pooled": {},
    "baseline": None,
    "gains": {},
    "p_holm": {},
    "curves": {},
    "left_out": {},
    "remarks": {},
    "champion": None,
    "gain": None,
    "reason": None,
}


def _fit_and_predict(method: Candidate, pairs: Sequence[Pair]) -> tuple[list[Floats] | str, str | None]:
    """What a method says on each test snapshot, or why it says nothing; and what its fits could not find."""
    suited = method.on(pairs[0].fit_on.features.columns)
    if suited is None:
        return f"it reads {', '.join(method.columns)}, of which this task does not have all", None
    said: list[Floats] = []
    missed: list[str] = []
    try:
        for pair in pairs:
            model = suited.fit(pair.fit_on)
            said.append(probabilities(model, pair.test_on, suited.columns))
            missed += filter(None, [getattr(model, "not_found_", None)])
    except DataProblem as error:
        return str(error), None
    return said, f"{missed[0]} in {len(missed)} of {len(pairs)} train cuts" if missed else None


def _test_cuts(question: Question, predicted: Mapping[str, Sequence[Floats]]) -> list[evaluate.TestCut]:
    return [
        evaluate.TestCut(
            pair.test_on.customers,
            pair.test_on.labels,
            {name: results[position] for name, results in predicted.items()},
            question.task.cost_ratio,
        )
        for position, pair in enumerate(question.pairs)
    ]


def _compare(
    cuts: Sequence[evaluate.TestCut], kinds: Mapping[str, str], barred: Sequence[str], folds: int
) -> dict[str, Any]:
    names = list(cuts[0].probabilities)
    baseline = evaluate.strongest(cuts, [name for name in names if kinds[name] == "baseline"])
    challengers = [name for name in names if kinds[name] == "challenger"]
    comparison = evaluate.compare(cuts, baseline, challengers, SEED, folds)
    champion, reason = evaluate.promote(comparison["auc_gain"], baseline, barred)
    return comparison | {"baseline": baseline, "champion": champion, "reason": reason}


def _drawn(found: Mapping[str, Any], kinds: Mapping[str, str]) -> list[str]:
    """The methods whose curves are kept: of all of them they would be most of the result."""
    auc = {name: measured["auc"]["value"] for name, measured in found["pooled"].items()}
    challengers = sorted((name for name in auc if kinds[name] == "challenger"), key=auc.__getitem__)
    return list(dict.fromkeys([found["baseline"], found["champion"], *challengers[: -1 - DRAWN : -1]]))


def _cuts(
    question: Question, cuts: Sequence[evaluate.TestCut], found: Mapping[str, Any]
) -> list[dict[str, Any]]:
    task = question.task
    return [
        {
            "train_cut": str(pair.fit_on.as_of),
            "test_cut": str(pair.test_on.as_of),
            "label_until": str(task.moved(pair.test_on.as_of, 1)),
            "train_customers": len(pair.fit_on.customers),
            "customers": len(cut.customers),
            "train_shares": _shares(task, pair.fit_on.labels),
            "shares": _shares(task, cut.actual),
            "measures": {name: _listed(measured) for name, measured in by_method.items()},
            "confusion": {
                name: confusion_matrix(cut.actual, said).tolist() for name, said in cut.probabilities.items()
            },
        }
        for pair, cut, by_method in zip(question.pairs, cuts, found["cuts"], strict=True)
    ]


def _shares(task: Task, labels: Labels) -> list[float]:
    return [round(float(np.mean(labels == which)), 6) for which in range(len(task.classes))]


def _pooled(cuts: Sequence[evaluate.TestCut], found: Mapping[str, Any]) -> dict[str, Any]:
    gains = found["auc_gain"]
    p_holm = {name: gain["p_holm"] for name, gain in gains.items() if "p_holm" in gain}
    champion = found["champion"]
    return {
        "pooled": {
            name: {
                **_listed(measured),
                "majority": _list(found["pooled"]["majority"]["accuracy"]),
                "confusion": np.sum(
                    [confusion_matrix(cut.actual, cut.probabilities[name]) for cut in cuts], axis=0
                ).tolist(),
            }
            for name, measured in found["pooled"].items()
        },
        "baseline": found["baseline"],
        "gains": {name: _list(gain) for name, gain in gains.items()},
        "p_holm": p_holm,
        "champion": champion,
        "gain": _list(gains[champion]) if champion in gains else [0.0, 0.0, 0.0],
        "reason": found["reason"],
    }


def _listed(measured: Mapping[str, Mapping[str, float]]) -> dict[str, list[float]]:
    return {name: _list(interval) for name, interval in measured.items()}


def _list(interval: Mapping[str, float]) -> list[float]:
    return [interval["value"], interval["low"], interval["high"]]
