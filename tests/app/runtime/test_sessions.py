"""Sessions: ending a program also ends every process that it forked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from app.runtime import sessions

# A leader, and a child in its own process group that ignores SIGTERM, as a task may.
STUBBORN = """
import os, signal, time
if os.fork() == 0:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(1, b"ready\\n")
time.sleep(60)
"""


@pytest.fixture
def leader() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", STUBBORN]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert [process.stdout.readline(), process.stdout.readline()] == ["ready\n", "ready\n"]
    yield process
    sessions.end([process.pid], 0)
    process.wait()
    process.stdout.close()


def test_a_whole_session_is_ended_in_time(leader: subprocess.Popen[str]) -> None:
    assert len(sessions.members(leader.pid)) == 2
    began = time.monotonic()
    sessions.end([leader.pid], grace=0.5)
    assert sessions.members(leader.pid) == []
    assert time.monotonic() - began < 5


def test_a_session_whose_leader_was_killed_is_found_again(leader: subprocess.Popen[str]) -> None:
    record = sessions.record({"scheduler": leader.pid})
    os.kill(leader.pid, signal.SIGKILL)
    leader.wait()
    assert sessions.recorded(record) == {"scheduler": leader.pid}
    assert leader.pid not in sessions.members(leader.pid)


def test_a_process_that_reuses_the_id_of_an_ended_one_is_left_alone(leader: subprocess.Popen[str]) -> None:
    record = sessions.record({"scheduler": leader.pid})
    record["leaders"]["scheduler"][1] -= 60
    assert sessions.recorded(record) == {}


def test_a_record_from_before_a_reboot_matches_no_process(leader: subprocess.Popen[str]) -> None:
    record = sessions.record({"scheduler": leader.pid})
    record["boot"] -= 3600
    assert sessions.recorded(record) == {}


def test_a_signal_to_a_process_that_has_ended_is_no_error() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    sessions.send(ended.pid, signal.SIGTERM)


def test_waiting_lasts_until_a_dead_process_is_no_longer_listed_and_not_at_all_for_a_living_one() -> None:
    with subprocess.Popen(["true"]) as dead:
        while psutil.Process(dead.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        threading.Timer(0.3, dead.wait).start()
        sessions.wait_until_buried(dead.pid, 10)
        assert not psutil.pid_exists(dead.pid)
    started = time.monotonic()
    sessions.wait_until_buried(os.getpid(), 10)
    assert time.monotonic() - started < 5
