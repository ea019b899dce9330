"""Find the few pairs of characteristics that tell more together than the sum of their points does.

Points that are added up cannot say that a high bill is no harm to one who always paid. A pair can: its points
are a table by both values. What a pair adds to the sum is learnt from what the sum leaves over (by Newton's
method in each cell, shrunk), on rows of which others were left out; a pair is taken only if it
predicts those better, and beyond doubt. A characteristic is in one pair at most, so that an answer can tell
each pair as one reason with its own points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from goodstanding.decisions.facts import AS_DATA_SAY, MORE_IS_BETTER
from ml.measures import Floats
from ml.scorecards.bins import Stated, Woe

# How many of the characteristics, those with the most points first, are tried with each other.
CANDIDATES = 12
# The bins of each characteristic are put together to so many parts, of about as many rows each. Of 4, 6 and 8
# on sets of bench/public_cards.py, split otherwise than there, 6 did as well or better.
PARTS = 6
# A cell's weight is shrunk as if it had so many more rows of even odds.
PRIOR_ROWS = 40.0
# After a step so small, in log-odds, no point is left to gain: the error that remains is as its square.
SMALL_STEP = 1e-3
# Steps are 1 at most, so these reach across more than twice the log-odds that occur.
MOST_STEPS = 50
# By how many standard errors a pair has to gain on rows left out. Of 66 pairs that gain nothing, one in three
# times one seems to gain so much; each part left out has to agree as well.
BEYOND_DOUBT = 2.5

# The bins of each column, the log-odds of all rows, the rows learnt from, and those left out.
Part = tuple[Sequence[Woe], Floats, NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True)
class Cells:
    """What two characteristics add together to the weights that each has by itself.

    Attributes:
        pair: the numbers of their columns.
        woes: their bins.
        parts: the part that each bin belongs to, of each.
        weights: (parts of the first, parts of the second) log-odds of being good.
    """

    pair: tuple[int, int]
    woes: tuple[Woe, Woe]
    parts: tuple[NDArray[np.intp], NDArray[np.intp]]
    weights: Floats

    @classmethod
    def fitted(
        cls,
        pair: tuple[int, int],
        woes: Sequence[Woe],
        columns: Sequence[NDArray[Any]],
        log_odds: Floats,
        bad: NDArray[np.bool_],
    ) -> Cells:
        """Learn the cells of a pair from all rows, given the log-odds (rows,) so far.

        Args:
            pair: the numbers of the columns.
            woes: of all columns.
            columns: the values of each.
            log_odds: of being good.
            bad: (rows,).
        """
        of_pair = woes[pair[0]], woes[pair[1]]
        bins = [woe.bins(columns[at]) for woe, at in zip(of_pair, pair, strict=True)]
        parts = _parts(of_pair[0], bins[0]), _parts(of_pair[1], bins[1])
        at, shape = _at(parts, bins)
        return cls(pair, of_pair, parts, _newton(at, shape, log_odds, bad))

    def of(self, columns: Sequence[NDArray[Any]]) -> Floats:
        """(rows,) the weight of each row's cell."""
        bins = [woe.bins(columns[at]) for woe, at in zip(self.woes, self.pair, strict=True)]
        at, _ = _at(self.parts, bins)
        return self.weights.ravel()[at]

    def scaled(self, factor: float) -> Cells:
        """The same cells with all weights multiplied."""
        return replace(self, weights=factor * self.weights)


def _parts(woe: Woe, bins: NDArray[np.intp]) -> NDArray[np.intp]:
    """(bins,) the part of each bin: neighbouring ones together, missing values and codes each by itself."""
    rows = np.bincount(bins, minlength=len(woe.all_weights))
    known = len(woe.weights)
    middle = np.cumsum(rows[:known]) - rows[:known] / 2
    at = np.minimum((PARTS * middle / max(1, rows[:known].sum())).astype(int), PARTS - 1)
    of_known = np.unique(at, return_inverse=True)[1]
    return np.concatenate([of_known, of_known.max() + 1 + np.arange(len(rows) - known)])


def _at(
    parts: Sequence[NDArray[np.intp]], bins: Sequence[NDArray[np.intp]]
) -> tuple[NDArray[np.intp], tuple[int, int]]:
    """(rows,) the number of each row's cell, and how many parts there are of each."""
    shape = int(parts[0].max()) + 1, int(parts[1].max()) + 1
    return parts[0][bins[0]] * shape[1] + parts[1][bins[1]], shape


def _newton(at: NDArray[np.intp], shape: tuple[int, int], log_odds: Floats, bad: NDArray[np.bool_]) -> Floats:
    """The weight of each cell by Newton's method, each cell by itself.

    Where the log-odds so far are sure and wrong, a whole step goes far beyond the best weight. One of at most
    1 does not: however far the best weight is, it comes closer with each step.
    """
    weights = np.zeros(shape[0] * shape[1])
    for _ in range(MOST_STEPS):
        chance = expit(-(log_odds + weights[at]))
        surprise = np.bincount(at, weights=chance - bad, minlength=len(weights)) - PRIOR_ROWS / 4 * weights
        certainty = np.bincount(at, weights=chance * (1 - chance), minlength=len(weights)) + PRIOR_ROWS / 4
        steps = np.clip(surprise / certainty, -1, 1)
        weights += steps
        if np.abs(steps).max() < SMALL_STEP:
            break
    return weights.reshape(shape)


def choose_pairs(
    candidates: Sequence[int],
    columns: Sequence[NDArray[Any]],
    bad: NDArray[np.bool_],
    parts: Sequence[Part],
    groups: NDArray[np.intp],
    most: int,
) -> tuple[Floats, list[tuple[int, int]]]:
    """The pairs that predict rows better that were left out, the best first.

    Args:
        candidates: the numbers of the columns that may be paired, the most telling first.
        columns: the values of each column.
        bad: (rows,).
        parts: the additive fits, each without some rows; every row is left out once.
        groups: (rows,) the number of each row's customer, or of the row where none has several.
        most: how many pairs at most.

    Returns:
        The log-odds (rows,) of each row by fits without it, and the pairs.
    """
    offsets = [log_odds for _, log_odds, _, _ in parts]
    left_out = np.empty(len(bad))
    for _, log_odds, _, left in parts:
        left_out[left] = log_odds[left]
    chosen: list[tuple[int, int]] = []
    free = list(candidates[:CANDIDATES])
    # the bins of all rows, by fit and column
    bins = [{at: woes[at].bins(columns[at]) for at in free} for woes, *_ in parts]
    while len(chosen) < most and len(free) > 1:
        best: tuple[float, tuple[int, int], list[Floats]] | None = None
        for pair in combinations(sorted(free), 2):
            added = [
                _added(pair, part, offset, bins_of, bad)
                for part, offset, bins_of in zip(parts, offsets, bins, strict=True)
            ]
            gain = _gain(parts, offsets, added, bad, groups)
            if best is None or gain > best[0]:
                best = gain, pair, added
        assert best
        gain, pair, added = best
        if gain <= BEYOND_DOUBT:
            break
        chosen.append(pair)
        free = [at for at in free if at not in pair]
        offsets = [offset + more for offset, more in zip(offsets, added, strict=True)]
        for (_, _, _, left), offset in zip(parts, offsets, strict=True):
            left_out[left] = offset[left]
    return left_out, chosen


def _added(
    pair: tuple[int, int],
    part: Part,
    log_odds: Floats,
    bins: dict[int, NDArray[np.intp]],
    bad: NDArray[np.bool_],
) -> Floats:
    """(rows,) what the pair adds, learnt without the rows left out."""
    woes, _, learnt, _ = part
    of_pair = [bins[at] for at in pair]
    parts = [_parts(woes[at], of_column[learnt]) for at, of_column in zip(pair, of_pair, strict=True)]
    at, shape = _at(parts, of_pair)
    weights: Floats = _newton(at[learnt], shape, log_odds[learnt], bad[learnt]).ravel()
    return weights[at]


def _gain(
    parts: Sequence[Part],
    offsets: Sequence[Floats],
    added: Sequence[Floats],
    bad: NDArray[np.bool_],
    groups: NDArray[np.intp],
) -> float:
    """How many standard errors the log loss of the rows left out falls by; 0 where it rises in any part."""
    gains = np.empty(len(bad))
    for (_, _, _, left), offset, more in zip(parts, offsets, added, strict=True):
        sign = np.where(bad[left], -1.0, 1.0)
        before = np.logaddexp(0, -sign * offset[left])
        after = np.logaddexp(0, -sign * (offset + more)[left])
        gains[left] = before - after
        if gains[left].mean() <= 0:
            return 0.0
    # rows of one customer gain or lose together: what varies by chance is the sum of each
    of_group = np.bincount(groups, weights=gains - gains.mean())
    return float(gains.sum() / (np.sqrt(of_group @ of_group) + 1e-12 * len(gains)))


def table(cells: Cells, weighed: Sequence[Woe], stated: Sequence[Stated | None]) -> Floats:
    """(bins of the first, bins of the second) the log-odds of the pair as a whole, going the stated ways.

    Args:
        cells: what the two add together.
        weighed: the two with the weights that each has by itself.
        stated: what is stated of each.
    """
    both = cells.weights[np.ix_(*cells.parts)]
    whole: Floats = both + weighed[0].all_weights[:, np.newaxis] + weighed[1].all_weights
    whole = _held(whole, weighed[0], stated[0])
    return _held(whole.T, weighed[1], stated[1]).T


def _held(whole: Floats, woe: Woe, stated: Stated | None) -> Floats:
    """The table whose rows, by one characteristic, go the way that is stated of it beside each column."""
    known = len(woe.weights)
    whole = whole.copy()
    if stated is None:
        return whole
    if stated.direction != AS_DATA_SAY:
        rising = whole[:known] if stated.direction == MORE_IS_BETTER else whole[:known][::-1]
        # between the lowest and the highest table that goes this way and crosses it
        above = np.maximum.accumulate(rising, axis=0)
        below = np.minimum.accumulate(rising[::-1], axis=0)[::-1]
        held = (above + below) / 2
        whole[:known] = held if stated.direction == MORE_IS_BETTER else held[::-1]
    if stated.is_never:
        whole[known] = np.maximum(whole[known], whole[:known].max(axis=0))
    else:
        whole[known] = np.minimum(whole[known], whole[:known].min(axis=0))
    return whole
