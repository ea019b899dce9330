"""Ends a program together with all processes that it has forked, by their common process session.

A program that is started as the leader of a session passes the session on to everything that it forks,
whatever its process group, so the members of the session are found even after the program itself has ended.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import TypedDict

import psutil  # type: ignore[import-untyped]

# psutil's clock readings of the same process or boot differ by less than this.
CLOCK_SECONDS = 2


class SessionRecord(TypedDict):
    """The record of sessions, as JSON, by which they are found again after a crash.

    Attributes:
        boot: when the machine was started, in seconds since 1970.
        leaders: by the name of a component, the process id of its session's leader and when that process
            began, in seconds since 1970.
    """

    boot: float
    leaders: dict[str, list[float]]


def members(session: int) -> list[int]:
    """Return the process ids of a session, its leader's too; zombies, which are dead, do not count."""
    return [pid for pid in psutil.pids() if _session(pid) == session and _lives(pid)]


def end(sessions: Collection[int], grace: float, number: signal.Signals = signal.SIGTERM) -> None:
    """Ask the leaders of sessions to end, and kill what is left of the sessions after `grace` seconds.

    Where the leader is gone, nobody would pass the signal on: all members get it.

    Args:
        sessions: numbers of sessions, which are the process ids of their leaders.
        grace: seconds; 0 kills at once.
        number: the signal that asks for the end.
    """
    if grace:
        for session in sessions:
            alive = members(session)
            for pid in [session] if session in alive else alive:
                send(pid, number)
        _wait_until_gone(sessions, grace)
    for session in sessions:
        for pid in members(session):
            send(pid, signal.SIGKILL)
    _wait_until_gone(sessions, 2)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; it is no error if the process has ended meanwhile."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def wait_until_buried(pid: int, seconds: float) -> None:
    """Wait, for `seconds` at most, while a process is a zombie: dead, but its parent has not yet noticed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and psutil.pid_exists(pid) and not _lives(pid):
        time.sleep(0.05)


def record(leaders: Mapping[str, int]) -> SessionRecord:
    """Return what to write down of sessions, by name, so that `recorded` finds these again and no others."""
    kept: dict[str, list[float]] = {
        name: [pid, psutil.Process(pid).create_time()] for name, pid in leaders.items() if _lives(pid)
    }
    return {"boot": psutil.boot_time(), "leaders": kept}


def recorded(record: SessionRecord | None) -> dict[str, int]:
    """Return those of the recorded sessions that still have members: by name, the number of the session.

    The system reuses process ids. So a session counts only if its leader is the very process of the record,
    or if the leader has ended since the same boot and left members: while they live, no process gets its
    number.
    """
    if record is None or abs(record["boot"] - psutil.boot_time()) > CLOCK_SECONDS:
        return {}
    leaders = {
        name: int(pid) for name, (pid, began) in record["leaders"].items() if _is_same(int(pid), began)
    }
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
