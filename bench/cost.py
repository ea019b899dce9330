"""Measure a process such as `goodstanding run`: wall and processor seconds, peak resident memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import PROJECT, Settings

Figures = dict[str, float]

GOODSTANDING = str(Path(sys.executable).with_name("goodstanding"))

# Linux counts the memory of the process that starts another into the other's peak: a bare Python that did
# nothing showed 553 MB when a Python of 500 MB had started it. So a launcher of about 10 MB starts it.
LAUNCHER = """
import json, os, sys, time
started = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ), 0)
seconds = time.perf_counter() - started
with open(sys.argv[1], "w") as report:
    cpu_seconds = usage.ru_utime + usage.ru_stime
    json.dump([seconds, cpu_seconds, usage.ru_maxrss, os.waitstatus_to_exitcode(status)], report)
"""


@dataclass(frozen=True)
class Cost:
    """The cost of one process, and what it printed.

    Attributes:
        seconds: on the wall.
        cpu_seconds: on all cores together, which other work on the machine disturbs less.
        peak_mb: the most resident memory, in MiB.
        output: its standard output.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: int
    output: str

    def figures(self) -> Figures:
        """The figures without the output, rounded."""
        return {
            "seconds": round(self.seconds, 2),
            "cpu_seconds": round(self.cpu_seconds, 2),
            "peak_mb": self.peak_mb,
        }


def cost_of(command: list[str], environment: dict[str, str]) -> Cost:
    """Run a command, given by its full path, to its end and measure it.

    Raises:
        DataProblem: it failed; the message has the end of its output.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report")
        launch = [sys.executable, "-S", "-E", "-c", LAUNCHER, str(report), *command]
        done = subprocess.run(launch, cwd=PROJECT, env=environment, capture_output=True, text=True)
        if not report.exists():
            raise DataProblem(f"{' '.join(command)} could not be started: {done.stderr[-2000:]}")
        seconds, cpu_seconds, kibibytes, exit_code = json.loads(report.read_text())
    if exit_code:
        end = (done.stdout + done.stderr)[-2000:]
        raise DataProblem(f"{' '.join(command)} ended with {exit_code}: {end}")
    return Cost(seconds, cpu_seconds, kibibytes // 1024, done.stdout)


def run_days(home: Settings, days: Days, *options: str) -> Cost:
    """`goodstanding run` over days, as a user would call it."""
    return run_cost(home, "--from", str(days.first), "--to", str(days.last), *options)


def run_cost(home: Settings, *options: str) -> Cost:
    """The cost of `goodstanding run`.

    The product resets Linux's peak of memory at each step, so the process ends with the peak of its last step
    only: 1.9 GB where another step had 2.7. The greatest of all steps is taken.
    """
    cost = cost_of([GOODSTANDING, "run", *options, "--json"], environment_of(home))
    steps = json.loads(cost.output)["steps"]
    return replace(cost, peak_mb=max(cost.peak_mb, *(round(step["peak_mb"]) for step in steps)))


def environment_of(home: Settings) -> dict[str, str]:
    """The environment of a command on a home: that of this process, with the settings of the home."""
    key = home.pseudonym_key
    return {
        **os.environ,
        "GOODSTANDING_HOME": str(home.home),
        "GOODSTANDING_LANDING": str(home.landing_folder),
        "GOODSTANDING_SHOP": home.shop,
        "GOODSTANDING_MEMORY_LIMIT": home.memory_limit,
        "GOODSTANDING_THREADS": str(home.threads),
        "GOODSTANDING_AS_OF_DAYS": str(home.as_of_days),
        "GOODSTANDING_PORT": str(home.port),
        "GOODSTANDING_PSEUDONYM_KEY": key.get_secret_value() if key else "",
        "PYTHONDONTWRITEBYTECODE": "",  # with it set, every start of a process is two to three times slower
    }
