"""Split the values of a characteristic into few bins whose bad rates differ.

Numbers are split so that their weight of evidence, ln(share of the good / share of the bad), rises or falls
throughout; or turns round once, where nothing is stated and the data put it beyond doubt. Levels of a text
are first put in the order of their bad rates in the rows fitted on, so they are split as numbers are; levels
that are too rare to be told apart share one place in that order. Missing values are a bin of their own, as
are numbers that are codes, like -999.

A bin is kept if it has a stated share of the rows or if, with fewer, its bad rate is beyond doubt another
than its neighbours': a flag on one order in forty that nearly always turns bad is worth a bin.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import floor, log, log10, sqrt
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goodstanding.core.errors import DataProblem
from goodstanding.decisions.facts import AS_DATA_SAY, MORE_IS_BETTER, Direction
from ml.measures import Floats

FINE_BINS = 50
# Siddiqi asks for 5 % in a bin. Of .02, .03, .05 and .08 the first two did best on the orders of Online
# Retail before its test windows (AUC .688; with .05 .686, with .08 .676), and .03 gives fewer bins, which are
# easier to explain.
MINIMUM_SHARE = 0.03
# A bin with a smaller share, or a level, has at least so many rows, so that no card tells of a few people.
MINIMUM_ROWS = 20
# By how many standard errors the bad rate of such a bin has to differ: by chance one in a thousand does.
BEYOND_DOUBT = 3.3
# Where nothing is stated of a characteristic, its bad rates may turn round once, if twice the logarithm of
# the likelihood gains so much. Of 12, 20 and never on six of the sets of bench/public_cards.py, split
# otherwise than there, 20 did best (AUC .8299 on average; with 12 .8290, with never .8284).
TURNS_BEYOND_DOUBT = 20.0
# Half of a customer in each bin of either kind, so that every weight is finite.
SMOOTHING = 0.5
# The order of levels is by bad rates to which so many rows of the overall rate are added.
LEVEL_PRIOR = 20.0
# A border is the shortest number that moves at most this part of a fine bin's rows to the other side.
ROUNDING = 0.1
# Values are the same that lie no farther apart than this part of all values.
SAME = 1e-9
# No number may be farther from 0, so that the distance between any two is a number.
LARGEST = 1e300
# The greatest or least number is a code if so many rows share it, and the others lie together farther from it
# than they lie apart.
CODE_SHARE = 0.01


@dataclass(frozen=True)
class Stated:
    """What is stated of a characteristic.

    Attributes:
        direction: which way it may go.
        is_never: whether a missing value means that something never happened.
        codes: numbers that mean something else than their size says.
        may_pair: whether it may earn points together with another.
    """

    direction: Direction = AS_DATA_SAY
    is_never: bool = False
    codes: tuple[float, ...] = ()
    may_pair: bool = True

    def of_missing(self, own: float, weights: Floats) -> float:
        """The weight of a missing value, which by itself is `own`, beside those of the known values."""
        if not len(weights):
            return own
        return max(own, float(weights.max())) if self.is_never else min(own, float(weights.min()))


@dataclass(frozen=True)
class Levels:
    """The levels of a text in the order of their bad rates, the least first.

    Attributes:
        codes: {level: its place in the order} of the levels that are told apart.
        other: the place that the rare ones share, and any that was not seen; where none was rare beyond all
            others.
    """

    codes: dict[str, int]
    other: int

    def coded(self, values: NDArray[Any]) -> Floats:
        """(rows,) the place of each value, NaN where it is missing."""
        numbers, levels = pd.factorize(values)
        places = [float(self.codes.get(level, self.other)) for level in levels]
        return np.array([*places, np.nan])[numbers]


@dataclass(frozen=True)
class Woe:
    """The bins of one characteristic, ascending, with their weights of evidence.

    Attributes:
        borders: (bins - 1,) the upper ends of all bins but the last; a border belongs to the bin below it.
        weights: (bins,) weights of evidence.
        missing: the weight of a missing value; None where no value was missing.
        information: the information value: the sum over the bins of their weight times the difference of the
            shares of the good and of the bad.
        stated: what is stated of the characteristic; None: missing values may earn whatever the data say.
        codes: {number: its weight} of the numbers that are bins of their own.
        levels: of a text, whose places in their order are the values that are split.
    """

    borders: Floats
    weights: Floats
    missing: float | None
    information: float
    stated: Stated | None = None
    codes: dict[float, float] = field(default_factory=dict)
    levels: Levels | None = None

    def bins(self, values: NDArray[Any]) -> NDArray[np.intp]:
        """(rows,) the number of each value's bin; missing ones are in the bin after the last, then codes."""
        numbers = self.levels.coded(values) if self.levels else as_numbers(values)
        places = np.where(np.isnan(numbers), len(self.weights), np.searchsorted(self.borders, numbers))
        for place, code in enumerate(self.codes, len(self.weights) + 1):
            places[numbers == code] = place
        return places

    @property
    def all_weights(self) -> Floats:
        """The weights by the number of the bin."""
        return np.array([*self.weights, self.missing_weight, *self.codes.values()])

    def of(self, values: NDArray[Any]) -> Floats:
        """(rows,) the weight of each value; see `missing_weight` for those missing."""
        return self.all_weights[self.bins(values)]

    def weighing(self, weights: Floats) -> Woe:
        """The same bins with other weights, given by the number of the bin."""
        known = len(self.weights)
        return replace(
            self,
            weights=weights[:known],
            missing=None if self.missing is None else float(weights[known]),
            codes=dict(zip(self.codes, map(float, weights[known + 1 :]), strict=True)),
        )

    def scaled(self, factor: float) -> Woe:
        """The same bins with all weights multiplied."""
        return self.weighing(factor * self.all_weights)

    @property
    def missing_weight(self) -> float:
        """The weight of a missing value; where none was missing in the fit the least, of what never was the
        greatest."""
        if self.missing is not None:
            return self.missing
        return float(self.weights.max() if self.stated and self.stated.is_never else self.weights.min())


def as_columns(X: Any) -> list[NDArray[Any]]:
    """The columns of a table or matrix: numbers with NaN, or texts with None, where a value is missing.

    A column is of numbers if all its values are; of any other, each value is taken as text. An infinite
    number is in the bin at its end; `finite_columns` refuses to learn from it.
    """
    if isinstance(X, pd.DataFrame):
        return [_as_column(X[name]) for name in X.columns]
    return [_as_column(pd.Series(column)) for column in np.asarray(X).T]


def finite_columns(X: Any) -> list[NDArray[Any]]:
    """As `as_columns`, of rows to learn from.

    Raises:
        DataProblem: a column has infinite numbers, or so great ones that their distances are; it says which.
    """
    columns = as_columns(X)
    names = X.columns if isinstance(X, pd.DataFrame) else range(1, len(columns) + 1)
    for name, column in zip(names, columns, strict=True):
        if column.dtype != object and (count := int((np.abs(column) > LARGEST).sum())):
            raise DataProblem(
                f"column {name}: {count:,} of {len(column):,} values are infinite, or beyond {LARGEST:.0e}; "
                "a scorecard learns from finite numbers: correct them, or leave them empty, which is missing"
            )
    return columns


def _as_column(values: pd.Series) -> NDArray[Any]:
    missing = values.isna().to_numpy()
    if values.dtype == object or not pd.api.types.is_numeric_dtype(values.dtype):
        known = values[~missing]
        if not all(isinstance(value, int | float | np.number) for value in known):
            texts = np.full(len(values), None, dtype=object)
            texts[~missing] = [str(value) for value in known]
            return texts
    return values.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)


def as_numbers(values: NDArray[Any]) -> Floats:
    """The values of a column of numbers.

    Raises:
        ValueError: one of them is a text.
    """
    return np.asarray(values, dtype=np.float64)


@dataclass(frozen=True)
class _Pool:
    """Neighbouring fine bins taken together: their rows, and how many of them are bad."""

    rows: float
    bad: float
    fine_bins: int

    def __add__(self, other: _Pool) -> _Pool:
        return _Pool(self.rows + other.rows, self.bad + other.bad, self.fine_bins + other.fine_bins)

    @property
    def log_odds(self) -> float:
        """ln(odds of being good), smoothed."""
        return log((self.rows - self.bad + SMOOTHING) / (self.bad + SMOOTHING))

    @property
    def log_likelihood(self) -> float:
        """The logarithm of how likely its bad rows are at its bad rate."""
        good = self.rows - self.bad
        return sum(part * log(part / self.rows) for part in (self.bad, good) if part > 0)

    def stands_out(self, others: Iterable[_Pool]) -> bool:
        """Whether it has enough rows, and a bad rate beyond doubt another than each of the others'."""
        return self.rows >= MINIMUM_ROWS and all(self._differs(other) for other in others if other.rows)

    def _differs(self, other: _Pool) -> bool:
        both = (self.bad + other.bad) / (self.rows + other.rows)
        error = sqrt(both * (1 - both) * (1 / self.rows + 1 / other.rows))
        return abs(self.bad / self.rows - other.bad / other.rows) > BEYOND_DOUBT * error


def bin_monotonely(
    values: NDArray[Any],
    bad: NDArray[np.bool_],
    minimum_share: float = MINIMUM_SHARE,
    stated: Stated | None = None,
) -> Woe:
    """Split the values of a characteristic into bins whose weights of evidence only rise, or only fall.

    Where nothing is stated of it, they may turn round once, if the data put that beyond doubt.

    Fifty bins of equal size are pooled by the pool-adjacent-violators algorithm (Ayer et al. 1955) until
    their bad rates rise, or fall, as is stated or else whichever they do on the whole; then each bin that is
    too small (see above) joins the neighbour that is more like it. Missing values and codes that are too few
    for a bin have the weight 0.

    Args:
        values: (rows,), NaN where missing; or texts, None where missing.
        bad: (rows,) which rows are bad.
        minimum_share: the share of the rows with which a bin is kept whatever its bad rate.
        stated: what is stated of the characteristic.
    """
    levels = _ordered(values, bad, minimum_share) if values.dtype == object else None
    numbers = levels.coded(values) if levels else as_numbers(values)
    codes = () if levels else stated.codes if stated else _codes(numbers)
    is_known = ~np.isnan(numbers) & ~np.isin(numbers, codes)
    known, known_bad = numbers[is_known], bad[is_known]
    falls = _falls(known, known_bad)
    if stated and stated.direction != AS_DATA_SAY and not levels:
        falls = stated.direction == MORE_IS_BETTER
    least = minimum_share * len(numbers)
    borders = _fine_borders(known)
    fine = _counted(known, known_bad, borders)
    turn, falls = _turn(fine, falls) if stated is None and not levels else (len(fine), falls)
    # where the turn is, as a value, since bins are counted again below
    turn_at = borders[turn - 1] if 0 < turn <= len(borders) else np.inf

    def shaped(pools: Sequence[_Pool], ends: Floats) -> list[_Pool]:
        first = len(pools) if turn_at == np.inf else int(np.searchsorted(ends, turn_at, side="right"))
        return [*_pooled(pools[:first], falls), *_pooled(pools[first:], not falls)]

    pools = _joined(shaped(fine, borders), least)
    borders = _shortest(known, borders[np.cumsum([pool.fine_bins for pool in pools])[:-1] - 1])
    # pooled again: with the half customer of `SMOOTHING`, and rounded, joined pools may not be in order
    pools = shaped(_counted(known, known_bad, borders), borders)
    borders = borders[np.cumsum([pool.fine_bins for pool in pools])[:-1] - 1]
    everybody = _Pool(len(bad), float(bad.sum()), 0)
    prior = _prior(bad)
    weights = np.array([pool.log_odds - prior for pool in pools])
    counted = [*zip(pools, weights, strict=True)]
    beside = {}
    for number in (np.nan, *codes):
        which = np.isnan(numbers) if np.isnan(number) else numbers == number
        pool = _Pool(float(which.sum()), float(bad[which].sum()), 0)
        rest = _Pool(everybody.rows - pool.rows, everybody.bad - pool.bad, 0)
        counts = pool.rows >= least or pool.stands_out([rest])
        own = pool.log_odds - prior if counts else 0.0
        if np.isnan(number) and stated and is_known.any():
            own = stated.of_missing(own, weights)
        if pool.rows:
            beside[number] = own
        if counts:
            counted.append((pool, own))
    missing = next((weight for number, weight in beside.items() if np.isnan(number)), None)
    good, bad_rows = float((~bad).sum()), float(bad.sum())
    information = sum(
        float(weight) * ((pool.rows - pool.bad) / good - pool.bad / bad_rows) for pool, weight in counted
    )
    of_codes = {number: weight for number, weight in beside.items() if not np.isnan(number)}
    return Woe(borders, weights, missing, information, stated, of_codes, levels)


def _prior(bad: NDArray[np.bool_]) -> float:
    return float(np.log((~bad).sum() / bad.sum()))


def _falls(values: Floats, bad: NDArray[np.bool_]) -> bool:
    """Whether bad rates fall on the whole as the values rise."""
    if not len(values):
        return False
    _, first, rows = np.unique(np.sort(values), return_index=True, return_counts=True)
    ranks = np.repeat(first + rows / 2, rows) - len(values) / 2
    return float(np.dot(ranks, bad[np.argsort(values, kind="stable")])) < 0


def _ordered(values: NDArray[Any], bad: NDArray[np.bool_], minimum_share: float) -> Levels:
    """The levels of a text; those with too few rows share the place of their common bad rate."""
    numbers, levels = pd.factorize(values)
    is_known = numbers >= 0
    rows = np.bincount(numbers[is_known], minlength=len(levels))
    bad_rows = np.bincount(numbers[is_known], weights=bad[is_known], minlength=len(levels))
    pools = {level: _Pool(float(n), float(k), 0) for level, n, k in zip(levels, rows, bad_rows, strict=True)}
    total = _Pool(float(len(bad)), float(bad.sum()), 0)
    least = max(MINIMUM_ROWS, minimum_share * len(values))
    own = {
        level: pool
        for level, pool in pools.items()
        if pool.rows >= least or pool.stands_out([_Pool(total.rows - pool.rows, total.bad - pool.bad, 0)])
    }
    rare = sum((pool for level, pool in pools.items() if level not in own), _Pool(0.0, 0.0, 0))

    def bad_rate(pool: _Pool) -> float:
        return (pool.bad + LEVEL_PRIOR * total.bad / total.rows) / (pool.rows + LEVEL_PRIOR)

    ranked: list[tuple[str | None, _Pool]] = [*own.items(), *([(None, rare)] if rare.rows else [])]
    ranked.sort(key=lambda one: (bad_rate(one[1]), one[0] or ""))
    places = {level: place for place, (level, _) in enumerate(ranked)}
    other = places.pop(None, len(ranked))
    return Levels({str(level): place for level, place in places.items()}, other)


def _codes(numbers: Floats) -> tuple[float, ...]:
    """The least and the greatest number where each lies apart from all others, and enough rows share it."""
    known, rows = np.unique(numbers[~np.isnan(numbers)], return_counts=True)
    codes = []
    for end, beside in ((0, 1), (-1, -2)):
        # of two numbers neither lies apart: they are a flag
        if len(known) < 3 or rows[end] < max(MINIMUM_ROWS, CODE_SHARE * len(numbers)):
            continue
        others = np.delete(known, end)
        if abs(known[end] - known[beside]) > others[-1] - others[0] and len(others) > FINE_BINS:
            codes.append(float(known[end]))
    return tuple(codes)


def _fine_borders(values: Floats) -> Floats:
    """Values that split all into fifty parts, or each from the next; a value of many rows is a part."""
    known, rows = np.unique(values, return_counts=True)
    if len(known) <= FINE_BINS:
        return known[:-1]
    at = np.searchsorted(np.cumsum(rows), np.arange(1, FINE_BINS) / FINE_BINS * len(values))
    often = np.flatnonzero(rows >= CODE_SHARE * len(values))
    at = np.unique(np.concatenate([at, often, often - 1]))
    borders: Floats = known[at[(at >= 0) & (at < len(known) - 1)]]
    return borders


def _shortest(values: Floats, borders: Floats) -> Floats:
    """The borders, each as the shortest number that moves hardly any row to the other side.

    So a border shows no more of a customer's own figure than splitting needs, and how precise it is depends
    on how close the values lie: neither on their unit nor on where they begin.
    """
    if not len(borders):
        return borders
    ordered = np.sort(values)
    few = ROUNDING * len(values) / FINE_BINS
    return np.unique([_short(float(border), ordered, few) for border in borders])


def _short(border: float, ordered: Floats, few: float) -> float:
    below = int(np.searchsorted(ordered, border, side="right"))
    spread = ordered[-1] - ordered[0]
    largest = floor(log10(spread))
    for digits in range(-largest, 13 - largest):
        nearest = round(border, digits)
        for short in (nearest, round(nearest + 10.0**-digits, digits)):
            # 0.30000000000000004 is 0.3
            upto = int(np.searchsorted(ordered, short + SAME * spread, side="right"))
            if 0 < upto < len(ordered) and abs(upto - below) <= few:
                return max(short, float(ordered[upto - 1])) + 0.0
    return border


def _counted(values: Floats, bad: NDArray[np.bool_], borders: Floats) -> list[_Pool]:
    at = np.searchsorted(borders, values, side="left")
    rows = np.bincount(at, minlength=len(borders) + 1)
    bad_rows = np.bincount(at, weights=bad, minlength=len(borders) + 1)
    return [_Pool(float(n), float(k), 1) for n, k in zip(rows, bad_rows, strict=True)]


def _pooled(pools: Sequence[_Pool], falls: bool) -> list[_Pool]:
    """Pools whose bad rates rise, or fall, strictly; none of them is empty unless all are."""
    pooled: list[_Pool] = []
    for pool in pools:
        _push(pooled, pool, falls)
    return pooled


def _push(pooled: list[_Pool], pool: _Pool, falls: bool) -> None:
    """Put one more pool to some that are in order."""
    sign = 1 if falls else -1
    pooled.append(pool)
    while len(pooled) > 1 and not (
        pooled[-1].rows and pooled[-2].rows and sign * (pooled[-1].log_odds - pooled[-2].log_odds) > 0
    ):
        pooled[-2:] = [pooled[-2] + pooled[-1]]


def _turn(fine: Sequence[_Pool], falls: bool) -> tuple[int, bool]:
    """How many fine bins come before bad rates turn round, all unless that is beyond doubt; and which way
    they go before."""
    best = _likelihoods(fine, falls)[-1] + TURNS_BEYOND_DOUBT / 2
    found = len(fine), falls
    for falls_first in (True, False):
        before = _likelihoods(fine, falls_first)
        # those after the turn go the same way if they are read from the end
        after = _likelihoods(fine[::-1], falls_first)[::-1]
        for turn in range(1, len(fine)):
            if before[turn - 1] + after[turn] > best:
                best, found = before[turn - 1] + after[turn], (turn, falls_first)
    return found


def _likelihoods(pools: Sequence[_Pool], falls: bool) -> list[float]:
    """How likely the bad rows of the first pools are when these are in order, for each number of them."""
    pooled: list[_Pool] = []
    likelihoods = []
    for pool in pools:
        _push(pooled, pool, falls)
        likelihoods.append(sum(one.log_likelihood for one in pooled))
    return likelihoods


def _joined(pools: Sequence[_Pool], least: float) -> list[_Pool]:
    """The pools, the smallest joined to the more similar neighbour until none is too small."""
    pools = list(pools)

    def neighbours(at: int) -> list[int]:
        return [beside for beside in (at - 1, at + 1) if 0 <= beside < len(pools)]

    def is_small(at: int) -> bool:
        return pools[at].rows < least and not pools[at].stands_out(pools[beside] for beside in neighbours(at))

    while len(pools) > 1 and (small := [at for at in range(len(pools)) if is_small(at)]):
        smallest = min(small, key=lambda at: pools[at].rows)
        log_odds = pools[smallest].log_odds
        nearest = min(neighbours(smallest), key=lambda at: abs(pools[at].log_odds - log_odds))
        first = min(smallest, nearest)
        pools[first : first + 2] = [pools[first] + pools[first + 1]]
    return pools
