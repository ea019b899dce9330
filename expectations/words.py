"""What the gates say: the message of a gate that stops days, and what one that passes them did not judge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goodstanding.core.days import in_words

if TYPE_CHECKING:
    from expectations.gate import BatchResult, Check, Observed
    from expectations.suite import Told

NAMED_FAILURES = 5


def message(
    gate: str, failed_days: Sequence[date], failed: list[tuple[str, Check]], count: int, path: Path
) -> str:
    """Which days a gate stops, by which expectations, how far they are off, and why."""
    parts = [_named(batch, check) for batch, check in failed[:NAMED_FAILURES]]
    if len(failed) > NAMED_FAILURES:
        parts.append(f"and {len(failed) - NAMED_FAILURES} more")
    return (
        f"gate {gate} stops {in_words(failed_days)}: {len(failed)} of {count} expectations failed: "
        f"{'; '.join(parts)}. Nothing is published. All results: {path}"
    )


def _named(batch: str, check: Check) -> str:
    what = f"{check['type']} on {check['column'] or 'the table'} of the {batch} ({check['text']})"
    if "error" in check:
        return f"{what} could not be judged: {check['error']}"
    figures = f", observed {described(check['observed'])}" if check["observed"] is not None else ""
    if check["usual"] is not None:
        figures += f", usual {described(check['usual'])}"
    causes = "".join(f": {cause}" for cause in check["causes"])
    if not check["keys"]:
        return f"{what}{figures}{causes}"
    such = f"on {in_words(check_days(check))}" if check["by_day"] else f"such as {', '.join(check['keys'])}"
    return f"{what}: {check['unexpected']} of {check['rows']} rows{figures}, {such}{causes}"


def check_days(check: Check) -> list[date]:
    """The days on which a check is not met."""
    return [date.fromisoformat(day) for day in check["failed_days"]]


def notes(batches: Iterable[BatchResult]) -> list[str]:
    """What was not judged, by reason, and what was accepted: a sentence each."""
    batches = list(batches)
    unjudged: dict[str, dict[str, None]] = {}
    for batch in batches:
        for check in batch["checks"]:
            if "not_judged" in check:
                what = check["column"] if batch["rows"] else f"the {batch['name']}"
                unjudged.setdefault(check["not_judged"], {})[what] = None
    return [
        *(f"not judged: {', '.join(columns)} ({reason})" for reason, columns in unjudged.items()),
        *(
            f"accepted: {check['column']} on {entry['days']} by {entry['by']} ({entry['why']})"
            for batch in batches
            for check in batch["checks"]
            for entry in check["accepted"]
        ),
    ]


def told(rows: Iterable[Told]) -> list[str]:
    """What is said of some days beside the verdict: a sentence per topic, those of most lines first."""
    topics: dict[str, list[Told]] = {}
    for row in sorted(rows):
        topics.setdefault(row.topic, []).append(row)
    return [_told_of(topics[topic]) for topic in sorted(topics, key=lambda topic: -_lines(topics[topic]))]


def _lines(rows: list[Told]) -> int:
    return sum(row.lines or 0 for row in rows)


def _told_of(rows: list[Told]) -> str:
    """One topic of some days, the oldest day first."""
    last = rows[-1]
    if last.text is None:
        return f"{last.topic} ({_lines(rows)}, first {rows[0].place})"
    earlier = [row.event_day for row in rows[:-1]]
    return last.text + (f"; it is told of {in_words(earlier)} too" if earlier else "")


def described(observed: Observed) -> str:
    """An observed figure or span, for people: 0.25, or 0.1 to 7.4."""
    if not isinstance(observed, list):
        return figure(observed)
    low, high = (figure(bound) for bound in observed)
    return low if low == high else f"{low} to {high}"


def figure(number: float) -> str:
    """A number for people: 1,632 or 0.069231."""
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.6g}"


def written(value: Any) -> str:
    """A value of a key for people."""
    if hasattr(value, "date"):
        return str(value.date())
    return figure(value) if isinstance(value, float) else str(value)
