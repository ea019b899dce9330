"""Every method of the field side by side, as `goodstanding evaluate` and the DAG `evaluate_models` do it.

The working warehouse is open while the snapshots are read, some seconds; nothing in it is changed. What is
kept are the cards in the model store, by which trainings know the champions, and a page that shows it all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from rich.console import Console

from goodstanding.evaluation_page import publish_evaluation
from goodstanding.report import interval, mark_of, titled_table
from goodstanding.settings import Settings
from ml.candidate import Balance
from ml.champions import appoint
from ml.segment_study import read_history, study
from ml.side_by_side import Tell, answer, read_questions
from ml.tasks import tasks_named
from warehouse.files import open_warehouse
from warehouse.ledger import required_newest_day

# Beside the AUC and its gain; `--json` has all measures, each with its interval.
SHOWN = ("average_precision", "brier", "ece", "accuracy", "macro_f1")


def run_evaluation(
    settings: Settings,
    until: date = date.max,
    tasks: Sequence[str] = (),
    balance: Balance | None = None,
    tell: Tell = lambda what, done, total: None,
) -> dict[str, Any]:
    """Measure all methods as of a day (the newest there is, if that is earlier), on all tasks unless named.

    The champions found stand from that day on, for trainings (`ml.champions.appoint`).

    Returns:
        {as_of, first_day (of the orders), shop, simulated, asked (the tasks, where only some were named)},
        what `ml.side_by_side.answer` found, `segments`: what `ml.segment_study.describe_segments` found, or
        None where tasks were named, and `page`: where the page that shows all of it lies.

    Raises:
        WrongUse: there is no such task.
        DataProblem: the marts hold no day yet. (A task whose history is too short is no error: it says so.)
    """
    asked = tasks_named(tasks)
    with open_warehouse(settings) as connection:
        as_of = min(until, required_newest_day(connection))
        questions = read_questions(connection, as_of, asked)
        history = None if tasks else read_history(connection, as_of)
        shop, first_day, simulated = connection.execute(
            """
            select any_value(source), min(event_day), bool_or(simulated) from intake.raw.days
            where admitted
            """
        ).fetchall()[0]
    answered = answer(questions, tell, balance, processes=settings.threads)
    appoint(answered, as_of, settings.models, by="evaluate")
    found = {
        "as_of": str(as_of),
        "first_day": str(first_day),
        "shop": shop,
        "simulated": simulated,
        "asked": list(tasks),
        **answered,
        "segments": history and study(history, settings.threads),
    }
    return found | {"page": str(publish_evaluation(settings, found))}


def print_evaluation(found: dict[str, Any], console: Console) -> None:
    """Print one table per task, with the methods from the simplest on."""
    for name, task in found["tasks"].items():
        title = f"{mark_of(found)}{name}: {task['question']}"
        if task["refused"]:
            console.print(f"[bold]{title}[/bold]\nnot measured: {task['refused']}", highlight=False)
            continue
        over = f"AUC gain over {task['baseline']}"
        table = titled_table(
            title, "method", "AUC", "AP", "Brier", "ECE", "accuracy", "macro F1", over, "champion"
        )
        for method, measured in task["pooled"].items():
            gain = task["gains"].get(method)
            table.add_row(
                method,
                interval(measured["auc"]),
                *(f"{measured[measure][0]:.3f}" for measure in SHOWN),
                interval(gain, "+.3f") if gain else "",
                "yes" if method == task["champion"] else "",
            )
        table.caption = " ".join(_notes(task))
        table.caption_justify = "left"
        console.print(table)
    if found.get("segments"):
        _print_segments(found["segments"], mark_of(found), console)
    console.print(f"[bold]page[/bold]  {found['page']}", highlight=False, soft_wrap=True)


def _print_segments(found: dict[str, Any], mark: str, console: Console) -> None:
    title = f"{mark}segments of {found['as_of']}: customers who buy alike"
    if found["refused"]:
        console.print(f"[bold]{title}[/bold]\nnot measured: {found['refused']}", highlight=False)
        return
    table = titled_table(
        title, "segment", "customers", "share", "of the money", "recency", "frequency", "monetary"
    )
    for row in found["segments"]:
        medians = (f"{row[measure]:,.0f}" for measure in ("recency_days", "frequency", "monetary"))
        shares = f"{row['share']:.1%}", f"{row['money_share']:.1%}"
        table.add_row(f"{row['number']} {row['name']}", f"{row['customers']:,}", *shares, *medians)
    table.caption = f"Recency (days), frequency and monetary: medians. {_what_became(found['past'])}."
    curve = found["curves"]["rfm"]
    by_k = titled_table(f"{mark}how many segments", "segments", "inertia", "silhouette", "stability")
    for row in curve["by_k"]:
        measured = f"{row['inertia']:,.0f}", f"{row['silhouette']:.3f}", interval(row["stability"])
        by_k.add_row(str(row["k"]), *measured)
    by_k.caption = (
        f"{found['k']} are kept for use. The inertia lies farthest under its chord at {curve['elbow']}, the "
        f"silhouette is greatest at {curve['greatest_silhouette']}. Stability: adjusted Rand index to "
        f"{curve['resamples']} fits of resampled customers, mean and where 95 % of them lie. "
        f"{_what_clumpiness_adds(found['clumpiness'])}."
    )
    for shown in (table, by_k):
        shown.caption_justify = "left"
        console.print(shown)


def _what_became(past: dict[str, Any]) -> str:
    if past["refused"]:
        return f"What they bought then is not measured: {past['refused']}"
    bought = ", ".join(f"{row['bought_90d']:.0%} of {row['name']}" for row in past["segments"])
    return f"Of those of {past['as_of']} bought within 90 days: {bought}"


def _what_clumpiness_adds(found: dict[str, Any]) -> str:
    whom = {"everybody": "", "with_value": " among the customers who have one"}
    gains = [
        f"{interval(found[part]['auc_gain'], '+.3f')}{text} (Holm-adjusted p = {found[part]['p_holm']:.3f})"
        for part, text in whom.items()
        if found[part]
    ]
    if not gains:
        return f"Whether clumpiness adds to it is not measured: {found['refused'] or 'too few customers'}"
    return f"Clumpiness adds to the AUC of who buys within 90 days {', '.join(gains)}"


def _notes(task: dict[str, Any]) -> list[str]:
    cuts = task["cuts"]
    if cuts[0]["train_cut"] == cuts[0]["test_cut"]:
        days = f"{len(cuts)} random folds of the customers of {cuts[0]['test_cut']}: no future in it."
    else:
        shown = ", ".join(f"{cut['test_cut']} ({cut['customers']:,} customers)" for cut in cuts)
        days = f"Pooled over the test cuts {shown}."
    majority = next(iter(task["pooled"].values()))["majority"][0]
    notes = [f"95 % intervals. {days} Always choosing the commonest class is right in {majority:.3f}."]
    if task["note"]:
        notes.append(f"{task['note']}.")
    if task["left_out"]:
        notes.append(f"Left out: {'; '.join(f'{name} ({why})' for name, why in task['left_out'].items())}.")
    return notes
