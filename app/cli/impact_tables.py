"""Prints the result of `goodstanding dbt impact` as tables, or as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TypedDict

from rich.console import Console

from app.api.impact import DecisionChange
from app.cli.shown import say
from app.cli.tables import titled_table
from app.cli.workbench_tables import change_lines
from pipeline.workbench.impact import ClassChanges, TouchedModel

NOTE = "Models are not trained again: predictions and fitted scorecards are the same on both sides."


class Impact(TypedDict):
    """The effect of a change of the SQL."""

    #: as it was named, and where the working tree's history left it
    base: str
    commit: str
    #: the newest published day, of which classes and decisions are compared
    as_of: date
    simulated: bool
    models: list[TouchedModel]
    #: None where a version has no classes any more
    classes: ClassChanges | None
    decisions: list[DecisionChange]


def print_impact(impact: Impact, console: Console) -> None:
    """Print what a change of the SQL changes as tables, and under them some of the keys that change."""
    say(console, _title(impact), "bold", wraps=False)
    for title, columns, cells in _parts(impact):
        table = titled_table(title, *columns)
        for row in cells:
            table.add_row(*row)
        console.print(table)
    for text in _details(impact):
        say(console, text, wraps=False)


def impact_markdown(impact: Impact) -> str:
    """The same as Markdown."""
    lines = [f"### {_title(impact)}", ""]
    for title, columns, rows in _parts(impact):
        lines += [
            f"**{title}**",
            "",
            f"| {' | '.join(columns)} |",
            f"| --- |{' ---: |' * (len(columns) - 1)}",
        ]
        lines += [f"| {' | '.join(row)} |" for row in rows]
        lines.append("")
    details = _details(impact)
    if details:
        lines += [
            "<details><summary>Keys that change</summary>",
            "",
            "```",
            *details,
            "```",
            "",
            "</details>",
            "",
        ]
    return "\n".join(lines)


def _title(impact: Impact) -> str:
    mark = "SIMULATED: " if impact["simulated"] else ""
    models = impact["models"]
    if not models:
        return f"{mark}No model is touched since {impact['base']} ({impact['commit'][:10]})"
    return (
        f"{mark}{len(models)} model(s) touched since {impact['base']} ({impact['commit'][:10]}), "
        f"on the data as of {impact['as_of']}"
    )


def _parts(impact: Impact) -> list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """The tables: title, columns and rows."""
    if not impact["models"]:
        return []
    parts: list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]] = [
        (
            "Models",
            ("model", "", "rows", "columns", "keys changed", "added", "removed"),
            [_model_row(model) for model in impact["models"]],
        )
    ]
    classes = impact["classes"]
    if classes:
        rows: list[tuple[str, ...]] = [
            ("another class", f"{classes['other_class']:,}"),
            *(
                (f"{move['before'] or 'no class'} to {move['after'] or 'no class'}", f"{move['customers']:,}")
                for move in classes["moves"]
            ),
            ("another credit score", f"{classes['other_score']:,}"),
            ("lower, higher", f"{classes['score_falls']:,}, {classes['score_rises']:,}"),
            ("mean change over all", f"{classes['mean_score_change']:+.4f}"),
            ("largest change", f"{classes['largest_score_change']:+d}"),
        ]
        parts.append(
            (f"Classes and credit scores of {classes['customers']:,} customers", ("", "customers"), rows)
        )
    parts.append(
        (
            f"Decisions on {impact['decisions'][0]['customers']:,} customers"
            if impact["decisions"]
            else "Decisions",
            ("decision, basket", "changed", "gain a yes", "lose a yes", "yes", "another limit"),
            [
                (
                    f"{change['decision']} {change['basket']}",
                    f"{change['changed']:,}",
                    f"{change['gain']:,}",
                    f"{change['lose']:,}",
                    f"{change['yes_before']:,} to {change['yes_after']:,}",
                    f"{change['other_limit']:,}",
                )
                for change in impact["decisions"]
            ],
        )
    )
    return parts


def _model_row(model: TouchedModel) -> tuple[str, ...]:
    change = model["change"]
    if change is None:
        return model["name"], model["kind"], "", "", "", "", ""
    before = "" if change["rows_before"] is None else f"{change['rows_before']:,} to "
    columns = [f"+{name}" for name in change["added_columns"]]
    columns += [f"-{name}" for name in change["removed_columns"]]
    columns += [f"{column['column']}: {column['after']}" for column in change["retyped_columns"]]
    return (
        model["name"],
        model["kind"],
        f"{before}{change['rows_after']:,}",
        ", ".join(columns),
        f"{change['changed']:,}",
        f"{change['added']:,}",
        f"{change['removed']:,}",
    )


def _details(impact: Impact) -> list[str]:
    lines: list[str] = []
    for model in impact["models"]:
        if model["change"] and model["change"]["examples"]:
            lines += change_lines(model["change"])
    lines += _decision_lines(impact["decisions"])
    return [*lines, NOTE] if impact["models"] else []


def _decision_lines(decisions: Sequence[DecisionChange]) -> list[str]:
    lines = []
    for change in decisions:
        if change["moves"]:
            moves = ", ".join(f"{move} {count:,}" for move, count in change["moves"].items())
            lines.append(f"{change['decision']} {change['basket']}: {moves}")
            lines += [
                f"    {example['customer_id']}: {example['before']} to {example['after']}, "
                f"limit {example['limit_before']} to {example['limit_after']}"
                for example in change["examples"]
            ]
    return lines
