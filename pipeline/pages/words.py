"""Formats figures and reasons for people, the same on pages and in the tables of the command line."""

from __future__ import annotations

from collections.abc import Sequence


def number(value: float, form: str = ".3f") -> str:
    """A number as a page shows it: with a space, at which no line breaks, before the sign of per cent."""
    return format(value, form).replace("%", "\N{NO-BREAK SPACE}%")


def interval(measured: Sequence[float], form: str = ".3f") -> str:
    """A value with its interval, given as (value, low, high): 0.754 [0.740, 0.767]."""
    value, low, high = measured
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def bounds(measured: Sequence[float], form: str = ".3f") -> str:
    """The interval alone of (value, low, high): [0.740, 0.767]."""
    _, low, high = measured
    return f"[{number(low, form)}, {number(high, form)}]"


def what_is_enough(reason: str) -> tuple[str, str]:
    """Why something was not measured, in two parts: what is needed, and what would be enough.

    The second part is empty where the reason does not say it.
    """
    needed, _, enough = reason.rpartition("; ")
    return (needed, enough) if needed else (reason, "")
