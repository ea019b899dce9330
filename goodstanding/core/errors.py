"""The errors that a user can meet. Each message says what is wrong, where, and what to do.

The command line turns them into an exit code without a traceback; the DAGs' retry policy decides by the class
whether a retry can help.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date


class GoodstandingError(Exception):
    """Base of all errors a user may meet; `exit_code` is what the command line returns for it."""

    exit_code = 1


class WrongUse(GoodstandingError):
    """A wrong setting, argument or mapping: nothing was done."""

    exit_code = 2


class MemoryShort(WrongUse):
    """The setting of memory is too small for the work: the same run succeeds once it is raised."""


class DataProblem(GoodstandingError):
    """The data of a day cannot be used as they are; a retry would meet the same data."""


class GateFailed(DataProblem):
    """A quality gate refused a day: the run ends before publish and readers keep the last good day.

    Attributes:
        days: the days that it refuses, of those that it judged.
        notes: what is said of each day that it does not refuse.
        messages: for each day that it refuses, which expectations are not met on it.
    """

    def __init__(
        self,
        message: str,
        days: Sequence[date] = (),
        notes: Mapping[date, Sequence[str]] | None = None,
        messages: Mapping[date, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.days = tuple(days)
        self.notes = notes or {}
        self.messages = {day: (messages or {}).get(day, message) for day in self.days}


class DayNotOver(GoodstandingError):
    """The day is not over in the shop's own time zone: the same run succeeds later."""


class DiskProblem(GoodstandingError):
    """The disk is full or cannot be written: the same run succeeds once that is mended."""


class WarehouseBusy(GoodstandingError):
    """Another process has the working warehouse open: the same run succeeds once it has closed it."""
