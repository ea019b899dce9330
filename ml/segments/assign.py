"""Assign each customer to a segment of customers who buy alike, by k-means on RFM, and name the segments.

The segments of a day depend on its snapshot alone, and not on the order of its rows: rows are sorted before
anything is summed, random draws are seeded, and linear algebra uses one thread, because the number of threads
could change the last digits.
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
# A customer who bought long ago is worth less.
WORTH = np.array([-1.0, 1.0, 1.0])

# Four because four names can be acted on; `ml.segments.study` shows how well the data support it.
SEGMENTS = 4
# On average; the medians and shares of fewer customers mean little.
CUSTOMERS_PER_SEGMENT = 50

# Fitted on all customers: a million take 6 s on one core, and fitted on 50,000 drawn customers instead, 2.7 %
# of the others were in another segment.
STARTS = 10

# Rows: the third of all customers in which the segment's median recency lies, the latest first. Columns:
# which of its medians of frequency and monetary are above those of all customers: both, the first, the
# second, none.
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
    """Customers in the space of k-means.

    Attributes:
        rows: (points, columns) the distinct points, ascending.
        counts: (points,) how many customers are at each.
    """

    rows: Floats
    counts: Ints

    @property
    def customers(self) -> int:
        """The number of customers."""
        return int(self.counts.sum())

    def sample(self, customers: int) -> Points:
        """A seeded draw of so many customers without replacement; all of them where there are fewer."""
        if self.customers <= customers:
            return self
        generator = np.random.default_rng(SEED)
        drawn = generator.multivariate_hypergeometric(self.counts, customers, method="marginals")
        return Points(self.rows[drawn > 0], drawn[drawn > 0])

    def resample(self, generator: np.random.Generator) -> Points:
        """A bootstrap resample of the customers."""
        drawn = generator.multinomial(self.customers, self.counts / self.customers)
        return Points(self.rows[drawn > 0], drawn[drawn > 0])

    def per_customer(self, values: Ints) -> Ints:
        """A value of each point, (points,), once per customer at it, (customers,)."""
        return np.repeat(values, self.counts)


def scaled(values: Floats) -> Floats:
    """log(1 + value) of each column, standardised over all customers, (customers, columns).

    The logarithm is taken because a few customers order a hundred times the median: on raw values k-means
    gives them a segment of their own and leaves all others in one. A column that does not vary becomes 0.
    """
    logs = np.log1p(values)
    # sorted, so that the sums do not depend on the order of the customers
    ascending = np.sort(logs, axis=0)
    spread = ascending.std(axis=0)
    return np.asarray((logs - ascending.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def points(columns: Floats) -> tuple[Points, Ints]:
    """The distinct points of scaled customers, and the number of each customer's point, (customers,)."""
    rows, position, counts = np.unique(columns, axis=0, return_inverse=True, return_counts=True)
    return Points(rows, counts), position.reshape(-1)


def k_means(of: Points, k: int, seed: int = SEED) -> KMeans:
    """The fit of least inertia from `STARTS` starts; each point counts once per customer at it.

    The caller limits linear algebra to one thread: setting the limit costs 6 ms, as much as a fit.
    """
    return KMeans(k, n_init=STARTS, random_state=seed).fit(of.rows, sample_weight=of.counts)


def assign(model: KMeans, rows: Floats) -> Ints:
    """(rows,) the cluster of each row, numbered from 0 as in the fit; under the same limit of one thread."""
    return np.asarray(model.predict(rows), dtype=np.intp)


def segment_numbers(values: Floats, k: int = SEGMENTS) -> Ints:
    """The segment of each customer, (customers,), 1 to k.

    It depends neither on the order of the customers nor on that of the fit's clusters. Segment 1 is worth
    most: segments are ordered by the mean of their centre's scaled coordinates, recency reversed, and where
    that is equal by the coordinates themselves.

    Args:
        values: (customers, 3), the columns `RFM`.
        k: how many segments.

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

    Segments with the same name are numbered by their median of monetary, and where that is equal by their
    number, so that no two names are the same. Only in that last case do names depend on the numbers.

    Args:
        values: (customers, 3), the columns `RFM`.
        numbers: (customers,), 1 to k; every segment has customers.

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
    """The share of customers below each value, in [0, 1]; those with an equal value count half."""
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
        The numbers, 1 to k, and the names of the segments, (customers,) each.

    Raises:
        DataProblem: too few customers, or too few who differ; it says how many would be enough.
    """
    values = snapshot.matrix(RFM)
    numbers = segment_numbers(values, k)
    names = np.array(segment_names(values, numbers), dtype=object)
    return numbers, names[numbers - 1]
