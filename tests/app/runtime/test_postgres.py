"""The PostgreSQL that `make up` starts for Airflow: reachable, private, and any other kind is refused."""

from __future__ import annotations

import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.runtime import sessions
from app.runtime.postgres import SOCKET_BYTES, Postgres, external_url, socket_folder
from goodstanding.core.errors import WrongUse


def started(data: Path, log: Path) -> Postgres:
    server = Postgres(data, log)
    server.initialise()
    server.component.start()
    deadline = time.monotonic() + 30
    while not server.answers():
        assert time.monotonic() < deadline, server.component.tail()
        time.sleep(0.05)
    return server


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A temporary folder that a server under another user can reach.

    pytest's own folder will not do: every pytest that starts meanwhile closes it to others again.
    """
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def kill(server: Postgres) -> None:
    assert server.component.process is not None
    sessions.end([server.component.process.pid], 0)
    server.component.process.wait()


def test_a_server_under_a_path_too_long_for_a_socket_answers_and_others_cannot_reach_it(
    open_folder: Path,
) -> None:
    data = open_folder / ("long" * 30) / "postgres"
    assert socket_folder(data) != data
    server = started(data, open_folder / "log")
    try:
        for folder in (data, socket_folder(data)):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        kill(server)
        server = started(data, open_folder / "log")  # with its data in order
    finally:
        kill(server)
        server.forget_socket()
    assert not socket_folder(data).exists()


def test_the_socket_lies_beside_the_data_if_its_path_is_short_enough() -> None:
    short = Path("/srv/goodstanding/var/airflow/postgres")
    assert socket_folder(short) == short
    longest = Path("/" + "d" * (SOCKET_BYTES - len("//.s.PGSQL.5432")))
    assert socket_folder(longest) == longest
    assert socket_folder(Path(f"{longest}d")) != Path(f"{longest}d")


def test_a_database_that_does_not_answer_is_reported_without_its_password() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(WrongUse) as refused:
            external_url(f"postgresql://airflow:hunter2@127.0.0.1:{port}/airflow")
    message = str(refused.value)
    assert "GOODSTANDING_AIRFLOW_DATABASE" in message and str(port) in message
    assert "hunter2" not in message and "\n" not in message


@pytest.mark.parametrize("url", ["sqlite:////tmp/airflow.sqlite", "mysql://user@host/name", "nonsense"])
def test_a_database_other_than_postgresql_is_refused(url: str) -> None:
    with pytest.raises(WrongUse, match="GOODSTANDING_AIRFLOW_DATABASE"):
        external_url(url)
