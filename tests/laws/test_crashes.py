"""Crashes: a run is killed at its writes; the next run ends as one clean build, and readers notice nothing.

Every kind of write of every step is hit at least once: before, inside or after it. The block that DuckDB was
writing in place is torn as well. Afterwards the same day is run again, or the next day first.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from goodstanding.core.vocabulary import STEPS
from tests.laws.history import DAYS, own_settings
from tests.laws.kill import MOMENTS, Writes, in_child, kill_this_process, tear
from tests.laws.scene import DAY, NEXT, Scene, Write

# two halves, so that two processes share the work
HALVES = (0, 1)
SEED = int(os.environ.get("LAWS_SEED", 1))
# how many kills `make laws` draws in addition to those that hit every kind of write
MORE = int(os.environ.get("LAWS_CRASHES", 0))


@dataclass(frozen=True)
class Kill:
    """A kill at one write: before it, after it, or a while (seconds) after it has begun."""

    write: Write
    moment: str
    delay: float


def drawn_kills(writes: list[Write], draw: random.Random) -> list[Kill]:
    """One kill for each kind of write of each step, at moments in turn; then MORE at any write."""
    kinds = sorted({(STEPS.index(write.step), write.name) for write in writes})
    chosen = []
    for number, (step, name) in enumerate(kinds):
        same = [write for write in writes if write.step == STEPS[step] and write.name == name]
        chosen.append((draw.choice(same), MOMENTS[number % len(MOMENTS)]))
    chosen += [(draw.choice(writes), draw.choice(MOMENTS)) for _ in range(MORE)]
    draw.shuffle(chosen)
    return [Kill(write, moment, draw.random() * write.seconds) for write, moment in chosen]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with own_settings():
        yield Scene(tmp_path_factory.mktemp("crashes"))


@pytest.mark.parametrize("half", HALVES)
def test_after_kills_at_any_write_readers_see_a_whole_day_and_the_next_runs_end_as_one_clean_build(
    scene: Scene, half: int
) -> None:
    draw = random.Random(SEED)
    kills = drawn_kills(scene.writes, draw)
    assert {kill.write.step for kill in kills} == set(STEPS)
    # three kills in a row, as the repair may be killed as well
    cases = [(kills[n : n + 3], draw.random() < 0.3) for n in range(0, len(kills), 3)]
    torn = [try_case(scene, in_a_row, next_day_first) for in_a_row, next_day_first in cases[half::2]]
    assert sum(torn) > 0, "no kill left a file open to be torn"


def try_case(scene: Scene, kills: list[Kill], next_day_first: bool) -> int:
    """Kill runs of DAY, read as a reader after each, then run the days; returns how many blocks were torn."""
    case = f"seed {SEED}: {kills}, next day first: {next_day_first}"
    warehouse = scene.again()
    allowed = [scene.good]
    torn = 0
    for kill in kills:
        for name in STEPS[: STEPS.index(kill.write.step)]:
            warehouse.step(name, DAYS[DAY])

        def work(kill: Kill = kill) -> None:
            Writes(kill.write.at, kill.moment, kill.delay).wrap_all()
            warehouse.step(kill.write.step, DAYS[DAY])
            kill_this_process()

        assert in_child(work), case
        torn += tear(warehouse.home / "warehouse")
        if kill.write.step == "publish":
            allowed.append(scene.clean[DAY])
        assert warehouse.seen_by_readers() in allowed, case
    if next_day_first:
        warehouse.run(DAYS[NEXT])
        assert warehouse.seen_by_readers() in [*allowed, scene.clean[NEXT]], case
    warehouse.run(DAYS[DAY])
    assert warehouse.seen_by_readers() == scene.clean[NEXT if next_day_first else DAY], case
    return torn
