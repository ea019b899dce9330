"""The log-likelihoods of NBD, BG/NBD and Pareto/NBD with their gradients, and their maximisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import optimize, special

from goodstanding.core.errors import DataProblem
from ml.lifetime.history import Floats, Histories

# The greatest log-parameter, in units of the mean age: at e^-12 and e^12 nothing changes any more in double
# precision.
BOUND = 12.0
# With 32 nodes the integral of Pareto/NBD is exact to 1e-12 for histories of a shop.
NODES, WEIGHTS = np.polynomial.legendre.leggauss(32)
# The integrand is cut off at e^-40 of its peak.
NEGLIGIBLE = 40.0
FLAT = 1e-4
# Customers at a time, so that their nodes stay in the cache: a million integrals took .4 s, at once 4.8 s.
BLOCK = 4096

LogLikelihood = Callable[[Floats, Histories], tuple[Floats, Floats]]
"""From the logarithms of the parameters and from histories: log-likelihoods, shape (customers,), and their
gradients by these logarithms, shape (parameters, customers)."""


def log_likelihood_nbd(log_parameters: Floats, histories: Histories) -> tuple[Floats, Floats]:
    """NBD: a `LogLikelihood` of ln r and ln alpha."""
    r, alpha = np.exp(log_parameters)
    x, age = histories.frequency, histories.age
    value = special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha) - (r + x) * np.log(alpha + age)
    by_r = special.digamma(r + x) - special.digamma(r) + np.log(alpha) - np.log(alpha + age)
    by_alpha = r / alpha - (r + x) / (alpha + age)
    return value, np.stack([r * by_r, alpha * by_alpha])


def log_likelihood_bg_nbd(log_parameters: Floats, histories: Histories) -> tuple[Floats, Floats]:
    """BG/NBD (Fader, Hardie and Lee 2005, eq. 6): a `LogLikelihood` of ln r, ln alpha, ln a and ln b."""
    r, alpha, a, b = np.exp(log_parameters)
    x = histories.frequency
    nbd, by_nbd = log_likelihood_nbd(log_parameters[:2], histories)
    # the customer has left after no order, or after the last one
    stayed = special.betaln(a, b + x) - special.betaln(a, b)
    log_odds = log_odds_left(r, alpha, a, b, histories)
    left = special.expit(log_odds)
    value = nbd + stayed + np.logaddexp(0, log_odds)
    silence = np.log(alpha + histories.age) - np.log(alpha + histories.recency)
    by_silence = (r + x) * (1 / (alpha + histories.age) - 1 / (alpha + histories.recency))
    by_a = special.digamma(a + b) - special.digamma(a + b + x)
    by_b = by_a + special.digamma(b + x) - special.digamma(b)
    last = np.maximum(x, 1)
    return value, np.stack(
        [
            by_nbd[0] + r * left * silence,
            by_nbd[1] + alpha * left * by_silence,
            a * by_a + left,
            b * (by_b - left / (b + last - 1)),
        ]
    )


def log_odds_left(r: float, alpha: float, a: float, b: float, histories: Histories) -> Floats:
    """BG/NBD: the log-odds that a customer has left after the last order, (customers,)."""
    x = histories.frequency
    silence = np.log(alpha + histories.age) - np.log(alpha + histories.recency)
    log_odds = np.log(a) - np.log(b + np.maximum(x, 1) - 1) + (r + x) * silence
    # a customer can only leave after a repeat purchase
    return np.where(x > 0, log_odds, -np.inf)


def log_likelihood_pareto_nbd(log_parameters: Floats, histories: Histories) -> tuple[Floats, Floats]:
    """Pareto/NBD: a `LogLikelihood` of ln r, ln alpha, ln s and ln beta.

    As Fader and Hardie (2005) derive it, but with the integral over the time of leaving in place of their
    differences of Gaussian hypergeometric functions: those cancel where a customer has just ordered, and have
    no simple derivatives; the integral is differentiated under the integral sign.
    """
    r, alpha, s, beta = np.exp(log_parameters)
    x, age = histories.frequency, histories.age
    alive = -(r + x) * np.log(alpha + age) - s * np.log(beta + age)
    leaving = TimeOfLeaving.between(histories.recency, age, alpha, beta, r + x, s + 1)
    gone = np.log(s) + leaving.log_integral
    either = np.logaddexp(alive, gone)
    dead = np.exp(gone - either)
    value = special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha) + s * np.log(beta) + either

    def mixed(if_alive: Floats, if_dead: Floats) -> Floats:
        mean: Floats = if_alive + dead * (if_dead - if_alive)
        return mean

    from_alpha, from_beta = alpha + leaving.times, beta + leaving.times
    by_r = special.digamma(r + x) - special.digamma(r) + np.log(alpha)
    by_r -= mixed(np.log(alpha + age), leaving.mean(np.log(from_alpha)))
    by_alpha = r / alpha - (r + x) * mixed(1 / (alpha + age), leaving.mean(1 / from_alpha))
    by_s = np.log(beta) - mixed(np.log(beta + age), leaving.mean(np.log(from_beta)) - 1 / s)
    by_beta = s / beta - mixed(s / (beta + age), (s + 1) * leaving.mean(1 / from_beta))
    return value, np.stack([r * by_r, alpha * by_alpha, s * by_s, beta * by_beta])


@dataclass(frozen=True)
class TimeOfLeaving:
    """The integral of (alpha + y)^-i (beta + y)^-j over times y, for each customer.

    Computed by Gauss-Legendre quadrature in ln(y + min(alpha, beta)), where the logarithm of the integrand is
    concave and its nearest singularities lie pi away from the real line.

    Attributes:
        log_integral: its logarithm, shape (customers,); minus infinity between equal times.
        times: the nodes y, shape (customers, nodes).
        mass: the share of each node in the integral, same shape.
    """

    log_integral: Floats
    times: Floats
    mass: Floats

    @classmethod
    def between(cls, low: Floats, high: Floats, alpha: float, beta: float, i: Floats, j: float) -> Self:
        """The integral from `low` to `high`, (customers,), for the powers i, (customers,), and j."""
        least, more = min(alpha, beta), abs(beta - alpha)
        powers = i, np.full_like(i, j)
        of_least, of_other = powers if alpha <= beta else powers[::-1]
        start = np.log(least + low)
        slope = 1 - of_least - of_other * (least + low) / (least + more + low)
        # concave: past this point the integrand is negligible beside its start
        reach = np.where(slope < 0, NEGLIGIBLE / np.maximum(-slope, 1e-300), np.inf)
        half = np.minimum(np.log(least + high) - start, reach) / 2
        place = start[:, None] + half[:, None] * (1 + NODES)
        since = np.exp(place)
        terms = (1 - of_least)[:, None] * place - of_other[:, None] * np.log(since + more)
        peak = terms.max(axis=1)
        mass = WEIGHTS * np.exp(terms - peak[:, None])
        total = mass.sum(axis=1)
        with np.errstate(divide="ignore"):
            log_integral = peak + np.log(total) + np.log(half)
        return cls(log_integral, since - least, mass / total[:, None])

    def mean(self, of: Floats) -> Floats:
        """The mean under the integrand, (customers,), of a function of the time, given at the nodes."""
        average: Floats = np.einsum("ij,ij->i", self.mass, of)
        return average


def log_integrals(low: Floats, high: Floats, alpha: float, beta: float, i: Floats, j: float) -> Floats:
    """The logarithms of `TimeOfLeaving.between` alone, (customers,), for any number of customers."""
    integrals = (
        TimeOfLeaving.between(low[rows], high[rows], alpha, beta, i[rows], j).log_integral
        for rows in blocks(len(low))
    )
    return np.concatenate([np.empty(0), *integrals])


def blocks(customers: int) -> list[slice]:
    """Positions of at most `BLOCK` customers each."""
    return [slice(start, start + BLOCK) for start in range(0, customers, BLOCK)]


def climb(
    mean_log_likelihood: Callable[[Floats], tuple[float, Floats]],
    starts: Sequence[Sequence[float]],
    highest: Sequence[float],
) -> tuple[list[float], float]:
    """The parameters of the greatest maximum found from the starts, and the mean log-likelihood there.

    Args:
        mean_log_likelihood: of log-parameters, with its gradient, (parameters,).
        starts: parameters to start from, all above 0.
        highest: the greatest value of each parameter.

    Raises:
        DataProblem: no maximum was reached.
    """

    def loss(log_parameters: Floats) -> tuple[float, Floats]:
        value, gradient = mean_log_likelihood(log_parameters)
        return -value, -gradient

    low, high = -BOUND, np.minimum(BOUND, np.log(highest))
    climbed = [
        optimize.minimize(
            loss,
            np.log(start),
            jac=True,
            method="L-BFGS-B",
            bounds=[(low, limit) for limit in high],
            options={"maxiter": 500, "maxcor": 20, "ftol": 1e-15, "gtol": 1e-9},
        )
        for start in starts
    ]
    best = min(climbed, key=lambda result: result.fun)
    # at a maximum the search may end on rounding, which it calls a failure; at a bound it may have a slope
    beyond = ((best.x <= low) & (best.jac > 0)) | ((best.x >= high) & (best.jac < 0))
    steepest = float(np.abs(np.where(beyond, 0, best.jac)).max())
    if not best.success and not steepest < FLAT:
        raise DataProblem(
            f"no maximum of the likelihood found: the slope is {steepest:.1e} after {best.nit} steps, at a "
            f"maximum it is less than {FLAT} ({best.message}); look for values that no customer can have"
        )
    return np.exp(best.x).tolist(), -float(best.fun)


def maximise(
    log_likelihood: LogLikelihood,
    histories: Histories,
    starts: Sequence[Sequence[float]],
    times: Sequence[int],
    highest: Sequence[float],
) -> tuple[list[float], float]:
    """The parameters of maximum likelihood, and the log-likelihood there.

    Args:
        log_likelihood: of log-parameters and histories.
        histories: equal ones are computed once.
        starts: parameters to start from, times in units of the mean age; the greatest maximum counts.
        times: positions of the parameters that are times.
        highest: the greatest value of each parameter, times in the same units.

    Raises:
        DataProblem: nobody has ordered on a second day, so no rate can be learnt.
    """
    if not histories.frequency.any():
        raise DataProblem(
            f"a count model needs customers who ordered on two days or more; of {len(histories)} none has"
        )
    # Distinct histories are sorted, so the same customers in another order give the same bits. The sums are
    # NumPy's own, which do not depend on the number of threads of linear algebra.
    distinct, weights = histories.distinct()
    weights /= len(histories)
    unit = float(np.sum(weights * distinct.age)) or 1.0
    scaled = distinct.over(unit)
    parts = [(scaled[rows], weights[rows]) for rows in blocks(len(scaled))]

    def mean_log_likelihood(log_parameters: Floats) -> tuple[float, Floats]:
        mean, slopes = 0.0, np.zeros(len(log_parameters))
        for part, weight in parts:
            value, gradient = log_likelihood(log_parameters, part)
            mean += float(np.sum(value * weight))
            slopes += np.sum(gradient * weight, axis=1)
        return mean, slopes

    parameters, mean = climb(mean_log_likelihood, starts, highest)
    for position in times:
        parameters[position] *= unit
    # it is a density of times: another unit divides it by that unit once per repeat purchase
    mean -= float(np.sum(weights * distinct.frequency)) * np.log(unit)
    return parameters, float(mean * len(histories))
