"""Reads what the command line and the pages show: a run, its models, a profile, the state of the home.

Nothing is printed here, so that `--json` prints the very numbers that the tables of `app.cli.tables` show.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypedDict

import duckdb

from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import Settings
from goodstanding.core.vocabulary import CLASSES, now_utc
from goodstanding.identity.pseudonyms import pseudonym, pseudonym_key
from goodstanding.shops.mapping import CUSTOMER, load_shop
from goodstanding.warehouse.files import INTAKE, STANDING, open_intake, open_published
from goodstanding.warehouse.notices import NoticeGroup, notice_groups
from goodstanding.warehouse.snapshot import Snapshot, holder, read_snapshot

Profile = dict[str, str | int | float | bool | Decimal | date | datetime | None]
"""{column of marts.customer_profiles: its value}, and `simulated`. Its columns are described in the mart."""


class RejectedLines(TypedDict):
    """Lines of the shop that could not be read, for one reason."""

    reason: str
    lines: int


class CancellationRule(TypedDict):
    """Cancellation lines by the rule that found their purchase."""

    rule: str
    """mirror, reach_back, or 'no purchase found'."""
    lines: int
    units: int
    """Units that they cancel."""
    matched_units: int
    """Those of these units whose purchase was found."""


class MeasureBorders(TypedDict):
    """The quartiles of a measure over the customers, which are the borders of its scores."""

    measure: str
    """recency, frequency, monetary, or 'credit score'."""
    q25: float
    q50: float
    q75: float


class ModelInUse(TypedDict):
    """The model that answers a question; None in every field where no model was trained yet."""

    question: str
    text: str
    """The question in words."""
    model_id: str | None
    recipe: str | None
    """The method, like rfm_rank."""
    data_day: str | None
    fitted_on: Mapping[str, object] | None
    """As its card says it: `ml.cards.FittedOn`."""
    measures: Mapping[str, Any] | None
    """{measure: [value, low, high]} pooled over the test cuts; of worth, `goodstanding evaluate` has them."""
    baseline: str | None
    gain: list[float] | None
    """[value, low, high]: its AUC over that of the baseline."""
    cuts: list[Any] | None
    reason: str | None
    """Why it is the champion."""


class QuestionAnswer(TypedDict):
    """Which model answers a question in the publication, or why none does, and its greatest drift."""

    question: str
    model_id: str | None
    note: str | None
    """Why no model answers, or why the one that does should be trained again; else None."""
    name: str | None
    """What drifted most against its limit: a feature or the score."""
    value: float | None
    allowed: float | None


class StepCost(TypedDict):
    """The cost of a step in the given runs."""

    step: str
    runs: int
    seconds: float
    """Of all runs."""
    median_seconds: float
    peak_mb: float
    """The greatest resident memory of a run, in MB."""


class IntakeCounts(TypedDict):
    """Counts of what was read from the shop, over all days."""

    days: int
    files: int
    lines: int
    """Of every kind."""
    order_lines: int
    rejected: int


class InvoiceCounts(TypedDict):
    """The invoices of the publication."""

    invoices: int
    cancellations: int
    kept: int
    """Sales of which something is left after cancellations."""


class RunReport(IntakeCounts, InvoiceCounts):
    """The publication as it is now, and what the given runs cost."""

    as_of: date
    simulated: bool
    run_id: str
    """The run that published."""
    runs: list[str]
    """The runs that `steps` and `restated` are about."""
    rejected_reasons: list[RejectedLines]
    """The eight commonest."""
    notices: list[NoticeGroup]
    """What was noticed about the lines and stopped nothing, newest first."""
    gate_notes: dict[str, str]
    """{gate: what it tells of the newest day, did not judge on it, and what a person has accepted}."""
    outcomes: dict[str, int]
    """Order lines by their outcome."""
    cancellation_rules: list[CancellationRule]
    customers: int
    worst_by_rule: int
    """Customers who are Worst because no invoice of theirs counts."""
    restated: int
    """Customers whose class of an earlier day these runs changed."""
    classes: dict[str, int]
    """Customers by class, Best first."""
    borders: list[MeasureBorders]
    models: list[ModelInUse]
    answers: list[QuestionAnswer]
    steps: list[StepCost]
    customer_column: str
    """The column of the shop's files that holds its customers' ids."""
    paths: dict[str, str]
    """What was written for people, and where: published, evaluations, data_docs, dbt_docs."""


class LandingReport(RunReport):
    """The report of `goodstanding run` without days."""

    model_note: str | None
    """Why no model was trained, or None."""


class WaitingDay(TypedDict):
    """A day that has been ingested and has not passed all gates yet."""

    day: date
    since: datetime
    failed_gate: str | None
    message: str | None


class Status(TypedDict):
    """The state of a home; what is of the publication is None where nothing is published yet."""

    last_good_day: date | None
    age_days: int | None
    published_at: datetime | None
    """UTC."""
    run_id: str | None
    gates: dict[str, bool]
    """{gate: whether it passed}, of the publication."""
    gate_notes: dict[str, str]
    """{gate: what it did not judge on the newest day, and what a person has accepted}."""
    simulated: bool | None
    answers: list[QuestionAnswer]
    notices: list[NoticeGroup]
    """What was noticed about the lines of the publication and stopped nothing, newest first."""
    waiting: list[WaitingDay] | None
    """As the last step of a run left them; None where no run has kept them yet."""
    waiting_as_of: datetime | None
    """When that was, in UTC."""
    running: bool
    """Whether a run is writing now."""


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Any = None) -> list[Any]:
    """The rows of a query as dicts."""
    cursor = connection.execute(sql, parameters or [])
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _row(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Any = None) -> Any:
    """The first row of a query as a dict, empty where there is none."""
    rows = _rows(connection, sql, parameters)
    return rows[0] if rows else {}


def read_report(settings: Settings, run_ids: list[str]) -> RunReport:
    """Everything about the warehouse as it is now published, and what the given runs cost.

    Raises:
        DataProblem: nothing is published yet.
    """
    with open_intake(settings) as connection:
        intake = _intake_counts(connection)
        reasons = _rejected_reasons(connection)
        steps = _step_costs(connection, run_ids)
        restated = _restated(connection, run_ids)
    with open_published(settings) as connection:
        publication = _publication(connection)
        outcomes = _counts(
            connection, "select outcome, count(*) from marts.order_lines group by 1 order by 1"
        )
        rules = _cancellation_rules(connection)
        invoices = _invoice_counts(connection)
        customers, worst_by_rule = connection.execute(
            "select count(*), count(*) filter (class_note is not null) from marts.customer_profiles"
        ).fetchall()[0]
        classes = _counts(connection, "select class, count(*) from marts.customer_profiles group by 1")
        borders = _borders(connection, publication["as_of"])
        answers = _answers(connection)
        notices = notice_groups(connection, "marts.notices")
    evaluations = settings.evaluations / "index.html"
    return {
        "as_of": publication["as_of"],
        "simulated": publication["simulated"],
        "run_id": publication["run_id"],
        "runs": run_ids,
        **intake,
        "rejected_reasons": reasons,
        "notices": notices,
        "gate_notes": publication["gate_notes"],
        "outcomes": outcomes,
        "cancellation_rules": rules,
        **invoices,
        "customers": customers,
        "worst_by_rule": worst_by_rule,
        "restated": restated,
        "classes": {name: classes.get(name, 0) for name in reversed(CLASSES)},
        "borders": borders,
        "models": read_models(settings, publication["as_of"]),
        "answers": answers,
        "steps": steps,
        "customer_column": _customer_column(settings),
        "paths": {
            "published": str(settings.publication),
            **({"evaluations": str(evaluations)} if evaluations.exists() else {}),
        },
    }


def _customer_column(settings: Settings) -> str:
    shop = load_shop(settings)
    return shop.sources[0].columns[CUSTOMER].source


def _intake_counts(connection: duckdb.DuckDBPyConnection) -> IntakeCounts:
    counts: IntakeCounts = _row(
        connection,
        """
        select
            count(*) as days, coalesce(sum(files), 0)::bigint as files,
            coalesce(sum(lines), 0)::bigint as lines,
            (select count(*) from raw.order_lines) + (select count(*) from raw.rejected_order_lines)
                as order_lines,
            coalesce(sum(rejected), 0)::bigint as rejected
        from raw.days
        """,
    )
    return counts


def _rejected_reasons(connection: duckdb.DuckDBPyConnection) -> list[RejectedLines]:
    return _rows(
        connection,
        """
        select reason, count(*) as lines from raw.rejected_order_lines
        group by reason order by lines desc, reason limit 8
        """,
    )


def _step_costs(connection: duckdb.DuckDBPyConnection, run_ids: list[str]) -> list[StepCost]:
    return _rows(
        connection,
        """
        select
            step, count(*) as runs, round(sum(seconds), 2) as seconds,
            round(median(seconds), 2) as median_seconds, round(max(peak_mb)) as peak_mb
        from ops.steps where run_id in (select unnest(?)) group by step order by min(started_at)
        """,
        [run_ids],
    )


def _restated(connection: duckdb.DuckDBPyConnection, run_ids: list[str]) -> int:
    ((restated,),) = connection.execute(
        """
        select coalesce(sum(cast(numbers ->> 'restated' as bigint)), 0)::bigint from ops.steps
        where step = 'publish' and run_id in (select unnest(?))
        """,
        [run_ids],
    ).fetchall()
    return int(restated)


def _publication(connection: duckdb.DuckDBPyConnection) -> Any:
    """The one row of marts.publication as a dict, with the verdicts of the gates parsed."""
    publication = _row(connection, "select * from marts.publication")
    return publication | {
        "gate_results": json.loads(publication["gate_results"]),
        # a publication from before there were notes has none
        "gate_notes": json.loads(publication.get("gate_notes", "{}")),
    }


def _counts(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, int]:
    return dict(connection.execute(sql).fetchall())


def _cancellation_rules(connection: duckdb.DuckDBPyConnection) -> list[CancellationRule]:
    return _rows(
        connection,
        """
        select coalesce(cancellation_rule, 'no purchase found') as rule, count(*) as lines,
            sum(-quantity)::bigint as units, sum(cancelled_quantity)::bigint as matched_units
        from marts.order_lines
        where outcome in ('cancellation', 'unmatched_cancellation') group by 1 order by 1
        """,
    )


def _invoice_counts(connection: duckdb.DuckDBPyConnection) -> InvoiceCounts:
    counts: InvoiceCounts = _row(
        connection,
        """
        select count(*) as invoices, count(*) filter (kind = 'cancellation') as cancellations,
            count(*) filter (is_kept) as kept from marts.invoices
        """,
    )
    return counts


def _borders(connection: duckdb.DuckDBPyConnection, as_of: date) -> list[MeasureBorders]:
    return _rows(
        connection,
        """
        select measure, q25, q50, q75 from marts.rfm_borders where as_of = $as_of
        union all select 'credit score', q25, q50, q75 from marts.class_borders where as_of = $as_of
        """,
        {"as_of": as_of},
    )


def read_profile(settings: Settings, customer_id: str) -> Profile:
    """The published profile of the customer with this id of the shop's own.

    Raises:
        NoCustomerId: the mapping gives no customer such an id.
        DataProblem: nothing is published, or nobody has this id (which is not repeated here).
    """
    customer = pseudonym(load_shop(settings).customer_ids.require(customer_id), pseudonym_key(settings))
    with open_published(settings) as connection:
        profile: Profile = _row(
            connection,
            "select * from marts.customer_profiles where customer_id = ?",
            [customer],
        )
        simulated = _publication(connection)["simulated"]
    if not profile:
        raise DataProblem(
            "no customer with this id is published; give the shop's own id, as it stands in the shop's files"
        )
    return profile | {"simulated": simulated}


def _answers(connection: duckdb.DuckDBPyConnection) -> list[QuestionAnswer]:
    return _rows(
        connection,
        """
        select models.question, models.model_id, models.note, drift.name, drift.value, drift.allowed
        from predictions.models
        left join (
            from predictions.drift
            qualify row_number() over (partition by question order by value / allowed desc, kind, name) = 1
        ) as drift using (question)
        order by models.question
        """,
    )


def read_status(settings: Settings) -> Status:
    """The last publication and its age in days, its models, and the days that are not published yet."""
    answers: list[QuestionAnswer] = []
    notices: list[NoticeGroup] = []
    try:
        with open_published(settings) as connection:
            publication = _publication(connection)
            # a publication from before there were several questions, or notices, has no such tables
            with suppress(duckdb.CatalogException):
                answers = _answers(connection)
                notices = notice_groups(connection, "marts.notices")
    except DataProblem:
        publication = {}
    as_of: date | None = publication.get("as_of")
    snapshot = read_snapshot(settings)
    has_days = (settings.warehouse / INTAKE).exists()
    return {
        "last_good_day": as_of,
        "age_days": (now_utc().date() - as_of).days if as_of else None,
        "published_at": publication.get("published_at"),
        "run_id": publication.get("run_id"),
        "gates": publication.get("gate_results", {}),
        "gate_notes": publication.get("gate_notes", {}),
        "simulated": publication.get("simulated"),
        "answers": answers,
        "notices": notices,
        "waiting": _waiting_days(snapshot) if snapshot or has_days else [],
        "waiting_as_of": snapshot.taken_at if snapshot else None,
        "running": any(holder(settings.warehouse / name) is not None for name in (INTAKE, STANDING)),
    }


def _waiting_days(snapshot: Snapshot | None) -> list[WaitingDay] | None:
    if snapshot is None:
        return None
    return [
        {"day": day.day, "since": day.loaded_at, "failed_gate": day.failed_gate, "message": day.message}
        for day in snapshot.waiting
    ]


def read_models(settings: Settings, as_of: date) -> list[ModelInUse]:
    """Which model answers each question on a day, and how well its method did on the test cuts."""
    # scikit-learn comes with it and takes seconds, for which a profile and the status need not wait
    from ml.champions import EVALUATIONS
    from ml.scorecards import orders
    from ml.store import card_named, newest_card
    from ml.tasks import SCORED
    from ml.worth import TARGET

    questions = {task.name: task.question for task in SCORED}
    questions |= {TARGET: "orders and spend within 90 days"}
    cards: dict[str, tuple[str, Any]] = {
        name: (text, newest_card(settings.models, name, as_of) or {}) for name, text in questions.items()
    }
    for method in orders.METHODS:
        decision, card = orders.newest_card(settings.models, method, as_of)
        cards[method] = decision.task.question, card or {}
    models: list[ModelInUse] = []
    for question, (text, card) in cards.items():
        # a later evaluation may have appointed another champion by now
        evaluation = card.get("evaluation")
        verdict: Any = (
            card_named(settings.models / EVALUATIONS, evaluation) if evaluation else card.get("measured", {})
        )
        models.append(
            {
                "question": question,
                "text": text,
                "model_id": card.get("model_id"),
                "recipe": card.get("recipe"),
                "data_day": card.get("data_day"),
                "fitted_on": card.get("fitted_on"),
                "measures": verdict["pooled"][card["recipe"]] if verdict else None,
                "baseline": verdict.get("baseline"),
                "gain": verdict.get("gain"),
                "cuts": verdict.get("cuts"),
                "reason": verdict.get("reason"),
            }
        )
    return models


def read_refused(settings: Settings, run_ids: list[str]) -> dict[str, str]:
    """The questions for which these trainings fitted nothing, and why."""
    with open_intake(settings) as connection:
        rows = connection.execute(
            "select numbers -> 'refused' from ops.steps "
            "where step = 'train' and run_id in (select unnest(?)) order by started_at",
            [run_ids],
        ).fetchall()
    return {question: why for (refused,) in rows for question, why in json.loads(refused).items()}
