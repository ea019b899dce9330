"""Prints what `run`, `check`, `train`, `rollback`, `profile`, `status` and `as-known` give, as tables.

`pipeline.report` reads the numbers, so that `--json` prints the very numbers that these tables show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from app.cli.shown import plain, say
from goodstanding.core.days import in_words
from goodstanding.core.vocabulary import GATES
from pipeline.pages.words import interval

if TYPE_CHECKING:
    from datetime import date

    from app.cli.runs import TrainingReport
    from goodstanding.ingest.check import LandingCheck
    from goodstanding.warehouse.notices import NoticeGroup
    from ml.champions import Rollback
    from pipeline.as_known import AsKnown
    from pipeline.report import LandingReport, ModelInUse, Profile, RunReport, Status

SHOWN_NOTICES = 12
SHOWN_FILES = 20


TRAIN = (".venv/bin/goodstanding train", "the models, on what is known now; then chances in profiles")


class PlainTable(Table):
    """A table whose cells and caption are text as it stands: they may come from files."""

    def add_row(self, *cells: str | None) -> None:  # type: ignore[override]
        """Add a row of texts."""
        super().add_row(*(plain(cell or "") for cell in cells))

    def add_caption(self, text: str) -> None:
        """Put a text under the table."""
        self.caption = plain(text, "table.caption")


def titled_table(title: str, *columns: str) -> PlainTable:
    """An empty table of the command line: the first column names, the others count."""
    heading = plain(title, "bold")
    # a title may be wider than its table
    heading.no_wrap, heading.overflow = True, "ignore"
    table = PlainTable(title=heading, title_justify="left", header_style="dim", show_header=any(columns))
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    return table


def mark_of(result: Mapping[str, object]) -> str:
    """The mark at the start of every title where the orders are simulated."""
    return "SIMULATED · " if result.get("simulated") else ""


def print_report(report: RunReport | LandingReport, console: Console) -> None:
    """Print a run's report: the data in the order of their way, then models, costs and where to look next."""
    mark = mark_of(report)
    for table in (
        _counts(report, mark),
        _rejected(report, mark),
        _notices(report["notices"], mark),
        _cancellations(report, mark),
        _borders(report, mark),
        _classes(report, mark),
    ):
        # nothing to show: nothing was rejected
        if table.row_count:
            console.print(table)
    for gate, note in report["gate_notes"].items():
        say(console, f"gate {gate}: {note}")
    if any(model["model_id"] for model in report["models"]):
        print_models(report["models"], console, mark)
        questions: dict[str, list[str]] = {}
        for answer in report["answers"]:
            if answer["note"]:
                questions.setdefault(answer["note"], []).append(answer["question"])
        for note, of in questions.items():
            say(console, f"{', '.join(of)}: {note}")
    if model_note := report.get("model_note"):
        say(console, f"No model: {model_note}")
    console.print(_costs(report, mark))
    names = {
        "published": "published warehouse",
        "evaluations": "evaluations",
        "data_docs": "data docs",
        "dbt_docs": "dbt docs",
    }
    for key, path in report["paths"].items():
        say(console, f"  {path}", head=names[key], wraps=False)
    say(console, "\nNext:")
    for command, what in (
        (
            ".venv/bin/goodstanding profile ID",
            f"one customer; ID as the column {report['customer_column']} has it",
        ),
        *([] if "train" in {step["step"] for step in report["steps"]} else [TRAIN]),
        (".venv/bin/goodstanding status", "the last good day, its age, its gates"),
        ("make up", "the Airflow UI: runs, backfills, logs"),
    ):
        say(console, f"  {command:<38} {what}")


def _counts(report: RunReport, mark: str) -> PlainTable:
    table = titled_table(f"{mark}Every customer's standing as of {report['as_of']}", "", "")
    outcomes, others = report["outcomes"], report["lines"] - report["order_lines"]
    for name, value in (
        ("days", report["days"]),
        ("files", report["files"]),
        ("order lines", report["order_lines"]),
        *([("other lines", others)] if others else []),
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
    return table


def _rejected(report: RunReport, mark: str) -> PlainTable:
    table = titled_table(f"{mark}Rejected lines (raw.rejected_order_lines)", "reason", "lines")
    for row in report["rejected_reasons"]:
        table.add_row(row["reason"], f"{row['lines']:,}")
    return table


def _notices(notices: Sequence[NoticeGroup], mark: str) -> PlainTable:
    """The newest notices, as many as fit a screen."""
    table = titled_table(
        f"{mark}Noticed, and stopped nothing (marts.notices)", "what", "lines", "days", "last at"
    )
    for row in notices[:SHOWN_NOTICES]:
        table.add_row(row["message"], f"{row['lines']:,}", f"{row['days']:,}", row["example"])
    if len(notices) > SHOWN_NOTICES:
        table.add_caption(f"and {len(notices) - SHOWN_NOTICES} more: see --json, or marts.notices")
    return table


def _cancellations(report: RunReport, mark: str) -> PlainTable:
    title = f"{mark}Cancellation lines, by the rule that found their purchase"
    table = titled_table(title, "rule", "lines", "units", "matched")
    for row in report["cancellation_rules"]:
        table.add_row(row["rule"], f"{row['lines']:,}", f"{row['units']:,}", f"{row['matched_units']:,}")
    return table


def _borders(report: RunReport, mark: str) -> PlainTable:
    table = titled_table(f"{mark}Borders of the quarters", "measure", "25 %", "50 %", "75 %")
    for row in report["borders"]:
        table.add_row(row["measure"], f"{row['q25']:,.2f}", f"{row['q50']:,.2f}", f"{row['q75']:,.2f}")
    return table


def _classes(report: RunReport, mark: str) -> PlainTable:
    table = titled_table(f"{mark}Customers per class", "class", "customers", "share")
    for name, count in report["classes"].items():
        table.add_row(name, f"{count:,}", f"{count / max(report['customers'], 1):.1%}")
    if report["worst_by_rule"]:
        table.add_caption(f"{report['worst_by_rule']} of Worst by rule: no invoice of theirs still counts")
    return table


def _costs(report: RunReport, mark: str) -> PlainTable:
    title = f"{mark}Cost of each step, in this call"
    table = titled_table(title, "step", "runs", "seconds", "median", "peak MB")
    for row in report["steps"]:
        table.add_row(
            row["step"],
            str(row["runs"]),
            f"{row['seconds']:.2f}",
            f"{row['median_seconds']:.2f}",
            f"{row['peak_mb']:.0f}",
        )
    return table


def print_models(models: Sequence[ModelInUse], console: Console, mark: str = "") -> None:
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
            "" if is_baseline or model["gain"] is None else interval(model["gain"], "+.3f"),
            "" if is_baseline else model["baseline"],
            *(f"{measures[name][0]:.3f}" for name in ("brier", "ece")),
        )
    table.add_caption(
        "On the future of rolling cuts, with 95 % intervals. All methods: goodstanding evaluate"
    )
    table.caption_justify = "left"
    console.print(table)


def print_refused(refused: Mapping[str, str], console: Console) -> None:
    """Print for which questions a training fitted nothing; each reason names its question."""
    for why in refused.values():
        say(console, f"not fitted: {why}")


def print_training(training: TrainingReport, console: Console) -> None:
    """Print the models of every question after a training, and why some have no new one."""
    print_models(training["models"], console)
    print_refused(training["refused"], console)


def print_check(checked: LandingCheck, console: Console) -> None:
    """Print what a run would find in the landing."""
    table = titled_table(f"{checked['first_day']} to {checked['last_day']}", "", "")
    for name in ("files", "lines", "orders", "customers"):
        table.add_row(name, f"{checked[name]:,}")
    come = checked["reconciled"]
    if come["orders"] or come["off"]:
        table.add_row("orders that come to their total", f"{come['orders']:,}")
        table.add_row("  that do not", f"{come['off']:,}")
    console.print(table)
    if checked["set_aside"]:
        table = titled_table("Not taken in", "why", "lines")
        for reason, lines in checked["set_aside"].items():
            table.add_row(reason, f"{lines:,}")
        console.print(table)
    table = titled_table("Files", "name", "lines", "orders", "off", "first day", "last day")
    for file in checked["by_file"][:SHOWN_FILES]:
        cells = ("lines", "orders", "off", "first_day", "last_day")
        table.add_row(file["name"], *("" if file[cell] is None else str(file[cell]) for cell in cells))  # type: ignore[literal-required]
    if len(checked["by_file"]) > SHOWN_FILES:
        table.add_caption(f"and {len(checked['by_file']) - SHOWN_FILES} more: see --json")
    console.print(table)


def print_rollback(rollback: Rollback, console: Console) -> None:
    """Print what `ml.champions.roll_back` did."""
    say(
        console,
        f"{rollback['target']}: {rollback['champion']} is in use again, as of {rollback['since']}, "
        f"instead of {rollback['instead_of']}; "
        f"{len(rollback['withdrawn'])} cards were moved to folders named withdrawn",
    )
    if rollback["model_id"]:
        say(console, f"from the next run on {rollback['model_id']} scores")
    else:
        say(console, "no model of it is left: .venv/bin/goodstanding train")


def print_profile(profile: Profile, console: Console) -> None:
    """Print one customer's profile."""
    table = titled_table(f"{mark_of(profile)}Standing as of {profile['as_of']}", "", "")
    for name, value in profile.items():
        if value is not None and name not in ("as_of", "simulated"):
            table.add_row(name.replace("_", " "), f"{value:.3f}" if isinstance(value, float) else str(value))
    console.print(table)


def print_as_known(built: AsKnown, console: Console) -> None:
    """Print the classes as of a past day as they were known then, and where the marts lie."""
    title = f"{mark_of(built)}Standing as of {built['as_of']}, as known at the end of {built['known_on']}"
    table = titled_table(title, "class", "customers")
    for name, count in built["classes"].items():
        table.add_row(name, f"{count:,}")
    console.print(table)
    if built["left_out"]:
        days = ", ".join(str(day) for day in built["left_out"])
        say(console, f"left out, as they had not passed the gate of raw orders: {days}")
    say(console, f"  {built['path']}", head="marts", wraps=False)


def print_status(status: Status, console: Console) -> None:
    """Print the state of the publication."""
    if status["last_good_day"] is None:
        say(console, "nothing is published yet; run `goodstanding run`")
    else:
        table = titled_table(f"{mark_of(status)}Last good day {status['last_good_day']}", "", "")
        table.add_row("age", f"{status['age_days']:,} days")
        table.add_row("published", f"{status['published_at']:%Y-%m-%d %H:%M} UTC")
        table.add_row("by run", status["run_id"])
        for gate in GATES:
            said = "passed" if status["gates"].get(gate) else "no verdict"
            note = status["gate_notes"].get(gate)
            table.add_row(f"gate {gate}", f"{said}; {note}" if note else said)
        for answer in status["answers"]:
            drift = f"{answer['value']:.2f} of {answer['allowed']:.2f}" if answer["name"] else ""
            said = f"answered; greatest drift {drift}, in bounds ({answer['name']})"
            if answer["note"]:
                said = f"{said}; {answer['note']}" if answer["model_id"] else answer["note"]
            table.add_row(answer["question"], said)
        console.print(table)
        if status["notices"]:
            console.print(_notices(status["notices"], mark_of(status)))
    if status["running"]:
        since = f"; of {status['waiting_as_of']:%Y-%m-%d %H:%M:%S} UTC:" if status["waiting"] else ""
        say(console, f"a run is writing now{since}")
    if status["waiting"] is None:
        say(console, "which days wait is known after the next step of a run")
    days_by_reason: dict[str, list[date]] = {}
    for day in status["waiting"] or []:
        why = "not through its gates yet"
        if day["failed_gate"]:
            why = f"failed the gate of {day['failed_gate']}: {day['message']}"
        days_by_reason.setdefault(why, []).append(day["day"])
    for why, days in days_by_reason.items():
        say(console, f"waiting for {in_words(days)}: {why}")
