"""Makes the changes of the policy that its log keeps: officers, switches.

Who is who: an officer has a key, of which the log keeps the hash. A person at the home's machine runs the
commands as one user of the operating system, often the same for all, so that user alone tells nobody apart;
it is kept by number all the same. Two keys can still lie in one hand, which no program can see: keys are
given to two people, and from the third officer on two of them must let another in.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from app.api.policy_book import (
    OFFICER_ENDED,
    OFFICER_NEW,
    ON_ASKED,
    SWITCHED_OFF,
    SWITCHED_ON,
    State,
    state_of,
)
from app.api.policy_log import (
    LOSS_ACCEPTED,
    Change,
    Entry,
    Writer,
    missing_heads,
    read_log,
    require_heads,
    writing,
)
from app.api.receipts import seen_heads
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import Settings

OFFICER_NAME = re.compile(r"[a-z][a-z0-9-]{1,30}")
HEAD = re.compile(r"([1-9][0-9]{0,8}):([0-9a-f]{12,64})")
# So many officers begin without being let in by others.
FIRST_OFFICERS = 2
# How long the first of two who switch on waits for the second.
ASKED_HOURS = 24
ON, OFF = "on", "off"


def new_officer(settings: Settings, name: str, keys: Sequence[str]) -> str:
    """Give a new officer a key, and return it; only its hash is kept.

    Args:
        settings: of the process.
        name: of the role, as no person's name belongs into the log.
        keys: those of the officers who let the new one in: two, once there were two.

    Raises:
        WrongUse: the name is none, was used before, or the keys are not those of two officers.
    """
    if not OFFICER_NAME.fullmatch(name):
        raise WrongUse(
            f"an officer's name of '{name}': write a role like risk-1, of small letters, digits and -"
        )
    key = f"gso_{secrets.token_urlsafe(32)}"
    with changing(settings) as (log, state):
        if name in state.were_officers:
            raise WrongUse(f"there is or was an officer {name}; take another name")
        who = _uid()
        if len(state.were_officers) >= FIRST_OFFICERS:
            who = require_two(state, keys, "let another in")
        log.append(Change(who, OFFICER_NEW, name, None, {"key": _hash(key)}))
    return key


def officers(settings: Settings, ended: bool = False) -> list[str]:
    """The officers whose keys are valid, as they came; with `ended` all there ever were, sorted."""
    state = state_of(read_log(settings.policy))
    return sorted(state.were_officers) if ended else list(state.officers)


def end_officer(settings: Settings, name: str, key: str) -> Entry:
    """End an officer's key at once, by the key of any officer.

    Raises:
        WrongUse: there is no such officer, it is no officer's key, or one officer would be left, who alone
            could let nobody in.
    """
    with changing(settings) as (log, state):
        who = require_officer(state, key)
        if name not in state.officers:
            raise WrongUse(f"there is no officer {name}; there are {', '.join(state.officers)}")
        if len(state.officers) <= FIRST_OFFICERS:
            raise WrongUse(
                f"without {name} fewer than two officers would be left, who let nobody in and approve "
                "nothing: let another in first"
            )
        return log.append(Change(who, OFFICER_ENDED, name, {"key": state.officers[name]}, None))


def switch_off(settings: Settings, method: str, because: str) -> Entry:
    """Grant nothing by a method from now on. Whoever may run commands on the home may: it is the safe side.

    Again, it takes back what an officer has asked for meanwhile. It is written into a damaged log as well,
    where running servers find it; others answer nothing until the log is mended.

    Raises:
        DataProblem: it is off in the servers that run, and the log must be put back, without this entry.
    """
    with writing(settings.policy, damaged=True) as log:
        state = state_of(log.entries)
        before = OFF if state.is_off(method) else ON
        entry = log.append(Change(_uid(), SWITCHED_OFF, method, before, OFF, because))
        try:
            if log.damage:
                raise DataProblem(log.damage)
            require_heads(log.entries, seen_heads(settings.receipts))
        except DataProblem as error:
            raise DataProblem(
                f"nothing is granted by {method} from now on, but {error}. Then switch {method} off again: "
                "a log that is put back does not have it"
            ) from None
        return entry


def switch_on(settings: Settings, method: str, key: str, because: str) -> Entry:
    """Grant by a method again, once a second officer asks for it within `ASKED_HOURS` of the first.

    Raises:
        WrongUse: the method is on, it is no officer's key, or the same officer asks twice.
    """
    with changing(settings) as (log, state):
        who = require_officer(state, key)
        if not state.is_off(method):
            raise WrongUse(f"{method} is on")
        asked = state.on_asked.get(method)
        # by a clock that was ahead then, it was asked for at no moment that is known
        if asked and abs(log.at - asked.moment) > timedelta(hours=ASKED_HOURS):
            asked = None
        if asked and asked.who not in state.officers:
            asked = None
        if asked is None:
            return log.append(Change(who, ON_ASKED, method, OFF, OFF, because))
        if asked.who == who:
            raise WrongUse(f"{who} has asked for it already: another officer must, too")
        return log.append(Change(f"{asked.who} and {who}", SWITCHED_ON, method, OFF, ON, because))


def checked_log(settings: Settings, noted: Sequence[str] = ()) -> tuple[Entry, ...]:
    """All entries of the log, once they are found whole.

    Args:
        settings: of the process.
        noted: heads that people have written down, like 12:5d3f0c7f1a5b.

    Raises:
        DataProblem: an entry was edited, or one that was seen is missing.
        WrongUse: a head is written otherwise.
    """
    entries = read_log(settings.policy)
    heads = []
    for text in noted:
        if not (match := HEAD.fullmatch(text)):
            raise WrongUse(f"a head of '{text}': write the number and the hash, like 12:5d3f0c7f1a5b")
        heads.append((int(match[1]), match[2]))
    require_heads(entries, [*seen_heads(settings.receipts), *heads])
    return entries


def accept_loss(settings: Settings, because: str) -> Entry:
    """Go on without entries of the log that are gone for good; all methods are off until switched on.

    Raises:
        WrongUse: nothing that was seen is missing.
    """
    with writing(settings.policy) as log:
        lost = missing_heads(log.entries, seen_heads(settings.receipts))
        if not lost:
            raise WrongUse("the log of policy changes has all that was seen: there is no loss to accept")
        return log.append(Change(_uid(), LOSS_ACCEPTED, "log", [list(head) for head in lost], None, because))


@contextmanager
def changing(settings: Settings) -> Iterator[tuple[Writer, State]]:
    """The log and what is in force by it, to be changed by this process alone.

    Raises:
        DataProblem: the log was edited, or lacks an entry on which an answer rested, so that running servers
            would not take the change up.
    """
    with writing(settings.policy) as log:
        require_heads(log.entries, seen_heads(settings.receipts))
        yield log, state_of(log.entries)


def require_officer(state: State, key: str) -> str:
    """The officer who has this key.

    Raises:
        WrongUse: nobody has.
    """
    name = state.officer(key)
    if name is None:
        raise WrongUse(
            "this is no officer's key; `goodstanding policy officer-new ROLE` makes one"
            if len(state.officers) < FIRST_OFFICERS
            else "this is no officer's key"
        )
    return name


def require_two(state: State, keys: Sequence[str], do: str) -> str:
    """The names of the two officers who have these keys.

    Args:
        state: of the log.
        keys: as they were given.
        do: what the two are needed for.

    Raises:
        WrongUse: a key is no officer's, or all are of one.
    """
    names = sorted({require_officer(state, key) for key in keys})
    if len(names) < FIRST_OFFICERS:
        raise WrongUse(f"two officers {do}: give the keys of both")
    return " and ".join(names)


def _uid() -> str:
    return f"uid:{os.getuid()}"


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
