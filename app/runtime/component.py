"""One program that the supervisor starts and watches: its command, its log file, and how it ended."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from goodstanding.core.settings import PROJECT

# Becomes the command, under the same process id, once a line arrives; where its starter is killed, none does.
WAIT = ["/bin/sh", "-c", 'read -r go && exec "$@" < /dev/null', "sh"]


@dataclass
class Component:
    """A program that leads a process session of its own and appends its output to one log file.

    Attributes:
        name: for messages.
        command: the program and its arguments.
        environment: all variables that the program sees.
        log: the file to which it writes.
        user: a system user to run as, where this process is root and the program must not be.
        deaths: when it ended unasked, by the monotonic clock, in seconds.
        process: the running program, or the one that has ended; None before the first start.
    """

    name: str
    command: list[str]
    environment: Mapping[str, str]
    log: Path
    user: str | None = None
    deaths: list[float] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    def start(self, write_down: Callable[[], None] = lambda: None) -> None:
        """Start the program; signals of this terminal, like Ctrl-C, do not reach it.

        Args:
            write_down: keeps the process id of what has been started, before it becomes the program: so no
                program runs that a killed starter did not write down.
        """
        account = pwd.getpwnam(self.user) if self.user else None
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*WAIT, *self.command],
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Another user may not be allowed into the project's folder.
                cwd="/" if account else PROJECT,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
                start_new_session=True,
            )
        write_down()
        assert self.process.stdin
        # whoever ended it meanwhile is noticed by its end
        with suppress(BrokenPipeError), self.process.stdin as stdin:
            stdin.write(b"go\n")

    @property
    def pid(self) -> int | None:
        """Its process id, which is also the number of its session; None before the start."""
        return self.process.pid if self.process else None

    @property
    def has_ended(self) -> bool:
        """Whether it was started and has ended."""
        return self.process is not None and self.process.poll() is not None

    @property
    def ending(self) -> str:
        """How it ended, in words; empty while it runs."""
        code = self.process.poll() if self.process else None
        if code is None:
            return ""
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of its log, marked as a quotation."""
        last = self.log.read_text(errors="replace").splitlines()[-lines:] if self.log.exists() else []
        return "\n".join(f"  | {line}" for line in last)


def fresh_log(path: Path) -> Path:
    """Make way for a new log file and return its path; the former one is kept as `<name>.previous`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        os.replace(path, path.with_suffix(path.suffix + ".previous"))
    return path
