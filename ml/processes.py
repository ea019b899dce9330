"""Jobs in processes of their own, each with one thread of linear algebra: no result hangs on their number."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from joblib import Parallel, delayed  # type: ignore[import-untyped]
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]


def run(
    function: Callable[..., Any],
    arguments: Sequence[tuple[Any, ...]],
    processes: int,
    prepare: Callable[[], object] | None = None,
) -> Iterator[Any]:
    """What a function says of some arguments, one after the other, on one thread of linear algebra each.

    `prepare` is called in each process before its first job.
    """
    jobs = (delayed(_alone)(function, *given) for given in arguments)
    # initializer: a process that grew by 300 MB after its first job, as it does by Keras, would be ended
    # max_nbytes: larger arrays would be left in files for the other processes, customers' ids among them
    found: Iterator[Any] = Parallel(
        n_jobs=processes, return_as="generator", max_nbytes=None, initializer=prepare
    )(jobs)
    return found


def _alone(function: Callable[..., Any], *arguments: Any) -> Any:
    # Two processes with two threads each would wait for each other; and with the number of threads the last
    # digits could change.
    with threadpool_limits(limits=1), warnings.catch_warnings():
        # the passes of the neural network and the customers that the kernel goes through are meant so
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "n_components was set")
        return function(*arguments)
