"""The fields of `bench/results.json`: what each benchmark measures.

Seconds are wall time, peaks are the greatest resident memory in MiB, and intervals are of 95 %, by bootstrap
over customers. An older file must stay readable, so no key is renamed.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from bench.cost import Figures
from ml.cards import Measured
from ml.evaluate import Gain, Interval

Numbers = dict[str, object]
"""What a peer counts in a landing, and what the product published of it: {lines, customers, invoices, kept,
classes, outcomes, mirrors, amount, monetary, ...}: counts, amounts as exact decimals, counts by name."""

Machine = TypedDict(
    "Machine",
    {
        "measured_on": str,
        "cores": int | None,
        "load_before": float,
        "python": str,
        "duckdb": str,
        "pandas": str,
        "dbt-core": str,
        "apache-airflow": str,
    },
)
"""What the figures were measured on: the day, the cores, the load by other work before, and versions."""


class PeerFigures(TypedDict):
    """What a peer's script takes from files to classes: medians of some runs, and the highest peak."""

    seconds: float
    seconds_without_imports: float
    cpu_seconds: float
    peak_mb: int
    numbers: NotRequired[Numbers]


class RangeCost(TypedDict):
    """One run over a range of days, from files to classes."""

    seconds: float
    peak_mb: int
    steps: dict[str, float]
    """{step of the run: seconds}."""


class Year(TypedDict):
    """The real year as one range."""

    one_range: RangeCost
    """With a snapshot of every day."""
    one_range_one_as_of: RangeCost
    """With one snapshot, as the peers do it."""
    days: int
    ratio_to_duckdb_peer: float
    """Seconds of the latter over those of the DuckDB script."""


class SingleDays(TypedDict):
    """The real year as one run a day in one process."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    days: int
    seconds_per_day: float


class AfterYears(TypedDict):
    """One more day after a history."""

    lines: int
    """Order lines of the history and the days."""
    seconds: float
    """The sum of the steps."""
    peak_mb: int
    steps: dict[str, float]
    """{step: median seconds}."""


class Growth(TypedDict):
    """One more day after a short and after a long history."""

    after_1_year: AfterYears
    after_10_years: AfterYears
    ratios: dict[str, float]
    """{seconds, peak_mb: long over short}."""


class UnderScheduler(TypedDict):
    """A day's run under Airflow's scheduler, from its start to its end."""

    seconds: float
    """The median."""
    longest: float
    days: int
    shares: dict[str, float]
    """{scheduler, start, ingest, dbt, sql, checks, model, publish, end: median seconds}, see
    `bench.run.measure_scheduler`."""


class DayCosts(TypedDict):
    """A history, and then its last days one by one."""

    history: Figures
    """Seconds, processor seconds and peak of the history in one run, and its days."""
    day_under_scheduler: UnderScheduler
    day_in_new_process: Figures
    further_day_in_process: Figures
    steps_of_a_day: dict[str, float]
    """{step: median seconds}."""


class ProductFigures(DayCosts):
    """What the product takes."""

    make_run: Figures
    """The whole landing as `make run` loads it."""
    year: Year
    growth: Growth


class Results(TypedDict):
    """All of `bench/results.json`."""

    machine: Machine
    lines: int
    """Order lines of the landing."""
    peers: dict[str, PeerFigures]
    same_numbers: Numbers
    """What product and peers agree on."""
    goodstanding: ProductFigures
    ratios: dict[str, float]
    apart: dict[str, Any]
    """{name of a benchmark beside `make bench`: the machine and what it measured}."""


class LifetimeFigures(TypedDict):
    """What lifetime models take on one core."""

    customers: int
    """Fitted on."""
    scored: int
    gamma_gamma: dict[str, Figures]
    """{fit}."""
    bg_nbd: dict[str, Figures]
    """{fit, score, order_intervals}."""
    pareto_nbd: dict[str, Figures]
    """{fit, score, order_intervals}."""


class OneModel(TypedDict):
    """What building one edited model of the real year takes; medians of calls."""

    model: str
    new_copy: Figures
    """By the product, which first copies the warehouse."""
    same_copy: Figures
    """By the product, on the copy that lies there."""
    dbt: Figures
    """By dbt alone on that copy, without a comparison."""


class OrderTest(TypedDict):
    """One span of test orders."""

    learnt_until: str
    """ISO date."""
    learnt: int
    """Orders fitted on."""
    until: str
    """ISO date of the last test order."""
    orders: int
    share: float
    """The bad rate of the test orders."""


class ReturnsView(TypedDict):
    """How well methods predict which orders come back, on some spans of test orders."""

    tests: list[OrderTest]
    base_brier: float
    """The Brier score of a constant: the bad rate of the test orders."""
    baseline: str | None
    measures: dict[str, dict[str, list[float] | list[list[int]]]]
    """{method: {measure: [value, low, high]}}."""
    gains: dict[str, Measured]
    """{method: AUC over the baseline's}."""


class CreditResult(TypedDict):
    """How well methods predict who defaults."""

    people: int
    share: float
    """The share who default."""
    characteristics: int
    baseline: str
    measures: dict[str, dict[str, Interval]]
    """{method: {measure: interval}}."""
    auc_gain: dict[str, Gain]
    """{method: AUC over the baseline's}."""
    approved: dict[str, dict[str, dict[str, dict[str, float]]]]
    """{method: {sex, age: {group: {people, share (of defaults), by_cost, best_80 (shares approved)}}}}."""


class PublicCard(TypedDict):
    """How well methods predict on one public set."""

    rows: int
    columns: int
    share: float
    """The share of bad rows."""
    measures: dict[str, dict[str, Interval]]
    """{method: {measure: interval}}."""
    auc_more_than: dict[str, Gain]
    """{method: the scorecard's AUC over the method's}."""
    ends: dict[str, dict[str, list[float]]]
    """{method: {lowest, highest: [mean probability, share of bad rows]}} of a twentieth of the rows."""


class PublicCards(TypedDict):
    """The scorecard beside others on public sets, measured by `bench.public_cards`."""

    machine: Machine
    sets: dict[str, PublicCard]


class TruthGap(TypedDict):
    """A scorecard of a simulated shop, measured against the true probabilities."""

    orders: int
    """Asked about, after the card's data day."""
    customers: int
    learnt: int
    """Orders fitted on."""
    share: float
    """The bad rate of the orders asked about."""
    mean: dict[str, float]
    """{scorecard, truth: mean probability}."""
    measures: dict[str, dict[str, Interval]]
    """{scorecard, truth or a baseline: {measure: interval}}."""
    gap: Gain
    """The scorecard's AUC less that of the truth."""
    spearman: dict[str, float]
    """{value, low, high} of the rank correlation of score and truth."""
    history: dict[str, Any]
    """{of, few, many: {orders, scorecard, truth: AUC as an interval}} of customers with fewer than 10 of what
    `of` names, and with more."""


class TrueRisks(TypedDict):
    """The scorecards of a simulated shop, and what its chain of runs takes."""

    customers: int
    days: int
    as_of_days: int
    memory_limit: str
    order_lines: int
    cut: str
    """ISO date: what the cards were learnt by."""
    costs: dict[str, Figures]
    """{simulate, run_to_cut, train, run_after}."""
    labels: dict[str, TruthGap | None]
    """{label: result}; None where no card shipped at the cut."""
    published: dict[str, str]
    """{decision: the model_id that decides at the end, or why none does}."""


class TruthProfit(TypedDict):
    """What ways to decide earn by the true chances of one kind of bad outcome, in the shop's currency."""

    profit: dict[str, Interval]
    """{way to decide: profit}."""
    more_than: dict[str, dict[str, Interval]]
    """{the policy, and with half of those asked for a part payment leaving: {other way: profit more than its,
    order by order}}."""


class MethodProfit(TypedDict):
    """What ways to decide earn with one method of payment."""

    orders: int
    """Asked about, after the cut."""
    customers: int
    card: str | None
    """The model_id of the trained card; None where none shipped and the policy's was used."""
    rule: str
    """The single rule that earned most before the cut: what it refuses."""
    answers: dict[str, dict[str, float]]
    """{way to decide: {yes, part: shares of the orders}}."""
    truths: dict[str, TruthProfit]
    """{what a bad outcome is: profits}."""


class PolicyProfit(TypedDict):
    """What the shipped policy earns on a simulated shop, measured by `bench.profit`."""

    machine: Machine
    customers: int
    days: int
    seed: int
    cut: str
    """ISO date: what cards and rules were learnt by."""
    refused: dict[str, str]
    """{method: why no card shipped}."""
    methods: dict[str, MethodProfit]


class LoadFigures(TypedDict):
    """Answers under an open load; milliseconds from when a request was due."""

    requests: int
    p50_ms: float
    p99_ms: float
    most_ms: float
    machine_p99_ms: float
    """How late the load itself woke up."""
    not_answered: int
    """Requests without status 200."""
    p99_ms_of_windows: NotRequired[list[float]]
    """Ascending; where several windows were measured."""
    publications: NotRequired[int]
    """Made meanwhile."""


class ApiFigures(TypedDict):
    """What answers over HTTP take for one number of customers."""

    customers: int
    rate: int
    """Requests a second."""
    seconds: float
    workers: int
    undisturbed: LoadFigures
    with_publications: LoadFigures
    cpu_ms_per_request: float
    peak_mb: int


class ScaleFigures(TypedDict):
    """Files to classes with many times the customers of the real year."""

    machine: Machine
    times: int
    lines: int
    memory_limit: str
    load: float
    """The mean of the last quarter of an hour; of a run alone between 1 and 2."""
    seconds: float
    ratio_to_duckdb_peer: float
    run: Figures
    """With disk_mb and spill_mb, the most disk and temporary disk at a time."""
    duckdb_peer: Figures
    """With seconds_without_imports and spill_mb."""
    steps: dict[str, float]
    slowest_nodes: dict[str, float]
    """{node of dbt: seconds}."""
