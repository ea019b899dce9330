"""Segments: customers who buy alike, by k-means on recency, frequency and monetary, with names for them.

The segments of a day depend on its snapshot alone, and not on the order of its rows: rows are sorted before
anything is added up, what is drawn at random is seeded, and linear algebra keeps to one thread, for with the
number of threads the last digits could change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from goodstanding.core.errors import DataProblem
from ml.candidate import SEED
from ml.features import Snapshot
from ml.measures import Floats

RFM = ("recency_days", "frequency", "monetary")
# Who bought long ago is worth less.
WORTH = np.array([-1.0, 1.0, 1.0])

# Kept for use: four names can be acted on. `ml.segments.study` says what the curves say of it.
SEGMENTS = 4
# On average; medians and shares of fewer say little.
CUSTOMERS_PER_SEGMENT = 50

# All customers are learnt from: a million take 6 s on one core, and with 50,000 of them drawn instead, 2.7 %
# of the others stood in another segment.
STARTS = 10

# By the third of all customers in which the segment's median recency lies (the latest first), and by which of
# its medians of frequency and monetary are above those of all customers: both, the first, the second, none.
NAMES = (
    ("Loyal big spenders", "Loyal small spenders", "Recent big baskets", "New or occasional buyers"),
    (
        "Loyal customers slipping away",
        "Small regulars slipping away",
        "Big baskets slipping away",
        "Small buyers slipping away",
    ),
    ("Lost big spenders", "Lost small regulars", "Lost big baskets", "Lost small buyers"),
)

Ints = NDArray[np.intp]


@dataclass(frozen=True)
class Points:
    """Customers in the space of k-means: the distinct points, ascending, and how many stand on each."""

    rows: Floats
    counts: Ints

    @property
    def customers(self) -> int:
        """How many customers there are."""
        return int(self.counts.sum())

    def sample(self, customers: int) -> Points:
        """A seeded draw of so many customers without replacement; all of them where there are no more."""
        if self.customers <= customers:
            return self
        generator = np.random.default_rng(SEED)
        drawn = generator.multivariate_hypergeometric(self.counts, customers, method="marginals")
        return Points(self.rows[drawn > 0], drawn[drawn > 0])

    def resample(self, generator: np.random.Generator) -> Points:
        """A bootstrap resample of the customers."""
        drawn = generator.multinomial(self.customers, self.counts / self.customers)
        return Points(self.rows[drawn > 0], drawn[drawn > 0])

    def each(self, values: Ints) -> Ints:
        """What is known of each point, once per customer on it."""
        return np.repeat(values, self.counts)


def scaled(values: Floats) -> Floats:
    """log(1 + value), less the mean and over the standard deviation of all customers, column by column.

    The logarithm is taken because a few customers order a hundred times the median: unscaled, k-means gives
    them a segment of their own and leaves all others in one. A column that does not vary is 0.
    """
    logs = np.log1p(values)
    # sorted, so that the sums do not depend on the order of the customers
    ascending = np.sort(logs, axis=0)
    spread = ascending.std(axis=0)
    return np.asarray((logs - ascending.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def points(columns: Floats) -> tuple[Points, Ints]:
    """The distinct points of scaled customers, and on which of them each customer stands."""
    rows, position, counts = np.unique(columns, axis=0, return_inverse=True, return_counts=True)
    return Points(rows, counts), position.reshape(-1)


def k_means(of: Points, k: int, seed: int = SEED) -> KMeans:
    """The fit of least inertia from `STARTS` starts; each point counts as often as customers stand on it.

    To be called under a limit of one thread. (Setting it costs 6 ms, as much as a fit.)
    """
    return KMeans(k, n_init=STARTS, random_state=seed).fit(of.rows, sample_weight=of.counts)


def assign(model: KMeans, rows: Floats) -> Ints:
    """The cluster of each row, counted from 0 as the fit left them; under the same limit."""
    return np.asarray(model.predict(rows), dtype=np.intp)


def segment_numbers(values: Floats, k: int = SEGMENTS) -> Ints:
    """The segment of each customer, 1 to k, whatever the order of the customers and of the fit's clusters.

    Segment 1 is worth most: they are ordered by the mean of their centre's scaled coordinates, recency
    reversed, and where that is equal by the coordinates themselves.

    Args:
        values: (customers, 3), the columns `RFM`.

    Raises:
        DataProblem: too few customers, or too few who differ; it says how many would be enough.
    """
    needed = k * CUSTOMERS_PER_SEGMENT
    if len(values) < needed:
        raise DataProblem(
            f"{k} segments need {needed} customers; there are {len(values)}, "
            f"{needed - len(values)} more would be enough"
        )
    distinct, position = points(scaled(values))
    if len(distinct.rows) < k:
        raise DataProblem(
            f"{k} segments need {k} customers who differ in recency, frequency or monetary; there are "
            f"{len(distinct.rows)}, {k - len(distinct.rows)} more would be enough"
        )
    with threadpool_limits(limits=1):
        model = k_means(distinct, k)
        clusters = assign(model, distinct.rows)
    worth = model.cluster_centers_ * WORTH
    best_first = sorted(range(k), key=lambda which: (worth[which].mean(), *worth[which]), reverse=True)
    number = np.empty(k, dtype=np.intp)
    number[best_first] = np.arange(1, k + 1)
    return np.asarray(number[clusters][position])


def segment_names(values: Floats, numbers: Ints) -> list[str]:
    """A name for each segment, by where its medians lie among all customers (see `NAMES`).

    Of segments with one name each also gets its place among them by its median of monetary, equal ones by
    their number, so no two are called the same. The names depend on who is in which segment, and on the
    numbers in that last case alone.

    Args:
        values: (customers, 3), the columns `RFM`.
        numbers: (customers,), 1 to k, each of which somebody has.

    Returns:
        k names, segment 1 first.
    """
    medians = segment_medians(values, numbers)
    third = np.minimum((_position(medians[:, 0], values[:, 0]) * 3).astype(int), 2)
    often, much = (medians[:, 1:] > np.median(values[:, 1:], axis=0)).T
    habit = 2 * (~often).astype(int) + ~much
    plain = [NAMES[when][how] for when, how in zip(third, habit, strict=True)]
    return [_told_apart(plain, medians[:, 2], which) for which in range(len(plain))]


def segment_medians(values: Floats, numbers: Ints) -> Floats:
    """(segments, columns): the medians of each segment, segment 1 first."""
    return np.stack([np.median(values[numbers == number], axis=0) for number in range(1, numbers.max() + 1)])


def _position(values: Floats, among: Floats) -> Floats:
    """The share of customers below each value, those who equal it counted half: in [0, 1]."""
    ascending = np.sort(among)
    below, up_to = np.searchsorted(ascending, values, "left"), np.searchsorted(ascending, values, "right")
    return np.asarray((below + up_to) / (2 * len(ascending)))


def _told_apart(plain: Sequence[str], monetary: Floats, which: int) -> str:
    alike = [other for other, name in enumerate(plain) if name == plain[which]]
    if len(alike) == 1:
        return plain[which]
    by_money = sorted(alike, key=lambda other: (-monetary[other], other))
    return f"{plain[which]} ({by_money.index(which) + 1} of {len(alike)} by money)"


def segment_of_each(snapshot: Snapshot, k: int = SEGMENTS) -> tuple[Ints, NDArray[np.object_]]:
    """The segment of each customer of a snapshot, in its order.

    Returns:
        (customers,) numbers, 1 to k, and (customers,) names.

    Raises:
        DataProblem: too few customers, or too few who differ; it says how many would be enough.
    """
    values = snapshot.matrix(RFM)
    numbers = segment_numbers(values, k)
    names = np.array(segment_names(values, numbers), dtype=object)
    return numbers, names[numbers - 1]
