"""Undoing what a kill inside DuckDB's checkpoint left half written.

DuckDB 2.0 writes the metadata of a checkpoint into free parts of blocks whose other parts the standing header
still needs: in place, 256 KB at a time. A process that is killed inside such a write leaves a block that is
new in part and old in part; its checksum fits neither, and the file cannot be opened any more (met once in
some thousand kills). So whoever is about to write first keeps a copy of these blocks, of which a file has a
few, and whoever opens a file whose last writer did not end puts them back. What the header points to is then
what it was, and the log beside the file holds all that was committed since.

A copy serves until the next checkpoint has ended, so there must be one at most between two openings: DuckDB
makes none by itself before a file is closed (`wal_autocheckpoint` in `goodstanding.warehouse.files` and in
dbt's profile).
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

import duckdb

from goodstanding.core.durable import put_in_place

# the file's own header and the two that take turns, 4 KB each
HEADERS_BYTES = 3 * 4096
# how each of the two begins: checksum, iteration, first metadata, free list, blocks, bytes of a block
TURN = struct.Struct("<6Q")
BLOCK_NUMBER = struct.Struct("<Q")


def keep(connection: duckdb.DuckDBPyConnection, database: str, path: Path, descriptor: int) -> None:
    """Copy the metadata blocks of a file that is attached and not yet written to, unless that was done.

    Args:
        connection: has the file attached.
        database: under which name.
        path: of the file.
        descriptor: of the file, open for reading, to be closed after DuckDB has closed the file and not
            before: by the rules of POSIX closing it drops DuckDB's lock.
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
    """Before a file is attached: where its last writer did not end, undo what a checkpoint wrote by halves.

    A whole block is written over by the same or by an older one that serves the header as well. Nothing is
    done where the checkpoint had ended, or where another process has the file open.
    """
    copies = _copies(path)
    # the log goes when a checkpoint has ended
    if not (path.with_name(f"{path.name}.wal").exists() and copies.exists()):
        return
    try:
        with path.open("r+b") as file:
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


def _block_bytes(headers: bytes) -> int:
    """The size of a block, as the header says whose turn it is."""
    turns = (TURN.unpack_from(headers, at) for at in (4096, 8192))
    return int(max(turns, key=lambda turn: turn[1])[5])
