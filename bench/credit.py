"""Measure how well the scorecard and its rivals predict who defaults, on public data of credit card clients.

    python -m bench.credit FILE

FILE is UCI's "Default of Credit Card Clients" (30,000 people; id 350, CC BY 4.0) as Parquet, with the
columns' own names. Not part of `make bench`. No method reads SEX, EDUCATION, MARRIAGE and AGE; for sex and
age the shares who would be approved are given. The data have no dates, so nothing is predicted ahead in
time: every row is predicted by methods fitted on the four other fifths (bins and weights of evidence
included), with equal rows in the same fifth.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from bench.readme import keep_apart
from bench.results import CreditResult
from bench.run import machine
from ml import evaluate
from ml.candidate import SEED, Candidate, probabilities
from ml.features import Snapshot
from ml.measures import Floats
from ml.processes import run
from ml.scorecards.rivals import SCORECARD, risk_methods

OUTCOME = "default_payment_next_month"
PROTECTED = ("SEX", "EDUCATION", "MARRIAGE", "AGE")
FOLDS = 5
# A client who defaults costs five times as much as one who is refused wrongly, as in the literature on these
# data.
COST_RATIO = 5.0
APPROVED = 0.8
MONTHS = (1, 2, 3, 4, 5, 6)
NO_DATE = date.min


def characteristics(rows: pd.DataFrame) -> pd.DataFrame:
    """What is known of each client when the next month begins, month 1 the latest; NaN where nothing was due.

    Statuses as the data have them: -2 no use, -1 paid in full, 0 revolving, n months late. Utilisation is the
    bill's share of the limit; a paid ratio is what was paid of the bill of the month before, at most 5.
    Columns on how the card is used are repeated with values only for those who were never late in the six
    months: points are added up, so a scorecard cannot learn by itself that these columns say more about them.
    """
    status = rows[["PAY_0", *(f"PAY_{month}" for month in MONTHS[1:])]].to_numpy(dtype=np.float64)
    bill = rows[[f"BILL_AMT{month}" for month in MONTHS]].to_numpy(dtype=np.float64)
    paid = rows[[f"PAY_AMT{month}" for month in MONTHS]].to_numpy(dtype=np.float64)
    limit = rows["LIMIT_BAL"].to_numpy(dtype=np.float64)
    late = np.maximum(status, 0)
    used = bill / limit[:, None]
    due = np.where(bill[:, 1:] > 0, bill[:, 1:], np.nan)
    due_in_all = np.maximum(bill[:, 1:], 0).sum(axis=1)
    ratios = np.minimum(paid[:, :-1] / due, 5)
    weights = np.arange(len(MONTHS), 0, -1)
    columns = {
        "limit": limit,
        "worst_status": late.max(axis=1),
        "worst_status_3m": late[:, :3].max(axis=1),
        "late_months": (late > 0).sum(axis=1),
        "late_months_3m": (late[:, :3] > 0).sum(axis=1),
        "months_2_late": (late >= 2).sum(axis=1),
        "late_sum": late.sum(axis=1),
        "late_sum_by_recency": late @ weights,
        "months_since_late": np.where((late > 0).any(axis=1), (late > 0).argmax(axis=1), len(MONTHS)),
        "late_trend": late[:, 0] - late[:, 1:].mean(axis=1),
        "revolving_months": (status == 0).sum(axis=1),
        "unused_months": (status == -2).sum(axis=1),
        "paid_in_full_months": (status == -1).sum(axis=1),
        "status_sum": status.sum(axis=1),
        "utilisation_mean": used.mean(axis=1),
        "utilisation_max": used.max(axis=1),
        "utilisation_min": used.min(axis=1),
        "utilisation_spread": used.std(axis=1),
        "utilisation_trend": used[:, 0] - used[:, 5],
        "utilisation_trend_3m": used[:, 0] - used[:, 2],
        "late_and_used": (late @ weights) * np.maximum(used.mean(axis=1), 0),
        "paid_ratio": np.minimum(paid[:, :-1].sum(axis=1) / np.where(due_in_all > 0, due_in_all, np.nan), 5),
        "paid_of_limit": paid.sum(axis=1) / limit,
        "paid_sum": paid.sum(axis=1),
        "paid_sum_3m": paid[:, :3].sum(axis=1),
        "paid_min": paid.min(axis=1),
        "paid_max": paid.max(axis=1),
        "months_paid": (paid > 0).sum(axis=1),
        "bill_mean": bill.mean(axis=1),
        "bill_1": bill[:, 0],
        "headroom": limit - bill[:, 0],
        "headroom_min": (limit[:, None] - bill).min(axis=1),
        "spent": bill[:, 0] - bill[:, 1] + paid[:, 0],
    }
    for at, month in enumerate(MONTHS):
        columns |= {f"status_{month}": status[:, at], f"utilisation_{month}": used[:, at]}
        columns[f"paid_{month}"] = paid[:, at]
    columns |= {f"paid_ratio_{month}": ratios[:, at] for at, month in enumerate(MONTHS[:-1])}
    table = pd.DataFrame(columns).astype(np.float64)
    use = [name for name in columns if not name.startswith(("status", "worst")) and "late" not in name]
    never_late = table[use].where(table["worst_status"] == 0).add_suffix("_never_late")
    return pd.concat([table, never_late], axis=1)


def methods_on(columns: tuple[str, ...]) -> dict[str, Candidate]:
    """The methods of `ml.scorecards.rivals` on all characteristics; baselines: latest status, limit."""
    return risk_methods(
        columns,
        {
            "status_1": "the latest payment status alone; a logistic curve makes it a probability",
            "limit": "the credit limit alone; likewise",
        },
    )


def equal_rows(rows: pd.DataFrame) -> NDArray[np.intp]:
    """(rows,) a number that rows share which are equal in everything but their ID."""
    content = rows.drop(columns="ID", errors="ignore")
    numbers = content.groupby(list(content.columns), sort=False).ngroup()
    return np.asarray(numbers, dtype=np.intp)


def out_of_fold(whole: Snapshot, methods: dict[str, Candidate], processes: int) -> dict[str, Floats]:
    """{method: (rows,) probabilities}, each by a fit on the folds without the row and its equals."""
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
    parts = list(folds.split(whole.features, whole.labels, whole.customers))
    jobs = [(method, whole, *part) for method in methods.values() for part in parts]
    predicted = {name: np.empty(len(whole.customers)) for name in methods}
    for (method, _, _, rows), probability in zip(jobs, run(_fit_and_predict, jobs, processes), strict=True):
        predicted[method.name][rows] = probability
    return predicted


def _fit_and_predict(
    method: Candidate, whole: Snapshot, learnt: NDArray[np.intp], asked: NDArray[np.intp]
) -> Floats:
    def part(rows: NDArray[np.intp]) -> Snapshot:
        return replace(
            whole,
            customers=whole.customers[rows],
            features=whole.features.iloc[rows],
            outcome=whole.labels[rows],
        )

    return probabilities(method.fit(part(learnt)), part(asked), method.columns)


def measure_credit(
    rows: pd.DataFrame,
    methods: dict[str, Candidate] | None = None,
    processes: int = 1,
    resamples: int = evaluate.FOLDS,
) -> CreditResult:
    """Measure the methods on the rows of the file.

    Args:
        rows: of the file.
        methods: by name; default: all.
        processes: how many work at once; the result is the same for any number.
        resamples: of the bootstrap.
    """
    known = characteristics(rows)
    methods = methods or methods_on(tuple(known.columns))
    outcome = rows[OUTCOME].to_numpy().astype(bool)
    whole = Snapshot(NO_DATE, equal_rows(rows).astype(object), known, outcome)
    predicted = out_of_fold(whole, methods, processes)
    kinds = {name: method.kind for name, method in methods.items()}
    cuts = [evaluate.TestCut(whole.customers, outcome, predicted, COST_RATIO)]
    baseline = evaluate.strongest(cuts, [name for name in predicted if kinds[name] == "baseline"])
    challengers = [name for name in predicted if kinds[name] == "challenger"]
    comparison = evaluate.compare(cuts, baseline, challengers, SEED, resamples)
    return {
        "people": len(rows),
        "share": round(float(outcome.mean()), 4),
        "characteristics": known.shape[1],
        "baseline": baseline,
        "measures": comparison["pooled"],
        "auc_gain": comparison["auc_gain"],
        "approved": {
            name: approvals(rows, predicted[name])
            for name in (SCORECARD, "lightgbm_monotone")
            if name in predicted
        },
    }


def approvals(rows: pd.DataFrame, probability: Floats) -> dict[str, dict[str, dict[str, float]]]:
    """{sex, age: {group: who would be approved}}, by the costs, and of the best four fifths.

    No method knows these groups.
    """
    by_cost = probability < 1 / (1 + COST_RATIO)
    best = probability <= np.quantile(probability, APPROVED)
    groups = {
        "sex": rows["SEX"].map({1: "men", 2: "women"}),
        "age": pd.cut(rows["AGE"], [0, 25, 40, 61, 200], labels=["to 25", "26 to 40", "41 to 61", "from 62"]),
    }
    return {
        name: {
            str(group): {
                "people": int((of == group).sum()),
                "share": round(float(rows[OUTCOME][of == group].mean()), 4),
                "by_cost": round(float(by_cost[of == group].mean()), 4),
                "best_80": round(float(best[of == group].mean()), 4),
            }
            for group in sorted(of.dropna().unique())
        }
        for name, of in groups.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="UCI's credit card clients as Parquet")
    rows = pd.read_parquet(parser.parse_args().file)
    result = {"machine": machine(), **measure_credit(rows, processes=2)}
    keep_apart("credit", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
