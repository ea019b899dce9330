"""`make laws N=1000`: many histories, in as many processes as there are cores, with another seed every time.

Prints the seeds first, then progress and, if a law fails, the script that repeats the failure.
"""

from __future__ import annotations

import os
import sys
import tempfile
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


def main(count: int, seed: int) -> int:
    """Check `count` histories; returns the exit code."""
    processes = min(os.cpu_count() or 1, count)
    seeds = [seed + n for n in range(processes)]
    print(
        f"{count} histories by the seeds {', '.join(map(str, seeds))}; "
        f"once more: make laws N={count} SEED={seed}"
    )
    context = get_context("spawn")
    done: Any = context.Value("i", 0)
    shares = [count // processes + (n < count % processes) for n in range(processes)]
    columns = (TextColumn("histories"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        context.Pool(processes, initializer=_share, initargs=(done,)) as pool,
        Progress(*columns) as progress,
    ):
        task = progress.add_task("", total=count)
        results = pool.starmap_async(_try, list(zip(seeds, shares, strict=True)))
        while not results.ready():
            results.wait(1)
            progress.update(task, completed=min(done.value, count))
    broken = [text for text in results.get() if text]
    print("\n\n".join(broken) or f"the law of replay held in all {count} histories")
    return 1 if broken else 0


_done: Synchronized[int]


def _share(done: Synchronized[int]) -> None:
    """Keep the shared counter; runs once in each process."""
    global _done
    _done = done


def _try(seed: int, count: int) -> str | None:
    """Check a share of the histories; returns the failure, if any."""
    from tests.laws.history import check, law_of_replay, own_settings

    def counted(history: Any, folder: Path) -> None:
        check(history, folder)
        with _done.get_lock():
            _done.value += 1

    with tempfile.TemporaryDirectory() as folder, own_settings(), open(os.devnull, "w") as nowhere:
        sys.stdout = sys.stderr = nowhere
        try:
            law_of_replay(seed, count, Path(folder), counted)
        except AssertionError as error:
            return str(error)
    return None


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
