"""Starts `goodstanding serve` with two workers on a free port, as a shop does, and ends it again."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.api.keys import SCOPES, Keys
from tests.app.api.publication import KEY


@dataclass(frozen=True)
class Serving:
    """A running server.

    Attributes:
        client: sends a key of every scope.
        log: what the server has written.
        process_id: of the process that holds the workers.
    """

    client: httpx.Client
    log: Path
    port: int
    process_id: int


def environment(home: Path) -> dict[str, str]:
    """The settings of the tiny shop beside a home, as environment variables."""
    return {
        "GOODSTANDING_HOME": str(home),
        "GOODSTANDING_SHOP": str(home.parent / "tiny.yml"),
        "GOODSTANDING_PSEUDONYM_KEY": KEY,
        "PATH": "/usr/bin:/bin",
    }


@contextmanager
def serving(
    home: Path, more: Mapping[str, str] | None = None, key: str | None = None, umask: int = -1
) -> Iterator[Serving]:
    """The server over a home, ready to answer; `more` are further environment variables.

    Args:
        key: of the client; by default one is made.
        umask: of the server; by default that of this process.
    """
    if key is None:
        _, key = Keys(home / "api").new(SCOPES, per_second=100_000)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("goodstanding")), "serve", "--port", str(port)]
    log = home.parent / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, "--workers", "2"],
            env={**environment(home), **(more or {})},
            stdout=file,
            stderr=file,
            umask=umask,
        )
        try:
            address, headers = f"http://127.0.0.1:{port}", {"X-API-Key": key}
            with httpx.Client(base_url=address, headers=headers, timeout=20) as client:
                for _ in range(300):
                    try:
                        client.get("/ready")
                        break
                    except httpx.TransportError:
                        assert process.poll() is None, log.read_text()
                        time.sleep(0.1)
                yield Serving(client, log, port, process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) in (0, -signal.SIGTERM)
