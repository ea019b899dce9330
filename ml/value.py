"""Measure how well several methods forecast what customers spend, and how the RFM score relates to spend.

The counterpart of `ml.side_by_side` for amounts: everything is read first, then measured on rolling cuts with
bootstrap intervals over customers. The result holds aggregates only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from typing import Any, TypedDict

import duckdb
import numpy as np
from numpy.typing import NDArray

from goodstanding.core.errors import DataProblem
from ml.candidate import SEED
from ml.cards import Measured
from ml.evaluate import CONFIDENCE, resamples
from ml.features import MINIMUM_OF_CLASS, TEST_CUTS, month_end
from ml.lifetime import (
    BGNBD,
    MOST_CORRELATED,
    Fitted,
    InnerCuts,
    Intervals,
    Known,
    OrderLog,
    amount_measures,
    expected_spend,
    forecast,
    inner_cuts,
    known_as_of,
    level_that_held,
    outcome,
    spearman,
    spend_intervals,
)
from ml.lifetime.history import Floats
from ml.processes import run
from ml.tasks import KEPT

QUESTION = "what customers spend within 90 days"
DAYS = 90
HORIZON = timedelta(days=DAYS)
SIMPLE = ("money_so_far", "spend_90d", "mean_rate")
METHODS = (*SIMPLE, "bg_nbd", "pareto_nbd", "blend")
# On the real year 6 s of two cores; 1,000 folds take three times as long, for the third digit of a bound.
FOLDS = 300
# The share of customers, those who spent most, that a second measurement leaves out: one of them can be a
# tenth of all spend.
TOP = 0.005
# The mean of fewer customers would nearly be their own figures.
FEWEST_TOLD = 10
COVERAGE = 0.8

LOG = f"select customer_id, invoice_day, cast(net_amount as double) as amount {KEPT} order by all"


@dataclass(frozen=True)
class ValueCut:
    """A test cut with what was known then: order logs and RFM scores.

    Attributes:
        cut: the customers are as of its end.
        until: their spend after the cut up to this day is forecast.
        inner: the earlier cuts at which models learn.
        logs: {day: order log as it was known at the end of that day} of the cut, the inner cuts and `until`.
        scored, scores: customers with a credit score, sorted, and their scores, (customers,) each.
    """

    cut: date
    until: date
    inner: InnerCuts
    logs: Mapping[date, OrderLog]
    scored: NDArray[Any]
    scores: Floats


@dataclass(frozen=True)
class ValueQuestion:
    """The test cuts that a shop's history allows.

    Attributes:
        cuts: test cuts, oldest first; empty where the question is refused.
        refused: why nothing can be measured, or None.
        note: why there are fewer test cuts than three, or None.
    """

    cuts: Sequence[ValueCut] = ()
    refused: str | None = None
    note: str | None = None


def read_value(connection: duckdb.DuckDBPyConnection, as_of: date) -> ValueQuestion:
    """Read the newest three month ends with 90 days of history before them, and 90 days after by `as_of`."""
    (first_day,) = connection.execute(
        "select min(invoice_day) from features.invoice_states where is_kept and invoice_day <= $1",
        [as_of],
    ).fetchone() or (None,)
    if first_day is None:
        return ValueQuestion(refused=f"value needs customers with orders; there are 0 up to {as_of}")
    earliest = month_end(first_day + HORIZON, 0)
    rows = connection.execute(
        """
        select distinct as_of from features.customer_features
        where as_of = last_day(as_of) and as_of between $1 and $2
        order by as_of
        """,
        [earliest, as_of - HORIZON],
    ).fetchall()
    cuts = [_read_cut(connection, cut, first_day) for (cut,) in rows[-TEST_CUTS:]]
    if not cuts:
        return ValueQuestion(
            refused=f"value needs 1 month end with {DAYS} days of history before it and {DAYS} after; "
            f"{_more(earliest, as_of)} would be enough"
        )
    usable = [cut for cut in cuts if _fewest(cut)[0] >= MINIMUM_OF_CLASS]
    if not usable:
        fullest = max(cuts, key=_fewest)
        count, what = _fewest(fullest)
        return ValueQuestion(
            refused=f"value needs {MINIMUM_OF_CLASS} customers {what}; for {fullest.cut} there are {count}, "
            f"{MINIMUM_OF_CLASS - count} more would be enough"
        )
    note = None
    if len(usable) < TEST_CUTS:
        more = _more(month_end(earliest, TEST_CUTS - 1), as_of)
        note = f"{len(usable)} of {TEST_CUTS} test cuts; {more} would give all"
        if len(cuts) == TEST_CUTS:
            note = f"{len(usable)} of {TEST_CUTS} test cuts; the others have too few repeat buyers"
    return ValueQuestion(usable, note=note)


def _more(cut: date, as_of: date) -> str:
    enough = cut + HORIZON
    return f"{(enough - as_of).days} more days (data up to {enough})"


def _read_cut(connection: duckdb.DuckDBPyConnection, cut: date, first_day: date) -> ValueCut:
    inner, until = inner_cuts(first_day, cut, DAYS), cut + HORIZON
    days = (inner.first, inner.second, cut, until)
    scores = connection.execute(
        """
        select customer_id, credit_score from features.customer_classes
        where as_of = $1 and credit_score is not null
        """,
        [cut],
    ).df()
    scores = scores.sort_values("customer_id")
    return ValueCut(
        cut,
        until,
        inner,
        {day: _read_log(connection, day) for day in days},
        scores["customer_id"].to_numpy(dtype=object),
        scores["credit_score"].to_numpy(dtype=np.float64),
    )


def _read_log(connection: duckdb.DuckDBPyConnection, day: date) -> OrderLog:
    orders = connection.execute(LOG, {"since": date.min, "until": day}).df()
    return OrderLog(
        orders["customer_id"].to_numpy(dtype=object),
        orders["invoice_day"].to_numpy(dtype="datetime64[D]"),
        orders["amount"].to_numpy(dtype=np.float64),
    )


def _fewest(cut: ValueCut) -> tuple[int, str]:
    """The scarcest kind of customers that a cut needs, how many and which."""
    known = known_as_of(cut.logs[cut.cut], cut.cut)
    _, spend = outcome(known, cut.logs[cut.until], cut.until)
    return min(
        (int(np.sum(known.orders > 1)), "with orders on two days or more by a cut (repeat buyers)"),
        (int(np.sum(spend > 0)), "who spend in the window after a cut"),
    )


@dataclass(frozen=True)
class Forecasts:
    """The forecasts made at a test cut, and the actual spend after it.

    Attributes:
        customers: (customers,) ids.
        spend: (customers,) what each spent in the window.
        by_method: {method: (customers,) forecast of that spend}.
        left_out: {method: why it forecasts nothing}.
        within: (customers,) 1 where the spend lay within the customer's interval, else 0; empty where there
            are no intervals.
        facts: of the cut, for the result.
    """

    customers: NDArray[Any]
    spend: Floats
    by_method: Mapping[str, Floats]
    left_out: Mapping[str, str]
    within: Floats
    facts: CutFacts


class CutFacts(TypedDict):
    """Facts about a test cut; from `count_model` on None where the models are left out."""

    cut: str
    """ISO date."""
    until: str
    """ISO date: the last day of the window."""
    customers: int
    spenders: int
    """Those who spent anything in the window."""
    spend: float
    """All that was spent in the window, in the shop's currency."""
    repeat_buyers: int
    """Those with orders on two days or more by the cut."""
    value_correlation: float
    """Of the number of orders with their mean value."""
    count_model: str | None
    """pareto_nbd, or nbd where no drop-out is identifiable."""
    weights: dict[str, dict[str, float]] | None
    """{probability, orders, spend: {member of the blend: weight}}."""
    reasons: dict[str, str] | None
    """{probability, orders, spend: why the members have these weights}."""
    total_of_spend: str | None
    """The member of the blend that gives the total of spend."""
    level: float | None
    """Of the intervals, learnt at the inner cut."""
    coverage: Measured | None
    """The share of customers whose spend lay within their interval of 80 %."""


Amounts = dict[str, dict[str, Measured]]
"""{method: {measure of `ml.lifetime.amount_measures`: [value, low, high]}}."""


class ValueCutResult(CutFacts):
    """What was measured on one test cut."""

    measures: Amounts
    without_top: Amounts
    """Without the 0.5 % of customers who spent most in the window."""


class ScoreCorrelation(TypedDict):
    """How the credit score as of the cut correlates with an amount, pooled over the cuts."""

    spearman: Measured
    p_value: float
    """Two-sided, from the resamples beyond zero: 2 / (folds + 1) at least."""


class OfScore(TypedDict):
    """The customers of one credit score, all cuts counted; figures are None for fewer than 10 customers."""

    score: int
    customers: int
    share_of_spend: float | None
    predicted_value: float | None
    """The mean forecast of spend."""
    spend: Measured | None
    """The mean spend in the window."""


class RfmScore(TypedDict):
    """How the credit score as of the cut relates to the value forecast there, and to the spend after it."""

    value_by: str
    """The method that gives the forecast."""
    predicted: ScoreCorrelation
    spend: ScoreCorrelation
    by_score: list[OfScore]


class ValueStudy(TypedDict):
    """How well spend is forecast. Where it is refused, `cuts` is empty and so is everything measured."""

    question: str
    horizon_days: int
    refused: str | None
    """Why nothing was measured, or None."""
    note: str | None
    """Why there are fewer than three test cuts, or None."""
    cuts: list[ValueCutResult]
    """Oldest first."""
    pooled: Amounts
    """The mean over the cuts, weighted by customers."""
    pooled_without_top: Amounts
    coverage: Measured | None
    """Of the intervals of 80 %, pooled."""
    left_out: dict[str, str]
    """{method: why it forecasts nothing}."""
    baseline: str | None
    """Of the simple methods the one with the greatest Gini."""
    gini_gain: dict[str, Measured]
    """{method: pooled Gini over the baseline's}."""
    rfm_score: RfmScore | None
    bootstrap_folds: int
    confidence: float
    """The level of the intervals of measures, like 0.95."""
    seed: int


def measure_value(
    question: ValueQuestion,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
    processes: int = 1,
    folds: int = FOLDS,
) -> ValueStudy:
    """Measure every way to forecast spend, and how the RFM score relates to it.

    Args:
        question: the test cuts.
        progress: called after each step with what was done, how many steps are done, and how many there are.
        processes: how many work at once; the result is the same for any number.
        folds: bootstrap resamples.

    Returns:
        Every measure is [value, low, high], the bounds a 95 % bootstrap interval over customers; amounts are
        in the shop's currency.
    """
    study: ValueStudy = {
        "question": QUESTION,
        "horizon_days": DAYS,
        "refused": question.refused,
        "note": question.note,
        "cuts": [],
        "pooled": {},
        "pooled_without_top": {},
        "coverage": None,
        "left_out": {},
        "baseline": None,
        "gini_gain": {},
        "rfm_score": None,
        "bootstrap_folds": folds,
        "confidence": CONFIDENCE,
        "seed": SEED,
    }
    if question.refused:
        return study
    total = len(question.cuts) + len(METHODS) + 1
    by_cut: list[Forecasts] = []
    for forecasts in run(_forecast, [(cut,) for cut in question.cuts], processes):
        by_cut.append(forecasts)
        progress(f"value: forecast at {forecasts.facts['cut']}", len(by_cut), total)
    left_out = {name: why for cut in by_cut for name, why in cut.left_out.items()}
    # a method that forecasts nothing at one cut is left out of all, so that all are pooled over the same cuts
    methods = [name for name in METHODS if name not in left_out]
    draws: dict[str, list[_Draws]] = {}
    arguments = [(by_cut, name, folds) for name in methods]
    for name, drawn in zip(methods, run(_draw, arguments, processes), strict=True):
        draws[name] = drawn
        progress(f"value: {name}", len(by_cut) + len(draws), total)
    sizes = _sizes(by_cut, folds)
    coverage = _coverage(by_cut, folds)
    study["left_out"] = left_out
    study["cuts"] = [
        _cut_result(position, cut, draws, coverage[position] if coverage else None)
        for position, cut in enumerate(by_cut)
    ]
    study["pooled"] = _pooled_measures({name: [of.all for of in cuts] for name, cuts in draws.items()}, sizes)
    study["pooled_without_top"] = _pooled_measures(
        {name: [of.without_top for of in cuts] for name, cuts in draws.items()}, sizes
    )
    study["coverage"] = _interval(_pooled(coverage, sizes)) if coverage else None
    baseline = max(SIMPLE, key=lambda name: study["pooled"][name]["gini"][0])
    study["baseline"] = baseline
    study["gini_gain"] = _gini_gains(draws, baseline, sizes)
    study["rfm_score"] = _of_scores(question, by_cut, methods[-1], folds)
    progress("value: RFM score", total, total)
    return study


@dataclass(frozen=True)
class _Draws:
    """The measures of one method on one cut: {measure: its value, then the resamples, (1 + folds,)}.

    Attributes:
        all: of all customers.
        without_top: without those who spent most.
    """

    all: dict[str, Floats]
    without_top: dict[str, Floats]


def _cut_result(
    position: int, cut: Forecasts, draws: Mapping[str, Sequence[_Draws]], coverage: Floats | None
) -> ValueCutResult:
    facts = cut.facts
    if coverage is not None:
        facts = {**facts, "coverage": _interval(coverage)}
    return {
        **facts,
        "measures": {name: _intervals(cuts[position].all) for name, cuts in draws.items()},
        "without_top": {name: _intervals(cuts[position].without_top) for name, cuts in draws.items()},
    }


def _intervals(draws: Mapping[str, Floats]) -> dict[str, Measured]:
    return {measure: _interval(values) for measure, values in draws.items()}


def _pooled_measures(draws: Mapping[str, Sequence[Mapping[str, Floats]]], sizes: Sequence[Floats]) -> Amounts:
    return {
        name: {
            measure: _interval(_pooled([of_cut[measure] for of_cut in cuts], sizes)) for measure in cuts[0]
        }
        for name, cuts in draws.items()
    }


def _gini_gains(
    draws: Mapping[str, Sequence[_Draws]], baseline: str, sizes: Sequence[Floats]
) -> dict[str, Measured]:
    pooled = {name: _pooled([of.all["gini"] for of in cuts], sizes) for name, cuts in draws.items()}
    return {name: _interval(values - pooled[baseline]) for name, values in pooled.items() if name != baseline}


def _coverage(by_cut: Sequence[Forecasts], folds: int) -> list[Floats]:
    """For each cut, the share of customers within their interval; empty where a cut has no intervals."""
    if not all(len(cut.within) for cut in by_cut):
        return []

    def covered(at: int, drawn: Floats) -> Floats:
        share: Floats = drawn @ by_cut[at].within / drawn.sum(axis=1)
        return share

    return _over_resamples(by_cut, folds, covered)


def _forecast(cut: ValueCut) -> Forecasts:
    log = cut.logs[cut.cut]
    known = known_as_of(log, cut.cut)
    _, spend = outcome(known, cut.logs[cut.until], cut.until)
    paid = known.mean_value > 0
    correlation = float(np.corrcoef(known.orders[paid], known.mean_value[paid])[0, 1])
    so_far = known.orders * known.mean_value
    facts: CutFacts = {
        "cut": str(cut.cut),
        "until": str(cut.until),
        "customers": len(known),
        "spenders": int(np.sum(spend > 0)),
        "spend": round(float(spend.sum()), 2),
        "repeat_buyers": int(np.sum(known.orders > 1)),
        "value_correlation": round(correlation, 6),
        "count_model": None,
        "weights": None,
        "reasons": None,
        "total_of_spend": None,
        "level": None,
        "coverage": None,
    }
    by_method = {
        "money_so_far": so_far,
        "spend_90d": _spent_since(known, log),
        # over 90 days at least: a customer whose first order was yesterday does not order every day
        "mean_rate": so_far * DAYS / np.maximum(known.histories.age + 1, DAYS),
    }
    forecasts = Forecasts(known.customers, spend, by_method, {}, np.empty(0), facts)
    try:
        if abs(correlation) > MOST_CORRELATED:
            raise DataProblem(
                f"the number of orders and their mean value correlate at {correlation:+.2f} as of {cut.cut}; "
                f"Gamma-Gamma assumes them independent, {MOST_CORRELATED} at most would be close enough"
            )
        forecasts = _with_models(cut, known, forecasts)
    except DataProblem as error:
        forecasts = replace(forecasts, left_out=dict.fromkeys(METHODS[len(SIMPLE) :], str(error)))
    # sorted by what customers did: sorted by pseudonym, another key would draw other resamples
    return _in_order(forecasts, np.lexsort([spend, *known.features.T]))


def _in_order(forecasts: Forecasts, order: NDArray[np.intp]) -> Forecasts:
    return replace(
        forecasts,
        customers=forecasts.customers[order],
        spend=forecasts.spend[order],
        by_method={name: amounts[order] for name, amounts in forecasts.by_method.items()},
        within=forecasts.within[order] if len(forecasts.within) else forecasts.within,
    )


def _with_models(cut: ValueCut, known: Known, forecasts: Forecasts) -> Forecasts:
    blend = forecast(cut.logs, cut.cut, DAYS, cut.inner)
    bg_nbd = BGNBD.fit(known.histories)
    level, within = _within(cut, blend.at, forecasts.spend)
    facts: CutFacts = {
        **forecasts.facts,
        "count_model": "pareto_nbd" if blend.at.count_model.drop_out_identifiable else "nbd",
        "weights": {name: dict(weights) for name, weights in blend.weights.items()},
        "reasons": dict(blend.reasons),
        "total_of_spend": blend.total_of_spend,
        "level": level,
    }
    by_method = {
        **forecasts.by_method,
        "bg_nbd": expected_spend(bg_nbd, blend.at.gamma_gamma, known.purchases, DAYS),
        "pareto_nbd": blend.by_count_model.spend,
        "blend": blend.mixed.spend,
    }
    return replace(forecasts, by_method=by_method, within=within, facts=facts)


def _spent_since(known: Known, log: OrderLog) -> Floats:
    """Spend of the last 90 days before the cut."""
    recent = np.asarray(log.days) > np.datetime64(known.cut - HORIZON)
    position = np.searchsorted(known.customers, log.customers[recent])
    return np.bincount(position, log.amounts[recent], len(known)).astype(np.float64)


def _within(cut: ValueCut, at: Fitted, spend: Floats) -> tuple[float | None, Floats]:
    """The level at which intervals covered 80 % at the inner cut, and which customers are within theirs now.

    None and an empty array where the orders up to the inner cut give no models.
    """

    def intervals(of: Fitted, days: int) -> Callable[[float], Intervals]:
        return partial(spend_intervals, of.count_model, of.gamma_gamma, of.known.purchases, days)

    try:
        then = Fitted.on(known_as_of(cut.logs[cut.inner.second], cut.inner.second))
        _, spent_then = outcome(then.known, cut.logs[cut.cut], cut.cut)
        level = level_that_held(intervals(then, (cut.cut - cut.inner.second).days), spent_then, COVERAGE)
    except DataProblem:
        return None, np.empty(0)
    now = intervals(at, DAYS)(level)
    return level, ((now.low <= spend) & (spend <= now.high)).astype(np.float64)


def _weights(by_cut: Sequence[Forecasts], folds: int) -> Iterator[list[Floats]]:
    """First every customer once, then the resamples: in blocks, one array (resamples, customers) per cut."""
    yield [np.ones((1, len(cut.customers))) for cut in by_cut]
    yield from resamples([cut.customers for cut in by_cut], SEED, folds)


def _over_resamples(
    by_cut: Sequence[Forecasts], folds: int, measure: Callable[[int, Floats], Floats]
) -> list[Floats]:
    """A measure of each cut, called with its position and resampled weights; (1 + folds,) each."""
    blocks = [[measure(at, drawn) for at, drawn in enumerate(weights)] for weights in _weights(by_cut, folds)]
    return [np.concatenate([block[at] for block in blocks]) for at in range(len(by_cut))]


def _draw(by_cut: Sequence[Forecasts], method: str, folds: int) -> list[_Draws]:
    kept = [np.argsort(-cut.spend, kind="stable")[int(np.ceil(TOP * len(cut.spend))) :] for cut in by_cut]

    def measured(at: int, drawn: Floats, rows: Any) -> dict[str, Floats]:
        return amount_measures(by_cut[at].spend[rows], by_cut[at].by_method[method][rows], drawn[:, rows])

    blocks = [
        [
            (measured(at, drawn, slice(None)), measured(at, drawn, kept[at]))
            for at, drawn in enumerate(weights)
        ]
        for weights in _weights(by_cut, folds)
    ]
    return [
        _Draws(_joined([block[at][0] for block in blocks]), _joined([block[at][1] for block in blocks]))
        for at in range(len(by_cut))
    ]


def _joined(blocks: Sequence[dict[str, Floats]]) -> dict[str, Floats]:
    return {measure: np.concatenate([block[measure] for block in blocks]) for measure in blocks[0]}


def _sizes(by_cut: Sequence[Forecasts], folds: int) -> list[Floats]:
    """The number of customers of each cut, first as it is and then in each resample."""
    return _over_resamples(by_cut, folds, lambda at, drawn: drawn.sum(axis=1))


def _pooled(per_cut: Sequence[Floats], sizes: Sequence[Floats]) -> Floats:
    """The mean over cuts, weighted by their customers in the same resample."""
    mean: Floats = np.average(np.stack(per_cut), axis=0, weights=np.stack(sizes))
    return mean


def _interval(draws: Floats) -> Measured:
    """The value, which is the first, and the bounds over the resamples, which follow it."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(draws[1:], [tail, 1 - tail])
    return [round(float(number), 6) for number in (draws[0], low, high)]


def _of_scores(question: ValueQuestion, by_cut: Sequence[Forecasts], value_by: str, folds: int) -> RfmScore:
    """How the credit score relates to the value forecast as of the cut, and to the spend after it."""
    rows, scores = _scored_rows(question, by_cut)
    predicted = [cut.by_method[value_by][row] for cut, row in zip(by_cut, rows, strict=True)]
    spend = [cut.spend[row] for cut, row in zip(by_cut, rows, strict=True)]
    sizes = _over_resamples(by_cut, folds, lambda at, drawn: drawn[:, rows[at]].sum(axis=1))

    def correlation(amounts: Sequence[Floats]) -> ScoreCorrelation:
        draws = _pooled(
            _over_resamples(
                by_cut, folds, lambda at, drawn: spearman(scores[at], amounts[at], drawn[:, rows[at]])
            ),
            sizes,
        )
        beyond = min(np.sum(draws[1:] <= 0), np.sum(draws[1:] >= 0))
        p_value = min(1.0, 2 * (float(beyond) + 1) / (folds + 1))
        return {"spearman": _interval(draws), "p_value": round(p_value, 6)}

    distinct = np.unique(np.concatenate(scores))

    def sums(amounts: Sequence[Floats]) -> Floats:
        """Over all cuts, of the customers of each score: (1 + folds, scores)."""

        def of_cut(at: int, drawn: Floats) -> Floats:
            by_score: Floats = drawn[:, rows[at]] @ ((scores[at][:, None] == distinct) * amounts[at][:, None])
            return by_score

        return np.asarray(np.sum(_over_resamples(by_cut, folds, of_cut), axis=0))

    people, spent = sums([np.ones(len(row)) for row in rows]), sums(spend)
    forecast_sums = sums(predicted)
    with np.errstate(invalid="ignore"):
        mean = spent / people
    by_score: list[OfScore] = []
    for at, score in enumerate(distinct):
        enough = people[0, at] >= FEWEST_TOLD
        by_score.append(
            {
                "score": int(score),
                "customers": int(people[0, at]),
                "share_of_spend": round(float(spent[0, at] / spent[0].sum()), 6) if enough else None,
                "predicted_value": (
                    round(float(forecast_sums[0, at] / people[0, at]), 6) if enough else None
                ),
                "spend": _interval(mean[:, at]) if enough else None,
            }
        )
    return {
        "value_by": value_by,
        "predicted": correlation(predicted),
        "spend": correlation(spend),
        "by_score": by_score,
    }


def _scored_rows(
    question: ValueQuestion, by_cut: Sequence[Forecasts]
) -> tuple[list[NDArray[np.intp]], list[Floats]]:
    """For each cut, the positions of the customers who have a credit score, and their scores."""
    rows, scores = [], []
    for known_then, cut in zip(question.cuts, by_cut, strict=True):
        position = np.searchsorted(known_then.scored, cut.customers).clip(max=len(known_then.scored) - 1)
        rows.append(np.flatnonzero(known_then.scored[position] == cut.customers))
        scores.append(known_then.scores[position[rows[-1]]])
    return rows, scores
