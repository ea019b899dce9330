"""Limits what a client can cost before it has shown a key: bytes, time and connections, of each worker.

uvicorn limits neither the bytes of a header, nor the time in which a request must arrive, nor who holds
connections. Beyond a limit a client is told so in one line and cut off. Of too many
connections, the one that has kept its worker waiting longest is closed, so who asks at once is heard.
The connections of a trusted reverse proxy count for the clients whose requests it passes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.api.problems import MOST_BYTES, TOO_LONG
from app.api.proxies import Proxies, peer_of
from goodstanding.core.settings import settings

# An id of 255 characters of four bytes each, percent-encoded, has 3 kB.
MOST_HEADER_BYTES = 16_384
MOST_HEADERS = 64
# With what a body in chunks has beside its content.
MOST_REQUEST_BYTES = MOST_HEADER_BYTES + 2 * MOST_BYTES
# From the first byte of a request, or from the opening of its connection, to its last byte.
REQUEST_SECONDS = 5
# How long an answer may wait for its client to read on.
ANSWER_SECONDS = 5
MOST_CONNECTIONS, MOST_OF_A_PEER = 512, 256
TOO_MANY = (503, "too many connections; try again")
# Requests of one connection that wait for the answer to an earlier one.
MOST_WAITING = 16
# What is parsed at once, so that the bytes of a header that has not ended are counted closely.
SLICE = 4096


class LimitedProtocol(HttpToolsProtocol):
    """One connection, within the limits above."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._request_bytes = self._header_bytes = 0
        # the request line is parsed as no header
        self._in_header = self._is_arriving = True
        self._unanswered: list[RequestResponseCycle] = []
        self._refused: tuple[int, str] | None = None
        self._waits_since = self.loop.time()
        self._start_timer()
        address = self.client[0] if self.client else ""
        self._is_proxy = trusted().trust(address)
        # whose request a proxy passes on is known with its header
        self._peer = None if self._is_proxy else peer_of(address)
        if not (self._has_room_of_peer() and self._has_room(self._others(), MOST_CONNECTIONS)):
            self._refuse(*TOO_MANY)

    def connection_lost(self, exc: Exception | None) -> None:
        self._give_up_answers()
        for timer in (self._timer, self._stalled):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        for start in range(0, len(data), SLICE):
            if self.transport.is_closing():
                return
            part = data[start : start + SLICE]
            try:
                self.parser.feed_data(part)
            except httptools.HttpParserUpgrade:
                # it is answered as any other request
                return
            except httptools.HttpParserError:
                self._refuse(*(self._refused or (400, "this is no HTTP request")))
                return
            self._request_bytes += len(part)
            if self._in_header and self._request_bytes > MOST_HEADER_BYTES:
                self._refuse(431, f"a header may have {MOST_HEADER_BYTES:,} bytes")
            elif self._request_bytes > MOST_REQUEST_BYTES:
                self._refuse(413, TOO_LONG)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._is_arriving:
            self._waits_since = self.loop.time()
            self._start_timer()
        self._is_arriving = self._in_header = True
        self._request_bytes = self._header_bytes = 0
        if len(self.pipeline) >= MOST_WAITING:
            self._stop(429, f"{MOST_WAITING} requests wait for their answers already")

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value))
        if len(self.headers) > MOST_HEADERS:
            self._stop(431, f"a request may have {MOST_HEADERS} headers")

    def on_headers_complete(self) -> None:
        self._in_header = False
        if self._is_proxy:
            self._peer = trusted().client(self.headers)
            if not self._has_room_of_peer():
                self._stop(*TOO_MANY)
        super().on_headers_complete()
        self._unanswered.append(self.cycle)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._is_arriving = False
        if self._timer:
            self._timer.cancel()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._unanswered = [cycle for cycle in self._unanswered if not cycle.response_complete]
        self._waits_since = self.loop.time()
        if self._is_proxy and not self._unanswered:
            self._peer = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(ANSWER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled:
            self._stalled.cancel()

    def shutdown(self) -> None:
        # a request that has not arrived yet is not waited for
        if self._is_arriving:
            self.transport.close()
        super().shutdown()

    def _others(self) -> list[Any]:
        others: list[Any] = [other for other in self.connections if other is not self]
        return [other for other in others if not other.transport.is_closing()]

    def _has_room_of_peer(self) -> bool:
        of_peer = [] if self._peer is None else [one for one in self._others() if one._peer == self._peer]
        return self._has_room(of_peer, MOST_OF_A_PEER)

    def _has_room(self, others: Sequence[Any], most: int) -> bool:
        """Whether there is room beside these, once one of too many is closed: the one whose request has been
        arriving longest, else the one idle longest.
        """
        if len(others) < most:
            return True
        waiting = [other for other in others if other.waits]
        if not waiting:
            return False
        longest = min(waiting, key=lambda other: (not other._is_arriving, other._waits_since))
        longest._give_up_answers()
        longest.transport.abort()
        return True

    def _give_up_answers(self) -> None:
        """Let no answer be written any more, also to the earlier of several requests at once."""
        self.pipeline.clear()
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()

    @property
    def waits(self) -> bool:
        """Whether the worker waits for this client, and no answer is being made for it."""
        return self._is_arriving or self.cycle is None or self.cycle.response_complete

    def _start_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self.loop.call_later(REQUEST_SECONDS, self._is_late)

    def _is_late(self) -> None:
        if not self.transport.is_closing():
            self._refuse(408, f"a request must arrive within {REQUEST_SECONDS} seconds")

    def _count(self, count: int) -> None:
        self._header_bytes += count
        if self._header_bytes > MOST_HEADER_BYTES:
            self._stop(431, f"a header may have {MOST_HEADER_BYTES:,} bytes")

    def _stop(self, status: int, reason: str) -> None:
        """Refuse from within the parser, which turns any exception into its own."""
        self._refused = (status, reason)
        raise ValueError(reason)

    def _refuse(self, status: int, reason: str) -> None:
        """Answer that a limit is passed, where no answer is under way, and cut the client off."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            phrase = HTTPStatus(status).phrase
            self.transport.write(
                f"HTTP/1.1 {status} {phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
                f"content-length: {len(reason)}\r\nconnection: close\r\n\r\n{reason}".encode()
            )
        self._give_up_answers()
        self.transport.close()
        # also where the client does not read what was written
        self.loop.call_later(ANSWER_SECONDS, self.transport.abort)


@cache
def trusted() -> Proxies:
    """The proxies that the settings of this process trust."""
    return Proxies(settings().proxies, settings().proxy_header)
