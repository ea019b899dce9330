"""Drafts, checks and approves versions of the policy: what differs, from when, and by which two officers.

A draft lies in the log of changes, so nobody edits it unseen: it is drafted anew, with another hash, and an
approval names the hash of the draft that was read. It is approved by an officer who is not its author, and
holds from a stated moment on that is not past, so no answer of before changes. The approval keeps all rows of
the version, whatever becomes of the file of policies.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TypedDict

from app.api.answers import Answers
from app.api.policies import BASKETS, DiffRow, diff
from app.api.policy_book import APPROVED, DRAFTED, ENDED, Draft, State, Versions, state_of
from app.api.policy_changes import changing, require_officer, require_two
from app.api.policy_log import Change, Entry, read_log, require_note
from app.api.published import read_published
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import POLICY, Settings
from goodstanding.decisions.differences import (
    Difference,
    Resolved,
    as_version,
    differences,
    read_differing,
    resolve,
)
from goodstanding.decisions.policy import BASKET, CHALLENGER, LIVE, MODES, PlacedRow, Policy

VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
SHORTEST_HASH = 12


@dataclass(frozen=True)
class Drafting:
    """A version as its author states it.

    Attributes:
        version: a name that no other version has.
        differing: the rows that differ, each with where it stands.
        note: why.
        starts: from when on it holds, in UTC; None: from its approval on.
        mode: one of `policy.MODES`.
        share: of a challenger, the share of customers whom it answers; else None.
    """

    version: str
    differing: Sequence[PlacedRow]
    note: str = ""
    starts: datetime | None = None
    mode: str = LIVE
    share: Decimal | None = None


class Checked(TypedDict):
    """What is wrong with a version, and what it changes against the one that it follows."""

    version: str
    mode: str
    share: str | None
    # from when on, in UTC; None: from its approval on
    starts: str | None
    note: str
    # of a draft in the log: who drafted it, and its hash; None for a file
    author: str | None
    draft: str | None
    # the version that it follows
    follows: str
    faults: list[str]
    differences: list[Difference]
    # who would gain or lose a yes on the last published day; none where nothing is published, or faults are
    effects: list[DiffRow]


def moment_of(settings: Settings, text: str) -> datetime:
    """A moment in UTC from one of the shop's clock like `2026-12-24 08:00`, or with an offset.

    Raises:
        WrongUse: it is no such moment.
    """
    try:
        return Answers(settings).utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        raise WrongUse(f"a moment of '{text}': write it by the shop's clock, like 2026-12-24 08:00") from None


def share_of(text: str) -> Decimal:
    """A share of customers, written like 0.1.

    Raises:
        WrongUse: it is no number.
    """
    try:
        return Decimal(text)
    except InvalidOperation:
        raise WrongUse(f"a share of '{text}': write it like 0.1") from None


def draft(settings: Settings, drafting: Drafting, key: str) -> Entry:
    """Put a version into the log for another officer to approve; drafted again, it takes the earlier's place.

    Raises:
        WrongUse: it is no officer's key, or something is wrong with the version; names all of it.
    """
    answers = Answers(settings)
    with changing(settings) as (log, state):
        author = require_officer(state, key)
        base, resolved = _resolved(settings, answers, state, drafting, log.at)
        if resolved.faults:
            raise WrongUse("; ".join(resolved.faults))
        after = {
            "mode": drafting.mode,
            "share": None if drafting.share is None else str(drafting.share),
            "starts": _iso(drafting.starts),
            "follows": {"version": base.version, "hash": base.content_hash},
            "differing": [row for _, row in drafting.differing],
        }
        earlier = state.drafts.get(drafting.version)
        before = earlier and earlier.entry.hash
        return log.append(Change(author, DRAFTED, drafting.version, before, after, drafting.note))


def check(settings: Settings, name: str) -> Checked:
    """Say all that is wrong with a draft in the log or a file of differences, and what it would change.

    Raises:
        WrongUse: there is no such draft or file.
    """
    answers, state = Answers(settings), state_of(read_log(settings.policy))
    drafted = state.drafts.get(name)
    if drafted is None and name in state.approved_versions:
        raise WrongUse(f"version {name} is approved; `goodstanding policy log` shows what it changed")
    if drafted is None and not (name.endswith(".csv") or "/" in name):
        there = ", ".join(state.drafts) or "none"
        raise WrongUse(f"there is no draft {name} (there are: {there}); name one, or a .csv file")
    drafting = _drafting(drafted) if drafted else Drafting("draft", read_differing(Path(name).expanduser()))
    base, resolved = _resolved(settings, answers, state, drafting, state.now)
    effects: list[DiffRow] = []
    if resolved.policy and settings.publication.exists():
        baskets = [Decimal(basket) for basket in BASKETS]
        effects = diff(settings, base, resolved.policy, baskets)["rows"]
    return {
        "version": drafting.version,
        "mode": drafting.mode,
        "share": None if drafting.share is None else str(drafting.share),
        "starts": _iso(drafting.starts),
        "note": drafting.note,
        "author": drafted.author if drafted else None,
        "draft": drafted.entry.hash if drafted else None,
        "follows": base.version,
        "faults": list(resolved.faults),
        "differences": differences(base, resolved.policy) if resolved.policy else [],
        "effects": effects,
    }


def approve(settings: Settings, version: str, draft_hash: str, key: str) -> Entry:
    """Let a draft hold from its moment on, as an officer who is not its author.

    Args:
        settings: of the process.
        version: of the draft.
        draft_hash: how the hash of the draft begins that was read, as `check` shows it.
        key: of the officer.

    Raises:
        WrongUse: it is no officer's key or the author's, there is no such draft or another one by now, its
            moment is past, or it follows a version that does not hold then any more.
    """
    answers = Answers(settings)
    with changing(settings) as (log, state):
        who = require_officer(state, key)
        drafted = _draft_to_approve(state, version, draft_hash, who)
        drafting = _drafting(drafted)
        if drafting.starts and drafting.starts < log.at:
            raise WrongUse(
                f"draft {version} was to hold from {drafting.starts} UTC on, which is past: draft it again "
                "for a later moment, or without one"
            )
        starts = drafting.starts or log.at
        base, resolved = _resolved(settings, answers, state, drafting, log.at)
        if base.content_hash != drafted.follows:
            raise WrongUse(
                f"draft {version} follows another version than {base.version}, which holds by then: draft it "
                "again, so that nothing is undone unseen"
            )
        if resolved.policy is None:
            raise WrongUse("; ".join(resolved.faults))
        policy = as_version(resolved.policy, version, drafting.mode, answers.day_of(starts))
        after = {
            "draft": drafted.entry.hash,
            "author": drafted.author,
            "mode": drafting.mode,
            "share": None if drafting.share is None else str(drafting.share),
            "effective_at": starts.isoformat(timespec="microseconds"),
            "follows": base.content_hash,
            "differences": differences(base, policy),
            "rows": list(policy.rows),
        }
        return log.append(Change(who, APPROVED, version, base.version, after, drafting.note))


def ends_by_two(settings: Settings, version: str) -> bool:
    """Whether two officers end a version: one that two have approved to answer all."""
    approved = state_of(read_log(settings.policy)).approved_versions.get(version)
    return approved is not None and approved.mode == LIVE


def end(settings: Settings, version: str, keys: Sequence[str], because: str) -> Entry:
    """End a draft, a challenger, a shadow, or a version whose moment has not come; what holds now stays.

    Args:
        settings: of the process.
        version: its name.
        keys: of one officer; of two for a live version that is approved, which no officer alone undoes.
        because: why.

    Raises:
        WrongUse: a key is no officer's, or there is nothing of this version to end.
    """
    with changing(settings) as (log, state):
        approved = state.approved_versions.get(version)
        who = " and ".join(sorted({require_officer(state, key) for key in keys}))
        if approved and approved.mode == LIVE and approved.effective_at <= log.at:
            raise WrongUse(f"version {version} holds: draft and approve one that changes it back")
        if not approved and version not in state.drafts:
            raise WrongUse(f"there is no draft and no approved version {version} that has not ended")
        if approved and approved.mode == LIVE:
            who = require_two(state, keys, f"end version {version}, which two have approved")
        return log.append(Change(who, ENDED, version, approved.mode if approved else "draft", None, because))


def _draft_to_approve(state: State, version: str, draft_hash: str, who: str) -> Draft:
    drafted = state.drafts.get(version)
    if drafted is None:
        is_approved = version in state.approved_versions
        raise WrongUse(
            f"version {version} is approved already" if is_approved else f"there is no draft {version}"
        )
    if len(draft_hash) < SHORTEST_HASH or not drafted.entry.hash.startswith(draft_hash):
        raise WrongUse(
            f"draft {version} is not {draft_hash}: read it by `goodstanding policy check {version}`, and "
            "give the hash that it shows"
        )
    if drafted.author == who:
        raise WrongUse(f"{who} drafted {version}: another officer must approve it")
    if drafted.author not in state.officers:
        raise WrongUse(f"{drafted.author}, who drafted {version}, is an officer no more: draft it again")
    return drafted


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _drafting(drafted: Draft) -> Drafting:
    content = drafted.entry.after
    return Drafting(
        drafted.entry.subject,
        [
            (f"draft {drafted.entry.subject}, row {place}", row)
            for place, row in enumerate(content["differing"], 1)
        ],
        drafted.entry.note,
        content["starts"] and datetime.fromisoformat(content["starts"]),
        content["mode"],
        content["share"] and Decimal(content["share"]),
    )


def _resolved(
    settings: Settings, answers: Answers, state: State, drafting: Drafting, at: datetime
) -> tuple[Policy, Resolved]:
    """The live version that holds once a draft does, and what becomes of it; its faults first."""
    published = read_published(settings.publication, only="")
    versions = answers.versions_of(published, state)
    starts = drafting.starts or at
    base = versions.live(answers.day_of(starts) if drafting.starts else answers.today(), starts)
    if base is None:
        raise DataProblem(f"no policy is in effect then; add a version to {POLICY.name}")
    head = {
        "version": drafting.version,
        "mode": drafting.mode,
        "effective_from": answers.day_of(starts).isoformat(),
        "effective_to": "",
    }
    faults = [*_faults(drafting, versions, state, at)]
    if drafting.mode in MODES:
        resolved = resolve(base, head, drafting.differing)
        faults += resolved.faults
        if resolved.policy and published:
            faults += _not_published(settings, resolved.policy)
        return base, Resolved(None if faults else resolved.policy, tuple(faults))
    return base, Resolved(None, tuple(faults))


def _faults(drafting: Drafting, versions: Versions, state: State, at: datetime) -> Sequence[str]:
    version, mode, share = drafting.version, drafting.mode, drafting.share
    faults = []
    if not VERSION.fullmatch(version):
        faults.append(f"a version of '{version}': write up to 40 letters, digits and . _ -")
    if version in versions.names or version in state.approved_names:
        faults.append(f"there is a version {version} already: take another name")
    if mode not in MODES:
        faults.append(f"a mode of '{mode}': it must be one of {', '.join(MODES)}")
    if (mode == CHALLENGER) != (share is not None):
        faults.append("a challenger has a share of customers, like 0.1, and no other version has")
    elif share is not None and not (share.is_finite() and 0 < share < 1):
        faults.append(f"a share of {share}: it must be above 0 and below 1")
    for where, row in drafting.differing:
        try:
            require_note(row["note"])
        except WrongUse as error:
            faults.append(f"{where}: note: {error}")
    if drafting.starts and drafting.starts < at:
        faults.append(
            f"it is to hold from {drafting.starts} UTC on, which is past: no answer of before changes"
        )
    later = [
        approved.version
        for approved in state.approved_versions.values()
        if mode == LIVE == approved.mode and approved.effective_at > (drafting.starts or at)
    ]
    if later:
        faults.append(
            f"version {later[0]} is approved for a later moment and would undo it: end that one first, or "
            "begin after it"
        )
    return faults


def _not_published(settings: Settings, policy: Policy) -> Sequence[str]:
    """A fault for each characteristic of the points that the publication does not have."""
    cards = [rules.card for rules in policy.rules.values()]
    published = read_published(settings.publication, only="", cards=cards)
    known = {BASKET, *published.characteristics, *published.of_order} if published else set()
    return [
        f"{rules.decision} points {characteristic.name}: is published of no customer; take a column of "
        "marts.master_data"
        for rules in policy.rules.values()
        for characteristic in rules.card.characteristics
        if published and characteristic.name not in known
    ]
