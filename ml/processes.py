"""Run jobs in parallel processes, with results that are the same for any number of processes."""

from __future__ import annotations

import ctypes
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from threading import Thread
from typing import Any

from joblib import Parallel, delayed  # type: ignore[import-untyped]
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

# how often a worker looks whether its parent still lives
WATCH_SECONDS = 0.5
# of Linux: PR_SET_PDEATHSIG
PARENT_DEATH_SIGNAL = 1


def run(
    function: Callable[..., Any],
    arguments: Sequence[tuple[Any, ...]],
    processes: int,
    prepare: Callable[[], object] | None = None,
) -> Iterator[Any]:
    """Call a function with each of some arguments, each call on one thread of linear algebra.

    Args:
        function: can be pickled.
        arguments: of each call.
        processes: how many work at once.
        prepare: called in each process before its first job, or None.

    Returns:
        The results, in the order of the arguments.
    """
    jobs = (delayed(_alone)(function, *given) for given in arguments)
    # initializer: a worker ends with this process, however that ends. With one, joblib does not end a worker
    # that grew by 300 MB after its first job, as importing Keras makes it
    # max_nbytes: larger arrays would be left in files for the other processes, customers' ids among them
    results: Iterator[Any] = Parallel(
        n_jobs=processes,
        return_as="generator",
        max_nbytes=None,
        initializer=_begin,
        initargs=(os.getpid(), prepare),
    )(jobs)
    return results


def _begin(parent: int, prepare: Callable[[], object] | None) -> None:
    """Prepare a worker: it ends with its parent, and Ctrl-C is for the parent to answer."""
    if os.getpid() != parent:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _end_by_the_kernel()
        Thread(target=_end_with, args=(parent,), daemon=True).start()
    if prepare:
        prepare()


def _end_by_the_kernel() -> None:
    """Let Linux kill this process once its parent has ended, also within a call that stops all threads."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)


def _alone(function: Callable[..., Any], *arguments: Any) -> Any:
    # Two processes with two threads each would wait for each other; and the number of threads could change
    # the last digits.
    with threadpool_limits(limits=1), warnings.catch_warnings():
        # the few passes of the neural network and the 200 customers of the kernel are on purpose
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "n_components was set")
        return function(*arguments)
