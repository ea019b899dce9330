"""Take a copy of the warehouse to work on, without waiting for a run and without a run waiting for it.

A run must never meet a lock of the workbench, so the working files are not opened but copied byte by byte.
DuckDB makes that safe: it overwrites nothing that a file's header points to before it has written the next
header, and here a writer writes one when it closes the file and not before (`wal_autocheckpoint` in
`goodstanding.warehouse.files`). So a copy whose header stayed the same all the while is the file as its
last writer left it. There is one exception, blocks of metadata that a checkpoint fills up in place: these
are put back as after a kill (`goodstanding.warehouse.metadata_blocks`).

Everything lies under `<home>/workbench/`: each working file to write in, and the standing file once more as
it was when the copy was taken. There is one copy at a time, so the disk that it takes is at most twice that
of the warehouse; `impact` takes as much again while it runs.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from filelock import FileLock, Timeout

from goodstanding.core.durable import write_in_place
from goodstanding.core.errors import DataProblem, WarehouseBusy
from goodstanding.core.settings import Settings
from goodstanding.core.vocabulary import now_utc
from goodstanding.warehouse import metadata_blocks
from goodstanding.warehouse.files import INTAKE, STANDING, open_intake, open_warehouse
from goodstanding.warehouse.ledger import note_whole_days

FOLDER = "workbench"
# the standing file as it was when the copy was taken
BEFORE = "before.duckdb"
# of a checkpoint, the last thing that is written is a header of 4 KB; a copy of a large file may meet several
TRIES = 20
PAUSE_SECONDS = 0.2


@dataclass
class Copy:
    """A copy of the warehouse under `<home>/workbench/`."""

    #: as the settings of the process, with the workbench as its home
    settings: Settings
    #: UTC
    taken_at: datetime
    #: the headers of the working files that were copied
    stamp: str
    #: whether all tables hold rows of all days, which `pipeline.workbench.run` sees to once
    is_whole: bool = False
    #: the checksums of the SQL of the models that were built on this copy, by dbt's id
    built: dict[str, str] = field(default_factory=dict)
    #: the same of those that were made with the copy, because they hold no rows that could be copied
    made: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """`<home>/workbench`."""
        return self.settings.home

    @property
    def before(self) -> Path:
        """The standing file as it was when the copy was taken."""
        return self.settings.warehouse / BEFORE

    @property
    def megabytes(self) -> float:
        """The disk space of the workbench."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()) / 1e6

    def save(self) -> None:
        """Keep what is known of the copy beside it."""
        facts = {
            "taken_at": self.taken_at.isoformat(),
            "stamp": self.stamp,
            "is_whole": self.is_whole,
            "built": self.built,
            "made": self.made,
        }
        write_in_place(_facts(self.settings), json.dumps(facts, indent=1))


def workbench_of(settings: Settings) -> Settings:
    """The settings of a home's workbench."""
    return settings.model_copy(update={"home": settings.home / FOLDER})


@contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """One command at a time works on a home's workbench.

    Raises:
        WarehouseBusy: another one is at work.
    """
    folder = workbench_of(settings).home
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout:
        raise WarehouseBusy(
            f"another `goodstanding dbt` is at work in {folder}; wait for it or end it"
        ) from None


def copy_of(settings: Settings, fresh: bool = False) -> tuple[Copy, list[str]]:
    """The copy to work on: the one that is there, or a new one where the warehouse has changed since.

    Args:
        settings: of the home whose warehouse is copied.
        fresh: take a new copy in any case.

    Returns:
        The copy, and the names of the models that had been built on the one before, if a new one was taken.

    Raises:
        DataProblem: nothing was built under this home yet.
        WarehouseBusy: the files change faster than they can be copied.
    """
    known = None if fresh else _known(settings)
    if known is not None and known.stamp == _stamp(settings):
        return known, []
    lost = sorted(name.rpartition(".")[2] for name in known.built) if known else []
    return _take(settings), lost


def _take(settings: Settings) -> Copy:
    copy = workbench_of(settings)
    shutil.rmtree(copy.warehouse, ignore_errors=True)
    copy.warehouse.mkdir(parents=True)
    stamp = _stamp(settings)
    for name in (INTAKE, STANDING):
        copy_as_closed(settings.warehouse / name, copy.warehouse / name)
    shutil.copyfile(copy.warehouse / STANDING, copy.warehouse / BEFORE)
    taken = Copy(copy, now_utc(), stamp)
    with open_intake(copy):
        pass  # brings the tables of an older home up to date
    with open_warehouse(copy) as connection:
        # A daily run computes what changed. Here every line counts as changed, so that tables that hold
        # only the changes of the last run hold everything.
        connection.execute("update intake.raw.days set transformed_version = null")
        note_whole_days(connection)
    taken.save()
    return taken


def copy_as_closed(source: Path, target: Path) -> None:
    """Copy a DuckDB file as it was when its last writer closed it, also while another process writes it.

    Takes no lock, so it disturbs nobody; not to be called in a process that has the file open itself.

    Raises:
        DataProblem: there is no such file.
        WarehouseBusy: it changed during each of the tries.
    """
    blocks, log = (Path(f"{target}{ending}") for ending in (".metadata", ".wal"))
    for _ in range(TRIES):
        before = _header(source)
        shutil.copyfile(source, target)
        if Path(f"{source}.metadata").exists():
            shutil.copyfile(f"{source}.metadata", blocks)
        if before == _header(target) == _header(source):
            # as if the writer had been killed: `put_back` asks for a log to be there
            log.touch()
            metadata_blocks.put_back(target)
            log.unlink()
            return
        time.sleep(PAUSE_SECONDS)
    raise WarehouseBusy(f"{source} is written again and again; try once more when the run is over")


def _header(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(metadata_blocks.HEADERS_BYTES)
    except FileNotFoundError:
        raise DataProblem(
            f"there is no {path} yet: nothing was built; run `goodstanding run` first"
        ) from None


def _stamp(settings: Settings) -> str:
    """A stamp that changes whenever a writer closes a working file that it has changed."""
    headers = [_header(settings.warehouse / name) for name in (INTAKE, STANDING)]
    return "/".join(sha256(header).hexdigest()[:16] for header in headers)


def _facts(copy: Settings) -> Path:
    return copy.home / "copy.json"


def _known(settings: Settings) -> Copy | None:
    copy = workbench_of(settings)
    try:
        facts = json.loads(_facts(copy).read_text())
        known = Copy(
            copy,
            datetime.fromisoformat(facts["taken_at"]),
            facts["stamp"],
            facts["is_whole"],
            facts["built"],
            facts["made"],
        )
    except (FileNotFoundError, ValueError, KeyError):
        return None
    files = (copy.warehouse / INTAKE, copy.warehouse / STANDING, known.before)
    return known if all(path.exists() for path in files) else None
