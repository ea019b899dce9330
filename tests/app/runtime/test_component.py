"""What is started is written down before it runs, so that nothing of a killed starter runs on unknown."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from app.runtime.component import Component

STARTER = """
import os, signal, sys
from pathlib import Path
from app.runtime.component import Component

component = Component("touch", ["/bin/sh", "-c", "echo $$ > ran"], {}, Path(sys.argv[1]) / "log")
component.start(lambda: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_a_program_has_the_process_id_that_was_written_down_and_nothing_to_read(tmp_path: Path) -> None:
    component = Component("cat", ["/bin/sh", "-c", "cat; echo $$"], {}, tmp_path / "log")
    written: list[int | None] = []
    component.start(lambda: written.append(component.pid))
    assert component.process is not None and component.process.wait(timeout=20) == 0
    assert component.log.read_text() == f"{written[0]}\n"


def test_a_program_that_was_ended_before_it_ran_is_noticed_by_its_end(tmp_path: Path) -> None:
    component = Component("true", ["/bin/true"], {}, tmp_path / "log")

    def ended() -> None:
        assert component.process is not None
        os.kill(component.process.pid, signal.SIGKILL)
        component.process.wait()

    component.start(ended)
    assert component.ending == "signal SIGKILL"


def test_nothing_runs_of_a_starter_that_is_killed_before_it_wrote_it_down(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTER.replace("> ran", f"> {tmp_path}/ran"), str(tmp_path)]
    assert subprocess.run(command, timeout=60).returncode == -signal.SIGKILL
    time.sleep(0.5)
    assert not (tmp_path / "ran").exists()
