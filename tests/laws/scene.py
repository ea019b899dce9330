"""A scene for accidents: a small shop, published up to a day, which every case gets in the same state."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from goodstanding.core.vocabulary import STEPS
from tests.laws.conftest import Warehouse
from tests.laws.history import DAYS, Lived, Shop, new_home
from tests.laws.kill import Writes, in_child

BEFORE, DAY, NEXT = 1, 2, 3


@dataclass(frozen=True)
class Write:
    """One write of a run: its step, its number in the step, its kind, and how long it took (seconds)."""

    step: str
    at: int
    name: str
    seconds: float


class Scene:
    """A shop with the days up to BEFORE published; every case gets that home again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lived = Lived(Shop(seed=4, accounts=True), folder)
        self.warehouse = self.lived.warehouse
        self.warehouse.run(DAYS[0], DAYS[BEFORE])
        self.good = self.warehouse.seen_by_readers()
        shutil.copytree(self.warehouse.home, folder / "scene")

    @cached_property
    def clean(self) -> dict[int, dict[str, str]]:
        """The hashes of the tables that readers see after one clean run up to DAY, and up to NEXT."""
        return {last: self._clean_build(last) for last in (DAY, NEXT)}

    def _clean_build(self, last: int) -> dict[str, str]:
        clean = new_home(self.folder, "clean", self.lived.shop, self.lived.landing)
        clean.run(DAYS[0], DAYS[last])
        return clean.seen_by_readers()

    def again(self) -> Warehouse:
        """Put the home back to its state before DAY."""
        shutil.rmtree(self.warehouse.home)
        shutil.copytree(self.folder / "scene", self.warehouse.home)
        return self.warehouse

    @cached_property
    def writes(self) -> list[Write]:
        """The writes of an undisturbed run of DAY."""
        warehouse = self.again()
        listed = self.folder / "writes"

        def work() -> None:
            writes = Writes()
            writes.wrap_all()
            with listed.open("w") as file:
                for step in STEPS:
                    writes.forget()
                    warehouse.step(step, DAYS[DAY])
                    for at, (name, seconds) in enumerate(writes.made):
                        file.write(f"{step} {at} {name} {seconds}\n")

        assert not in_child(work)
        rows = [row.split() for row in listed.read_text().splitlines()]
        return [Write(step, int(at), name, float(seconds)) for step, at, name, seconds in rows]
