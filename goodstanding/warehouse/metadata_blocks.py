"""Repairs a DuckDB file whose writer was killed in the middle of a checkpoint.

DuckDB 2.0 writes the metadata of a checkpoint in place, 256 KB at a time, into blocks of which the current
header still needs other parts. A process that is killed inside such a write leaves a block that is half new
and half old; its checksum fits neither, and the file cannot be opened any more (met once in some thousand
kills). So every writer first keeps a copy of these blocks, of which a file has a few, and whoever opens a
file whose last writer was killed puts them back. The header then points to what it pointed to before, and the
log beside the file holds all that was committed since.

A copy serves until the next checkpoint has ended, so between two openings there must be one at most: DuckDB
makes none by itself before a file is closed (`wal_autocheckpoint` in `goodstanding.warehouse.files` and in
dbt's profile).

All this rests on how DuckDB lays out a file. A file of a storage version for which that was not tried is
refused before anything is written to it.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

import duckdb

from goodstanding.core.durable import put_in_place
from goodstanding.core.errors import DataProblem

# the file's own header and the two that take turns, 4 KB each
HEADERS_BYTES = 3 * 4096
TURNS_AT = (4096, 8192)
# how the file's own header begins: checksum, magic bytes, storage version
MAIN = struct.Struct("<Q4sQ")
MAGIC = b"DUCK"
# how each of the two begins: checksum, iteration, first metadata, free list, blocks, bytes of a block,
# values of a vector, version of the serialization
TURN = struct.Struct("<8Q")
BLOCK_NUMBER = struct.Struct("<Q")
# What DuckDB 2.0.0 writes: storage version and serialization, and by which name `attach` knows the pair.
# All have the same layout of headers and blocks; DuckDB 2.0.0 gives a new file the last.
KNOWN_VERSIONS = {
    (64, 1): "v1.0.0",
    (65, 4): "v1.2.0",
    (66, 5): "v1.3.0",
    (67, 6): "v1.4.0",
    (68, 7): "v1.5.0",
    (999, 69): "v2.0.0",
}


def require_known_version(path: Path) -> None:
    """Refuse a DuckDB file whose layout may be another than the one this module knows.

    A file that is missing, empty or no DuckDB file is left to DuckDB, which says so.

    Raises:
        DataProblem: names the file, its version, and what to do. Nothing was written.
    """
    try:
        with path.open("rb") as file:
            headers = file.read(HEADERS_BYTES)
    except OSError:
        return
    if len(headers) < HEADERS_BYTES or headers[8:12] != MAGIC:
        return
    version, serialization = MAIN.unpack_from(headers)[2], _current_turn(headers)[7]
    if (version, serialization) not in KNOWN_VERSIONS:
        known = ", ".join(f"{number}/{of_values}" for number, of_values in KNOWN_VERSIONS)
        raise DataProblem(
            f"{path} has DuckDB's storage version {version}/{serialization}, and goodstanding was tried with "
            f"{known} only: another DuckDB has written it (here runs {duckdb.__version__}). Nothing was "
            "written. Install the DuckDB that is locked in requirements.lock (`make setup`); if that cannot "
            f"open the file, move {path.parent} aside and run all days again from the landing"
        )


def keep(connection: duckdb.DuckDBPyConnection, database: str, path: Path, descriptor: int) -> None:
    """Copy the metadata blocks of a file that is attached and not yet written to, unless that was done.

    Args:
        connection: has the file attached.
        database: the name under which it is attached.
        path: of the file.
        descriptor: of the file, open for reading. The caller closes it after DuckDB has closed the file and
            not before: by the rules of POSIX, closing it drops DuckDB's lock.
    """
    headers = os.pread(descriptor, HEADERS_BYTES, 0)
    copies = _copies(path)
    if _headers_of(copies) == headers:
        return
    size = _block_bytes(headers)
    blocks = connection.execute("select block_id from pragma_metadata_info(?)", [database]).fetchall()
    draft = copies.with_name(f".{copies.name}")
    with draft.open("wb") as file:
        file.write(headers)
        for (number,) in blocks:
            file.write(BLOCK_NUMBER.pack(number) + os.pread(descriptor, size, HEADERS_BYTES + number * size))
    put_in_place(draft, copies)


def put_back(path: Path) -> None:
    """Put back the blocks that a killed writer wrote in part; to be called before the file is attached.

    A block that is whole is overwritten by the same block, or by an older one that serves the header as well.
    Nothing is done where the checkpoint had ended, or where another process has the file open.
    """
    copies = _copies(path)
    # the log is deleted when a checkpoint has ended
    if not (path.with_name(f"{path.name}.wal").exists() and copies.exists()):
        return
    try:
        with path.open("r+b") as file:
            # The lock that DuckDB itself takes on the file, so that neither writes under the other. A lock
            # file beside it (filelock) would say nothing to a DuckDB shell or to dbt, which do not know of
            # it.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            headers = os.pread(file.fileno(), HEADERS_BYTES, 0)
            if _headers_of(copies) != headers:
                return
            size = _block_bytes(headers)
            with copies.open("rb") as kept:
                kept.seek(HEADERS_BYTES)
                while number := kept.read(BLOCK_NUMBER.size):
                    place = HEADERS_BYTES + BLOCK_NUMBER.unpack(number)[0] * size
                    os.pwrite(file.fileno(), kept.read(size), place)
            os.fsync(file.fileno())
    except OSError:
        # in use, or on a disk that cannot be written: opening it says which
        return


def _copies(path: Path) -> Path:
    return path.with_name(f"{path.name}.metadata")


def _headers_of(copies: Path) -> bytes | None:
    try:
        with copies.open("rb") as file:
            return file.read(HEADERS_BYTES)
    except FileNotFoundError:
        return None


def _current_turn(headers: bytes) -> tuple[int, ...]:
    """The fields of TURN of whichever of the two headers was written last."""
    return max((TURN.unpack_from(headers, at) for at in TURNS_AT), key=lambda turn: int(turn[1]))


def _block_bytes(headers: bytes) -> int:
    return int(_current_turn(headers)[5])
