"""Count models: forecast how many orders a customer will place, by NBD, BG/NBD and Pareto/NBD.

All are fitted by maximum likelihood. While alive, a customer orders as a Poisson process whose rate differs
between customers by a gamma distribution (r, alpha). NBD: no customer leaves. BG/NBD: after each order a
customer leaves with a probability that differs between customers by a beta distribution (a, b). Pareto/NBD: a
customer leaves at a rate that differs by a gamma distribution (s, beta). Given a history, the rate and the
drop-out of a customer who is still alive are independent, and their distributions are of the same kinds: so a
forecast is the probability of being alive times the forecast for a living customer.

Sources: Fader, Hardie and Lee (2005), "Counting your customers the easy way", Marketing Science 24(2);
Schmittlein, Morrison and Colombo (1987), "Counting your customers", Management Science 33(1); Fader and
Hardie (2005), "A note on deriving the Pareto/NBD model".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import special, stats

from goodstanding.core.errors import DataProblem
from ml.lifetime.history import Floats, Histories
from ml.lifetime.likelihood import (
    NODES,
    WEIGHTS,
    log_integrals,
    log_likelihood_bg_nbd,
    log_likelihood_nbd,
    log_likelihood_pareto_nbd,
    log_odds_left,
    maximise,
)

# The likelihood ratio test of drop-out, which has two parameters. Without drop-out they lie on the border of
# their range, where the test is stricter than its level.
SIGNIFICANCE = 0.05
NEEDED_GAIN = float(stats.chi2.isf(SIGNIFICANCE, df=2)) / 2
# Above these, all customers leave with the same probability, or none leaves, and the hypergeometric function
# overflows.
HIGHEST_A, HIGHEST_B = 10.0, 1000.0
STEP = 1e-6
TINY = np.finfo(float).tiny


class CountModel(ABC):
    """A fitted model, which forecasts the orders of customers in (cut, cut + horizon].

    Histories and horizons are in the unit of time that the model was fitted in.

    Attributes:
        r: shape of the gamma distribution of rates.
    """

    r: float

    def expected_orders(self, histories: Histories, horizon: float) -> Floats:
        """Expected number of orders, (customers,)."""
        model = self._identified()
        return model._alive(histories) * model._expected_orders_if_alive(histories, horizon)

    def probability_of_order(self, histories: Histories, horizon: float | Floats) -> Floats:
        """Probability of at least one order, (customers,); each customer may have a horizon of their own."""
        model = self._identified()
        return model._alive(histories) * model._probability_of_order_if_alive(histories, horizon)

    def probability_of_at_least(self, histories: Histories, horizon: float, most: int) -> Floats:
        """Probabilities of at least 1, 2, ... `most` orders, (customers, most)."""
        model = self._identified()
        return model._alive(histories)[:, None] * model._at_least_if_alive(histories, horizon, most)

    def _identified(self) -> CountModel:
        """The model whose parameters can all be identified from the histories."""
        return self

    @abstractmethod
    def _alive(self, histories: Histories) -> Floats: ...

    @abstractmethod
    def _expected_orders_if_alive(self, histories: Histories, horizon: float) -> Floats: ...

    @abstractmethod
    def _probability_of_order_if_alive(self, histories: Histories, horizon: float | Floats) -> Floats: ...

    @abstractmethod
    def _at_least_if_alive(self, histories: Histories, horizon: float, most: int) -> Floats: ...


@dataclass(frozen=True)
class NBD(CountModel):
    """The model in which no customer leaves.

    Attributes:
        r, alpha: shape and scale (a time) of the gamma distribution of rates.
        log_likelihood: at these parameters.
        customers: how many it was fitted on.
    """

    r: float
    alpha: float
    log_likelihood: float
    customers: int

    @classmethod
    def fit(cls, histories: Histories) -> Self:
        """By maximum likelihood.

        Raises:
            DataProblem: nobody has ordered on a second day.
        """
        (r, alpha), total = maximise(log_likelihood_nbd, histories, [(1, 1)], [1], (np.inf, np.inf))
        return cls(r, alpha, total, len(histories))

    def _alive(self, histories: Histories) -> Floats:
        return np.ones(len(histories))

    def _expected_orders_if_alive(self, histories: Histories, horizon: float) -> Floats:
        rate: Floats = (self.r + histories.frequency) / (self.alpha + histories.age)
        return rate * horizon

    def _probability_of_order_if_alive(self, histories: Histories, horizon: float | Floats) -> Floats:
        return _order_by(self.r, self.alpha, histories, horizon)

    def _at_least_if_alive(self, histories: Histories, horizon: float, most: int) -> Floats:
        share = horizon / (self.alpha + histories.age + horizon)
        return _at_least(self.r + histories.frequency, share[:, None], np.ones((1, 1)), most)


def _at_least(shape: Floats, shares: Floats, weights: Floats, most: int) -> Floats:
    """Probabilities of at least 1, 2, ... `most` orders, (customers, most), of customers who stay for a time.

    They are negative binomial; the result is the mean over several times.

    Args:
        shape: (customers,) of the gamma distribution of the rate.
        shares: (customers, times) each time as a share of alpha + age + time.
        weights: of the times, each row sums to 1.
        most: the greatest number of orders.
    """
    fewer = np.arange(most)
    log_ways = special.gammaln(shape[:, None] + fewer) - special.gammaln(shape)[:, None]
    log_ways -= special.gammaln(1 + fewer)
    exactly = np.zeros((len(shape), most))
    for share, weight in zip(shares.T[..., None], np.broadcast_to(weights, shares.shape).T, strict=True):
        log_exactly = log_ways + fewer * np.log(np.maximum(share, TINY)) + shape[:, None] * np.log1p(-share)
        exactly += weight[:, None] * np.exp(log_exactly)
    # less than 0 only by rounding
    return np.maximum(1 - np.cumsum(exactly, axis=1), 0)


def _order_by(r: float, alpha: float, histories: Histories, horizon: float | Floats) -> Floats:
    """The probability that a customer who does not leave orders within the horizon, (customers,)."""
    none = -(r + histories.frequency) * np.log1p(horizon / (alpha + histories.age))
    return -np.expm1(none)


class DropOutModel(CountModel):
    """A count model whose customers may leave unseen; where drop-out is not identifiable it acts as the NBD.

    Attributes:
        log_likelihood: at the fitted parameters.
        customers: how many it was fitted on.
        without_drop_out: the NBD fitted on the same histories.
    """

    log_likelihood: float
    customers: int
    without_drop_out: NBD

    @property
    def drop_out_gain(self) -> float:
        """The gain in log-likelihood over the NBD, which is a limit of the model: less than 0 is rounding."""
        return max(0.0, self.log_likelihood - self.without_drop_out.log_likelihood)

    @property
    def drop_out_identifiable(self) -> bool:
        """Whether drop-out explains the histories better than no drop-out: a likelihood ratio test at 5 %."""
        return self.drop_out_gain >= NEEDED_GAIN

    def probability_alive(self, histories: Histories) -> Floats:
        """Probability of not having left by the cut, (customers,).

        Raises:
            DataProblem: no drop-out is identifiable: the likelihood is about as high if nobody ever leaves.
        """
        if not self.drop_out_identifiable:
            raise DataProblem(
                f"no drop-out identifiable: over {self.customers} customers it gains "
                f"{self.drop_out_gain:.2f} of log-likelihood on nobody leaving, {NEEDED_GAIN:.2f} are "
                "needed; read expected orders instead"
            )
        return self._alive(histories)

    def _identified(self) -> CountModel:
        return self if self.drop_out_identifiable else self.without_drop_out


@dataclass(frozen=True)
class BGNBD(DropOutModel):
    """The model in which customers leave after an order.

    Attributes:
        r, alpha: shape and scale (a time) of the gamma distribution of rates.
        a, b: of the beta distribution of the probability of leaving.
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    customers: int
    without_drop_out: NBD

    @classmethod
    def fit(cls, histories: Histories) -> Self:
        """By maximum likelihood.

        Raises:
            DataProblem: nobody has ordered on a second day.
        """
        none = NBD.fit(histories)
        starts = [(1, 1, 1, 2), (0.3, 0.2, 0.1, 10)]
        highest = (np.inf, np.inf, HIGHEST_A, HIGHEST_B)
        (r, alpha, a, b), total = maximise(log_likelihood_bg_nbd, histories, starts, [1], highest)
        return cls(r, alpha, a, b, total, len(histories), none)

    def _alive(self, histories: Histories) -> Floats:
        alive: Floats = special.expit(-log_odds_left(self.r, self.alpha, self.a, self.b, histories))
        return alive

    def _expected_orders_if_alive(self, histories: Histories, horizon: float) -> Floats:
        # Fader, Hardie and Lee (2005), eq. 10, with Euler's transformation of its hypergeometric function: as
        # printed it overflows at 500 orders. At a = 1 and c = 0 it has a limit but no value: step aside.
        a = self.a if abs(self.a - 1) > STEP else 1 + STEP
        x = histories.frequency
        c = a + self.b + x - 1
        c = np.where(np.abs(c) > STEP, c, STEP)
        log_wait = np.log1p(horizon / (self.alpha + histories.age))
        function = special.hyp2f1(a - 1, a + self.b - 1 - self.r, c, -np.expm1(-log_wait))
        expected: Floats = c / (a - 1) * (1 - np.exp((1 - a) * log_wait) * function)
        return expected

    def _probability_of_order_if_alive(self, histories: Histories, horizon: float | Floats) -> Floats:
        return _order_by(self.r, self.alpha, histories, horizon)

    def _at_least_if_alive(self, histories: Histories, horizon: float, most: int) -> Floats:
        # the customer would place so many orders, and leaves after none but the last of them
        share = horizon / (self.alpha + histories.age + horizon)
        b = (self.b + histories.frequency)[:, None]
        log_stayed = special.betaln(self.a, b + np.arange(most)) - special.betaln(self.a, b)
        stays = _at_least(self.r + histories.frequency, share[:, None], np.ones((1, 1)), most)
        at_least: Floats = stays * np.exp(log_stayed)
        return at_least


@dataclass(frozen=True)
class ParetoNBD(DropOutModel):
    """The model in which customers leave at any time.

    Attributes:
        r, alpha: shape and scale (a time) of the gamma distribution of rates.
        s, beta: shape and scale (a time) of the gamma distribution of the rates of leaving.
    """

    r: float
    alpha: float
    s: float
    beta: float
    log_likelihood: float
    customers: int
    without_drop_out: NBD

    @classmethod
    def fit(cls, histories: Histories) -> Self:
        """By maximum likelihood.

        Raises:
            DataProblem: nobody has ordered on a second day.
        """
        none = NBD.fit(histories)
        starts = [(1, 1, 1, 1), (0.3, 0.2, 0.3, 3)]
        highest = (np.inf,) * 4
        (r, alpha, s, beta), total = maximise(log_likelihood_pareto_nbd, histories, starts, [1, 3], highest)
        return cls(r, alpha, s, beta, total, len(histories), none)

    def _alive(self, histories: Histories) -> Floats:
        i, age = self.r + histories.frequency, histories.age
        left = log_integrals(histories.recency, age, self.alpha, self.beta, i, self.s + 1)
        stayed = -i * np.log(self.alpha + age) - self.s * np.log(self.beta + age)
        alive: Floats = special.expit(stayed - np.log(self.s) - left)
        return alive

    def _expected_orders_if_alive(self, histories: Histories, horizon: float) -> Floats:
        # (1 - q^(1 - s)) / (s - 1) with q = 1 + horizon / (beta + age), in a form that has its limit at s = 1
        still = self.beta + histories.age
        log_q = np.log1p(horizon / still)
        rate = (self.r + histories.frequency) / (self.alpha + histories.age)
        expected: Floats = rate * still * log_q * special.exprel((1 - self.s) * log_q)
        return expected

    def _probability_of_order_if_alive(self, histories: Histories, horizon: float | Floats) -> Floats:
        # the integral over the time of the next order, before which the customer has not left
        i, age = self.r + histories.frequency, histories.age
        next_order = log_integrals(age, age + horizon, self.alpha, self.beta, i + 1, self.s)
        scale = np.log(i) + i * np.log(self.alpha + age) + self.s * np.log(self.beta + age)
        probability: Floats = np.exp(scale + next_order)
        return np.minimum(probability, 1)

    def _at_least_if_alive(self, histories: Histories, horizon: float, most: int) -> Floats:
        # the customer orders until the horizon, or until leaving before it: the mean over these times
        still = self.beta + histories.age
        stays = np.exp(-self.s * np.log1p(horizon / still))[:, None]
        left = (1 - stays) * (1 + NODES) / 2
        until = np.hstack(
            [still[:, None] * np.expm1(-np.log1p(-left) / self.s), np.full_like(stays, horizon)]
        )
        shares = until / ((self.alpha + histories.age)[:, None] + until)
        weights = np.hstack([(1 - stays) * WEIGHTS / 2, stays])
        return _at_least(self.r + histories.frequency, shares, weights, most)
