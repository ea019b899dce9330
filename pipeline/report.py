"""What the command line shows: reading the numbers, and printing them as tables.

Reading and printing are apart, so that `--json` prints the very numbers that the tables show.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table
from rich.text import Text

from goodstanding.core.errors import DataProblem, WarehouseBusy
from goodstanding.core.settings import Settings
from goodstanding.core.vocabulary import CLASSES, GATES, now_utc
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


def titled_table(title: str, *columns: str) -> Table:
    """An empty table of the command line: the first column names, the others count."""
    # a title may be wider than its table
    heading = Text(title, style="bold", no_wrap=True, overflow="ignore")
    table = Table(title=heading, title_justify="left", header_style="dim", show_header=any(columns))
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    return table


def mark_of(found: dict[str, Any]) -> str:
    """What stands before every title while the orders are made up."""
    return "SIMULATED · " if found.get("simulated") else ""


def print_report(report: dict[str, Any], console: Console) -> None:
    """Print what `read_report` found, in the order in which the data go."""
    mark = mark_of(report)
    table = titled_table(f"{mark}Every customer's standing as of {report['as_of']}", "", "")
    outcomes = report["outcomes"]
    for name, value in (
        ("days", report["days"]),
        ("files", report["files"]),
        ("order lines", report["lines"]),
        ("  rejected", report["rejected"]),
        ("  without customer", outcomes.get("no_customer", 0)),
        ("  duplicates", outcomes.get("duplicate", 0)),
        ("invoices", report["invoices"]),
        ("  cancellations", report["cancellations"]),
        ("  kept", report["kept"]),
        ("customers", report["customers"]),
        ("  restated", report["restated"]),
    ):
        table.add_row(name, f"{value:,}")
    console.print(table)
    if report["rejected_reasons"]:
        table = titled_table(f"{mark}Lines set aside (raw.rejected_order_lines)", "reason", "lines")
        for row in report["rejected_reasons"]:
            table.add_row(row["reason"], f"{row['lines']:,}")
        console.print(table)
    table = titled_table(
        f"{mark}Cancellation lines, by the rule that found their purchase",
        "rule",
        "lines",
        "units",
        "matched",
    )
    for row in report["cancellation_rules"]:
        table.add_row(row["rule"], *(f"{row[key]:,}" for key in ("lines", "units", "matched_units")))
    console.print(table)
    table = titled_table(f"{mark}Borders of the quarters", "measure", "25 %", "50 %", "75 %")
    for row in report["borders"]:
        table.add_row(row["measure"], *(f"{row[key]:,.2f}" for key in ("q25", "q50", "q75")))
    console.print(table)
    table = titled_table(f"{mark}Customers per class", "class", "customers", "share")
    for name, count in report["classes"].items():
        table.add_row(name, f"{count:,}", f"{count / max(report['customers'], 1):.1%}")
    if report["worst_by_rule"]:
        table.caption = f"{report['worst_by_rule']} of Worst by rule: no invoice of theirs still counts"
    console.print(table)
    if any(model["model_id"] for model in report["models"]):
        print_models(report["models"], console, mark)
        for answer in report["answers"]:
            if answer["note"]:
                console.print(f"{answer['question']}: {answer['note']}", highlight=False)
    if report.get("model_note"):
        console.print(f"No model: {report['model_note']}", highlight=False)
    table = titled_table(
        f"{mark}Cost of each hop, in this call", "step", "runs", "seconds", "median", "peak MB"
    )
    for row in report["steps"]:
        table.add_row(
            row["step"],
            str(row["runs"]),
            f"{row['seconds']:.2f}",
            f"{row['median_seconds']:.2f}",
            f"{row['peak_mb']:.0f}",
        )
    console.print(table)
    names = {
        "published": "published warehouse",
        "evaluations": "evaluations",
        "data_docs": "data docs",
        "dbt_docs": "dbt docs",
    }
    for key, path in report["paths"].items():
        console.print(f"[bold]{names[key]}[/bold]  {path}", highlight=False, soft_wrap=True)
    customer = "ID" if report["simulated"] else "17850"
    console.print("\nNext:")
    for command, what in (
        (f".venv/bin/goodstanding profile {customer}", "one customer: scores, class, benefits"),
        (".venv/bin/goodstanding status", "the last good day, its age, its gates"),
        ("make up", "the Airflow UI: runs, backfills, logs"),
    ):
        console.print(f"  {command:<38} {what}", highlight=False)


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
    asked = {
        name: (text, newest_card(settings.models, name, as_of) or {}) for name, text in questions.items()
    }
    for method in orders.METHODS:
        decision, learnt = orders.newest_card(settings.models, method, as_of)
        asked[method] = decision.task.question, learnt or {}
    for question, (text, card) in asked.items():
        # a later evaluation may have appointed another by now
        evaluation = card.get("evaluation")
        measured = (
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


def print_models(models: list[dict[str, Any]], console: Console, mark: str = "") -> None:
    """Print which model answers each question, and what its method was worth on the test cuts."""
    table = titled_table(
        f"{mark}What is predicted, and how well", "question", "model", "AUC", "gain", "over", "Brier", "ECE"
    )
    for model in models:
        if not model["model_id"]:
            table.add_row(model["question"], "none yet", *[""] * 5)
            continue
        if not model["measures"]:
            table.add_row(model["question"], model["recipe"], "see evaluate", *[""] * 4)
            continue
        measures = model["measures"]
        is_baseline = model["recipe"] == model["baseline"]
        table.add_row(
            model["question"],
            model["recipe"],
            interval(measures["auc"]),
            "" if is_baseline else interval(model["gain"], "+.3f"),
            "" if is_baseline else model["baseline"],
            *(f"{measures[name][0]:.3f}" for name in ("brier", "ece")),
        )
    table.caption = "On the future of rolling cuts, with 95 % intervals. All methods: goodstanding evaluate"
    table.caption_justify = "left"
    console.print(table)


def print_refused(refused: Mapping[str, str], console: Console) -> None:
    """Print for which questions a training fitted nothing; each reason names its question."""
    for why in refused.values():
        console.print(f"not fitted: {why}", highlight=False)


def print_rollback(found: dict[str, Any], console: Console) -> None:
    """Print what `ml.champions.roll_back` did."""
    console.print(
        f"{found['target']}: {found['champion']} stands again, as of {found['since']}, instead of "
        f"{found['instead_of']}; {len(found['withdrawn'])} cards were moved to folders named withdrawn",
        highlight=False,
    )
    if found["model_id"]:
        console.print(f"from the next run on {found['model_id']} scores", highlight=False)
    else:
        console.print("no model of it is left: .venv/bin/goodstanding train", highlight=False)


def interval(measured: Sequence[float], form: str = ".3f") -> str:
    """A value with its interval, for people: 0.754 [0.740, 0.767]."""
    value, low, high = measured
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def print_profile(found: dict[str, Any], console: Console) -> None:
    """Print one customer's profile."""
    table = titled_table(f"{mark_of(found)}Standing as of {found['as_of']}", "", "")
    for name, value in found.items():
        if value is not None and name not in ("as_of", "simulated"):
            table.add_row(name.replace("_", " "), f"{value:.3f}" if isinstance(value, float) else str(value))
    console.print(table)


def print_as_known(found: dict[str, Any], console: Console) -> None:
    """Print what `build_as_known` built and where it is."""
    title = f"{mark_of(found)}Standing as of {found['as_of']}, as known at the end of {found['known_on']}"
    table = titled_table(title, "class", "customers")
    for name, count in found["classes"].items():
        table.add_row(name, f"{count:,}")
    console.print(table)
    if found["left_out"]:
        days = ", ".join(str(day) for day in found["left_out"])
        console.print(f"left out, as they had not passed the gate of raw orders: {days}", highlight=False)
    console.print(f"[bold]marts[/bold]  {found['path']}", highlight=False, soft_wrap=True)


def print_status(found: dict[str, Any], console: Console) -> None:
    """Print the state of the publication."""
    if found["last_good_day"] is None:
        console.print("nothing is published yet; run `goodstanding run`", highlight=False)
    else:
        table = titled_table(f"{mark_of(found)}Last good day {found['last_good_day']}", "", "")
        table.add_row("age", f"{found['age_days']:,} days")
        table.add_row("published", f"{found['published_at']:%Y-%m-%d %H:%M} UTC")
        table.add_row("by run", found["run_id"])
        for gate in GATES:
            table.add_row(f"gate {gate}", "passed" if found["gates"].get(gate) else "no verdict")
        for answer in found["answers"]:
            drift = f"{answer['value']:.2f} of {answer['allowed']:.2f}" if answer["name"] else ""
            said = answer["note"] or f"answered; greatest drift {drift} let pass ({answer['name']})"
            table.add_row(answer["question"], said)
        console.print(table)
    if found["running"]:
        console.print("a run is writing now", highlight=False)
    for day in found["waiting"] or []:
        why = "not through its gates yet"
        if day["failed_gate"]:
            why = f"failed the gate of {day['failed_gate']}: {day['message']}"
        console.print(f"waiting for {day['day']}: {why}", highlight=False, markup=False)
