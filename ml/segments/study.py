"""Describe a shop's customer segments: who is in them, how many there should be, and how stable they are.

It also measures whether clumpiness (`ml.segments.clumpiness`) adds anything to recency, frequency and
monetary. The result holds sums over customers only: no customer's id and no single customer's measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, TypedDict

import duckdb
import numpy as np
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from goodstanding.core.errors import DataProblem
from ml import evaluate
from ml.candidate import SEED, Candidate, probabilities
from ml.cards import Measured
from ml.features import MINIMUM_OF_CLASS, Snapshot, read_snapshot
from ml.measures import Floats
from ml.pairs import Pair, rarest, read_pairs
from ml.processes import run
from ml.segments.assign import (
    CUSTOMERS_PER_SEGMENT,
    RFM,
    SEGMENTS,
    Ints,
    Points,
    assign,
    k_means,
    points,
    scaled,
    segment_medians,
    segment_names,
    segment_numbers,
)
from ml.segments.clumpiness import ORDER_DAYS_NEEDED, read_clumpiness
from ml.tasks import TASKS

KS = range(2, 9)
# The curves are computed from at most so many customers, so that they take the same seconds for every shop:
# the cost of the silhouette grows with the square of the customers.
CURVE_CUSTOMERS = 5_000
RESAMPLES = 50
# of recency, frequency and monetary each alone
RESAMPLES_ALONE = 20
BLOCK_CELLS = 2_000_000

# Fixed, so that no border of the map is a customer's own figure.
RECENCY_FROM = (0, *(2**power for power in range(12)))
MONETARY_FROM = (0, *(digit * 10**power for power in range(7) for digit in (1, 3)))

CLUMPINESS = "clumpiness"
HAS_CLUMPINESS = "has_clumpiness"

BUYS = TASKS["buys_90d"]


def _logistic_regression() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


# On ranks, as the methods of `ml.methods` are. On logarithms the regression is weaker and easier to gain on:
# the AUC is .749 and not .752, and the gain of clumpiness +.0025 [+.0004, +.0047] and not +.0012.
RFM_RANKS = tuple(f"rank_{measure}" for measure in RFM)
WITHOUT = Candidate(
    "rfm", "the ranks of recency, frequency and monetary", RFM_RANKS, _logistic_regression, "baseline"
)
WITH = Candidate(
    "rfm_and_clumpiness",
    "the same, clumpiness, and whether there is one",
    (*RFM_RANKS, CLUMPINESS, HAS_CLUMPINESS),
    _logistic_regression,
)


@dataclass(frozen=True)
class History:
    """The orders and snapshots of a shop that `study` needs.

    Attributes:
        newest: the newest snapshot, with clumpiness.
        pairs: of past snapshots with who bought in the 90 days after them, oldest first; may be empty.
        refused: why there are no past snapshots, or None.
    """

    newest: Snapshot
    pairs: Sequence[Pair] = ()
    refused: str | None = None


class Profile(TypedDict):
    """One segment on one day."""

    number: int
    """1 is worth most."""
    name: str
    customers: int
    share: float
    """Of all customers."""
    money_share: float
    """Of all customers' monetary."""
    recency_days: float
    """The median."""
    frequency: float
    """The median."""
    monetary: float
    """The median, in the shop's currency."""
    bought_90d: float | None
    """The share that bought within 90 days; None where the window is not over."""


class SegmentMap(TypedDict):
    """How many customers of each segment lie in each cell of recency and monetary."""

    recency_from: list[int]
    """The lower borders of the cells, in days."""
    monetary_from: list[int]
    """The lower borders of the cells, in the shop's currency."""
    customers: list[list[list[int]]]
    """By segment, by recency, by monetary."""


class Past(TypedDict):
    """The segments of the newest day whose 90 days are over, fitted on that day."""

    refused: str | None
    """Why there are none (then the others are None), or None."""
    as_of: str | None
    label_until: str | None
    segments: list[Profile] | None


class ByK(TypedDict):
    """What was measured with one number of segments."""

    k: int
    inertia: float
    silhouette: float
    """The mean over the customers, Rousseeuw (1987)."""
    stability: Measured
    """[mean, low, high] of the adjusted Rand index between the fit and those of resampled customers; 95 % of
    the resamples lie from low to high."""


class KCurve(TypedDict):
    """A comparison of numbers of segments."""

    resamples: int
    elbow: int | None
    """The k farthest under the chord of the inertia (see `elbow`); None where there are too few customers."""
    greatest_silhouette: int | None
    """The k of the greatest silhouette."""
    by_k: list[ByK]


class KCurves(TypedDict):
    """The curves of all three measures together (`rfm`) and of each alone."""

    customers: int
    """The number of customers that the curve is computed from; a seeded draw where there are more."""
    rfm: KCurve
    recency_days: KCurve
    frequency: KCurve
    monetary: KCurve


class ClumpinessGain(TypedDict):
    """What clumpiness adds to a logistic regression of who buys within 90 days, pooled over the test cuts."""

    cuts: list[str]
    """ISO dates of the test cuts."""
    customers: int
    """All cuts counted."""
    auc: dict[str, Measured]
    """{rfm, rfm_and_clumpiness: [value, low, high]}."""
    auc_gain: Measured
    p_value: float
    p_holm: float
    """Holm's correction over the two groups of customers."""


class SegmentsWithClumpiness(TypedDict):
    """What clumpiness changes in the segments of those who have a value."""

    customers: int
    silhouette: dict[str, float]
    """{rfm, rfm_and_clumpiness, rfm_and_shuffled: with clumpiness dealt out at random}."""
    adjusted_rand_index: dict[str, float]
    """{rfm_and_clumpiness, rfm_and_shuffled: of their segments and those of rfm}."""


class ClumpinessStudy(TypedDict):
    """Whether clumpiness adds to recency, frequency and monetary; None where there are too few customers."""

    order_days_needed: int
    """A customer with fewer days with an order has no value."""
    share_with_value: float
    """Of the customers."""
    refused: str | None
    """Why there are no past snapshots, or None."""
    everybody: ClumpinessGain | None
    with_value: ClumpinessGain | None
    """Of those customers alone who have a value."""
    segments: SegmentsWithClumpiness | None


class SegmentStudy(TypedDict):
    """The segments as of a day; where they are refused, all from `segments` on is None."""

    refused: str | None
    as_of: str
    customers: int
    k: int
    """How many segments."""
    segments: list[Profile] | None
    """Segment 1 first."""
    map: SegmentMap | None
    past: Past | None
    curves: KCurves | None
    clumpiness: ClumpinessStudy | None


def describe_segments(connection: duckdb.DuckDBPyConnection, as_of: date) -> SegmentStudy:
    """Read and study the segments as of a day (the newest day of features, if that is earlier)."""
    return study(read_history(connection, as_of))


def read_history(connection: duckdb.DuckDBPyConnection, as_of: date) -> History:
    """Read all that `study` needs as of a day; later days in the warehouse are not read."""
    (day,) = connection.execute(
        "select max(as_of) from features.customer_features where as_of <= $1", [as_of]
    ).fetchone() or (None,)
    newest = _with_clumpiness(connection, read_snapshot(connection, day or as_of))
    try:
        read = read_pairs(connection, BUYS, as_of)
    except DataProblem as error:
        return History(newest, refused=str(error))
    snapshots = {snapshot.as_of: snapshot for pair in read for snapshot in (pair.fit_on, pair.test_on)}
    known = {cut: _with_clumpiness(connection, snapshot) for cut, snapshot in snapshots.items()}
    return History(newest, [Pair(known[pair.fit_on.as_of], known[pair.test_on.as_of]) for pair in read])


def study(history: History, processes: int = 1) -> SegmentStudy:
    """Study the segments of what has been read; the result is the same for any number of processes."""
    newest = history.newest
    result: SegmentStudy = {
        "refused": None,
        "as_of": str(newest.as_of),
        "customers": len(newest.customers),
        "k": SEGMENTS,
        "segments": None,
        "map": None,
        "past": None,
        "curves": None,
        "clumpiness": None,
    }
    try:
        numbers = segment_numbers(newest.matrix(RFM))
    except DataProblem as error:
        result["refused"] = str(error)
        return result
    # also for the regressions and the bootstrap: the last digits could change with the number of threads
    with threadpool_limits(limits=1):
        result["segments"] = _profiles(newest, numbers)
        result["map"] = _map(newest, numbers)
        result["past"] = _past(history)
        result["curves"] = _curves(newest, processes)
        result["clumpiness"] = _clumpiness(history)
    return result


def elbow(ks: Sequence[int], inertia: Sequence[float]) -> int:
    """The k whose inertia lies farthest under the chord from the first to the last, both axes scaled to 1.

    After Satopää, Albrecht, Irwin and Raghavan (2011), "Finding a 'Kneedle' in a Haystack", without
    smoothing; of equals, and where nothing lies under the chord, the least k. It says little: a curve that
    falls like 1/k from 2 to 8 lies farthest under its chord at 4, and so do those that fall like k to the
    -0.5 or -2.
    """
    x = (np.array(ks) - ks[0]) / max(ks[-1] - ks[0], 1)
    fallen = inertia[0] - inertia[-1]
    y = (np.array(inertia) - inertia[-1]) / (fallen or 1.0)
    return int(ks[int(np.argmax(np.round(1 - x - y, 12)))])


def silhouettes(of: Points, labelings: Sequence[Ints]) -> list[float]:
    """The mean silhouette (Rousseeuw 1987) over all customers, once per labeling of the points.

    As `sklearn.metrics.silhouette_score` has it, but the distances are measured once for all labelings, and
    once for all customers who stand on one point: 0.2 s instead of 4.1 for the curves of the Online Retail
    year.
    """
    sizes = [int(labels.max()) + 1 for labels in labelings]
    # one column per cluster of each labeling: the customers of each point who belong to it
    belongs = [np.eye(size)[labels] for size, labels in zip(sizes, labelings, strict=True)]
    columns = np.hstack(belongs) * of.counts[:, None]
    block = max(1, BLOCK_CELLS // len(of.rows))
    starts = range(0, len(of.rows), block)
    distances = np.vstack([cdist(of.rows[start : start + block], of.rows) @ columns for start in starts])
    ends = np.cumsum(sizes)
    return [
        float(np.average(_silhouette(sums, own > 0, of.counts), weights=of.counts))
        for sums, own in zip(np.hsplit(distances, ends[:-1]), belongs, strict=True)
    ]


def _silhouette(sums: Floats, own: Any, counts: Ints) -> Floats:
    """Of each point, from its summed distances to the customers of each cluster."""
    size = counts @ own
    others = np.where(own, np.inf, sums / size).min(axis=1)
    beside = size[own.argmax(axis=1)] - 1
    within = np.where(own, sums, 0).sum(axis=1) / np.maximum(beside, 1)
    widest = np.maximum(within, others)
    # who is alone in a cluster has 0
    return np.where((beside > 0) & (widest > 0), (others - within) / np.where(widest > 0, widest, 1), 0)


def curves(spaces: Mapping[str, tuple[Points, int]], processes: int = 1) -> dict[str, KCurve]:
    """The curve of each space over those of `KS` for which it has enough customers.

    Args:
        spaces: {name: (the customers, how many resamples)}.
        processes: how many work at once.
    """
    asked = {
        name: [k for k in KS if k <= len(of.rows) and k * CUSTOMERS_PER_SEGMENT <= of.customers]
        for name, (of, _) in spaces.items()
    }
    jobs = [(*spaces[name], k) for name, ks in asked.items() for k in ks]
    fitted = run(_fit_and_resample, jobs, processes)
    return {
        name: _curve(of, resamples, asked[name], [next(fitted) for _ in asked[name]])
        for name, (of, resamples) in spaces.items()
    }


def _curve(
    of: Points, resamples: int, ks: Sequence[int], fits: Sequence[tuple[float, Ints, list[float]]]
) -> KCurve:
    if not ks:
        return {"resamples": resamples, "elbow": None, "greatest_silhouette": None, "by_k": []}
    silhouette = silhouettes(of, [labels for _, labels, _ in fits])
    return {
        "resamples": resamples,
        "elbow": elbow(ks, [inertia for inertia, _, _ in fits]),
        "greatest_silhouette": ks[int(np.argmax(silhouette))],
        "by_k": [
            {"k": k, "inertia": _rounded(inertia), "silhouette": _rounded(width), "stability": stability}
            for k, (inertia, _, stability), width in zip(ks, fits, silhouette, strict=True)
        ],
    }


def _fit_and_resample(of: Points, resamples: int, k: int) -> tuple[float, Ints, list[float]]:
    """Inertia and labels of a fit, and mean and bounds of the adjusted Rand index to the fits of resamples.

    Each fit of a resample assigns all customers, also those it has not drawn (adjusted Rand index: Hubert and
    Arabie 1985). It has as many starts as the fit; with three, k = 4 of the Online Retail year seems less
    stable than it is (.883 and not .895).
    """
    fit = k_means(of, k)
    labels = assign(fit, of.rows)
    generator = np.random.default_rng(SEED)
    drawn = [of.resample(generator) for _ in range(resamples)]
    # a resample of few distinct points may have fewer than k
    fits = [k_means(sample, k, SEED + number) for number, sample in enumerate(drawn) if len(sample.rows) >= k]
    every = of.per_customer(labels)
    indices = [adjusted_rand_score(every, of.per_customer(assign(other, of.rows))) for other in fits] or [0.0]
    tail = (1 - evaluate.CONFIDENCE) / 2
    low, high = np.quantile(indices, [tail, 1 - tail])
    return float(fit.inertia_), labels, [_rounded(value) for value in (np.mean(indices), low, high)]


def _curves(snapshot: Snapshot, processes: int) -> KCurves:
    columns = scaled(snapshot.matrix(RFM))
    together = points(columns)[0].sample(CURVE_CUSTOMERS)
    alone = {
        name: (points(columns[:, [which]])[0].sample(CURVE_CUSTOMERS), RESAMPLES_ALONE)
        for which, name in enumerate(RFM)
    }
    by_space = curves({"rfm": (together, RESAMPLES), **alone}, processes)
    return {
        "customers": together.customers,
        "rfm": by_space["rfm"],
        "recency_days": by_space["recency_days"],
        "frequency": by_space["frequency"],
        "monetary": by_space["monetary"],
    }


def _profiles(snapshot: Snapshot, numbers: Ints) -> list[Profile]:
    values = snapshot.matrix(RFM)
    medians, names = segment_medians(values, numbers), segment_names(values, numbers)
    # sorted, so that the sums do not depend on the order of the customers
    all_money = np.sort(values[:, 2]).sum()
    profiles: list[Profile] = []
    for number, (name, middle) in enumerate(zip(names, medians, strict=True), 1):
        inside = numbers == number
        profiles.append(
            {
                "number": number,
                "name": name,
                "customers": int(inside.sum()),
                "share": _rounded(inside.mean()),
                "money_share": _rounded(np.sort(values[inside, 2]).sum() / all_money),
                "recency_days": _rounded(middle[0]),
                "frequency": _rounded(middle[1]),
                "monetary": _rounded(middle[2]),
                "bought_90d": None if snapshot.outcome is None else _rounded(snapshot.outcome[inside].mean()),
            }
        )
    return profiles


def _map(snapshot: Snapshot, numbers: Ints) -> SegmentMap:
    recency, _, monetary = snapshot.matrix(RFM).T
    rows = np.searchsorted(RECENCY_FROM, recency, side="right") - 1
    columns = np.searchsorted(MONETARY_FROM, monetary, side="right") - 1
    counts = np.zeros((SEGMENTS, len(RECENCY_FROM), len(MONETARY_FROM)), dtype=int)
    np.add.at(counts, (numbers - 1, rows, columns), 1)
    return {
        "recency_from": list(RECENCY_FROM),
        "monetary_from": list(MONETARY_FROM),
        "customers": counts.tolist(),
    }


def _past(history: History) -> Past:
    if not history.pairs:
        return {"refused": history.refused, "as_of": None, "label_until": None, "segments": None}
    cut = history.pairs[-1].test_on
    try:
        segments = _profiles(cut, segment_numbers(cut.matrix(RFM)))
    except DataProblem as error:
        return {"refused": str(error), "as_of": None, "label_until": None, "segments": None}
    return {
        "refused": history.refused,
        "as_of": str(cut.as_of),
        "label_until": str(BUYS.moved(cut.as_of, 1)),
        "segments": segments,
    }


def _with_clumpiness(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> Snapshot:
    values = read_clumpiness(connection, snapshot)
    # With the second column a regression has a constant for those without a value, so 0 is as good as any
    columns = {CLUMPINESS: np.nan_to_num(values), HAS_CLUMPINESS: (~np.isnan(values)).astype(float)}
    return replace(snapshot, features=snapshot.features.assign(**columns))


def _clumpiness(history: History) -> ClumpinessStudy:
    with_value = [Pair(_with_value(pair.fit_on), _with_value(pair.test_on)) for pair in history.pairs]
    gains = {"everybody": _auc_gain(history.pairs), "with_value": _auc_gain(with_value)}
    p_holm = evaluate.holm({name: gain["p_value"] for name, gain in gains.items() if gain})
    for name, gain in gains.items():
        if gain:
            gain["p_holm"] = p_holm[name]
    return {
        "order_days_needed": ORDER_DAYS_NEEDED,
        "share_with_value": _rounded(history.newest.features[HAS_CLUMPINESS].mean()),
        "refused": history.refused,
        "everybody": gains["everybody"],
        "with_value": gains["with_value"],
        "segments": _segments_with_clumpiness(_with_value(history.newest)),
    }


def _with_value(snapshot: Snapshot) -> Snapshot:
    has = snapshot.features[HAS_CLUMPINESS].to_numpy() > 0
    outcome = None if snapshot.outcome is None else snapshot.outcome[has]
    return Snapshot(snapshot.as_of, snapshot.customers[has], snapshot.features[has], outcome)


def _auc_gain(pairs: Sequence[Pair]) -> ClumpinessGain | None:
    """`p_holm` is still the p-value alone; None where no test cut has enough customers."""
    usable = [
        pair
        for pair in pairs
        if min(rarest(BUYS, pair.fit_on), rarest(BUYS, pair.test_on)) >= MINIMUM_OF_CLASS
    ]
    if not usable:
        return None
    cuts = [
        evaluate.TestCut(
            pair.test_on.customers,
            pair.test_on.labels,
            {
                method.name: probabilities(method.fit(pair.fit_on), pair.test_on, method.columns)
                for method in (WITHOUT, WITH)
            },
        )
        for pair in usable
    ]
    compared = evaluate.compare(cuts, WITHOUT.name, [WITH.name], SEED)
    gain = compared["auc_gain"][WITH.name]
    return {
        "cuts": [str(pair.test_on.as_of) for pair in usable],
        "customers": sum(len(cut.customers) for cut in cuts),
        "auc": {name: _listed(measured["auc"]) for name, measured in compared["pooled"].items()},
        "auc_gain": _listed(gain),
        "p_value": gain["p_value"],
        "p_holm": gain["p_value"],
    }


def _segments_with_clumpiness(snapshot: Snapshot) -> SegmentsWithClumpiness | None:
    values = snapshot.matrix((*RFM, CLUMPINESS))
    if len(values) < SEGMENTS * CUSTOMERS_PER_SEGMENT:
        return None
    # in an order of their own, so that what is drawn does not depend on the order of the customers
    values = values[np.lexsort(values.T)]
    generator = np.random.default_rng(SEED)
    if len(values) > CURVE_CUSTOMERS:
        values = values[generator.choice(len(values), CURVE_CUSTOMERS, replace=False)]
    rfm, value = values[:, :-1], values[:, -1]
    spaces = {
        "rfm": rfm,
        WITH.name: values,
        "rfm_and_shuffled": np.column_stack([rfm, generator.permutation(value)]),
    }
    labels, silhouette = {}, {}
    for name, space in spaces.items():
        distinct, position = points(scaled(space))
        of_points = assign(k_means(distinct, SEGMENTS), distinct.rows)
        labels[name] = of_points[position]
        silhouette[name] = _rounded(silhouettes(distinct, [of_points])[0])
    return {
        "customers": len(values),
        "silhouette": silhouette,
        "adjusted_rand_index": {
            name: _rounded(adjusted_rand_score(labels["rfm"], labels[name]))
            for name in spaces
            if name != "rfm"
        },
    }


def _rounded(value: Any) -> float:
    return round(float(value), 6)


def _listed(measured: evaluate.Interval) -> Measured:
    return [measured["value"], measured["low"], measured["high"]]
