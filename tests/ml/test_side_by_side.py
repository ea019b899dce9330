"""All methods on all questions: the form of the result, the champion, and independence of processes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ml.features import Snapshot
from ml.methods import METHODS
from ml.pairs import Pair
from ml.side_by_side import Question, answer, read_questions
from ml.tasks import ORDER_DAYS, TASKS
from tests.ml.order_log import NEWEST_DAY, open_shop

# only the quick methods: test_methods.py fits all of them
SOME = {
    name: METHODS[name]
    for name in (
        *("majority", "persistence", "recency_rule", "rfm_rank", "bg_nbd"),
        *("logistic_regression", "naive_bayes", "decision_tree", "knn", "lightgbm"),
    )
}


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    with open_shop() as shop:
        return read_questions(shop, NEWEST_DAY)


@pytest.fixture(scope="module")
def evaluation(questions: list[Question]) -> dict[str, Any]:
    return answer(questions, folds=60, methods=SOME)


def of(questions: list[Question], name: str) -> Question:
    return next(question for question in questions if question.task.name == name)


def test_every_task_is_answered_or_refused_and_a_refusal_does_not_stop_the_others(
    evaluation: dict[str, Any],
) -> None:
    assert list(evaluation["tasks"]) == list(TASKS)
    refused = {name for name, task in evaluation["tasks"].items() if task["refused"]}
    assert refused == {"value_tier_6m"}
    tier_task = evaluation["tasks"]["value_tier_6m"]
    assert "22 more days (data up to 2011-12-31) would be enough" in tier_task["refused"]
    assert (tier_task["cuts"], tier_task["pooled"], tier_task["champion"], tier_task["gain"]) == (
        [],
        {},
        None,
        None,
    )


def test_every_measure_has_a_value_within_its_interval_per_cut_and_pooled(evaluation: dict[str, Any]) -> None:
    assert json.loads(json.dumps(evaluation)) == evaluation
    for name, task in evaluation["tasks"].items():
        if task["refused"]:
            continue
        assert len(task["cuts"]) == (5 if TASKS[name].is_formula else 3)
        for by_method in (task["pooled"], *(cut["measures"] for cut in task["cuts"])):
            assert set(by_method) | set(task["left_out"]) == set(SOME)
            for measured in by_method.values():
                for measure, interval in measured.items():
                    if measure != "confusion":
                        value, low, high = interval
                        assert low <= high and (low <= value <= high or measure == "ece"), measure


def test_the_majority_share_is_given_with_every_accuracy_and_equals_that_of_the_majority_method(
    evaluation: dict[str, Any],
) -> None:
    task = evaluation["tasks"]["buys_30d"]
    commonest = [max(cut["shares"]) for cut in task["cuts"]]
    customers = [cut["customers"] for cut in task["cuts"]]

    for measured in task["pooled"].values():
        assert measured["majority"] == task["pooled"]["majority"]["accuracy"]
        assert measured["majority"][0] == pytest.approx(np.average(commonest, weights=customers), abs=1e-5)


def test_the_confusion_matrices_count_every_customer_and_agree_with_the_accuracy(
    evaluation: dict[str, Any],
) -> None:
    for task in evaluation["tasks"].values():
        for method, measured in task["pooled"].items():
            pooled = np.array(measured["confusion"])
            assert (
                pooled.tolist() == np.sum([cut["confusion"][method] for cut in task["cuts"]], axis=0).tolist()
            )
            assert pooled.sum() == sum(cut["customers"] for cut in task["cuts"])
            assert np.trace(pooled) / pooled.sum() == pytest.approx(measured["accuracy"][0], abs=1e-5)


def test_curves_are_drawn_for_the_baseline_the_champion_and_the_best_challengers(
    questions: list[Question], evaluation: dict[str, Any]
) -> None:
    for task in evaluation["tasks"].values():
        if task["refused"]:
            assert task["curves"] == {}
            continue
        auc = {name: measured["auc"][0] for name, measured in task["pooled"].items()}
        challengers = [name for name in auc if METHODS[name].kind == "challenger"]
        best = sorted(challengers, key=auc.__getitem__, reverse=True)[:3]
        assert set(task["curves"]) == {task["baseline"], task["champion"], *best}
        for name, drawn in task["curves"].items():
            across, up = np.array(drawn["roc"]).T
            # steps of ten of the rarest class are few here, and chords lie below the curve
            assert auc[name] - 0.5 / (len(up) - 1) <= np.trapezoid(up, across) <= auc[name] + 0.005


def test_the_shares_are_those_of_both_cuts(questions: list[Question], evaluation: dict[str, Any]) -> None:
    pairs = of(questions, "buys_60d").pairs
    for cut, pair in zip(evaluation["tasks"]["buys_60d"]["cuts"], pairs, strict=True):
        for shares, snapshot in (("train_shares", pair.fit_on), ("shares", pair.test_on)):
            bought = snapshot.labels.mean()
            assert cut[shares] == pytest.approx([1 - bought, bought], abs=1e-5)


def test_a_count_model_reports_in_how_many_fits_no_drop_out_is_identifiable(
    questions: list[Question], evaluation: dict[str, Any]
) -> None:
    # customers who order at random at a steady rate never leave
    assert evaluation["tasks"]["buys_90d"]["remarks"] == {
        "bg_nbd": "no drop-out identifiable in 3 of 3 train cuts"
    }
    assert evaluation["tasks"]["returns_60d"]["remarks"] == {}


def test_a_method_is_left_out_of_a_task_without_its_columns_and_the_result_says_so(
    evaluation: dict[str, Any],
) -> None:
    assert set(evaluation["tasks"]["present_class"]["left_out"]) == {"persistence", "rfm_rank", "bg_nbd"}
    assert set(evaluation["tasks"]["returns_60d"]["left_out"]) == {"bg_nbd"}
    assert evaluation["tasks"]["buys_90d"]["left_out"] == {}
    assert "reads before" in evaluation["tasks"]["present_class"]["left_out"]["persistence"]


def test_a_method_without_its_package_is_left_out_of_every_task_and_the_others_remain(
    questions: list[Question],
) -> None:
    absent = replace(METHODS["xgboost"], packages=("numpy", "no_such_package"), build=lambda: pytest.fail())
    methods = {name: METHODS[name] for name in ("majority", "recency_rule", "logistic_regression")}
    two_questions = [of(questions, name) for name in ("buys_90d", "returns_60d")]
    evaluation = answer(two_questions, balance="weights", folds=20, methods=methods | {"xgboost": absent})

    for task in evaluation["tasks"].values():
        assert task["left_out"] == {"xgboost": "not installed: no_such_package; make extras"}
        assert list(task["pooled"]) == list(methods)
    assert list(evaluation["methods"]) == [*methods, "xgboost"]


def test_the_baseline_to_beat_is_the_strongest_and_it_ships_without_a_clear_gain(
    evaluation: dict[str, Any],
) -> None:
    for task in evaluation["tasks"].values():
        if task["refused"]:
            continue
        auc = {name: measured["auc"][0] for name, measured in task["pooled"].items()}
        baselines = [name for name in auc if METHODS[name].kind == "baseline"]
        assert task["baseline"] == max(baselines, key=auc.__getitem__)
        clear = [name for name, p in task["p_holm"].items() if p <= 0.05 and task["gains"][name][1] > 0]
        best = max(clear, key=lambda name: task["gains"][name][0], default=task["baseline"])
        assert task["champion"] == best
        assert task["gain"] == (task["gains"][best] if clear else [0.0, 0.0, 0.0])


def test_for_customers_who_order_at_random_a_baseline_is_champion(evaluation: dict[str, Any]) -> None:
    champion = evaluation["tasks"]["buys_90d"]["champion"]
    assert evaluation["methods"][champion]["kind"] == "baseline"


def test_a_challenger_with_more_information_is_promoted(questions: list[Question]) -> None:
    question = of(questions, "buys_90d")

    def planted(snapshot: Snapshot) -> Snapshot:
        # the outcome plus noise, in a column that no baseline reads
        noise = np.random.default_rng(len(snapshot.labels)).normal(size=len(snapshot.labels))
        return replace(snapshot, features=snapshot.features.assign(cancelled_share=snapshot.labels + noise))

    pairs = [Pair(planted(pair.fit_on), planted(pair.test_on)) for pair in question.pairs]
    task = answer([Question(question.task, pairs)], folds=200, methods=SOME)["tasks"]["buys_90d"]

    assert task["champion"] == "lightgbm" and task["gain"][1] > 0


def test_one_and_two_processes_give_the_same_result_and_report_progress(
    questions: list[Question],
) -> None:
    some = [of(questions, name) for name in ("buys_30d", "class_next_quarter")]
    progress: list[tuple[str, int, int]] = []
    methods = {name: METHODS[name] for name in (*SOME, "random_forest", "xgboost", "mlp", "keras")}
    once, twice = (
        answer(some, lambda *step: progress.append(step), processes=n, folds=40, methods=methods)
        for n in (1, 2)
    )

    assert once == twice
    steps = len(progress) // 2
    assert [done for _, done, _ in progress] == [*range(1, steps + 1)] * 2
    assert {total for *_, total in progress} == {steps}
    assert progress[0][0] == "buys_30d: majority"


@pytest.mark.parametrize("balance", ["weights", "down_sampling"])
def test_balancing_changes_only_the_fit_and_never_who_is_tested(
    questions: list[Question], evaluation: dict[str, Any], balance: Any
) -> None:
    plain = evaluation["tasks"]["buys_30d"]
    methods = {name: METHODS[name] for name in ("majority", "rfm_rank", "logistic_regression", "naive_bayes")}
    result = answer([of(questions, "buys_30d")], balance=balance, folds=60, methods=methods)
    task = result["tasks"]["buys_30d"]

    for balanced_cut, plain_cut in zip(task["cuts"], plain["cuts"], strict=True):
        for fact in ("train_customers", "customers", "shares"):
            assert balanced_cut[fact] == plain_cut[fact], f"balanced before the split: {fact}"
        assert balanced_cut["confusion"]["majority"] == plain_cut["confusion"]["majority"]
    assert task["pooled"]["rfm_rank"]["auc"] == plain["pooled"]["rfm_rank"]["auc"], (
        "a baseline stays as it is"
    )
    assert task["pooled"]["logistic_regression"]["brier"] != plain["pooled"]["logistic_regression"]["brier"]
    balanced = {name for name, method in result["methods"].items() if method["balance"] == balance}
    assert balanced == {"logistic_regression"} | ({"naive_bayes"} if balance == "down_sampling" else set())


def test_a_method_that_cannot_be_fitted_says_why_and_the_others_are_unchanged(
    questions: list[Question], evaluation: dict[str, Any]
) -> None:
    question = of(questions, "buys_90d")

    def once(snapshot: Snapshot) -> Snapshot:
        # in the columns of the history, no customer has ordered on a second day
        single = {ORDER_DAYS: 1.0, "tenure_days": snapshot.features["recency_days"]}
        return replace(snapshot, features=snapshot.features.assign(**single))

    pairs = [Pair(once(pair.fit_on), once(pair.test_on)) for pair in question.pairs]
    methods = {name: METHODS[name] for name in ("majority", "rfm_rank", "bg_nbd", "naive_bayes")}
    task = answer([Question(question.task, pairs)], folds=60, methods=methods)["tasks"]["buys_90d"]

    assert list(task["left_out"]) == ["bg_nbd"] and "two days or more" in task["left_out"]["bg_nbd"]
    for name in ("majority", "rfm_rank", "naive_bayes"):
        assert task["pooled"][name] == evaluation["tasks"]["buys_90d"]["pooled"][name]
