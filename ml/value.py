"""What customers spend after a cut, foretold in several ways, and what the RFM score has to do with it.

The counterpart of `ml.side_by_side` for amounts: everything is read first, then measured on rolling cuts with
bootstrap intervals over customers. Only aggregates leave it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from goodstanding.core.errors import DataProblem
from ml.candidate import SEED
from ml.evaluate import CONFIDENCE, resamples
from ml.features import MINIMUM_OF_CLASS, TEST_CUTS, month_end
from ml.lifetime import (
    BGNBD,
    MOST_CORRELATED,
    Fitted,
    InnerCuts,
    Known,
    OrderLog,
    amount_measures,
    expected_spend,
    foretell,
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
# On the real year 6 s of two cores, with 1,000 three times as much for the third digit of a bound.
FOLDS = 300
# The spenders of most that a second look leaves out: one of them can be a tenth of all spend.
TOP = 0.005
# A mean of fewer customers is nearly their own.
FEWEST_TOLD = 10
COVERAGE = 0.8

LOG = f"select customer_id, invoice_day, cast(net_amount as double) as amount {KEPT} order by all"


@dataclass(frozen=True)
class ValueCut:
    """A test cut as it was known then: the orders of each day that is asked of, and the RFM scores.

    Attributes:
        cut: the customers are as of its end; their spend until `until` is what is foretold.
        inner: where models learn.
        logs: of the cut, the inner cuts and `until`, as known at the end of each.
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
    """What a shop's history allows: test cuts, oldest first, or why there are none; and what is missing."""

    cuts: Sequence[ValueCut] = ()
    refused: str | None = None
    note: str | None = None


def read_value(connection: duckdb.DuckDBPyConnection, as_of: date) -> ValueQuestion:
    """The newest three month ends with 90 days of history before them and 90 days, over by `as_of`, after."""
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
class Said:
    """What was foretold at a test cut, and what came.

    Attributes:
        customers, spend: who, and what they spent, (customers,) each.
        foretold: {method: (customers,)}.
        left_out: {method: why it says nothing}.
        within: whether each customer's spend was within their interval, (customers,); empty without one.
        facts: aggregates, for the report.
    """

    customers: NDArray[Any]
    spend: Floats
    foretold: Mapping[str, Floats]
    left_out: Mapping[str, str]
    within: Floats
    facts: Mapping[str, Any]


def measure_value(
    question: ValueQuestion,
    tell: Callable[[str, int, int], None] = lambda what, done, total: None,
    processes: int = 1,
    folds: int = FOLDS,
) -> dict[str, Any]:
    """Measure every way to foretell spend, and what the RFM score says of it.

    Args:
        tell: called with what has been done, and how much of how much is done.
        processes: how many at once; the result is the same for any number.
        folds: bootstrap resamples.

    Returns:
        A measure is [value, low, high], the bounds a 95 % bootstrap interval over customers; amounts are in
        the shop's currency.

        - `question`, `horizon_days`, `refused` (why nothing was measured, or None), `note` (what is missing
          to all test cuts, or None), `bootstrap_folds`, `confidence`, `seed`;
        - `cuts`: a list of {cut, until, customers, spenders, spend, repeat_buyers, value_correlation (of the
          number of orders with their mean value), count_model (pareto_nbd, or nbd where no drop-out is
          identifiable), weights: {probability, orders, spend: {member: weight}}, reasons: {the same three},
          total_of_spend (the member whose total the blend has), level (of the intervals, learnt at the inner
          cut), coverage (of the intervals of 80 %), measures: {method: {measure: [...]}}, without_top: {the
          same}}; all from count_model to coverage is None where the models are left out;
        - `pooled`, `pooled_without_top`: {method: every measure of `ml.lifetime.amount_measures`}, the mean
          over the cuts weighted by customers; without the 0.5 % who spent most in the window;
        - `coverage`: of the intervals of 80 %, pooled, or None;
        - `left_out`: {method: why it says nothing};
        - `baseline`: of the simple ones that with the greatest Gini; `gini_gain`: {method: [...]} over it;
        - `rfm_score`: {value_by (the method that gives the predicted value), predicted, spend: {spearman:
          [...], p_value (two-sided, from the resamples beyond zero: 2 / (folds + 1) at least)}, by_score: a
          list of {score, customers (all cuts counted), share_of_spend, predicted_value, spend: [...]} (the
          last three, two of them means, are None for fewer than 10 customers)}: the credit score as of the
          cut against the value predicted there, and against what was spent after it.

        Where it is refused, `cuts` is empty and so is everything measured.
    """
    found: dict[str, Any] = {
        "question": QUESTION,
        "horizon_days": DAYS,
        "refused": question.refused,
        "note": question.note,
        **NOTHING,
        "bootstrap_folds": folds,
        "confidence": CONFIDENCE,
        "seed": SEED,
    }
    if question.refused:
        return found
    total = len(question.cuts) + len(METHODS) + 1
    said = []
    for done, one in enumerate(run(_foretell, [(cut,) for cut in question.cuts], processes), 1):
        said.append(one)
        tell(f"value: foretold at {question.cuts[done - 1].cut}", done, total)
    left_out = {name: why for cut in said for name, why in cut.left_out.items()}
    # what cannot be said at one cut is not said at any: pooled, all are of the same cuts
    methods = [name for name in METHODS if name not in left_out]
    draws: dict[str, list[_Draws]] = {}
    jobs = [(said, name, folds) for name in methods]
    for name, one in zip(methods, run(_draw, jobs, processes), strict=True):
        draws[name] = one
        tell(f"value: {name}", len(said) + len(draws), total)
    sizes = _sizes(said, folds)
    for key, which in (("pooled", 0), ("pooled_without_top", 1)):
        found[key] = {
            name: {
                measure: _interval(_pooled([one[which][measure] for one in per_cut], sizes))
                for measure in per_cut[0][which]
            }
            for name, per_cut in draws.items()
        }
    found["cuts"] = [
        {
            **cut.facts,
            **{
                key: {
                    name: {measure: _interval(values) for measure, values in per_cut[position][which].items()}
                    for name, per_cut in draws.items()
                }
                for key, which in (("measures", 0), ("without_top", 1))
            },
        }
        for position, cut in enumerate(said)
    ]
    found["left_out"] = left_out
    baseline = max(SIMPLE, key=lambda name: found["pooled"][name]["gini"][0])
    pooled_gini = {
        name: _pooled([one[0]["gini"] for one in per_cut], sizes) for name, per_cut in draws.items()
    }
    found["baseline"] = baseline
    found["gini_gain"] = {
        name: _interval(values - pooled_gini[baseline])
        for name, values in pooled_gini.items()
        if name != baseline
    }
    if all(len(cut.within) for cut in said):
        coverage = _over_resamples(said, folds, lambda at, drawn: drawn @ said[at].within / drawn.sum(axis=1))
        found["coverage"] = _interval(_pooled(coverage, sizes))
        for cut, values in zip(found["cuts"], coverage, strict=True):
            cut["coverage"] = _interval(values)
    found["rfm_score"] = _of_scores(question, said, methods[-1], folds)
    tell("value: RFM score", total, total)
    return found


# What is said of a shop that was refused, in place of results.
NOTHING: dict[str, Any] = {
    "cuts": [],
    "pooled": {},
    "pooled_without_top": {},
    "coverage": None,
    "left_out": {},
    "baseline": None,
    "gini_gain": {},
    "rfm_score": None,
}

# Of one cut: each measure of all customers, and without those who spent most; its value, then the resamples.
_Draws = tuple[dict[str, Floats], dict[str, Floats]]


def _foretell(cut: ValueCut) -> Said:
    log = cut.logs[cut.cut]
    known = known_as_of(log, cut.cut)
    _, spend = outcome(known, cut.logs[cut.until], cut.until)
    paid = known.mean_value > 0
    correlation = float(np.corrcoef(known.orders[paid], known.mean_value[paid])[0, 1])
    so_far = known.orders * known.mean_value
    facts = {
        "cut": str(cut.cut),
        "until": str(cut.until),
        "customers": len(known),
        "spenders": int(np.sum(spend > 0)),
        "spend": round(float(spend.sum()), 2),
        "repeat_buyers": int(np.sum(known.orders > 1)),
        "value_correlation": round(correlation, 6),
        **dict.fromkeys(("count_model", "weights", "reasons", "total_of_spend", "level", "coverage")),
    }
    foretold = {
        "money_so_far": so_far,
        "spend_90d": _spent_since(known, log),
        # over 90 days at least: who came yesterday does not come every day
        "mean_rate": so_far * DAYS / np.maximum(known.histories.age + 1, DAYS),
    }
    said = Said(known.customers, spend, foretold, {}, np.empty(0), facts)
    try:
        if abs(correlation) > MOST_CORRELATED:
            raise DataProblem(
                f"the number of orders and their mean value correlate at {correlation:+.2f} as of {cut.cut}; "
                f"Gamma-Gamma takes them for independent, {MOST_CORRELATED} at most would be near enough"
            )
        said = _with_models(cut, known, said)
    except DataProblem as error:
        said = replace(said, left_out=dict.fromkeys(METHODS[len(SIMPLE) :], str(error)))
    # by what they did: by the order of their pseudonyms another key would draw other resamples
    return _in_order(said, np.lexsort([spend, *known.features.T]))


def _in_order(said: Said, order: NDArray[np.intp]) -> Said:
    return replace(
        said,
        customers=said.customers[order],
        spend=said.spend[order],
        foretold={name: amounts[order] for name, amounts in said.foretold.items()},
        within=said.within[order] if len(said.within) else said.within,
    )


def _with_models(cut: ValueCut, known: Known, said: Said) -> Said:
    found = foretell(cut.logs, cut.cut, DAYS, cut.inner)
    bg_nbd = BGNBD.fit(known.histories)
    worth = known.orders, known.mean_value
    values = found.at.gamma_gamma
    level, within = _within(cut, found.at, said.spend)
    foretold = {
        **said.foretold,
        "bg_nbd": expected_spend(bg_nbd, values, known.histories, *worth, DAYS),
        "pareto_nbd": found.by_count_model.spend,
        "blend": found.mixed.spend,
    }
    facts = {
        **said.facts,
        "count_model": "pareto_nbd" if found.at.count_model.drop_out_identifiable else "nbd",
        "weights": {name: dict(weights) for name, weights in found.weights.items()},
        "reasons": dict(found.reasons),
        "total_of_spend": found.total_of_spend,
        "level": level,
    }
    return replace(said, foretold=foretold, within=within, facts=facts)


def _spent_since(known: Known, log: OrderLog) -> Floats:
    """Spend of the last 90 days before the cut."""
    recent = np.asarray(log.days) > np.datetime64(known.cut - HORIZON)
    position = np.searchsorted(known.customers, log.customers[recent])
    return np.bincount(position, log.amounts[recent], len(known)).astype(np.float64)


def _within(cut: ValueCut, at: Fitted, spend: Floats) -> tuple[float | None, Floats]:
    """The level at which intervals of 80 % held at the inner cut, and who is within theirs at this one.

    None and nobody, where the orders up to the inner cut give no models.
    """

    def intervals(of: Fitted, days: int) -> Callable[[float], Any]:
        worth = of.known.orders, of.known.mean_value
        return partial(spend_intervals, of.count_model, of.gamma_gamma, of.known.histories, *worth, days)

    try:
        then = Fitted.on(known_as_of(cut.logs[cut.inner.second], cut.inner.second))
        _, came = outcome(then.known, cut.logs[cut.cut], cut.cut)
        level = level_that_held(intervals(then, (cut.cut - cut.inner.second).days), came, COVERAGE)
    except DataProblem:
        return None, np.empty(0)
    found = intervals(at, DAYS)(level)
    return level, ((found.low <= spend) & (spend <= found.high)).astype(np.float64)


def _weights(said: Sequence[Said], folds: int) -> Any:
    """First every customer once, then the resamples: in blocks, one array (resamples, customers) per cut."""
    yield [np.ones((1, len(cut.customers))) for cut in said]
    yield from resamples([cut.customers for cut in said], SEED, folds)


def _over_resamples(
    said: Sequence[Said], folds: int, measure: Callable[[int, Floats], Floats]
) -> list[Floats]:
    """A measure of each cut by its position, (1 + folds,) each."""
    blocks = [[measure(at, drawn) for at, drawn in enumerate(weights)] for weights in _weights(said, folds)]
    return [np.concatenate([block[at] for block in blocks]) for at in range(len(said))]


def _draw(said: Sequence[Said], method: str, folds: int) -> list[_Draws]:
    kept = [np.argsort(-cut.spend, kind="stable")[int(np.ceil(TOP * len(cut.spend))) :] for cut in said]

    def measured(at: int, drawn: Floats, rows: Any) -> dict[str, Floats]:
        return amount_measures(said[at].spend[rows], said[at].foretold[method][rows], drawn[:, rows])

    blocks = [
        [
            (measured(at, drawn, slice(None)), measured(at, drawn, kept[at]))
            for at, drawn in enumerate(weights)
        ]
        for weights in _weights(said, folds)
    ]
    return [
        (_joined([block[at][0] for block in blocks]), _joined([block[at][1] for block in blocks]))
        for at in range(len(said))
    ]


def _joined(blocks: Sequence[dict[str, Floats]]) -> dict[str, Floats]:
    return {measure: np.concatenate([block[measure] for block in blocks]) for measure in blocks[0]}


def _sizes(said: Sequence[Said], folds: int) -> list[Floats]:
    """Customers of each cut, once and in each resample."""
    return _over_resamples(said, folds, lambda at, drawn: drawn.sum(axis=1))


def _pooled(per_cut: Sequence[Floats], sizes: Sequence[Floats]) -> Floats:
    """The mean over cuts, weighted by their customers in the same resample."""
    mean: Floats = np.average(np.stack(per_cut), axis=0, weights=np.stack(sizes))
    return mean


def _interval(draws: Floats) -> list[float]:
    """The value, and the bounds over the resamples that follow it."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(draws[1:], [tail, 1 - tail])
    return [round(float(number), 6) for number in (draws[0], low, high)]


def _of_scores(question: ValueQuestion, said: Sequence[Said], value_by: str, folds: int) -> dict[str, Any]:
    """How the credit score goes with the value predicted as of the cut, and with what came after it."""
    rows, scores = [], []
    for asked, cut in zip(question.cuts, said, strict=True):
        position = np.searchsorted(asked.scored, cut.customers).clip(max=len(asked.scored) - 1)
        rows.append(np.flatnonzero(asked.scored[position] == cut.customers))
        scores.append(asked.scores[position[rows[-1]]])
    amounts = {
        "predicted": [cut.foretold[value_by][row] for cut, row in zip(said, rows, strict=True)],
        "spend": [cut.spend[row] for cut, row in zip(said, rows, strict=True)],
    }
    found: dict[str, Any] = {"value_by": value_by}
    sizes = _over_resamples(said, folds, lambda at, drawn: drawn[:, rows[at]].sum(axis=1))
    for name, values in amounts.items():
        correlation = _pooled(
            _over_resamples(
                said,
                folds,
                lambda at, drawn, of=values: spearman(scores[at], of[at], drawn[:, rows[at]]),  # type: ignore[misc]
            ),
            sizes,
        )
        beyond = min(np.sum(correlation[1:] <= 0), np.sum(correlation[1:] >= 0))
        found[name] = {
            "spearman": _interval(correlation),
            "p_value": round(min(1.0, 2 * (float(beyond) + 1) / (folds + 1)), 6),
        }

    def sums(of: Sequence[Floats]) -> Floats:
        """Over all cuts, of the customers of each score: (1 + folds, scores)."""
        parts = _over_resamples(
            said,
            folds,
            lambda at, drawn: drawn[:, rows[at]] @ ((scores[at][:, None] == known) * of[at][:, None]),
        )
        return np.asarray(np.sum(parts, axis=0))

    known = np.unique(np.concatenate(scores))
    people = sums([np.ones(len(row)) for row in rows])
    spent, predicted = sums(amounts["spend"]), sums(amounts["predicted"])
    with np.errstate(invalid="ignore"):
        mean = spent / people
    found["by_score"] = [
        {
            "score": int(score),
            "customers": int(people[0, at]),
            "share_of_spend": round(float(spent[0, at] / spent[0].sum()), 6) if told else None,
            "predicted_value": round(float(predicted[0, at] / people[0, at]), 6) if told else None,
            "spend": _interval(mean[:, at]) if told else None,
        }
        for at, score in enumerate(known)
        for told in [people[0, at] >= FEWEST_TOLD]
    ]
    return found
