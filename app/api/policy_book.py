"""What is in force of the policy by the log of its changes: officers, switches, approved versions.

A process that answers looks at the log's file at each request, which costs a `stat`, and reads it again when
it has changed. So a switch counts from the next request on in all workers, whatever is published, and after
every restart. A log that was edited, cut or removed under a running process is not taken up: what held last
stays in force, and `problem` says so. Only what it newly switches off counts all the same, as a switch waits
for no repair.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from functools import cached_property, lru_cache
from pathlib import Path

from app.api.policy_log import (
    BEFORE_FIRST,
    FILE,
    LOSS_ACCEPTED,
    Entry,
    Head,
    not_before,
    read_log,
    require_heads,
    whole_entries,
)
from app.api.published import Stamp, stamp_of
from goodstanding.core.errors import DataProblem, GoodstandingError
from goodstanding.core.vocabulary import now_utc
from goodstanding.decisions.differences import parsed
from goodstanding.decisions.policy import CHALLENGER, DECISIONS, LIVE, SHADOW, Policy, in_effect
from goodstanding.decisions.scorecard import Scorecard

log = logging.getLogger(__name__)

OFFICER_NEW, OFFICER_ENDED = "officer_new", "officer_ended"
SWITCHED_OFF, ON_ASKED, SWITCHED_ON = "switched_off", "switch_on_asked", "switched_on"
DRAFTED, APPROVED, ENDED = "drafted", "approved", "ended"


@dataclass(frozen=True)
class Draft:
    """A version that waits for an approval.

    Attributes:
        entry: by which it was drafted.
    """

    entry: Entry

    @property
    def author(self) -> str:
        """The officer who drafted it."""
        return self.entry.who

    @property
    def follows(self) -> str:
        """The hash of the version from which it differs."""
        return str(self.entry.after["follows"]["hash"])


@dataclass(frozen=True)
class Approved:
    """A version that two officers let hold from a moment on.

    Attributes:
        entry: by which it was approved.
    """

    entry: Entry

    @property
    def version(self) -> str:
        """Its name."""
        return self.entry.subject

    @property
    def mode(self) -> str:
        """One of `policy.MODES`."""
        return str(self.entry.after["mode"])

    @property
    def share(self) -> Decimal | None:
        """Of a challenger, the share of customers whom it answers."""
        share = self.entry.after["share"]
        return None if share is None else Decimal(share)

    @cached_property
    def effective_at(self) -> datetime:
        """From when on it holds, in UTC."""
        return datetime.fromisoformat(self.entry.after["effective_at"])

    @property
    def follows(self) -> str:
        """The hash of the version from which it differs."""
        return str(self.entry.after["follows"])

    @cached_property
    def policy(self) -> Policy:
        """The version itself.

        Raises:
            DataProblem: this release cannot read it.
        """
        try:
            return _parsed(json.dumps(self.entry.after["rows"]))
        except GoodstandingError as error:
            raise DataProblem(
                f"version {self.version}, approved by entry {self.entry.number} of the log of policy "
                f"changes, cannot be used by this release: {error}; go back to the release before, or "
                "publish a policy.csv with a version that begins later"
            ) from None

    @cached_property
    def problem(self) -> str | None:
        """Why this release cannot read it, or None."""
        try:
            _ = self.policy
        except DataProblem as error:
            return str(error)
        return None


@lru_cache(maxsize=256)
def _parsed(rows: str) -> Policy:
    # kept over changes of the log, at each of which all entries are read again
    return parsed(json.loads(rows))


@dataclass(frozen=True)
class State:
    """What the entries of a log say together.

    Attributes:
        entries: all of them, the oldest first.
        officers: SHA-256 of the key of each officer who has not ended, by name.
        were_officers: the names of all who ever were.
        switched_off: the entry by which a method is off, by method.
        on_asked: the entry by which an officer asked to switch a method on again, by method.
        drafts: those that wait for an approval, by version.
        approved_versions: those that have not ended, in the order of their approval, by version.
        approved_names: the names of all versions that ever were approved.
    """

    entries: tuple[Entry, ...] = ()
    officers: Mapping[str, str] = field(default_factory=dict)
    were_officers: frozenset[str] = frozenset()
    switched_off: Mapping[str, Entry] = field(default_factory=dict)
    on_asked: Mapping[str, Entry] = field(default_factory=dict)
    drafts: Mapping[str, Draft] = field(default_factory=dict)
    approved_versions: Mapping[str, Approved] = field(default_factory=dict)
    approved_names: frozenset[str] = frozenset()

    @property
    def head(self) -> str:
        """The hash of the last entry."""
        return self.entries[-1].hash if self.entries else BEFORE_FIRST

    @property
    def now(self) -> datetime:
        """The present moment in UTC, by `policy_log.not_before`."""
        return not_before(self.entries, now_utc())

    def is_off(self, method: str) -> bool:
        """Whether nothing is granted by a method."""
        return method in self.switched_off

    def newest(self, mode: str, at: datetime) -> Approved | None:
        """The approved version of a mode that began last by a moment, or None."""
        begun = [
            approved
            for approved in self.approved_versions.values()
            if approved.mode == mode and approved.effective_at <= at
        ]
        # of two that begin at once, the one that was approved last
        return max(reversed(begun), key=lambda approved: approved.effective_at, default=None)

    @cached_property
    def cards(self) -> tuple[Scorecard, ...]:
        """The scorecards of the approved versions, whose characteristics are to be loaded."""
        usable = [each for each in self.approved_versions.values() if each.problem is None]
        return tuple(rules.card for version in usable for rules in version.policy.rules.values())

    @cached_property
    def unusable(self) -> Mapping[str, str]:
        """Why this release cannot read versions that hold or will, by version."""
        now = self.now
        return {
            name: problem
            for name, each in self.approved_versions.items()
            if each.effective_at > now or each is self.newest(each.mode, now)
            if (problem := each.problem)
        }

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
    drafts: dict[str, Draft] = {}
    approved: dict[str, Approved] = {}
    names: set[str] = set()
    for entry in entries:
        subject = entry.subject
        if entry.what == OFFICER_NEW:
            officers[subject] = entry.after["key"]
            were.add(subject)
        elif entry.what == OFFICER_ENDED:
            officers.pop(subject, None)
        elif entry.what in (SWITCHED_OFF, LOSS_ACCEPTED):
            # what was off when entries were lost nobody knows, so all is
            for method in DECISIONS if entry.what == LOSS_ACCEPTED else (subject,):
                off[method] = entry
                asked.pop(method, None)
        elif entry.what == ON_ASKED:
            asked[subject] = entry
        elif entry.what == SWITCHED_ON:
            off.pop(subject, None)
            asked.pop(subject, None)
        elif entry.what == DRAFTED:
            drafts[subject] = Draft(entry)
        elif entry.what == APPROVED:
            drafts.pop(subject, None)
            approved[subject] = Approved(entry)
            names.add(subject)
        elif entry.what == ENDED:
            drafts.pop(subject, None)
            approved.pop(subject, None)
    return State(
        *(tuple(entries), officers, frozenset(were), off, asked),
        drafts=drafts,
        approved_versions=approved,
        approved_names=frozenset(names),
    )


@dataclass(frozen=True)
class Versions:
    """All versions of the policy: those of the file of policies, and those that officers approved.

    Attributes:
        seeded: those of the file, as published.
        state: of the log of changes.
        zone: of the shop, in which the days of the file begin.
    """

    seeded: tuple[Policy, ...]
    state: State
    zone: tzinfo

    def live(self, day: date, at: datetime) -> Policy | None:
        """The version that answers on a day at a moment (UTC): the one that began last."""
        seeded, approved = in_effect(self.seeded, day), self.state.newest(LIVE, at)
        if approved is None or (seeded and self._begins(seeded) > approved.effective_at):
            return seeded
        return approved.policy

    def shadow(self, day: date, at: datetime) -> Policy | None:
        """The version whose answers are kept in receipts and not shown, or None."""
        approved = self._beside(SHADOW, day, at)
        return approved.policy if approved else in_effect(self.seeded, day, SHADOW)

    def challenger(self, day: date, at: datetime) -> Approved | None:
        """The version that answers a share of the customers, or None."""
        return self._beside(CHALLENGER, day, at)

    def named(self, version: str) -> Policy | None:
        """The version of this name, or None; one that was approved has not ended."""
        if version in self.state.approved_versions:
            return self.state.approved_versions[version].policy
        return next((policy for policy in self.seeded if policy.version == version), None)

    @property
    def names(self) -> list[str]:
        """Of all that are there."""
        return [*(policy.version for policy in self.seeded), *self.state.approved_versions]

    def _beside(self, mode: str, day: date, at: datetime) -> Approved | None:
        """The approved version beside the live one, for as long as that is the one from which it differs."""
        approved = self.state.newest(mode, at)
        if approved is None:
            return None
        if approved.problem:
            # beside the live version it changes no answer, so it stops none
            return None
        live = self.live(day, at)
        return approved if live and approved.follows == live.content_hash else None

    def _begins(self, policy: Policy) -> datetime:
        midnight = datetime.combine(policy.effective_from, time(), self.zone)
        return midnight.astimezone(UTC).replace(tzinfo=None)


class Book:
    """The state of a home's log, read again whenever its file has changed."""

    def __init__(self, folder: Path, seen: Callable[[], Sequence[Head]] = tuple) -> None:
        """Read a log.

        Args:
            folder: in which it lies.
            seen: gives the heads on which answers rested, without which no log is begun with.
        """
        self._folder, self._path, self._seen = folder, folder / FILE, seen
        self._lock = threading.Lock()
        self._tried: Stamp | None = None
        self._state: State | None = None
        self.problem: str | None = None

    @property
    def current(self) -> State:
        """What is in force.

        Raises:
            DataProblem: the log cannot be used, and could not since this process began.
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

    def cards(self) -> tuple[Scorecard, ...]:
        """The scorecards of the approved versions; none where the log cannot be read."""
        try:
            return self.current.cards
        except DataProblem:
            return ()

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
            if self._state is None:
                require_heads(state.entries, self._seen())
            elif not state.follows(self._state):
                raise DataProblem(
                    "the log of policy changes was cut or replaced while it was in use: what held before it "
                    "stays in force"
                )
            news = set(state.unusable) - set(self._state.unusable if self._state else state.unusable)
            if news:
                raise DataProblem(state.unusable[min(news)])
        except (DataProblem, KeyError, TypeError) as error:
            self.problem = str(error)
            log.error("the log of policy changes cannot be used: %s", self.problem)
            if self._state is not None:
                off = _newly_off(self._folder, self._state)
                self._state = replace(self._state, switched_off={**off, **self._state.switched_off})
        else:
            self.problem, self._state = "; ".join(state.unusable.values()) or None, state
        self._tried = stamp


def _newly_off(folder: Path, known: State) -> Mapping[str, Entry]:
    """What is switched off by entries of a log that is not taken up, of those that are not known."""
    try:
        entries = whole_entries(folder)
    except DataProblem:
        return {}
    kinds = (SWITCHED_OFF, LOSS_ACCEPTED)
    return state_of(
        [each for each in entries if each.what in kinds and each not in known.entries]
    ).switched_off
