"""Calls of the command line, many in one process: the imports of a run cost some ten seconds.

A process of its own, because Airflow keeps to the home that it first met: there it keeps the states of all
these runs, and its log. What else a run leaves, and all that readers see, is in the home of the call.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from goodstanding.core.settings import PROJECT

CALLS = """
import json, os, sys
from typer.testing import CliRunner
from app.cli.main import app
from goodstanding.core.settings import settings
for call in map(json.loads, sys.stdin):
    os.environ |= {f"GOODSTANDING_{name}": value for name, value in call["settings"].items()}
    settings.cache_clear()
    done = CliRunner().invoke(app, call["arguments"])
    fault = None if isinstance(done.exception, SystemExit | None) else repr(done.exception)
    answer = {"code": done.exit_code, "stdout": done.stdout, "stderr": done.stderr, "fault": fault}
    sys.__stdout__.write(json.dumps(answer) + "\\n")
    sys.__stdout__.flush()
"""


@dataclass(frozen=True)
class Called:
    """What a call of the command line gave; `fault` is what would have been a traceback."""

    code: int
    stdout: str
    stderr: str
    fault: str | None


def call_run(home: Path, landing: Path, *arguments: str) -> Called:
    """Call a command that goes through Airflow."""
    process = _process()
    assert process.stdin and process.stdout
    settings = {"HOME": str(home), "LANDING": str(landing)}
    process.stdin.write(json.dumps({"settings": settings, "arguments": arguments}) + "\n")
    process.stdin.flush()
    return Called(**json.loads(process.stdout.readline()))


@lru_cache(maxsize=1)
def _process() -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GOODSTANDING_")}
    environment |= {"PYTHONDONTWRITEBYTECODE": ""}
    process = subprocess.Popen(
        [sys.executable, "-c", CALLS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=PROJECT,
    )
    atexit.register(process.communicate)
    return process
