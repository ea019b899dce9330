"""What the command line shows: reading the numbers, and printing them as tables.

Reading and printing are apart, so that `--json` prints the very numbers that the tables show.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from typing import Any

import duckdb

from goodstanding.core.errors import DataProblem, WarehouseBusy
from goodstanding.core.settings import Settings
from goodstanding.core.vocabulary import CLASSES, now_utc
from goodstanding.identity.pseudonyms import pseudonym, pseudonym_key
from goodstanding.warehouse.files import open_intake, open_published


def _one(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any] | None = None
) -> dict[str, Any]:
    cursor = connection.execute(sql, parameters or [])
    names = [column[0] for column in cursor.description or []]
    row = cursor.fetchone()
    return dict(zip(names, row, strict=True)) if row else {}


def _all(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any] | None = None
) -> list[dict[str, Any]]:
    cursor = connection.execute(sql, parameters or [])
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def read_report(settings: Settings, run_ids: list[str]) -> dict[str, Any]:
    """Everything about the warehouse as it is now published, and what the given runs cost."""
    with open_intake(settings) as connection:
        intake = _one(
            connection,
            """
            select
                count(*) as days, coalesce(sum(files), 0)::bigint as files,
                coalesce(sum(lines), 0)::bigint as lines, coalesce(sum(rejected), 0)::bigint as rejected
            from raw.days
            """,
        )
        reasons = _all(
            connection,
            """
            select reason, count(*) as lines from raw.rejected_order_lines
            group by reason order by lines desc, reason limit 8
            """,
        )
        steps = _all(
            connection,
            """
            select
                step, count(*) as runs, round(sum(seconds), 2) as seconds,
                round(median(seconds), 2) as median_seconds, round(max(peak_mb)) as peak_mb
            from ops.steps where run_id in (select unnest(?)) group by step order by min(started_at)
            """,
            [run_ids],
        )
        restated = _one(
            connection,
            """
            select coalesce(sum(cast(numbers ->> 'restated' as bigint)), 0)::bigint as restated from ops.steps
            where step = 'publish' and run_id in (select unnest(?))
            """,
            [run_ids],
        )
    with open_published(settings) as connection:
        publication = _publication(connection)
        outcomes = dict(
            connection.execute(
                "select outcome, count(*) from marts.order_lines group by 1 order by 1"
            ).fetchall()
        )
        rules = _all(
            connection,
            """
            select coalesce(cancellation_rule, 'no purchase found') as rule, count(*) as lines,
                sum(-quantity)::bigint as units, sum(cancelled_quantity)::bigint as matched_units
            from marts.order_lines
            where outcome in ('cancellation', 'unmatched_cancellation') group by 1 order by 1
            """,
        )
        invoices = _one(
            connection,
            """
            select count(*) as invoices, count(*) filter (kind = 'cancellation') as cancellations,
                count(*) filter (is_kept) as kept from marts.invoices
            """,
        )
        customers = _one(
            connection,
            """
            select count(*) as customers, count(*) filter (class_note is not null) as by_rule
            from marts.customer_profiles
            """,
        )
        classes = dict(
            connection.execute("select class, count(*) from marts.customer_profiles group by 1").fetchall()
        )
        borders = _all(
            connection,
            """
            select measure, q25, q50, q75 from marts.rfm_borders where as_of = ?
            union all select 'credit score', q25, q50, q75 from marts.class_borders where as_of = ?
            """,
            [publication["as_of"], publication["as_of"]],
        )
        answers = _answers(connection)
    models = read_models(settings, publication["as_of"])
    evaluations = settings.evaluations / "index.html"
    return {
        "as_of": publication["as_of"],
        "simulated": publication["simulated"],
        "run_id": publication["run_id"],
        "runs": run_ids,
        **intake,
        "rejected_reasons": reasons,
        "outcomes": outcomes,
        "cancellation_rules": rules,
        **invoices,
        "customers": customers["customers"],
        "worst_by_rule": customers["by_rule"],
        **restated,
        "classes": {name: classes.get(name, 0) for name in reversed(CLASSES)},
        "borders": borders,
        "models": models,
        "answers": answers,
        "steps": steps,
        "paths": {
            "published": str(settings.publication),
            **({"evaluations": str(evaluations)} if evaluations.exists() else {}),
        },
    }


def _publication(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    publication = _one(connection, "select * from marts.publication")
    return publication | {"gate_results": json.loads(publication["gate_results"])}


def read_profile(settings: Settings, customer_id: str) -> dict[str, Any]:
    """The published profile of the customer with this id of the shop's own.

    Raises:
        DataProblem: nothing is published, or nobody has this id (which is not repeated here).
    """
    with open_published(settings) as connection:
        found = _one(
            connection,
            "select * from marts.customer_profiles where customer_id = ?",
            [pseudonym(customer_id.strip(), pseudonym_key(settings))],
        )
        simulated = _publication(connection)["simulated"]
    if not found:
        raise DataProblem(
            "no customer with this id is published; give the shop's own id as its mapping casts it (17850)"
        )
    return found | {"simulated": simulated}


def _answers(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Which model answers each question in a publication or why none does, and its greatest drift."""
    return _all(
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


def read_status(settings: Settings) -> dict[str, Any]:
    """The last publication and its age in days, its models, and the days that keep a newer one back."""
    answers: list[dict[str, Any]] = []
    try:
        with open_published(settings) as connection:
            publication = _publication(connection)
            # what was published before there were several questions has no such tables
            with suppress(duckdb.CatalogException):
                answers = _answers(connection)
    except DataProblem:
        publication = {}
    as_of: date | None = publication.get("as_of")
    return {
        "last_good_day": as_of,
        "age_days": (now_utc().date() - as_of).days if as_of else None,
        "published_at": publication.get("published_at"),
        "run_id": publication.get("run_id"),
        "gates": publication.get("gate_results", {}),
        "simulated": publication.get("simulated"),
        "answers": answers,
        **_unfinished(settings),
    }


def _unfinished(settings: Settings) -> dict[str, Any]:
    """Days taken in since that have not passed their gates; a run that writes keeps us from looking."""
    from goodstanding.warehouse.files import INTAKE, open_warehouse
    from goodstanding.warehouse.ledger import open_days

    if not (settings.warehouse / INTAKE).exists():
        return {"waiting": [], "running": False}
    try:
        with open_warehouse(settings) as connection:
            days = open_days(connection)
    except WarehouseBusy:
        return {"waiting": None, "running": True}
    waiting = [
        {"day": day.day, "since": day.loaded_at, "failed_gate": day.failed_gate, "message": day.message}
        for day in days
    ]
    return {"waiting": waiting, "running": False}


def read_models(settings: Settings, as_of: date) -> list[dict[str, Any]]:
    """What answers each question on a day, and how well its method did on the test cuts.

    Returns:
        a list of {question, text, model_id, recipe, data_day, fitted_on, measures (pooled), and baseline,
        gain, cuts, reason as `ml.side_by_side.answer` found them}; None where no model was trained by then.
        Of worth, `goodstanding evaluate` has the measures.
    """
    # scikit-learn comes with it and takes seconds, which a profile and the status would wait for in vain
    from ml.champions import EVALUATIONS
    from ml.scorecards import orders
    from ml.store import card_named, newest_card
    from ml.tasks import SCORED
    from ml.worth import TARGET

    questions = {task.name: task.question for task in SCORED}
    found = []
    questions |= {TARGET: "orders and spend within 90 days"}
    asked: dict[str, tuple[str, Mapping[str, Any]]] = {
        name: (text, newest_card(settings.models, name, as_of) or {}) for name, text in questions.items()
    }
    for method in orders.METHODS:
        decision, learnt = orders.newest_card(settings.models, method, as_of)
        asked[method] = decision.task.question, learnt or {}
    for question, (text, card) in asked.items():
        # a later evaluation may have appointed another by now
        evaluation = card.get("evaluation")
        measured: Mapping[str, Any] = (
            card_named(settings.models / EVALUATIONS, evaluation) if evaluation else card.get("measured", {})
        )
        found.append(
            {
                "question": question,
                "text": text,
                **{key: card.get(key) for key in ("model_id", "recipe", "data_day", "fitted_on")},
                "measures": measured["pooled"][card["recipe"]] if measured else None,
                **{key: measured.get(key) for key in ("baseline", "gain", "cuts", "reason")},
            }
        )
    return found


def read_refused(settings: Settings, run_ids: list[str]) -> dict[str, str]:
    """The questions for which trainings fitted nothing, and why."""
    with open_intake(settings) as connection:
        rows = _all(
            connection,
            "select numbers -> 'refused' as refused from ops.steps "
            "where step = 'train' and run_id in (select unnest(?)) order by started_at",
            [run_ids],
        )
    return {question: why for row in rows for question, why in json.loads(row["refused"]).items()}
