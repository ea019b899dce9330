"""Airflow's whole configuration in one place, and the set-up of its metadata database.

Airflow is configured by environment variables alone. The run in one process (SQLite), the local Airflow
under `app.runtime.supervisor` (PostgreSQL) and docker-compose.yaml set the same ones, so a DAG runs under the
same Airflow everywhere. Importing this module does not import Airflow: that takes seconds, and Airflow
reads its environment while it is imported.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict

from filelock import FileLock
from pydantic import SecretStr

from app.runtime.keys import new_keys, new_password
from goodstanding.core.errors import WrongUse
from goodstanding.core.private import close_home, own_files
from goodstanding.core.settings import PROJECT, Settings
from goodstanding.core.settings import settings as settings_of_this_process
from goodstanding.core.vocabulary import WRITER_POOL
from goodstanding.identity.pseudonyms import pseudonym_key

ADMIN = "admin"

_LOCAL_SETTINGS = '''\
"""Written by app.runtime.airflow_env; Airflow imports it at its own start.

Tasks fork from the scheduler: what it has imported, they do not import again.
"""

import sys

if sys.argv[1:2] == ["scheduler"]:
    import pipeline.preload  # noqa: F401
'''


def airflow_home(settings: Settings) -> Path:
    """Return the folder of all that Airflow keeps: its configuration, secrets and metadata database."""
    return settings.home / "airflow"


def logs(settings: Settings) -> Path:
    """Return the folder of the logs of Airflow's tasks and components."""
    return settings.home / "logs"


def sqlite_url(settings: Settings) -> str:
    """Return the metadata database of runs in one process; under a scheduler, backfills on SQLite fail."""
    return f"sqlite:///{airflow_home(settings) / 'airflow.sqlite'}"


def admin_password(settings: Settings) -> str:
    """Return the password of the one user of the local Airflow, which `airflow_environment` has made."""
    password: str = json.loads(_passwords_file(settings).read_text())[ADMIN]
    return password


def airflow_environment(
    settings: Settings, database_url: str, dags_folder: Path = PROJECT / "dags"
) -> dict[str, str]:
    """Return the environment in which Airflow runs as this project needs it.

    Secrets are made at the first call, in files that their owner alone can read.

    Args:
        settings: exported too, with absolute paths, so that a task reads the settings that its run was given.
        database_url: SQLAlchemy URL of the metadata database.
        dags_folder: where the DAG files lie.
    """
    home, log_folder = airflow_home(settings), logs(settings)
    keys = _secrets(settings)
    address = f"http://127.0.0.1:{settings.port}"
    airflow = {
        "CORE__DAGS_FOLDER": str(dags_folder),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__DEFAULT_TIMEZONE": "utc",
        "CORE__FERNET_KEY": keys["fernet_key"],
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_passwords_file(settings)),
        "CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "API__HOST": "127.0.0.1",
        "API__PORT": str(settings.port),
        "API__BASE_URL": address,
        "API__SECRET_KEY": keys["secret_key"],
        "API_AUTH__JWT_SECRET": keys["jwt_secret"],
        "DATABASE__SQL_ALCHEMY_CONN": database_url,
        "LOGGING__BASE_LOG_FOLDER": str(log_folder),
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(log_folder / "dag_processor"),
        "LOGGING__REMOTE_LOGGING": "False",
        # by default Airflow opens both to the group, whatever the umask
        "LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
        "LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
        **TUNING,
    }
    exported = {
        f"GOODSTANDING_{name.upper()}": _exported(value)
        for name, value in settings.model_dump(exclude_none=True).items()
    }
    return {
        "AIRFLOW_HOME": str(home),
        **{f"AIRFLOW__{name}": value for name, value in airflow.items()},
        **exported,
        "GOODSTANDING_SHOP": _shop(settings.shop),
        **QUIET,
        "PYTHONPATH": _joined(os.pathsep, str(PROJECT), os.environ.get("PYTHONPATH")),
        # A task talks to the API server on this machine; otherwise it would ask a company's proxy for it.
        "NO_PROXY": _joined(",", "127.0.0.1", os.environ.get("NO_PROXY")),
        # Python takes an empty value as unset. Without compiled bytecode every start is two to three times
        # slower (Airflow alone: 7.1 s, with bytecode 2.0 s).
        "PYTHONDONTWRITEBYTECODE": "",
    }


# Measured on two cores with a real DAG of six tasks: a run takes 8.0 s with Airflow's defaults, 1.7 to 3.1 s
# with these.
TUNING = {
    # The pool admits one writer anyway; four is enough for what does not write.
    "CORE__PARALLELISM": "4",
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
    # A task holds its slot of the LocalExecutor until the next heartbeat: 5 s by default.
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    # Seconds. A task whose scheduler was killed is tried again at most 10 s after that scheduler's heartbeat
    # has been missing for 30 s; one whose own heartbeat, one a second, is missing for 30 s, too.
    # Until then it holds the writer's slot and every run waits. Airflow's default is five minutes for either.
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    # Seconds until a new or edited DAG file shows. The files are few and cheap to parse.
    "DAG_PROCESSOR__REFRESH_INTERVAL": "10",
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
    "DAG_PROCESSOR__PARSING_PROCESSES": "1",
}

# No library here reports its use to its makers.
QUIET = {
    "GX_ANALYTICS_ENABLED": "false",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
    # dbt leaves two semaphores to the end of its process: harmless, but red lines in every good task's log
    "PYTHONWARNINGS": "ignore:resource_tracker:UserWarning",
}


def prepare(environment: Mapping[str, str]) -> None:
    """Bring Airflow's home and metadata database up to date; takes milliseconds where they are.

    Call it before anything imports Airflow: the variables are set in this process, where Airflow reads them.

    Args:
        environment: of `airflow_environment`, or that of a container.
    """
    os.environ.update(environment)
    home = Path(environment["AIRFLOW_HOME"])
    _write_if_changed(home / "config" / "airflow_local_settings.py", _LOCAL_SETTINGS)
    url = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    # A file system without locks is an error: a file as a mark would outlive a process that was killed.
    with FileLock(home / "prepare.lock", fallback_to_soft=False):
        if not _is_current(home, url):
            _migrate()
            _remember(home, url)


def _migrate() -> None:
    from airflow.models.pool import Pool
    from airflow.utils.db import initdb
    from airflow.utils.session import create_session

    initdb()
    with create_session() as session:
        Pool.create_or_update_pool(
            WRITER_POOL, 1, "One task writes to DuckDB at a time.", include_deferred=False, session=session
        )


def _is_current(home: Path, url: str) -> bool:
    """Whether the database is still as the last `_migrate` left it; found without importing Airflow."""
    stamp = _stamp(home, url)
    return stamp.exists() and json.loads(stamp.read_text()) == _state(url)


def _remember(home: Path, url: str) -> None:
    _write_if_changed(_stamp(home, url), json.dumps(_state(url)))


def _stamp(home: Path, url: str) -> Path:
    return home / f"migrated-{url.partition(':')[0]}.json"


class _State(TypedDict):
    """By what a prepared database is recognised, kept as JSON beside it.

    Attributes:
        airflow: version of the package that is installed here.
        revision: of the database's schema; None where there is none.
        writers: slots of the writer's pool; None where there is no such pool.
    """

    airflow: str
    revision: str | None
    writers: int | None


def _state(url: str) -> _State:
    import sqlalchemy as sa

    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            revision = connection.execute(sa.text("select version_num from alembic_version")).scalar()
            pools = sa.text("select slots from slot_pool where pool = :name")
            slots = connection.execute(pools, {"name": WRITER_POOL}).scalar()
    except sa.exc.DatabaseError:
        revision = slots = None
    finally:
        engine.dispose()
    return {"airflow": version("apache-airflow-core"), "revision": revision, "writers": slots}


def _secrets(settings: Settings) -> dict[str, str]:
    """Return the keys that Airflow's components share; make them, and the password file of its login."""
    home = airflow_home(settings)
    home.mkdir(parents=True, exist_ok=True)
    _write_once(_passwords_file(settings), json.dumps({ADMIN: new_password()}))
    kept: dict[str, str] = json.loads(_write_once(home / "secrets.json", json.dumps(new_keys())))
    return kept


def _passwords_file(settings: Settings) -> Path:
    return airflow_home(settings) / "passwords.json"


def _write_once(path: Path, text: str) -> str:
    """Write a file that only its owner may read, unless it is there; return what it holds.

    The text appears under its name in one step, so two first starts at once agree on one secret.
    """
    if not path.exists():
        descriptor, draft = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        with suppress(FileExistsError):
            os.link(draft, path)
        os.unlink(draft)
    return path.read_text()


def _write_if_changed(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _exported(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _shop(shop: str) -> str:
    """Make the path of a mapping outside shops/ absolute: a task runs in another folder than its user."""
    path = Path(shop).expanduser()
    return str(path.absolute()) if path.suffix else shop


def _joined(separator: str, first: str, rest: str | None) -> str:
    """Put `first` before the parts that are there, once, however often a process passes the result on."""
    kept = [part for part in (rest or "").split(separator) if part and part != first]
    return separator.join([first, *kept])


def _require_key_of_home() -> None:
    """End the start where the key of the containers is not that under which the home knows its customers.

    The API's container does not see the home's own key: it would know no customer any more, and not say why.
    """
    current = settings_of_this_process()
    if current.pseudonym_key_file:
        try:
            pseudonym_key(current)
        except WrongUse as error:
            raise SystemExit(str(error)) from None


def main(command: list[str]) -> None:
    """Prepare for the environment of this process, then become `command`, if any: the start of a container.

    In a container the password of the UI is in the environment; Airflow's login reads it from a file.
    """
    own_files()
    home = Path(os.environ["AIRFLOW_HOME"]).parent
    # the API's container mounts these of the home, and so they have to be there before it starts
    for folder in ("published", "api", "policy", "receipts"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    close_home(home)
    _require_key_of_home()
    if password := os.environ.pop("AIRFLOW_ADMIN_PASSWORD", ""):
        passwords = Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
        passwords.parent.mkdir(parents=True, exist_ok=True)
        passwords.unlink(missing_ok=True)
        _write_once(passwords, json.dumps({ADMIN: password}))
    prepare(dict(os.environ))
    if command:
        os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
