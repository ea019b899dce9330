"""Which export counts at which time: of those that cover it, the one whose name comes last."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

# the smallest step of a timestamp
TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Span:
    """What an export covers.

    Attributes:
        file_name: its path within the landing.
        first, last: the instants (UTC) of its first and its last line.
    """

    file_name: str
    first: datetime
    last: datetime


def winners(spans: Sequence[Span]) -> list[tuple[datetime, str | None]]:
    """The export that counts from each instant on, up to the next one.

    Args:
        spans: of the exports, the one that counts before all others last.

    Returns:
        Pairs of an instant (UTC) and the name of a file, None where no export covers it; by instant.
    """
    begins = sorted((span.first, -rank) for rank, span in enumerate(spans))
    changes = sorted({span.first for span in spans} | {span.last + TICK for span in spans})
    counting, begun = list[int](), 0
    pairs = list[tuple[datetime, str | None]]()
    for instant in changes:
        while begun < len(begins) and begins[begun][0] <= instant:
            heapq.heappush(counting, begins[begun][1])
            begun += 1
        while counting and spans[-counting[0]].last < instant:
            heapq.heappop(counting)
        pairs.append((instant, spans[-counting[0]].file_name if counting else None))
    return pairs
