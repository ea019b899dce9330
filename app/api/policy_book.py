"""What is in force of the policy by the log of its changes: officers, switches, approved versions.

A process that answers looks at the log's file at each request, which costs a `stat`, and reads it again when
it has changed. So a switch counts from the next request on in all workers, whatever is published, and after
every restart. A log that was edited, cut or removed under a running process is not taken up: what held last
stays in force, and `problem` says so.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from app.api.policy_log import BEFORE_FIRST, FILE, Entry, read_log
from app.api.published import Stamp, stamp_of
from goodstanding.core.errors import DataProblem
from goodstanding.core.vocabulary import now_utc

log = logging.getLogger(__name__)

OFFICER_NEW, OFFICER_ENDED = "officer_new", "officer_ended"
SWITCHED_OFF, ON_ASKED, SWITCHED_ON = "switched_off", "switch_on_asked", "switched_on"


@dataclass(frozen=True)
class State:
    """What the entries of a log say together.

    Attributes:
        entries: all of them, the oldest first.
        officers: SHA-256 of the key of each officer who has not ended, by name.
        were_officers: the names of all who ever were.
        switched_off: the entry by which a method is off, by method.
        on_asked: the entry by which an officer asked to switch a method on again, by method.
    """

    entries: tuple[Entry, ...] = ()
    officers: Mapping[str, str] = field(default_factory=dict)
    were_officers: frozenset[str] = frozenset()
    switched_off: Mapping[str, Entry] = field(default_factory=dict)
    on_asked: Mapping[str, Entry] = field(default_factory=dict)

    @property
    def head(self) -> str:
        """The hash of the last entry."""
        return self.entries[-1].hash if self.entries else BEFORE_FIRST

    @property
    def now(self) -> datetime:
        """The present moment in UTC; where the clock is behind the last entry, that entry's."""
        return max([now_utc(), *(entry.moment for entry in self.entries[-1:])])

    def is_off(self, method: str) -> bool:
        """Whether nothing is granted by a method."""
        return method in self.switched_off

    def officer(self, key: str) -> str | None:
        """The officer who has this key, or None."""
        given = hashlib.sha256(key.encode()).hexdigest()
        names = [name for name, own in self.officers.items() if hmac.compare_digest(own, given)]
        return names[0] if names else None

    def follows(self, earlier: State) -> bool:
        """Whether it says all that an earlier state says, and perhaps more."""
        count = len(earlier.entries)
        return count == 0 or (
            len(self.entries) >= count and self.entries[count - 1].hash == earlier.entries[-1].hash
        )


def state_of(entries: Sequence[Entry]) -> State:
    """What entries say together, in their order."""
    officers: dict[str, str] = {}
    were: set[str] = set()
    off: dict[str, Entry] = {}
    asked: dict[str, Entry] = {}
    for entry in entries:
        subject = entry.subject
        if entry.what == OFFICER_NEW:
            officers[subject] = entry.after["key"]
            were.add(subject)
        elif entry.what == OFFICER_ENDED:
            officers.pop(subject, None)
        elif entry.what == SWITCHED_OFF:
            off[subject] = entry
            asked.pop(subject, None)
        elif entry.what == ON_ASKED:
            asked[subject] = entry
        elif entry.what == SWITCHED_ON:
            off.pop(subject, None)
            asked.pop(subject, None)
    return State(tuple(entries), officers, frozenset(were), off, asked)


class Book:
    """The state of a home's log, read again whenever its file has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / FILE
        self._lock = threading.Lock()
        self._tried: Stamp | None = None
        self._state: State | None = None
        self.problem: str | None = None

    @property
    def current(self) -> State:
        """What is in force.

        Raises:
            DataProblem: the log cannot be read, and could not since this process began.
        """
        try:
            stamp = stamp_of(self._path)
        except OSError:
            stamp = None
        if self._state is None or stamp != self._tried:
            with self._lock:
                self._load(stamp)
        if self._state is None:
            raise DataProblem(f"nothing is answered: {self.problem}")
        return self._state

    def look(self) -> str | None:
        """Why the log that is there now cannot be used; None where it is."""
        try:
            _ = self.current
        except DataProblem:
            return self.problem
        return self.problem

    def _load(self, stamp: Stamp | None) -> None:
        if self._state is not None and stamp == self._tried:
            return
        try:
            state = state_of(read_log(self._folder))
            if self._state is not None and not state.follows(self._state):
                raise DataProblem(
                    "the log of policy changes was cut or replaced while it was in use: what held before it "
                    "stays in force"
                )
        except (DataProblem, KeyError, TypeError) as error:
            self.problem = str(error)
            log.error("the log of policy changes cannot be used: %s", self.problem)
        else:
            self.problem, self._state = None, state
        self._tried = stamp
