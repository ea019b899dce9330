"""Figures as people read them, the same on pages and in the tables of the command line."""

from __future__ import annotations

from collections.abc import Sequence


def interval(measured: Sequence[float], form: str = ".3f") -> str:
    """A value with its interval, for people: 0.754 [0.740, 0.767]."""
    value, low, high = measured
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"
