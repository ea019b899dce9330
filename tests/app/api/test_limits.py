"""Who has no key costs nothing much: a running server of two workers and clients that mean it ill."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import psutil  # type: ignore[import-untyped]
import pytest

from app.api.limits import MOST_CONNECTIONS, MOST_HEADERS, REQUEST_SECONDS
from bench.soak import soak
from tests.app.api.publication import CUSTOMERS, Publication, publish
from tests.app.api.serving import Serving, serving
from tests.shop import mapping

TODAY = date.today()
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n"
ASK = b"POST /v1/decisions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
MEGABYTE = b"a" * 1_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("limited")
    mapping(folder)
    publication = Publication(
        as_of=TODAY - timedelta(days=1),
        published_at=datetime.combine(TODAY, datetime.min.time()),
        customers={str(number): CUSTOMERS["12"] for number in range(1, 15)},
    )
    publish(folder / "home" / "published" / "current.duckdb", publication)
    with serving(folder / "home") as found:
        yield found


def connect(server: Serving) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=REQUEST_SECONDS + 10)


def told(connection: socket.socket) -> bytes:
    """What the server says until it closes the connection."""
    found = b""
    try:
        while part := connection.recv(65_536):
            found += part
    except ConnectionResetError:
        pass
    return found


def send(connection: socket.socket, part: bytes, megabytes: int = 30) -> bool:
    """Send so much, and say whether the server took it all."""
    try:
        for _ in range(megabytes * 1_000_000 // len(part)):
            connection.sendall(part)
    except (ConnectionResetError, BrokenPipeError):
        return False
    return True


@pytest.mark.parametrize(
    ("begin", "part"),
    [
        (HEALTH + b"X: ", MEGABYTE),
        (HEALTH + b"X", MEGABYTE),
        (b"GET /health?", MEGABYTE),
        (b"A" * 10, MEGABYTE),
        (HEALTH, b"X: y\r\n" * 1000),
        (HEALTH + b"\r\n" + HEALTH + b"X: ", MEGABYTE),
        (HEALTH + b"Transfer-Encoding: chunked\r\n\r\n5;", MEGABYTE),
        (HEALTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ", MEGABYTE),
        (HEALTH + b"Transfer-Encoding: chunked\r\n\r\n", b"4000\r\n" + b"a" * 0x4000 + b"\r\n"),
        (HEALTH + b"Content-Length: 100000000\r\n\r\n", MEGABYTE),
        (ASK + b"Content-Length: 100000000\r\n\r\n", MEGABYTE),
        (ASK + b"Transfer-Encoding: chunked\r\n\r\n", b"4000\r\n" + b"a" * 0x4000 + b"\r\n"),
        (b"", HEALTH + b"\r\n"),
    ],
)
def test_what_never_ends_is_cut_off_soon_and_costs_no_memory(server, begin, part):
    before = memory(server)
    started = time.monotonic()
    with connect(server) as connection:
        connection.sendall(begin)
        assert not send(connection, part)
    assert time.monotonic() - started < REQUEST_SECONDS
    assert server.client.get("/health").status_code == 200
    assert memory(server) - before < 10_000_000


def memory(server: Serving) -> int:
    workers = psutil.Process(server.process_id).children(recursive=True)
    return sum(int(worker.memory_info().rss) for worker in workers)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HEALTH + b"X: " + b"a" * 17_000 + b"\r\n\r\n", 431),
        (HEALTH + b"X: y\r\n" * (MOST_HEADERS + 1) + b"\r\n", 431),
        (b"GET /health?" + b"a" * 17_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        # nothing of the body is there yet
        (ASK + b"Content-Length: 300\r\n\r\n", 401),
        (ASK + b"X-API-Key: wrong\r\nContent-Length: 300\r\n\r\n", 401),
        (ASK + b"Transfer-Encoding: chunked\r\n\r\n", 401),
        (ASK + b"Expect: 100-continue\r\nContent-Length: 300\r\n\r\n", 401),
        (HEALTH + b"Content-Length: 1000000\r\n\r\n", 413),
        (HEALTH + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ],
)
def test_what_is_refused_is_told_so_at_once(server, request_, status):
    started = time.monotonic()
    with connect(server) as connection:
        connection.sendall(request_)
        assert told(connection).startswith(b"HTTP/1.1 %d " % status)
    assert time.monotonic() - started < REQUEST_SECONDS


def test_a_header_of_the_longest_id_is_taken(server):
    customer = "%F0%9F%98%80" * 255
    assert server.client.get(f"/v1/customers?customer_id={customer}").status_code in (404, 422)


def test_half_a_request_does_not_stay(server):
    parts = [b"", b"GET /hea", HEALTH + b"X: y", HEALTH + b"Content-Length: 9\r\n\r\n{"]
    held = [(connect(server), part) for part in parts for _ in range(100)]
    started = time.monotonic()
    for connection, part in held:
        connection.sendall(part)
    for connection, _ in held:
        told(connection)
        connection.close()
    assert REQUEST_SECONDS - 2 < time.monotonic() - started < REQUEST_SECONDS + 4


def test_of_too_many_connections_those_that_wait_are_closed_and_who_asks_is_heard(server):
    held = [connect(server) for _ in range(2 * MOST_CONNECTIONS + 200)]
    try:
        for connection in held:
            connection.sendall(HEALTH)
        for _ in range(20):
            started = time.monotonic()
            with connect(server) as good:
                good.sendall(HEALTH + b"Connection: close\r\n\r\n")
                assert told(good).startswith(b"HTTP/1.1 200 ")
            assert time.monotonic() - started < 2
        assert len(psutil.Process(server.process_id).children()) >= 2
        of_server = sum(
            len([each for each in worker.net_connections() if each.status == "ESTABLISHED"])
            for worker in psutil.Process(server.process_id).children()
        )
        assert of_server <= 2 * MOST_CONNECTIONS
    finally:
        for connection in held:
            connection.close()


def test_bad_clients_cost_no_good_request_its_answer(server):
    key = server.client.headers["X-API-Key"]
    figures = soak(server.port, key, customers=14, rate=40, seconds=6)
    assert figures["good"]["requests"] == 240
    assert figures["good"]["not_answered"] == 0
    assert figures["bad_clients_cut_off"] > 100
    assert len(server.log.read_text().splitlines()) < 10, "nor do they fill the log"
