"""Histories: events in a small shop, after which its warehouse must equal one clean build.

A history is a list of actions on a home and its landing, and then an end: broken files are corrected and
every day that differs from the landing is run. Then every table that readers see must equal, byte for byte,
the result of one clean run over the final landing. `repeat` checks that. `Shop` and the actions print as
Python, so a history that fails is printed as the script that repeats it.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as rules
from hypothesis import strategies as st

from goodstanding.core import vocabulary
from goodstanding.core.errors import DataProblem, GateFailed
from goodstanding.core.settings import Settings, settings
from goodstanding.core.vocabulary import STEPS
from ml import store
from ml.features import RFM_RANK
from ml.short_list import SHORT_LIST
from tests.laws.conftest import Warehouse, days_from, drawn_accounts, drawn_day
from tests.laws.kill import Writes, in_child, kill_this_process
from tests.shop import ACCOUNT_HEADERS, mapping, write_accounts, write_day

# five days over a month end: scores are kept for every day, features for the month end and the newest day
DAYS = days_from(5)
BROKEN = ("unreadable",) * 9
GATE_STEPS = ("check_invoices", "check_scores", "check_predictions")


@dataclass(frozen=True)
class Shop:
    """The start of a history: the seed of its lines, its days without a file, the retention of snapshots.

    With `accounts` it also has payments, returns and deliveries, whose lines lie among those of the orders.
    With `take_in` some lines of a day lie in the file of the day before or after.
    """

    seed: int
    missing: tuple[int, ...] = ()
    as_of_days: int = 400
    accounts: bool = False
    take_in: bool = False

    def lines(self, day: int, version: int) -> tuple[str, ...]:
        """The lines of a day's file. Version 0 is the first; others correct it, mostly in a line or two."""
        first = self._drawn(f"{self.seed}/{day}", day)
        draw, other = (
            random.Random(f"{self.seed}/{day}/{version}"),
            self._drawn(f"{self.seed}/{day}/{version}", day),
        )
        place = draw.randrange(len(first))
        corrected = (
            first,
            first[:place] + first[place + 1 :],
            [*first[:place], other[0], *first[place + 1 :]],
            [*first, *other[:2]],
            [*first, first[place]],
            first[::-1],
            other,
            [],
        )
        return tuple(corrected[version % len(corrected)])

    def _drawn(self, seed: str, day: int) -> list[str]:
        draw = random.Random(seed)
        orders = [
            text.replace("United Kingdom", draw.choice(["United Kingdom", "United Kingdom", "EIRE"]))
            for text in drawn_day(draw, DAYS[day])
        ]
        if self.take_in:
            shifted = random.Random(f"{seed} beside")
            orders = [_on_a_day_beside(text, day, shifted) for text in orders]
        # mixed with the others, so that a correction may change either kind
        return [*orders[:2], *drawn_accounts(draw, DAYS[day]), *orders[2:]] if self.accounts else orders


def _on_a_day_beside(text: str, day: int, draw: random.Random) -> str:
    """An order line, of a neighbour of the day of its file in one case of four."""
    beside = [DAYS[other] for other in (day - 1, day + 1) if 0 <= other < len(DAYS)]
    return text.replace(f"{DAYS[day]} ", f"{draw.choice(beside)} ") if draw.random() < 0.25 else text


def write_files(landing: Path, day: date, lines: Sequence[str]) -> None:
    """Write the files of a day: one of orders, and one for each other kind that some line names."""
    named = tuple(f"{kind}:" for kind in ACCOUNT_HEADERS)
    write_day(landing, day, [text for text in lines if not text.startswith(named)])
    write_accounts(landing, day, lines)


class Lived:
    """A home under a history, with the checks that must hold after every action."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        self.shop = shop
        self.warehouse = new_home(folder, "lived", shop)
        self.landing = self.warehouse.landing
        shutil.rmtree(self.landing, ignore_errors=True)
        self.landing.mkdir()
        self.files: dict[int, tuple[str, ...]] = {}
        self.due = set(range(len(DAYS)))
        # days whose newest content is new, each with the steps that have not processed it yet
        self.unaudited: dict[int, set[str]] = {}
        self.seen: set[tuple[int, tuple[str, ...] | None]] = set()
        self.may_be_barred: set[int] = set()
        for day in range(len(DAYS)):
            if day not in shop.missing:
                self.put(day, shop.lines(day, 0))

    def put(self, day: int, lines: tuple[str, ...]) -> None:
        """Write the file of a day, for the first time or again."""
        if self.files.get(day) != lines:
            self.files[day] = lines
            self.due.add(day)
            write_files(self.landing, DAYS[day], lines)

    def withdraw(self, day: int) -> None:
        """Remove the file of a day."""
        if self.files.pop(day, None) is not None:
            self.due.add(day)
            (self.landing / f"{DAYS[day]}.csv").unlink()
            write_accounts(self.landing, DAYS[day], [])

    def run(self, first: int, last: int) -> None:
        """Run these days from end to end."""
        for _ in self.steps(first, last):
            pass

    def steps(self, first: int, last: int) -> Generator[str, None, None]:
        """Run step by step, so that the caller can stop after each. A run of barred days alone ends early."""
        files: dict[int, tuple[str, ...] | None] = {}
        for name in STEPS:
            if name == "ingest":
                files = {day: self.files.get(day) for day in range(first, last + 1)}
            try:
                self._step(name, first, last, files)
            except GateFailed:
                if name != "check_raw" or BROKEN not in files.values():
                    raise
                # the gate bars the bad days, and there is no other day with lines to go on with
                self.may_be_barred |= {day for day, lines in files.items() if lines == BROKEN}
                self.due |= set(files)
                return
            except DataProblem as error:
                # of a neighbour whose file was withdrawn: its own run has to come first
                is_withdrawn = self.shop.take_in and "not in the landing any more" in str(error)
                if not is_withdrawn and (name != "publish" or not self.may_be_barred):
                    raise
                return
            yield name
        self.due -= {day for day, lines in files.items() if self.files.get(day) == lines}

    def _step(self, name: str, first: int, last: int, files: dict[int, tuple[str, ...] | None]) -> None:
        """Run one step, and update what is known about the days."""
        before = self._publication()
        if name == "transform":
            for steps in self.unaudited.values():
                if "check_raw" not in steps:
                    steps.discard(name)
        elif name in GATE_STEPS:
            for day in files:
                if "transform" not in self.unaudited.get(day, {"transform"}):
                    self.unaudited[day].discard(name)
        self.warehouse.step(name, DAYS[first], DAYS[last])
        if name == "ingest":
            for day, lines in files.items():
                is_new = (day, lines) not in self.seen
                self.seen.add((day, lines))
                if is_new:
                    self.unaudited[day] = {"check_raw", "transform", *GATE_STEPS}
        elif name == "check_raw":
            barred = {day for day, lines in files.items() if lines == BROKEN}
            self.may_be_barred = self.may_be_barred - set(files) | barred
            self.due |= barred
            for day in files:
                self.unaudited.get(day, set()).discard(name)
        if self._publication() != before:
            shown = {str(DAYS[day]): steps for day, steps in self.unaudited.items() if steps}
            assert not shown, f"published, although these steps have not looked at a day's content: {shown}"

    def killed(self, day: int, step: str, write: int, after: bool) -> None:
        """Run a day and kill it at a write of a step or, if the step has fewer writes, at its end."""
        run = self.steps(day, day)
        for name in STEPS[: STEPS.index(step)]:
            if next(run, None) != name:
                return  # the day was barred before
        before = self._publication()
        self.due.add(day)
        # the write may have been completed: from here on the state of this day is unknown
        self.unaudited.pop(day, None)
        self.seen.add((day, self.files.get(day)))
        if self.files.get(day) == BROKEN:
            self.may_be_barred.add(day)

        def work() -> None:
            Writes(write, "after" if after else "before").wrap_all()
            with suppress(DataProblem):
                self.warehouse.step(step, DAYS[day])
            kill_this_process()

        assert in_child(work)
        if self._publication() != before:
            assert step == "publish"
            self.warehouse.rows("select as_of from marts.publication")

    def _publication(self) -> int | None:
        path = self.warehouse.home / "published" / "current.duckdb"
        return path.stat().st_ino if path.exists() else None

    def settle(self, backwards: bool) -> None:
        """End a history: correct broken files, and run all days that are not done."""
        for day, lines in self.files.items():
            if lines == BROKEN:
                self.put(day, self.shop.lines(day, 0))
        spans: list[list[int]] = []
        for day in sorted(self.due):
            if spans and spans[-1][-1] == day - 1:
                spans[-1].append(day)
            else:
                spans.append([day])
        for span in spans[::-1] if backwards else spans:
            self.run(span[0], span[-1])
        if self.due:  # a run could not publish because of a day that has passed since
            self.warehouse.step("publish", DAYS[max(self.due)])


class Action(Protocol):
    """An event of a history. Days are numbers; 0 is the first."""

    def happen(self, lived: Lived) -> None: ...


@dataclass(frozen=True)
class Run:
    """A run of one day."""

    day: int

    def happen(self, lived: Lived) -> None:
        lived.run(self.day, self.day)


@dataclass(frozen=True)
class RunRange:
    """One run of several days, as by `orders_history`."""

    first: int
    last: int

    def happen(self, lived: Lived) -> None:
        lived.run(self.first, self.last)


@dataclass(frozen=True)
class File:
    """A file arrives: the first of its day, a late one, or a corrected one."""

    day: int
    version: int

    def happen(self, lived: Lived) -> None:
        lived.put(self.day, lived.shop.lines(self.day, self.version))


@dataclass(frozen=True)
class NoFile:
    """A file is withdrawn."""

    day: int

    def happen(self, lived: Lived) -> None:
        lived.withdraw(self.day)


@dataclass(frozen=True)
class BrokenFile:
    """A file arrives in which no line can be read, so the first gate bars its day."""

    day: int

    def happen(self, lived: Lived) -> None:
        lived.put(self.day, BROKEN)


@dataclass(frozen=True)
class Interleave:
    """Several runs at once, as in a backfill with many active runs; `turns` says whose task is next."""

    runs: tuple[tuple[int, int], ...]
    turns: tuple[int, ...]

    def happen(self, lived: Lived) -> None:
        going = [lived.steps(first, last) for first, last in self.runs]
        turns = iter(self.turns)
        while going:
            turn = next(turns, 0) % len(going)
            if next(going[turn], None) is None:
                del going[turn]


@dataclass(frozen=True)
class Killed:
    """A run of a day is killed at a write of a step."""

    day: int
    step: str
    write: int
    after: bool

    def happen(self, lived: Lived) -> None:
        lived.killed(self.day, self.step, self.write, self.after)


@dataclass(frozen=True)
class BuildAnew:
    """The file of the marts is lost, or the SQL is edited: the next run computes everything again."""

    def happen(self, lived: Lived) -> None:
        for name in ("standing.duckdb", "standing.duckdb.wal"):
            (lived.warehouse.home / "warehouse" / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class Clock:
    """The clock of the machine is put forward or back: from here on it is off by so many hours."""

    hours: int

    def happen(self, lived: Lived) -> None:
        _clock_off_by.append(timedelta(hours=self.hours))


# the last is how far the clock is off now
_clock_off_by = [timedelta()]


@contextmanager
def _clock_of_its_own() -> Iterator[None]:
    """Let actions put the clock of the machine forward and back."""
    right = vocabulary.moment
    vocabulary.moment = lambda: right() + _clock_off_by[-1]
    try:
        yield
    finally:
        vocabulary.moment = right
        del _clock_off_by[1:]


@dataclass(frozen=True)
class History:
    """A shop, its actions, and whether the end runs the unfinished days backwards."""

    shop: Shop
    actions: tuple[Action, ...]
    backwards: bool = False

    def script(self) -> str:
        """Python that repeats this history."""
        actions = "".join(f"    {action!r},\n" for action in self.actions)
        return (
            "# repeats it: save this and run it by .venv/bin/python in the project's folder\n"
            'import sys\nsys.path.insert(0, "")\n'
            "from tests.laws.history import *\n"
            f"repeat(History({self.shop!r}, (\n{actions}), backwards={self.backwards}))\n"
        )


def differences(history: History, folder: Path) -> list[str]:
    """Play a history under `folder`; return the names of the tables that differ from one clean build."""
    lived = Lived(history.shop, folder)
    with _clock_of_its_own():
        for action in history.actions:
            action.happen(lived)
        lived.settle(history.backwards)
    seen = lived.warehouse.seen_by_readers()
    clean = new_home(folder, "clean", history.shop, lived.landing)
    clean.run(DAYS[0], DAYS[-1])
    wanted = clean.seen_by_readers()
    return [
        f"{table}: {seen.get(table)} instead of {wanted.get(table)}"
        for table in sorted({*seen, *wanted})
        if seen.get(table) != wanted.get(table)
    ]


def check(history: History, folder: Path) -> None:
    """Play a history; if the law fails, raise with the script that repeats it."""
    try:
        differing = differences(history, folder)
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}\n\n{history.script()}") from error
    assert not differing, "\n".join([*differing, "", history.script()])


def repeat(history: History) -> None:
    """Play a history and report whether the law holds; the printed script calls this."""
    with tempfile.TemporaryDirectory() as folder, own_settings():
        differing = differences(history, Path(folder))
    print("\n".join(differing) or "as one clean build")


@contextmanager
def own_settings() -> Iterator[None]:
    """Isolate settings outside pytest: ignore those of the caller and of a .env file, and restore them."""
    before = dict(os.environ)
    env_file, Settings.model_config["env_file"] = Settings.model_config["env_file"], None
    for name in [name for name in os.environ if name.startswith("GOODSTANDING_")]:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        Settings.model_config["env_file"] = env_file
        settings.cache_clear()


def use_here(**values: object) -> Settings:
    """Make these the settings of the process, as a user would by the environment."""
    os.environ.update({f"GOODSTANDING_{name.upper()}": str(value) for name, value in values.items()})
    settings.cache_clear()
    return settings()


def new_home(folder: Path, name: str, shop: Shop, landing: Path | None = None) -> Warehouse:
    """Make a home without any day, under its own path, which the next history uses again.

    It already has dbt's views, seeds and parsed project, which took 1.2 of the 3.3 s of a first run.
    """
    place = folder / name
    place.mkdir(exist_ok=True)
    use = partial(use_here, as_of_days=shop.as_of_days)
    warehouse = Warehouse(
        use, place / "home", landing or place / "landing", mapping(place, shop.accounts, shop.take_in)
    )
    template = folder / f"template-{shop.as_of_days}"
    if not template.exists():
        first = Warehouse(use, template / "home", folder, warehouse.shop)
        first.step("transform", DAYS[0])
    for part in ("warehouse", "published", "checks", "models"):
        shutil.rmtree(warehouse.home / part, ignore_errors=True)
    shutil.copytree(template / "home" / "warehouse", warehouse.home / "warehouse")
    _save_model(warehouse.home / "models")
    return warehouse


def _save_model(models: Path) -> None:
    """Store a model of the first two days, so later days have predictions and earlier ones have none."""
    name = "rfm_rank"
    data_day = DAYS[1].isoformat()
    card = {
        "model_id": f"buys_90d-{data_day}-{name}-00000000",
        "target": "buys_90d",
        "data_day": data_day,
        "recipe": name,
        "feature_names": [RFM_RANK],
        # so few customers would count as drift every day
        "references": {"inputs": {}, "score": {"borders": [0.5], "shares": [0.5, 0.4, 0.1], "allowed": 99}},
        "matured": None,
    }
    store.save(_fitted(name), card, models)


@lru_cache
def _fitted(name: str) -> object:
    ranks = np.random.default_rng(1).uniform(size=(50, 1))
    return SHORT_LIST[name].build().fit(ranks, ranks[:, 0] > 0.4)


# --- drawing ---

_days = st.integers(0, len(DAYS) - 1)
_spans = st.tuples(_days, _days).map(lambda pair: (min(pair), max(pair)))
_shops = st.builds(
    Shop,
    seed=st.integers(0, 999),
    missing=st.sets(_days, max_size=2).map(lambda days: tuple(sorted(days))),
    as_of_days=st.sampled_from([400, 400, 2]),
    accounts=st.sampled_from([True, False, False]),
    take_in=st.sampled_from([True, False, False]),
)
_versions = st.integers(1, 15)
_one_day = _days.map(lambda day: (day, day))


def _with_files(
    runs: Sequence[tuple[int, int]], versions: Sequence[int], turns: Sequence[int]
) -> list[Action]:
    """Files for the first days of these runs arrive, and then the runs proceed at once."""
    files = [File(first, version) for (first, _), version in zip(runs, versions, strict=False) if version]
    return [*files, Interleave(tuple(runs), tuple(turns))]


def _by_bursts(bursts: Sequence[int]) -> list[int]:
    """Two runs take turns; each does a few tasks before the other continues."""
    return [number % 2 for number, burst in enumerate(bursts) for _ in range(burst)]


_killed = st.builds(Killed, _days, st.sampled_from(STEPS), st.integers(0, 40), st.booleans())
_two_runs = st.builds(
    _with_files,
    st.lists(st.one_of(_one_day, _one_day, _spans), min_size=2, max_size=2),
    st.lists(st.integers(0, 15), min_size=2, max_size=2),
    st.lists(st.integers(1, 4), min_size=3, max_size=6).map(_by_bursts),
)
_three_runs = st.builds(
    _with_files,
    st.lists(_one_day, min_size=3, max_size=3),
    st.lists(st.integers(0, 15), min_size=3, max_size=3),
    st.lists(st.integers(0, 2), min_size=6, max_size=24),
)
# rare orders, such as a transform between a corrected file's ingest and its gate, are drawn more often
_happenings = st.one_of(
    _days.map(lambda day: [Run(day)]),
    _spans.map(lambda span: [RunRange(*span)]),
    st.builds(lambda day, version: [File(day, version)], _days, _versions),
    st.builds(lambda day, version: [File(day, version), Run(day)], _days, _versions),
    _days.map(lambda day: [NoFile(day)]),
    st.builds(lambda day, after: [BrokenFile(day), Run(day), Run(after)], _days, _days),
    _two_runs,
    _two_runs,
    _two_runs,
    _three_runs,
    _killed.map(lambda killed: [killed]),
    st.builds(lambda killed, version: [File(killed.day, version), killed], _killed, _versions),
    st.just([BuildAnew()]),
    st.sampled_from([-48, -1, 1, 48]).map(lambda hours: [Clock(hours)]),
)
_beginnings = st.sampled_from([[RunRange(0, len(DAYS) - 1)], [RunRange(0, len(DAYS) - 1)], []])
histories = st.builds(
    lambda shop, beginning, happenings, backwards: History(
        shop, (*beginning, *(action for actions in happenings for action in actions)), backwards
    ),
    _shops,
    _beginnings,
    st.lists(_happenings, min_size=2, max_size=3),
    st.booleans(),
)


def law_of_replay(
    seed_of_draws: int, count: int, folder: Path, judge: Callable[[History, Path], None] = check
) -> None:
    """Draw `count` histories and check each; a failing one is shortened for up to five minutes.

    Raises:
        AssertionError: the tables that differ, and the script that repeats it.
    """

    @seed(seed_of_draws)
    @rules(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(histories)
    def law(history: History) -> None:
        judge(history, folder)

    law()
