"""The load test of the API benchmark counts every answer: late ones, and none at all."""

from __future__ import annotations

import asyncio
import socket
from datetime import date

from app.api.published import read_published
from bench.api import KEY, Load, make_publication, of_windows, put_load
from bench.readme import _api
from goodstanding.identity.pseudonyms import pseudonym


def test_the_made_up_publication_has_an_answer_for_each_of_its_customers(tmp_path):
    path = tmp_path / "published" / "current.duckdb"
    make_publication(path, 40)
    publication = read_published(path)
    assert len(publication.keys) == 40 and publication.policy(date.today()) is not None
    for number in range(1, 41):
        standing = publication.standing(pseudonym(str(number), bytes.fromhex(KEY)), "cod", 0)
        assert standing.situation is None and set(standing.values) == {"credit_score", "return_rate"}


def test_a_load_measures_the_time_and_status_of_each_request():
    """The server takes 20 ms for each request and refuses every fifth."""

    async def load() -> Load:
        answered = 0

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal answered
            while head := await _head(reader):
                if b"Content-Length: " in head:
                    await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
                answered += 1
                number = answered
                await asyncio.sleep(0.02)
                status = b"503 X" if number % 5 == 0 else b"200 OK"
                writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 2\r\n\r\n{}")

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        async with await asyncio.start_server(answer, "127.0.0.1", port):
            return await put_load(port, "key", 10, rate=100, seconds=0.5)

    figures = asyncio.run(load()).figures()
    assert figures["requests"] == 50 and figures["not_answered"] == 10
    assert 20 <= figures["p50_ms"] <= figures["p99_ms"] <= figures["most_ms"]


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


def test_the_readme_has_a_line_for_each_number_of_customers():
    figures = {
        "requests": 100,
        "p50_ms": 1.25,
        "p99_ms": 9.5,
        "most_ms": 11,
        "machine_p99_ms": 2,
        "not_answered": 1,
    }
    size = {
        "customers": 1_000_000,
        "rate": 200,
        "workers": 1,
        "undisturbed": of_windows([figures, figures | {"p99_ms": 5.5}, figures | {"p99_ms": 60.5}]),
        "with_publications": {"publications": 10, **figures},
        "cpu_ms_per_request": 1.5,
        "peak_mb": 1200,
    }
    text = _api({"machine": {"cores": 2, "load_before": 0.5}, "sizes": {"1000000": size}})
    assert "| 1,000,000 | 1.2 | 9.5 [5.5, 60.5] | 2.0 | 9.5 | 2.0 | 4 of 400 | 1.5 | 1,200 |" in text
