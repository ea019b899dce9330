"""Real processes whose output is full or closed, that are ended, or whose arguments are no text."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from goodstanding.core.settings import PROJECT

COMMAND = (sys.executable, "-c", "from app.cli.entry import main; main()")
# a command that computes for minutes: in Python, or in a library that looks at no signal
LONG = """
import sys
import app.cli.main
from app.cli.entry import main

@app.cli.main.app.command()
def long():
    sys.stderr.write("computing\\n")
    sys.stderr.flush()
    {work}

sys.argv[1:] = ["long"]
main()
"""
WORKERS = """
import time
from ml.processes import run

def work(seconds):
    time.sleep(seconds)

def show():
    import os
    print(os.getpid(), flush=True)

list(run(work, [(600,), (600,)], 2, show))
"""


def environment(home: Path) -> dict[str, str]:
    return os.environ | {"GOODSTANDING_HOME": str(home), "PYTHONPATH": str(PROJECT)}


def shell(home: Path, text: str) -> subprocess.CompletedProcess[str]:
    """What a shell makes of a line in which `gs` is the command."""
    script = f"set -o pipefail; gs() {{ {sys.executable} -c '{COMMAND[2]}' \"$@\"; }}; {text}"
    return subprocess.run(
        ["bash", "-c", script], env=environment(home), cwd=PROJECT, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("arguments", ["status", "status --json", "--help", "key list"])
def test_a_full_output_is_told_as_that(tmp_path: Path, arguments: str) -> None:
    done = shell(tmp_path, f"gs {arguments} > /dev/full")
    assert (done.returncode, done.stderr) == (
        1,
        "goodstanding: the output cannot be written: No space left on device\n",
    )


PROGRESS = """
from app.cli import entry, main, shown

@main.app.command()
def long():
    with shown.progress_bar() as progress:
        progress.add_task("computing")
    print("{}")

entry.main()
"""


@pytest.mark.parametrize(
    ("errors", "code", "said"),
    [("2>&-", 0, "{}\n"), ("2>/dev/null", 0, "{}\n"), ("2>/dev/full", 1, "")],
)
def test_progress_never_gets_into_the_result(tmp_path: Path, errors: str, code: int, said: str) -> None:
    script = tmp_path / "long.py"
    script.write_text(PROGRESS)
    done = shell(tmp_path, f"{sys.executable} {script} long {errors}")
    assert (done.returncode, done.stdout, done.stderr) == (code, said, "")


@pytest.mark.parametrize("arguments", ["status", "status --json"])
def test_a_closed_output_is_silence(tmp_path: Path, arguments: str) -> None:
    for closed in (">&-", ">&- 2>&-", "<&- >&- 2>&-"):
        done = shell(tmp_path, f"gs {arguments} {closed}")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_pipe_that_nobody_reads_is_silence(tmp_path: Path) -> None:
    done = shell(tmp_path, "(sleep 1; gs status --json) | true")
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("profile $'\\xff'", "goodstanding: argument 2 is no UTF-8 text"),
        ("key rotate ID --hours 1e300", "0 to 87,600 hours"),
        ("key new --scope profiles --per-second 99999999999999999999", "--per-second"),
        ("simulate there --days 99999999999", "--days"),
        ("simulate there --seed -1", "--seed"),
        ("run --from 9999-12-31", "is no day"),
    ],
)
def test_what_is_no_text_and_no_sensible_number_is_refused_without_a_traceback(
    tmp_path: Path, arguments: str, told: str
) -> None:
    done = shell(tmp_path, f"COLUMNS=200 gs {arguments}")
    assert done.returncode == 2
    assert told in done.stderr and "Traceback" not in done.stderr


def test_an_output_that_is_no_unicode_and_missing_temporary_files_are_no_fault(tmp_path: Path) -> None:
    done = shell(tmp_path, "LC_ALL=C PYTHONIOENCODING=ascii TMPDIR=/nowhere gs status")
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing is published yet" in done.stdout


@pytest.mark.parametrize("work", ["time.sleep(600)", "while True: pass", "duckdb.sql(QUERY).fetchall()"])
@pytest.mark.parametrize(
    ("number", "word"),
    [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM"), (signal.SIGHUP, "a closed terminal")],
)
def test_a_signal_ends_a_computation_at_once_with_one_word(
    tmp_path: Path, work: str, number: signal.Signals, word: str
) -> None:
    query = "QUERY = 'select sum(hash(a.n + b.n)) from range(1000000) a(n), range(1000000) b(n)'"
    code = LONG.format(work=f"import time, duckdb; {query}\n    {work}")
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
        # tests that run in the background of a shell ignore Ctrl-C, and so would what they start
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    ) as process:
        assert process.stderr and process.stderr.readline() == "computing\n"
        time.sleep(0.3)
        sent = time.monotonic()
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
        assert process.wait(20) == 128 + number
        # two seconds on an idle machine; the tests of a build share theirs
        assert time.monotonic() - sent < 10
    assert said == f"goodstanding: ended by {word}; what is finished stays, the next run goes on\n"


FORK = """
import os, signal, time
from app.cli.streams import end_on_signals

end_on_signals()
child = os.fork()
if not child:
    signal.pause()
time.sleep(0.2)
os.kill(child, signal.SIGTERM)
ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
time.sleep(0.2)
print(ended)
"""


def test_a_signal_to_a_forked_process_ends_that_one_alone(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK], env=environment(tmp_path), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{-signal.SIGTERM}\n", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "work.py"
    script.write_text(WORKERS.replace("list(run", "if __name__ == '__main__':\n    list(run"))
    with subprocess.Popen(
        [sys.executable, str(script)], env=environment(tmp_path), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        workers = [int(process.stdout.readline()) for _ in range(2)]
        assert process.pid not in workers
        process.send_signal(number)
        process.wait(20)
        until = time.monotonic() + 20
        while alive := [worker for worker in workers if Path("/proc", str(worker)).exists()]:
            assert time.monotonic() < until, f"{alive} go on without their parent"
            time.sleep(0.1)
