"""Measure what lifetime models cost on one core: fitting CDNOW's 23,570 customers, and scoring a million.

    python -m bench.lifetime

Not part of `make bench`. CDNOW is the data set of the papers on these models: the orders of a record shop's
new customers of early 1997, up to June 1998. The package `lifetimes` ships them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import distribution
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from bench.cost import Figures
from bench.readme import keep_apart
from bench.results import LifetimeFigures
from bench.run import machine
from ml.lifetime import (
    BGNBD,
    GammaGamma,
    ParetoNBD,
    Purchases,
    expected_spend,
    histories,
    order_intervals,
)

Floats = NDArray[np.float64]
Result = TypeVar("Result")

MODELS: dict[str, type[BGNBD] | type[ParetoNBD]] = {"bg_nbd": BGNBD, "pareto_nbd": ParetoNBD}
CUT = date(1997, 9, 30)
DAYS = 90.0
LEVEL = 0.7
SCORED = 1_000_000


def read_cdnow(name: str) -> tuple[NDArray[Any], NDArray[Any], Floats]:
    """The orders of CDNOW: customer, day and amount in dollars, each of shape (orders,).

    Args:
        name: `master`, all 23,570 customers, or `sample`, each tenth: the 2,357 of most papers.
    """
    path = distribution("lifetimes").locate_file(f"lifetimes/datasets/CDNOW_{name}.txt")
    with open(str(path), encoding="ascii") as file:
        orders = [line.split()[-4:] for line in file if "customer_id" not in line]
    customers, days, _, amounts = zip(*orders, strict=True)
    return (
        np.array(customers),
        np.array([f"{day[:4]}-{day[4:6]}-{day[6:]}" for day in days], dtype="datetime64[D]"),
        np.array(amounts, dtype=np.float64),
    )


def measure_lifetime() -> LifetimeFigures:
    """Measure the wall and processor seconds to fit all models and to score by each count model.

    A score is the probability of an order, the probability of being alive, expected orders and expected
    spend, each in 90 days. The million are the real histories repeated, and every one of them is computed.
    """
    customers, days, amounts = read_cdnow("master")
    ids, known = histories(customers, days, CUT)
    before = days <= np.datetime64(CUT)
    orders = known.frequency + 1
    mean_value = np.bincount(np.searchsorted(ids, customers[before]), amounts[before]) / orders
    bought = mean_value > 0
    repeated = np.resize(np.arange(len(ids)), SCORED)
    many = Purchases(known, orders, mean_value)[repeated]
    values, cost = cost_of_call(GammaGamma.fit, orders[bought], mean_value[bought])
    by_model = {}
    for name, model in MODELS.items():
        fitted, fit = cost_of_call(model.fit, known)
        _, score = cost_of_call(score_all, fitted, values, many)
        _, intervals = cost_of_call(order_intervals, fitted, many.histories, DAYS, LEVEL)
        by_model[name] = {"fit": fit, "score": score, "order_intervals": intervals}
    return {
        "customers": len(ids),
        "scored": SCORED,
        "gamma_gamma": {"fit": cost},
        "bg_nbd": by_model["bg_nbd"],
        "pareto_nbd": by_model["pareto_nbd"],
    }


def score_all(counts: BGNBD | ParetoNBD, values: GammaGamma, purchases: Purchases) -> None:
    """Compute all forecasts that are published of a customer, except intervals."""
    counts.probability_of_order(purchases.histories, DAYS)
    counts.probability_alive(purchases.histories)
    counts.expected_orders(purchases.histories, DAYS)
    expected_spend(counts, values, purchases, DAYS)


def cost_of_call(work: Callable[..., Result], *arguments: Any) -> tuple[Result, Figures]:
    """The result of a function, and the seconds that the call took."""
    start, cpu_start = time.perf_counter(), time.process_time()
    result = work(*arguments)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    return result, {"seconds": round(seconds, 2), "cpu_seconds": round(cpu_seconds, 2)}


def main() -> None:
    on = machine()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with threadpool_limits(limits=1):
        result = {"machine": on, **measure_lifetime()}
    keep_apart("lifetime", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
