"""Measure all prediction methods side by side on past months, for `goodstanding evaluate`.

The DAG `evaluate_models` does the same. Everything is read first, so that the warehouse is open for a short
time only. Then methods are fitted and measured in several processes, with one thread of linear algebra each;
the result is the same for any number of processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, TypedDict

import duckdb
import numpy as np

from goodstanding.core.errors import DataProblem
from ml import evaluate
from ml.candidate import SEED, Balance, Candidate, probabilities
from ml.cards import CutResult, Measured, Pooled, Verdict
from ml.curves import Curves, curves
from ml.extras import load_keras
from ml.measures import Floats, Labels, confusion_matrix
from ml.methods import METHODS
from ml.pairs import Pair, read_pairs, too_few_cuts
from ml.processes import run
from ml.tasks import TASKS, Task

Progress = Callable[[str, int, int], None]
"""Called after each step with what has been done, how many steps are done, and how many there are."""

# The challengers whose curves are kept beside those of the baseline and the champion.
DRAWN = 3


@dataclass(frozen=True)
class Question:
    """A task as one shop's history allows it to be measured.

    Attributes:
        task: what is asked.
        pairs: what methods are fitted and tested on, oldest first; empty where the question is refused.
        refused: why nothing can be measured, or None.
        note: why there are fewer test cuts than the protocol asks for, or None.
    """

    task: Task
    pairs: Sequence[Pair] = ()
    refused: str | None = None
    note: str | None = None


class TaskResult(Verdict):
    """What was measured on one task; where it was refused, all else but the first four is empty or None."""

    question: str
    """The task in words."""
    classes: list[str]
    refused: str | None
    """Why nothing was measured, or None."""
    note: str | None
    """Why there are fewer test cuts than the protocol asks for, or None."""
    champion: str | None
    """The method that ships, by `ml.evaluate.promote`."""
    gains: dict[str, Measured]
    """{method: pooled AUC over the baseline's}."""
    p_holm: dict[str, float]
    """{challenger: p-value of its gain after Holm's correction}."""
    curves: dict[str, Curves]
    """{method: curves} of the baseline, the champion and the three challengers of the greatest pooled AUC."""
    left_out: dict[str, str]
    """{method: why it predicts nothing on this task}."""
    remarks: dict[str, str]
    """{method: what its fits could not estimate, and in how many of them}."""


class MethodFacts(TypedDict):
    """Facts about a method."""

    kind: Literal["baseline", "challenger"]
    description: str
    balance: Balance | None
    """How it balanced the classes when it was fitted, or None."""
    may_ship: bool


class Evaluation(TypedDict):
    """The measures of all methods on all tasks."""

    tasks: dict[str, TaskResult]
    methods: dict[str, MethodFacts]
    balance: Balance | None
    """How the challengers were asked to balance the classes."""
    bootstrap_folds: int
    confidence: float
    """The level of the intervals, like 0.95."""
    seed: int


def read_questions(
    connection: duckdb.DuckDBPyConnection, as_of: date, tasks: Iterable[Task] = tuple(TASKS.values())
) -> list[Question]:
    """Read the labelled snapshots of each task as of a day, or why the task is refused."""
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
    progress: Progress = lambda what, done, total: None,
    balance: Balance | None = None,
    processes: int = 1,
    folds: int = evaluate.FOLDS,
    methods: Mapping[str, Candidate] = METHODS,
) -> Evaluation:
    """Measure every method on every task.

    Args:
        questions: the tasks, with what methods are fitted and tested on.
        progress: called after each step.
        balance: how the challengers balance the classes when they are fitted; default: not at all.
        processes: how many work at once.
        folds: bootstrap resamples.
        methods: the methods, by name.
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
    needs_keras = any("keras" in method.packages for _, method in jobs)
    pool = _Pool(processes, load_keras if needs_keras else None, progress, len(jobs) + len(asked))
    fits = {question.task.name: _Fits(left_out=dict(missing)) for question in asked}
    _fit(jobs, fits, pool)
    results = _measure(asked, fits, methods, folds, pool)
    return {
        "tasks": {
            question.task.name: results.get(question.task.name, _without_results(question))
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


@dataclass
class _Pool:
    """Where jobs run, and who is called after each.

    Attributes:
        processes: how many work at once.
        prepare: called in each process before its first job.
        progress: called after each job.
        total: jobs in all.
        done: jobs so far.
    """

    processes: int
    prepare: Callable[[], object] | None
    progress: Progress
    total: int
    done: int = 0

    def step(self, what: str) -> None:
        """Count a job."""
        self.done += 1
        self.progress(what, self.done, self.total)


@dataclass
class _Fits:
    """The predictions of the methods on one task.

    Attributes:
        predicted: {method: its probabilities on each test cut}.
        left_out, remarks: as in `TaskResult`.
    """

    predicted: dict[str, list[Floats]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)


def _fit(jobs: Sequence[tuple[Question, Candidate]], fits: Mapping[str, _Fits], pool: _Pool) -> None:
    """Fit each method on its task and let it predict; `fits`, by task, takes the predictions."""
    arguments = [(method, question.pairs) for question, method in jobs]
    fitted = run(_fit_and_predict, arguments, pool.processes, pool.prepare)
    for (question, method), (predicted, remark) in zip(jobs, fitted, strict=True):
        of_task = fits[question.task.name]
        if isinstance(predicted, str):
            of_task.left_out[method.name] = predicted
        else:
            of_task.predicted[method.name] = predicted
        if remark:
            of_task.remarks[method.name] = remark
        pool.step(f"{question.task.name}: {method.name}")


def _measure(
    questions: Sequence[Question],
    fits: Mapping[str, _Fits],
    methods: Mapping[str, Candidate],
    folds: int,
    pool: _Pool,
) -> dict[str, TaskResult]:
    """Measure what was predicted on each task; by task."""
    kinds = {name: method.kind for name, method in methods.items()}
    barred = [name for name, method in methods.items() if not method.may_ship]
    tests = [_test_cuts(question, fits[question.task.name].predicted) for question in questions]
    arguments = [(cuts, kinds, barred, folds) for cuts in tests]
    comparisons = run(_compare, arguments, pool.processes, pool.prepare)
    results: dict[str, TaskResult] = {}
    for question, cuts, compared in zip(questions, tests, comparisons, strict=True):
        of_task = fits[question.task.name]
        results[question.task.name] = _task_result(question, cuts, compared, of_task, kinds)
        pool.step(f"{question.task.name}: intervals")
    return results


def _fit_and_predict(method: Candidate, pairs: Sequence[Pair]) -> tuple[list[Floats] | str, str | None]:
    """A method's probabilities on each test snapshot, or why there are none; and a remark on its fits."""
    suited = method.on(pairs[0].fit_on.features.columns)
    if suited is None:
        return f"it reads {', '.join(method.columns)}, of which this task does not have all", None
    predicted: list[Floats] = []
    not_found: list[str] = []
    try:
        for pair in pairs:
            model = suited.fit(pair.fit_on)
            predicted.append(probabilities(model, pair.test_on, suited.columns))
            not_found += filter(None, [getattr(model, "not_found_", None)])
    except DataProblem as error:
        return str(error), None
    remark = f"{not_found[0]} in {len(not_found)} of {len(pairs)} train cuts" if not_found else None
    return predicted, remark


def _test_cuts(question: Question, predicted: Mapping[str, Sequence[Floats]]) -> list[evaluate.TestCut]:
    return [
        evaluate.TestCut(
            pair.test_on.customers,
            pair.test_on.labels,
            {name: by_cut[position] for name, by_cut in predicted.items()},
            question.task.cost_ratio,
        )
        for position, pair in enumerate(question.pairs)
    ]


@dataclass(frozen=True)
class _Compared:
    """How the methods compare on one task, and which of them ships."""

    comparison: evaluate.Comparison
    baseline: str
    champion: str
    reason: str


def _compare(
    cuts: Sequence[evaluate.TestCut], kinds: Mapping[str, str], barred: Sequence[str], folds: int
) -> _Compared:
    names = list(cuts[0].probabilities)
    baseline = evaluate.strongest(cuts, [name for name in names if kinds[name] == "baseline"])
    challengers = [name for name in names if kinds[name] == "challenger"]
    comparison = evaluate.compare(cuts, baseline, challengers, SEED, folds)
    champion, reason = evaluate.promote(comparison["auc_gain"], baseline, barred)
    return _Compared(comparison, baseline, champion, reason)


def _task_result(
    question: Question,
    cuts: Sequence[evaluate.TestCut],
    compared: _Compared,
    fits: _Fits,
    kinds: Mapping[str, str],
) -> TaskResult:
    gains = compared.comparison["auc_gain"]
    champion = compared.champion
    return {
        "question": question.task.question,
        "classes": list(question.task.classes),
        "refused": question.refused,
        "note": question.note,
        "cuts": _cut_results(question, cuts, compared.comparison),
        "pooled": _pooled(cuts, compared.comparison),
        "baseline": compared.baseline,
        "gains": {name: _list(gain) for name, gain in gains.items()},
        "p_holm": {name: gain["p_holm"] for name, gain in gains.items() if "p_holm" in gain},
        "champion": champion,
        "gain": _list(gains[champion]) if champion in gains else [0.0, 0.0, 0.0],
        "reason": compared.reason,
        "curves": {name: curves(cuts, name) for name in _with_curves(compared, kinds)},
        "left_out": fits.left_out,
        "remarks": fits.remarks,
    }


def _without_results(question: Question) -> TaskResult:
    return {
        "question": question.task.question,
        "classes": list(question.task.classes),
        "refused": question.refused,
        "note": question.note,
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


def _with_curves(compared: _Compared, kinds: Mapping[str, str]) -> list[str]:
    """The methods whose curves are kept; the curves of all would be most of the result."""
    auc = {name: measured["auc"]["value"] for name, measured in compared.comparison["pooled"].items()}
    challengers = sorted((name for name in auc if kinds[name] == "challenger"), key=auc.__getitem__)
    return list(dict.fromkeys([compared.baseline, compared.champion, *challengers[: -1 - DRAWN : -1]]))


def _cut_results(
    question: Question, cuts: Sequence[evaluate.TestCut], comparison: evaluate.Comparison
) -> list[CutResult]:
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
                name: confusion_matrix(cut.actual, predicted).tolist()
                for name, predicted in cut.probabilities.items()
            },
        }
        for pair, cut, by_method in zip(question.pairs, cuts, comparison["cuts"], strict=True)
    ]


def _shares(task: Task, labels: Labels) -> list[float]:
    return [round(float(np.mean(labels == which)), 6) for which in range(len(task.classes))]


def _pooled(cuts: Sequence[evaluate.TestCut], comparison: evaluate.Comparison) -> Pooled:
    pooled = comparison["pooled"]
    return {
        name: {
            **_listed(measured),
            "majority": _list(pooled["majority"]["accuracy"]),
            "confusion": np.sum(
                [confusion_matrix(cut.actual, cut.probabilities[name]) for cut in cuts], axis=0
            ).tolist(),
        }
        for name, measured in pooled.items()
    }


def _listed(measured: Mapping[str, evaluate.Interval]) -> dict[str, Measured]:
    return {name: _list(interval) for name, interval in measured.items()}


def _list(interval: evaluate.Interval) -> Measured:
    return [interval["value"], interval["low"], interval["high"]]
