"""Who asks through a reverse proxy is told by trusted proxies alone, and has the room of one client."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest
import uvicorn

from app.api import limits
from app.api.proxies import Proxies, peer_of
from goodstanding.core.errors import WrongUse
from goodstanding.core.settings import Settings, settings

X = "x-forwarded-for"


def proxies(header: str = X) -> Proxies:
    return Proxies(Settings(trusted_proxies="127.0.0.1, 10.0.0.0/8,::1", _env_file=None).proxies, header)


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        (["203.0.113.7"], "203.0.113.7"),
        # what a client writes stands before what the proxy adds
        (["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        (["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        (["nonsense, 203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7, 10.1.2.3, ::1"], "203.0.113.7"),
        (["203.0.113.7:4711"], "203.0.113.7"),
        (["::ffff:203.0.113.7"], "203.0.113.7"),
        (["[2001:db8:1:2::9]:80"], "2001:db8:1:2::/64"),
        (["2001:db8:1:2:ffff::"], "2001:db8:1:2::/64"),
        # nobody says who it is
        (["203.0.113.7, unknown"], None),
        (["10.1.2.3"], None),
        ([""], None),
        ([], None),
    ],
)
def test_the_last_that_is_no_trusted_proxy_has_asked(lines, client):
    headers = [(b"x-forwarded-for", line.encode()) for line in lines]
    assert proxies().client([*headers, (b"forwarded", b"for=192.0.2.1")]) == client


@pytest.mark.parametrize(
    ("line", "client"),
    [
        ("for=203.0.113.7;proto=https;by=10.0.0.1", "203.0.113.7"),
        ('proto=https;For="203.0.113.7:47011"', "203.0.113.7"),
        ('for=198.51.100.1, for="[2001:db8:1:2::9]:80"', "2001:db8:1:2::/64"),
        ("for=203.0.113.7, for=10.9.9.9", "203.0.113.7"),
        ('for="_a,for=198.51.100.1", for=203.0.113.7', "203.0.113.7"),
        ('for=198.51.100.1;x="a", for=203.0.113.7;x="a,b"', "203.0.113.7"),
        ('for=198.51.100.1, "for=203.0.113.7', None),
        ("for=_hidden", None),
        ("proto=https", None),
        ("for=203.0.113.7;for=198.51.100.1", None),
    ],
)
def test_the_header_of_the_standard_is_read_where_it_is_the_one_that_is_trusted(line, client):
    headers = [(b"forwarded", line.encode()), (b"x-forwarded-for", b"192.0.2.1")]
    assert proxies("forwarded").client(headers) == client


def test_a_header_of_many_quotes_is_read_as_fast_as_another_of_its_length():
    def seconds(line):
        began = time.process_time()
        proxies("forwarded").client([(b"forwarded", line)])
        return time.process_time() - began

    assert min(seconds(b'",' * 8000) for _ in range(3)) < 0.1


def test_who_is_no_trusted_proxy_is_itself_the_client():
    assert [proxies().trust(address) for address in ("127.0.0.1", "10.7.7.7", "::1")] == [True] * 3
    assert [proxies().trust(address) for address in ("192.0.2.1", "", "testclient")] == [False] * 3
    assert not Proxies().trust("127.0.0.1"), "none is trusted by default"
    assert peer_of("testclient") == "testclient"


@pytest.mark.parametrize("wrong", ["proxy.example", "10.0.0.1/8", "10.0.0.0/8 127.0.0.1", "10.0.0.1,"])
def test_what_is_no_network_is_refused_with_the_setting(monkeypatch, wrong):
    monkeypatch.setenv("GOODSTANDING_TRUSTED_PROXIES", wrong)
    settings.cache_clear()
    with pytest.raises(WrongUse, match=r"GOODSTANDING_TRUSTED_PROXIES.*write addresses or networks"):
        settings()
    settings.cache_clear()


def left_of(clients: list[str], trusted: str | None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of clients that each send half a request by a proxy of this machine, those not cut off."""
    found = Settings(trusted_proxies=trusted, _env_file=None).proxies
    monkeypatch.setattr(limits, "trusted", lambda: Proxies(found))
    monkeypatch.setattr(limits, "MOST_OF_A_PEER", 3)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    async def ask() -> list[str]:
        sock = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(app, http=limits.LimitedProtocol, lifespan="off", log_level=50)
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve([sock]))
        held = []
        for client in clients:
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            head = f"POST / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {client}\r\n"
            writer.write(f"{head}Content-Length: 9\r\n\r\n".encode())
            await asyncio.sleep(0.03)
            held.append((client, reader, writer))
        left = [client for client, reader, _ in held if not reader.at_eof() and reader.exception() is None]
        for _, _, writer in held:
            writer.transport.abort()
        server.should_exit = True
        await running
        return left

    return asyncio.run(ask())


def test_clients_of_a_trusted_proxy_have_the_room_of_one_each(monkeypatch):
    one, other = ["203.0.113.7"] * 5, ["203.0.113.8"] * 2
    assert left_of([*one, *other], "127.0.0.0/8", monkeypatch) == [*one[:3], *other]


def test_a_header_of_nobody_trusted_gives_no_more_room(monkeypatch):
    clients = [f"203.0.113.{number}" for number in range(5)]
    assert left_of(clients, None, monkeypatch) == clients[2:]
    assert left_of(clients, "10.0.0.0/8", monkeypatch) == clients[2:]
