"""Process sessions: ending a program with all that it has forked.

A program started as the leader of a session hands the session on to everything that it forks, through
every process group, so the session's members are found even when the program itself is gone.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

import psutil  # type: ignore[import-untyped]

# psutil's clock readings of the same process or boot differ by less than this.
CLOCK_SECONDS = 2


def members(session: int) -> list[int]:
    """Process ids of a session, its leader included; the dead that nobody has waited for do not count."""
    return [pid for pid in psutil.pids() if _session(pid) == session and _lives(pid)]


def end(sessions: Collection[int], grace: float, number: signal.Signals = signal.SIGTERM) -> None:
    """Ask the leaders of sessions to end, and kill what is left of the sessions after `grace` seconds.

    A session whose leader is gone has nobody to pass the word on: all its members are asked.
    """
    if grace:
        for session in sessions:
            found = members(session)
            for pid in [session] if session in found else found:
                send(pid, number)
        _wait_until_gone(sessions, grace)
    for session in sessions:
        for pid in members(session):
            send(pid, signal.SIGKILL)
    _wait_until_gone(sessions, 2)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; to one that has just ended is no error."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def wait_until_buried(pid: int, seconds: float) -> None:
    """Wait while a process is dead and still listed, because nobody has asked yet how it ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and psutil.pid_exists(pid) and not _lives(pid):
        time.sleep(0.05)


def record(leaders: Mapping[str, int]) -> dict[str, Any]:
    """What to write down about sessions, by name, so that `recorded` finds them again and nothing else."""
    kept = {name: [pid, psutil.Process(pid).create_time()] for name, pid in leaders.items() if _lives(pid)}
    return {"boot": psutil.boot_time(), "leaders": kept}


def recorded(record: Mapping[str, Any]) -> dict[str, int]:
    """Those of the recorded sessions that still have members.

    Process ids are given out anew, so one counts only when its leader is the very process of the record, or
    when, since the same boot, the leader has gone and left members: while they live, no new process gets
    the number.
    """
    if not record or abs(record["boot"] - psutil.boot_time()) > CLOCK_SECONDS:
        return {}
    leaders = {name: pid for name, (pid, began) in record["leaders"].items() if _is_same(pid, began)}
    return {name: pid for name, pid in leaders.items() if members(pid)}


def _is_same(leader: int, began: float) -> bool:
    try:
        return bool(abs(psutil.Process(leader).create_time() - began) < CLOCK_SECONDS)
    except psutil.NoSuchProcess:
        return True


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _wait_until_gone(sessions: Collection[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(members(session) for session in sessions):
        time.sleep(0.05)
