"""Measure whether slow, huge and malformed clients beside good requests cost any of these an answer.

    python -m bench.soak [--customers 4372] [--seconds 120] [--rate 200] [--workers 2]

Not part of `make bench`. The bad clients have no key. Each does one of the things below on its own connection
until it is cut off, and then begins again; they share the machine with the server and the good load.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from itertools import cycle, repeat
from multiprocessing import get_context
from pathlib import Path
from typing import TypedDict

from bench.api import WARM_UP, make_publication, put_load, serving
from bench.results import LoadFigures
from bench.run import machine

LINE = b"POST /v1/decisions HTTP/1.1\r\nHost: x\r\n"
JUNK = b"a" * 65_536
# of each kind at once
BAD_CLIENTS = 10
PAUSE_SECONDS = 0.2


class SoakFigures(TypedDict):
    """What became of the good requests, and how many bad clients were cut off meanwhile."""

    good: LoadFigures
    bad_clients_cut_off: int


async def endless_header() -> AsyncIterator[bytes]:
    yield LINE + b"X: "
    for junk in repeat(JUNK):
        yield junk


async def many_headers() -> AsyncIterator[bytes]:
    yield LINE
    for _ in repeat(None):
        yield b"X: y\r\n" * 1000


async def endless_body() -> AsyncIterator[bytes]:
    yield LINE + b"Content-Length: 1000000000\r\n\r\n"
    for junk in repeat(JUNK):
        yield junk


async def endless_chunks() -> AsyncIterator[bytes]:
    yield b"GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    for _ in repeat(None):
        yield b"10000\r\n" + JUNK + b"\r\n"


async def slow_header() -> AsyncIterator[bytes]:
    for byte in cycle(LINE + b"X: y\r\n"):
        yield bytes([byte])
        await asyncio.sleep(PAUSE_SECONDS)


async def half_a_body() -> AsyncIterator[bytes]:
    yield b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
    await asyncio.sleep(3600)


async def nothing() -> AsyncIterator[bytes]:
    await asyncio.sleep(3600)
    yield b""


async def no_http() -> AsyncIterator[bytes]:
    for _ in repeat(None):
        yield b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"
        await asyncio.sleep(PAUSE_SECONDS)


async def many_at_once() -> AsyncIterator[bytes]:
    for _ in repeat(None):
        yield b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 1000


KINDS: tuple[Callable[[], AsyncIterator[bytes]], ...] = (
    endless_header,
    many_headers,
    endless_body,
    endless_chunks,
    slow_header,
    half_a_body,
    nothing,
    no_http,
    many_at_once,
)


async def misbehave(port: int, kind: Callable[[], AsyncIterator[bytes]], until: float) -> int:
    """Be a bad client until a moment of `time.time`; returns how often it was cut off."""
    cut_off = 0
    while time.time() < until:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(PAUSE_SECONDS)
            continue
        sending = asyncio.create_task(_send(writer, kind()))
        # nothing is read where answers pile up on purpose
        ended = asyncio.wait({sending}) if kind is many_at_once else _to_the_end(reader)
        try:
            await asyncio.wait_for(ended, max(0.1, until - time.time()))
            cut_off += 1
        except TimeoutError:
            pass
        sending.cancel()
        writer.transport.abort()
        await asyncio.sleep(PAUSE_SECONDS)
    return cut_off


async def _send(writer: asyncio.StreamWriter, parts: AsyncIterator[bytes]) -> None:
    try:
        async for part in parts:
            writer.write(part)
            await writer.drain()
    except OSError:
        return


async def _to_the_end(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(65_536):
            pass
    except OSError:
        return


def misbehave_all(port: int, until: float) -> int:
    """Be `BAD_CLIENTS` of each kind until a moment of `time.time`; returns how often they were cut off."""

    async def all_of_them() -> list[int]:
        return await asyncio.gather(
            *(misbehave(port, kind, until) for kind in KINDS for _ in range(BAD_CLIENTS))
        )

    return sum(asyncio.run(all_of_them()))


def soak(port: int, key: str, customers: int, rate: int, seconds: float) -> SoakFigures:
    """Put a good load beside all kinds of bad clients, which are a process of their own."""
    with get_context("spawn").Pool(1) as pool:
        bad = pool.apply_async(misbehave_all, (port, time.time() + seconds + 2))
        time.sleep(1)
        good = asyncio.run(put_load(port, key, customers, rate, seconds)).figures()
        return {"good": good, "bad_clients_cut_off": bad.get()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=4372)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    on = machine()
    with tempfile.TemporaryDirectory() as folder:
        make_publication(Path(folder) / "published" / "current.duckdb", given.customers)
        with serving(Path(folder), given.workers) as (port, key, _):
            asyncio.run(put_load(port, key, given.customers, given.rate, WARM_UP))
            alone = asyncio.run(put_load(port, key, given.customers, given.rate, given.seconds)).figures()
            figures = soak(port, key, given.customers, given.rate, given.seconds)
    print(json.dumps({"machine": on, "without_bad_clients": alone, **figures}, indent=2))


if __name__ == "__main__":
    main()
