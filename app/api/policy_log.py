"""Keeps the log of all changes of the policy: append-only, a JSON object a line, in one file of the home.

Each entry has the hash of the one before, so an edit is noticed, and so is a line taken out. A cut at the end
is noticed by whoever knows a later hash: a process that answers, the receipts (`policy_heads`), and people
who have written down the last hash that `goodstanding policy log` shows. What is in force follows from the
log alone (`app.api.policy_book`). The file is replaced as a whole under a lock, so no reader sees half an
entry.

The time of the log does not run back: an entry made while the clock is behind has the time of the one before,
unless that is so far ahead that the clock was wrong then.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import FileLock

from goodstanding.core.durable import write_in_place
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.vocabulary import now_utc

FILE = "log.jsonl"
# What stands for the hash before the first entry.
BEFORE_FIRST = "0" * 64
# A note is kept for good, so it must name nobody.
PHONE = re.compile(r"(?:\+|(?<![\w.,])00)[ (]*[1-9](?:[ ()./-]*\d){7,}")
LONGEST_NOTE = 500
# An entry that is further ahead of the clock was made under a wrong one.
FURTHEST_AHEAD = timedelta(days=31)
# That entries which were seen are gone for good.
LOSS_ACCEPTED = "loss_accepted"
# The number of an entry, and its hash or how that begins.
Head = tuple[int, str]


@dataclass(frozen=True)
class Change:
    """What is to be written into the log.

    Attributes:
        who: an officer by name, or `uid:N` where no officer is asked for.
        what: the kind of change, like switched_off.
        subject: what is changed: a method, a version, an officer.
        before: what held until then, in plain values for JSON; None where there was nothing.
        after: what holds from then on, likewise.
        note: why, in the words of who made it.
    """

    who: str
    what: str
    subject: str
    before: Any
    after: Any
    note: str = ""


@dataclass(frozen=True)
class Entry(Change):
    """A change as the log has it.

    Attributes:
        number: 1 for the first.
        at: in UTC, as ISO 8601, by `not_before`.
        clock: what the clock of the machine said, likewise.
        uid: the user of the operating system who ran the command, by number.
        previous: the hash of the entry before.
        hash: SHA-256 of all others.
    """

    number: int = 0
    at: str = ""
    clock: str = ""
    uid: int = 0
    previous: str = BEFORE_FIRST
    hash: str = field(default="", compare=False)

    @property
    def moment(self) -> datetime:
        """When it was made, in UTC."""
        return datetime.fromisoformat(self.at)


def read_log(folder: Path) -> tuple[Entry, ...]:
    """All entries, the oldest first; none where nothing was ever changed.

    Raises:
        DataProblem: the file cannot be read, or was edited; names its line.
    """
    path = folder / FILE
    content = _content(path)
    if content is None:
        return ()
    entries: list[Entry] = []
    if not content.endswith(b"\n"):
        raise _broken(path, content.count(b"\n") + 1, "has no end")
    for number, line in enumerate(content.splitlines(), 1):
        entry = _parsed(line)
        if entry is None:
            raise _broken(path, number, "is no entry")
        before = entries[-1] if entries else None
        if entry.hash != _hash(entry) or entry.number != number:
            raise _broken(path, number, "was edited")
        if entry.previous != (before.hash if before else BEFORE_FIRST):
            raise _broken(path, number, "does not follow the line before")
        entries.append(entry)
    return tuple(entries)


def whole_entries(folder: Path) -> tuple[Entry, ...]:
    """The entries that are whole each by itself, whatever stands around them.

    Raises:
        DataProblem: the file cannot be read.
    """
    found = [_parsed(line) for line in (_content(folder / FILE) or b"").splitlines()]
    return tuple(entry for entry in found if entry and entry.hash == _hash(entry))


def not_before(entries: Sequence[Entry], clock: datetime) -> datetime:
    """The moment by a clock (UTC); that of the last entry where the clock is behind it.

    An entry of next year tells that the clock was wrong, and not that this year is over.
    """
    last = entries[-1].moment if entries else clock
    return last if clock < last < clock + FURTHEST_AHEAD else clock


def require_heads(entries: Sequence[Entry], seen: Sequence[Head]) -> None:
    """Refuse a log that lacks a head which was seen earlier.

    Raises:
        DataProblem: it was cut at its end, or written anew.
    """
    for number, _ in missing_heads(entries, seen)[:1]:
        there = len(entries)
        how = f"another entry {number}" if number <= there else f"{there} entries and no entry {number}"
        raise DataProblem(
            f"the log of policy changes has {how} where one was seen: it was cut or written anew; put it "
            "back from a backup, and find out who wrote to it"
        )


def missing_heads(entries: Sequence[Entry], seen: Sequence[Head]) -> list[Head]:
    """The heads that were seen and are not in a log; without those whose loss it accepts."""
    accepted = [head for entry in entries if entry.what == LOSS_ACCEPTED for head in entry.before]
    return [
        (number, head)
        for number, head in seen
        if not (number <= len(entries) and entries[number - 1].hash.startswith(head))
        and [number, head] not in accepted
    ]


class Writer:
    """The log while it is written: nobody else can write.

    Attributes:
        entries: all of it; of a damaged log, those that are whole.
        damage: what is wrong with it, or None.
    """

    def __init__(self, path: Path, entries: Sequence[Entry], damage: str | None = None) -> None:
        self._path = path
        self.entries, self.damage = tuple(entries), damage

    @property
    def at(self) -> datetime:
        """The time that a new entry would have, in UTC."""
        return not_before(self.entries, now_utc())

    def append(self, change: Change) -> Entry:
        """Write one more entry, which is on the disk when this returns.

        Raises:
            WrongUse: its note is refused by `require_note`.
        """
        require_note(change.note)
        last = self.entries[-1] if self.entries else None
        clock = now_utc()
        entry = Entry(
            **vars(change),
            number=len(self.entries) + 1,
            at=not_before(self.entries, clock).isoformat(timespec="microseconds"),
            clock=clock.isoformat(timespec="microseconds"),
            uid=os.getuid(),
            previous=last.hash if last else BEFORE_FIRST,
        )
        entry = replace(entry, hash=_hash(entry))
        self.entries = (*self.entries, entry)
        # what is there stays as it is, damaged or not
        there = _content(self._path) or b""
        end = b"" if there.endswith(b"\n") or not there else b"\n"
        write_in_place(self._path, there + end + _json(vars(entry)).encode() + b"\n")
        return entry


@contextmanager
def writing(folder: Path, damaged: bool = False) -> Iterator[Writer]:
    """The log, to be written by this process alone; with `damaged` a log that was edited, too.

    Raises:
        DataProblem: the log was edited, so nothing is added to it.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(folder / "log.lock"):
        try:
            entries, damage = read_log(folder), None
        except DataProblem as error:
            if not damaged:
                raise
            entries, damage = whole_entries(folder), str(error)
        yield Writer(folder / FILE, entries, damage)


def require_note(note: str) -> None:
    """Refuse a note that may not be kept.

    Raises:
        WrongUse: it is too long, has several lines or signs that are not seen, or holds an e-mail address, a
            name with an @, or a phone number.
    """
    # wide signs and the like as they are read
    seen = unicodedata.normalize("NFKC", note)
    for found, what in (
        ("@" in seen, "e-mail address or name with an @"),
        (PHONE.search(seen), "phone number"),
    ):
        if found:
            raise WrongUse(f"a note is kept for good and names nobody: leave out the {what}")
    if len(note) > LONGEST_NOTE or not seen.isprintable():
        raise WrongUse(
            f"a note has one line of at most {LONGEST_NOTE} characters, none of them a control character"
        )


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataProblem(f"{_name(path)}: cannot be read: {error}") from None


def _parsed(line: bytes) -> Entry | None:
    try:
        entry = Entry(**json.loads(line))
        return entry if isinstance(entry.subject, str) and entry.moment else None
    except (ValueError, TypeError):
        return None


def _broken(path: Path, line: int, how: str) -> DataProblem:
    return DataProblem(
        f"{_name(path)}:{line}: {how}: the log of policy changes was edited or damaged; put it back from a "
        "backup, and find out who wrote to it"
    )


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _hash(entry: Entry) -> str:
    content = {name: value for name, value in vars(entry).items() if name != "hash"}
    return hashlib.sha256(_json(content).encode()).hexdigest()


def _json(content: Any) -> str:
    # of no line end and no sign beyond ASCII, so that a line is a line to every reader
    return json.dumps(content, sort_keys=True, separators=(",", ":"))
