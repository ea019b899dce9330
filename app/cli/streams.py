"""What the process shares with its terminal: its output, its arguments and the signals that end it.

A fault of the output is told as that, and not as one of the data; a reader that has gone away (a closed pipe)
is no fault. Ctrl-C and a request to end (SIGTERM) end a command at once, with one word and the exit code that
shells expect: what a run has finished stays, as after a kill, and the next run goes on from there.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn, TextIO

# of a process that wrote into a pipe that nobody reads any more, as shells count
PIPE_CLOSED = 128 + signal.SIGPIPE
ENDED_BY = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "a closed terminal"}


class OutputFailed(Exception):
    """What a command has to say could not be written."""


class _Told:
    """A stream whose faults can be told from those of the files that a command writes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with _faults_of_output():
            return self._stream.write(text)

    def flush(self) -> None:
        with _faults_of_output():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _faults_of_output() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputFailed(error.strerror or str(error), error.errno) from None


def open_streams() -> None:
    """Make the standard streams usable, whatever the process was started with."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # a file that is opened later would get the number, and the output with it
            os.open(os.devnull, os.O_RDWR)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name) or os.fdopen(descriptor, "w", encoding="utf-8", closefd=False)
        with suppress(AttributeError):  # a stream of a test
            stream.reconfigure(errors="backslashreplace")
        told = _Told(stream)
        setattr(sys, name, told)
        # what is said past a redirection; missing where the process was started without the stream
        setattr(sys, f"__{name}__", told)


def end_of_output(fault: OutputFailed) -> int:
    """Say that the output could not be written, if anybody is there to read it; returns the exit code."""
    reason, number = fault.args
    # what is still to be written would fail once more as Python ends
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    if number == errno.EPIPE:
        os.dup2(null, 2)
        return PIPE_CLOSED
    with suppress(OSError, OutputFailed):
        os.write(2, f"goodstanding: the output cannot be written: {reason}\n".encode())
    return 1


# whoever holds it ends the process
_SAID = threading.Lock()


def end_on_signals() -> None:
    """End the process with one word at Ctrl-C, SIGTERM or a closed terminal, also within a long computation.

    A thread hears the signal: the main one may be in a library for minutes, and Airflow puts handlers of its
    own in place. A command that has to end others first (`serve`, `up`) calls `leave_signals`.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    for number in ENDED_BY:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
            signal.signal(number, _handle)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    # a forked process would tell this one of its signals, through the same pipe
    os.register_at_fork(after_in_child=leave_signals)
    threading.Thread(target=_wait, args=(heard,), name="signals", daemon=True).start()


def leave_signals() -> None:
    """Give signals back to Python's own handling, for a command that handles them by itself."""
    signal.set_wakeup_fd(-1)
    for number in ENDED_BY:
        if signal.getsignal(number) is _handle:
            own = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, own)


def _handle(number: int, frame: FrameType | None) -> None:
    _end(signal.Signals(number))


def _wait(heard: int) -> None:
    while told := os.read(heard, 1):
        if told[0] in tuple(ENDED_BY):
            _end(signal.Signals(told[0]))


def _end(number: signal.Signals) -> NoReturn:
    """End the process; of the two that hear a signal one says the word, and the other leaves it the time."""
    if not _SAID.acquire(blocking=False):
        time.sleep(1)
        os._exit(128 + number)
    with suppress(OSError):
        word = f"goodstanding: ended by {ENDED_BY[number]}; what is finished stays, the next run goes on\n"
        # a line of progress may stand there
        os.write(2, b"\r\x1b[K" + word.encode() if os.isatty(2) else word.encode())
    os._exit(128 + number)
