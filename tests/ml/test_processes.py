"""Worker processes end with the command that started them, however that ends and whatever they compute."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from goodstanding.core.settings import PROJECT

# as a command does: signals first, then the work
COMMAND = """
import sys
from app.cli.streams import end_on_signals
from ml.processes import run
from tests.ml.test_processes import in_one_call, in_steps

end_on_signals()
list(run({work}, [(sys.argv[1], number) for number in range(2)], 2))
"""


def in_steps(folder: str, number: int) -> None:
    """Compute for an hour, in Python."""
    Path(folder, f"{number}.pid").write_text(str(os.getpid()))
    end = time.monotonic() + 3600
    while time.monotonic() < end:
        pass


def in_one_call(folder: str, number: int) -> None:
    """Compute for minutes in one call, which lets no other thread of the process run."""
    Path(folder, f"{number}.pid").write_text(str(os.getpid()))
    pow(7, 10**9)


@pytest.mark.parametrize("work", [in_steps, in_one_call])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_the_workers_of_a_command_end_with_it(tmp_path, work, number):
    code = COMMAND.format(work=work.__name__)
    command = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=PROJECT,
        stderr=subprocess.DEVNULL,
        # tests under nohup ignore a closed terminal, and so would what they start
        preexec_fn=lambda: number == signal.SIGKILL or signal.signal(number, signal.SIG_DFL),
    )
    try:
        wait_until(lambda: len([path for path in tmp_path.glob("*.pid") if path.read_text()]) == 2, 60)
        workers = [int(path.read_text()) for path in tmp_path.glob("*.pid")]
        assert command.pid not in workers and all(map(runs, workers))
        time.sleep(0.2)
        command.send_signal(number)
        command.wait(10)
        wait_until(lambda: not any(map(runs, workers)), 5)
    finally:
        command.kill()


def runs(process_id: int) -> bool:
    try:
        return bool(psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until(holds, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)
