"""A full or read-only disk gives one clear line, keeps the last good day, and the next run is right."""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from goodstanding.core.vocabulary import STEPS
from tests.laws.history import DAYS, own_settings
from tests.laws.kill import in_child
from tests.laws.scene import DAY, Scene

# sys/mount.h and sched.h
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 1 << 14, 1 << 18


def no_room_at_all(home: Path) -> None:
    """No file may grow or be written, as on a full disk, except for the error number."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def room_for_small_files(home: Path) -> None:
    """A step gets further before it hits the limit: short logs of changes can still be written."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))


def read_only(home: Path) -> None:
    """The home's file system is read-only for this process, even as root, in its own mount namespace."""
    system = ctypes.CDLL(None, use_errno=True)

    def ask(answer: int) -> None:
        if answer != 0:
            raise PermissionError(ctypes.get_errno(), "this machine gives no name space")

    place = str(home).encode()
    ask(system.unshare(CLONE_NEWNS | (CLONE_NEWUSER if os.getuid() else 0)))
    ask(system.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
    ask(system.mount(place, place, None, MS_BIND, None))
    ask(system.mount(place, place, None, MS_BIND | MS_REMOUNT | MS_RDONLY, None))


def meets(fault: Callable[[Path], None], home: Path, step: Callable[[], None]) -> str:
    """The error of a step under a fault, as `class: message`, or "done" if it succeeded."""
    reader, writer = os.pipe()

    def work() -> None:
        try:
            fault(home)
        except PermissionError as error:
            os.write(writer, str(error).encode())
            return
        try:
            step()
            outcome = "done"
        except Exception as error:
            chained = "" if error.__suppress_context__ or error.__context__ is None else " with a chain"
            outcome = f"{type(error).__name__}{chained}: {error}"
        os.write(writer, outcome.encode())

    assert not in_child(work)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        return pipe.read()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with own_settings():
        yield Scene(tmp_path_factory.mktemp("disk"))


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (no_room_at_all, "File too large"),
        (room_for_small_files, "File too large"),
        (read_only, "Read-only file system"),
    ],
)
def test_a_disk_that_refuses_writes_gives_one_clear_line_and_the_next_run_continues_where_it_stopped(
    scene: Scene, fault: Callable[[Path], None], says: str
) -> None:
    warehouse, outcomes = scene.again(), {}
    for step in STEPS:
        outcomes[step] = meets(fault, warehouse.home, lambda step=step: warehouse.step(step, DAYS[DAY]))
        if "no name space" in outcomes[step]:
            pytest.skip(outcomes[step])
        assert warehouse.seen_by_readers() == scene.good, f"{step} under {fault.__name__}"
        warehouse.step(step, DAYS[DAY])
    failed = {step: text for step, text in outcomes.items() if text != "done"}
    # the score step writes little
    assert set(failed) | {"score"} == set(STEPS), outcomes
    for text in failed.values():
        assert text.startswith(f"DiskProblem: {warehouse.home} cannot be written: {says} ("), text
        assert text.endswith("and run the day again. Readers keep the last good day"), text
        assert "\n" not in text
    assert warehouse.seen_by_readers() == scene.clean[DAY]
    assert list((warehouse.home / "published").glob(".*")) == [], "no draft stays behind"
