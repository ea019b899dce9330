"""Forecast orders and spend by a count model blended with boosted trees, where the blend is clearly better.

The trees learn at an inner cut from the time between it and the cut, so nothing after the cut is ever learnt
from. Their weight in the blend is decided the same way one step earlier: trees of a still earlier cut
forecast the time after the inner cut. Where the best mix there does not beat the count model in nine of ten
bootstrap resamples, the trees get no weight.

The number of orders keeps the count model's total, which was nearer on the inner cuts of CDNOW and of Online
Retail: it was at most 12 % too low, and that of trees, which have seen one season, up to 30 % too high. A
blend of spend that contains trees takes their total where it was nearer after the inner cut, in nine of ten
resamples too.

All settings were chosen on the inner cuts of CDNOW: trees that learnt weeks 9.75 to 19.5 were tried on weeks
19.5 to 39, and trees of weeks 13 to 26 on weeks 26 to 52.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import product
from typing import Any, Self

import lightgbm
import numpy as np
from scipy import optimize, special

from goodstanding.core.errors import DataProblem
from ml.candidate import LIGHTGBM_REPEATABLE, SEED
from ml.evaluate import resamples
from ml.lifetime.counts import ParetoNBD
from ml.lifetime.history import Floats
from ml.lifetime.known import Known, OrderLog, known_as_of, outcome
from ml.lifetime.measures import gini
from ml.lifetime.spend import GammaGamma

# The members of a mix. Of orders: the count model; trees that start from its forecast and correct it; trees
# on the features alone. Of spend: each of these times the value of an order by Gamma-Gamma, and trees of
# spend. Of the probability of an order: the count model's, that which follows from the mix of orders, and
# trees of it.
COUNT_MODEL, CORRECTED, TREES = "count_model", "corrected", "trees"
SPEND_TREES, FROM_ORDERS = "trees_of_spend", "from_orders"
PARTS = 4
# The least number of customers who ordered, and of those who did not, in each window that trees learn from.
FEWEST = 100
FOLDS = 200
# The share of resamples in which a mix must win: a squared error depends on few customers.
CLEAR = 0.9
# Stands for 0, which has no logarithm.
LEAST = 1e-6

ASKED = ("probability", "orders", "spend")

# One forest depends on its random draws: with the customers in another order the bias of spend on CDNOW, 39
# weeks and 39, was -6 % instead of -12 %. The mean of two forests depends on them less.
FORESTS = 2
SETTINGS: dict[str, Any] = {
    "n_estimators": 200,
    "learning_rate": 0.05,
    "num_leaves": 8,
    "min_child_samples": 30,
    "reg_lambda": 10,
    "colsample_bytree": 0.25,
    "subsample": 0.7,
    "subsample_freq": 1,
    "extra_trees": True,
    **LIGHTGBM_REPEATABLE,
}

Members = Mapping[str, Floats]
Weights = Mapping[str, float]
Loss = Callable[[Floats, Floats, Floats], Floats]


@dataclass(frozen=True)
class InnerCuts:
    """Two cuts before a cut: trees learn from the time between them, and from the second to the cut."""

    first: date
    second: date


def inner_cuts(first_day: date, cut: date, horizon: int) -> InnerCuts:
    """The cuts to learn at: one horizon before the cut, and one more; each half of the history at most.

    Args:
        first_day: of the log.
        cut: at which is forecast.
        horizon: days that are forecast.
    """

    def before(day: date) -> date:
        return day - timedelta(days=min(horizon, ((day - first_day).days + 1) // 2))

    second = before(cut)
    return InnerCuts(before(second), second)


@dataclass(frozen=True)
class Forecast:
    """For each customer in a window: the probability of an order, orders, and spend; (customers,) each."""

    probability: Floats
    orders: Floats
    spend: Floats


@dataclass(frozen=True)
class Blend:
    """The forecasts of each customer in (cut, cut + horizon], and how they are blended.

    Attributes:
        at: the customers as of the cut, with the models of that cut.
        mixed: forecast by the blend.
        by_count_model: forecast by the count model and Gamma-Gamma alone.
        weights: of `probability`, `orders` and `spend`: {member: weight}, which sum to 1.
        total_of_spend: the member that gives the total of spend.
        reasons: of `probability`, `orders` and `spend`: why the trees have their weights.
    """

    at: Fitted
    mixed: Forecast
    by_count_model: Forecast
    weights: Mapping[str, Weights]
    total_of_spend: str
    reasons: Mapping[str, str]


@dataclass(frozen=True)
class Fitted:
    """Customers as of a cut, and the models of their orders and of an order's value, fitted on them."""

    known: Known
    count_model: ParetoNBD
    gamma_gamma: GammaGamma

    @classmethod
    def on(cls, known: Known) -> Self:
        """Fit both; the value of an order on all orders of customers who have paid for any.

        Raises:
            DataProblem: from either fit.
        """
        paid = known.mean_value > 0
        values = GammaGamma.fit(known.orders[paid], known.mean_value[paid])
        return cls(known, ParetoNBD.fit(known.histories), values)

    def value(self) -> Floats:
        """Expected value of a customer's next order, (customers,)."""
        return self.gamma_gamma.expected_value(self.known.orders, self.known.mean_value)

    def forecast(self, days: int) -> Forecast:
        """Forecast so many days after the cut by these models alone."""
        orders = self.count_model.expected_orders(self.known.histories, days)
        probability = self.count_model.probability_of_order(self.known.histories, days)
        return Forecast(probability, orders, orders * self.value())


def forecast(logs: Mapping[date, OrderLog], cut: date, horizon: int, cuts: InnerCuts) -> Blend:
    """Forecast orders and spend in the days after a cut, by Pareto/NBD with Gamma-Gamma and trees.

    Args:
        logs: of the cut and of both inner cuts, each as it was known at the end of that day.
        cut: the last day known.
        horizon: days.
        cuts: see `inner_cuts`.

    Raises:
        DataProblem: from the fits of the count model and of Gamma-Gamma.
    """
    now = Fitted.on(known_as_of(logs[cut], cut))
    alone = now.forecast(horizon)
    try:
        return _with_trees(logs, cut, horizon, cuts, now, alone)
    except DataProblem as error:
        weights: dict[str, Weights] = {name: {COUNT_MODEL: 1.0} for name in ASKED}
        reasons = dict.fromkeys(ASKED, f"no trees: {error}")
        return Blend(now, alone, alone, weights, COUNT_MODEL, reasons)


def _with_trees(
    logs: Mapping[date, OrderLog], cut: date, horizon: int, cuts: InnerCuts, now: Fitted, alone: Forecast
) -> Blend:
    first, second = (known_as_of(logs[day], day) for day in (cuts.first, cuts.second))
    learnt, tried = outcome(first, logs[cuts.second], cuts.second), outcome(second, logs[cut], cut)
    fewest = min(_rarer(learnt[0]), _rarer(tried[0]))
    if fewest < FEWEST:
        raise DataProblem(
            f"after {cuts.first} and after {cuts.second} they need {FEWEST} customers who order and {FEWEST} "
            f"who do not; there are {fewest}, {FEWEST - fewest} more would be enough"
        )
    earlier, inner = Fitted.on(first), Fitted.on(second)
    window = (cut - cuts.second).days
    inner_alone = inner.forecast(window)
    there = Trees.learn(earlier, learnt, (cuts.second - cuts.first).days)
    weights, reasons = _chosen(there, inner, inner_alone, tried)
    here = Trees.learn(inner, tried, window)
    mixed, total_of_spend = here.mixed(now, alone, weights), COUNT_MODEL
    if weights["spend"] != {COUNT_MODEL: 1.0}:
        _, low, _ = _gain(_error_of_total, tried[1], inner_alone.spend, there.spend_in(inner, window))
        if low > 0:
            total_of_spend = SPEND_TREES
            mixed = replace(mixed, spend=_to_total(mixed.spend, here.spend_in(now, horizon)))
    return Blend(now, mixed, alone, weights, total_of_spend, reasons)


def _rarer(orders: Floats) -> int:
    ordered = int(np.sum(orders > 0))
    return min(ordered, len(orders) - ordered)


@dataclass(frozen=True)
class Forests:
    """Boosted forests that differ by their random draws alone; their forecast is the mean of them."""

    forests: tuple[Any, ...]

    @classmethod
    def fit(cls, rows: Floats, actual: Floats, init_score: Floats | None = None, **settings: Any) -> Self:
        """Fit each forest.

        Args:
            rows: (customers, features).
            actual: (customers,) what happened.
            init_score: (customers,) what the trees start from, before the objective's link.
            settings: of LightGBM, beside `SETTINGS`.
        """
        forests = (
            lightgbm.LGBMRegressor(**SETTINGS, **settings, random_state=SEED + number)
            for number in range(FORESTS)
        )
        return cls(tuple(forest.fit(rows, actual, init_score=init_score) for forest in forests))

    def scores(self, rows: Floats) -> Floats:
        """Forecasts before the objective's link, (customers,): logarithms, or log-odds."""
        mean: Floats = np.mean([forest.predict(rows, raw_score=True) for forest in self.forests], axis=0)
        return mean


@dataclass(frozen=True)
class Trees:
    """Boosted trees that learnt from what customers did in a window of so many days.

    Attributes:
        days: the length of the window.
        correction: of the count model's number of orders.
        orders: of the number of orders, on the features alone.
        spend: of the spend.
        order: of whether there was an order.
    """

    days: int
    correction: Forests
    orders: Forests
    spend: Forests
    order: Forests

    @classmethod
    def learn(cls, at: Fitted, actual: tuple[Floats, Floats], days: int) -> Self:
        """Learn from customers as of a cut and their actual orders and spend in so many days after it."""
        expected = at.count_model.expected_orders(at.known.histories, days)
        # sorted by what customers did: trees draw customers, and by pseudonym another key would draw others
        order = np.lexsort([*actual, *at.known.features.T])
        rows, expected = at.known.features[order], expected[order]
        orders, spend = (amounts[order] for amounts in actual)
        return cls(
            days,
            Forests.fit(rows, orders, init_score=np.log(np.maximum(expected, LEAST)), objective="poisson"),
            Forests.fit(rows, orders, objective="poisson"),
            # between Poisson, 1, and gamma, 2: often nothing, else amounts
            Forests.fit(rows, spend, objective="tweedie", tweedie_variance_power=1.5),
            Forests.fit(rows, (orders > 0).astype(np.float64), objective="binary"),
        )

    def orders_by(self, at: Fitted, alone: Forecast) -> dict[str, Floats]:
        """Members of the mix of orders, each scaled to the total of the models' forecast `alone`."""
        rows, expected = at.known.features, alone.orders
        corrected = expected * np.exp(self.correction.scores(rows))
        return {
            COUNT_MODEL: expected,
            CORRECTED: _to_total(corrected, expected),
            TREES: _to_total(np.exp(self.orders.scores(rows)), expected),
        }

    def spend_by(self, at: Fitted, orders: Members) -> dict[str, Floats]:
        """Members of the mix of spend, from those of orders, each scaled to the count model's total."""
        value = at.value()
        members = {name: member * value for name, member in orders.items()}
        members[SPEND_TREES] = self.spend_in(at, self.days)
        total = members[COUNT_MODEL]
        return {name: _to_total(member, total) for name, member in members.items()}

    def spend_in(self, at: Fitted, days: int) -> Floats:
        """The spend in so many days by the trees of spend alone, (customers,)."""
        spend: Floats = np.exp(self.spend.scores(at.known.features)) * (days / self.days)
        return spend

    def probability_by(self, at: Fitted, alone: Forecast, orders: Floats) -> dict[str, Floats]:
        """Members of the mix of the probability of an order, each moved to the count model's mean.

        The probability that follows from the mixed `orders` is that of the negative binomial with this mean
        and with the shape that the gamma distribution of the customer's rate has, given the history.
        """
        shape = at.count_model.r + at.known.histories.frequency
        from_orders = -np.expm1(-shape * np.log1p(orders / shape))
        trees = special.expit(self.order.scores(at.known.features))
        return {
            COUNT_MODEL: alone.probability,
            FROM_ORDERS: _to_mean(from_orders, alone.probability),
            TREES: _to_mean(trees, alone.probability),
        }

    def mixed(self, at: Fitted, alone: Forecast, weights: Mapping[str, Weights]) -> Forecast:
        """The forecast of the mix, given the models' forecast `alone`."""
        members = self.orders_by(at, alone)
        orders = _mix(members, weights["orders"])
        spend = _mix(self.spend_by(at, members), weights["spend"])
        return Forecast(_mix(self.probability_by(at, alone, orders), weights["probability"]), orders, spend)


def _to_total(amounts: Floats, like: Floats) -> Floats:
    scaled: Floats = amounts * (like.sum() / amounts.sum())
    return scaled


def _to_mean(probability: Floats, like: Floats) -> Floats:
    """The probabilities with all log-odds moved by the same amount, so that they have the mean of `like`."""
    odds = special.logit(np.clip(probability, LEAST, 1 - LEAST))
    mean = float(like.mean())
    move = optimize.brentq(lambda by: float(special.expit(odds + by).mean()) - mean, -50, 50)
    moved: Floats = special.expit(odds + move)
    return moved


def _mix(members: Members, weights: Weights) -> Floats:
    mix: Floats = np.sum([weight * members[name] for name, weight in weights.items()], axis=0)
    return mix


def _chosen(
    trees: Trees, at: Fitted, alone: Forecast, actual: tuple[Floats, Floats]
) -> tuple[dict[str, Weights], dict[str, str]]:
    """The weights of the best mixes, measured on customers that these trees have not learnt from, and why."""
    orders, spend = actual
    weights: dict[str, Weights] = {}
    reasons: dict[str, str] = {}
    members = trees.orders_by(at, alone)
    weights["orders"], reasons["orders"] = _best(members, orders, _squared_error, "squared error")
    chances = trees.probability_by(at, alone, _mix(members, weights["orders"]))
    ordered = (orders > 0).astype(np.float64)
    weights["probability"], reasons["probability"] = _best(chances, ordered, _log_loss, "log loss")
    weights["spend"], reasons["spend"] = _best(trees.spend_by(at, members), spend, _lost_gini, "Gini")
    return weights, reasons


def _best(members: Members, actual: Floats, loss: Loss, name: str) -> tuple[Weights, str]:
    """The mix of the least loss in steps of a quarter; the count model alone where its gain is not clear."""
    names = list(members)
    once = np.ones((1, len(actual)))
    mixes = [
        {member: part / PARTS for member, part in zip(names, parts, strict=True) if part}
        for parts in product(range(PARTS + 1), repeat=len(names))
        if sum(parts) == PARTS
    ]
    best = min(mixes, key=lambda weights: float(loss(actual, _mix(members, weights), once)[0]))
    if best == {COUNT_MODEL: 1.0}:
        return best, f"no mix with trees has a better {name} on the inner cut"
    mean, low, high = _gain(loss, actual, members[COUNT_MODEL], _mix(members, best))
    reason = f"{name} better by {mean:.4g} [{low:.4g}, {high:.4g}] on the inner cut"
    return (best, reason) if low > 0 else ({COUNT_MODEL: 1.0}, f"{reason}, which is not clear")


def _gain(loss: Loss, actual: Floats, alone: Floats, other: Floats) -> tuple[float, float, float]:
    """By how much the loss of `other` is less than that of `alone`, over resamples: mean, 10 % and 90 %."""
    order = np.lexsort([other, alone, actual])
    actual, alone, other = actual[order], alone[order], other[order]
    gains = np.concatenate(
        [
            loss(actual, alone, drawn) - loss(actual, other, drawn)
            for (drawn,) in resamples([np.arange(len(actual))], SEED, FOLDS)
        ]
    )
    low, high = np.quantile(gains, [1 - CLEAR, CLEAR])
    return float(gains.mean()), float(low), float(high)


def _squared_error(actual: Floats, predicted: Floats, weights: Floats) -> Floats:
    squares: Floats = weights @ (predicted - actual) ** 2 / weights.sum(axis=1)
    return squares


def _log_loss(actual: Floats, predicted: Floats, weights: Floats) -> Floats:
    losses = -np.log(np.where(actual > 0, predicted, 1 - predicted))
    loss: Floats = weights @ losses / weights.sum(axis=1)
    return loss


def _lost_gini(actual: Floats, predicted: Floats, weights: Floats) -> Floats:
    return 1 - gini(actual, predicted, weights)


def _error_of_total(actual: Floats, predicted: Floats, weights: Floats) -> Floats:
    error: Floats = np.abs(np.log((weights @ predicted) / (weights @ actual)))
    return error
