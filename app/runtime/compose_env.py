"""Prepares `docker compose`: writes secrets into `.env` and makes a folder for the shop's files.

A value that is in `.env` already is never changed: a database keeps the password with which it was made. The
names of the secrets lack the prefix of our settings, so a run outside the containers ignores them. `make
compose-env` calls it. Standard library only: with Docker and Python there is nothing to install.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from app.runtime.keys import new_keys, new_password

PROJECT = Path(__file__).resolve().parents[2]
ENV_FILE = PROJECT / ".env"
# the secret of docker compose: a variable is seen by everybody who may look at a container
KEY_FILE = PROJECT / "pseudonym.key"
KEY_SETTING = r"^[ \t]*GOODSTANDING_PSEUDONYM_KEY[ \t]*=[ \t]*[\"']?([0-9a-fA-F]{64,})"
# Under root the containers still run as an ordinary user; nobody on the host needs to have this number.
UID_UNDER_ROOT = 50000


def fresh_values() -> dict[str, str]:
    """Return a new value for every variable without which docker-compose.yaml refuses to start."""
    keys = new_keys()
    return {
        "AIRFLOW_UID": str(os.getuid() or UID_UNDER_ROOT),
        "AIRFLOW_ADMIN_PASSWORD": new_password(),
        "AIRFLOW_FERNET_KEY": keys["fernet_key"],
        "AIRFLOW_SECRET_KEY": keys["secret_key"],
        "AIRFLOW_JWT_SECRET": keys["jwt_secret"],
        # It becomes part of a URL: hexadecimal digits need no quoting there.
        "POSTGRES_PASSWORD": secrets.token_hex(24),
    }


def complete(path: Path) -> list[str]:
    """Append what is missing to an env file, readable by its owner only; return the names that were added."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+") as file:
        os.fchmod(file.fileno(), 0o600)
        text = file.read()
        known = set(re.findall(r"^[ \t]*(\w+)[ \t]*=[ \t]*[^\s#]", text, re.MULTILINE))
        missing = {name: value for name, value in fresh_values().items() if name not in known}
        if missing:
            start = "" if not text or text.endswith("\n") else "\n"
            lines = "".join(f"{name}={value}\n" for name, value in missing.items())
            file.write(f"{start}# docker compose\n{lines}")
    return list(missing)


def write_key(path: Path, env_file: Path) -> bool:
    """Write the key of the pseudonyms where there is none, for the containers' user alone.

    Args:
        path: of the key.
        env_file: complete; a key that it sets is the one that is written, another would rename all customers.

    Returns:
        Whether it was written.
    """
    text = env_file.read_text()
    set_there = re.findall(KEY_SETTING, text, re.MULTILINE)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as file:
        file.write(set_there[-1] if set_there else secrets.token_hex(32))
        if os.getuid() == 0:
            users = re.findall(r"^AIRFLOW_UID=(\d+)", text, re.MULTILINE)
            os.fchown(file.fileno(), int(users[-1]), -1)
    return True


def landing_of(project: Path) -> tuple[Path, bool]:
    """Return the folder that docker compose mounts as the landing, and whether a setting names it.

    As docker compose does, a variable of this shell wins over `.env`; a relative path starts at the project.
    """
    env_file = project / ".env"
    text = env_file.read_text() if env_file.exists() else ""
    written = re.findall(
        r"^[ \t]*GOODSTANDING_LANDING[ \t]*=[ \t]*(.*?)(?:[ \t]+#.*|[ \t]*)$", text, re.MULTILINE
    )
    named = os.environ.get("GOODSTANDING_LANDING") or (written[-1].strip("\"'") if written else "")
    return project / Path(named or "data/landing").expanduser(), bool(named)


def prepare_landing(project: Path) -> str:
    """Create the default landing where it is missing, and return a sentence on the state of the landing.

    docker compose refuses to start without the folder. One that a setting names is not created: it is more
    likely that its path is mistyped, or its disk not mounted, than that the shop has no files yet.
    """
    landing, is_named = landing_of(project)
    if is_named and not landing.is_dir():
        return (
            f"{landing} is missing; docker compose will not start before GOODSTANDING_LANDING names a folder"
        )
    landing.mkdir(parents=True, exist_ok=True)
    if any(landing.iterdir()):
        return f"the shop's files are read from {landing}"
    return (
        f"{landing} is empty: put the shop's daily files there (2010-12-01.csv, ...), now or later; "
        "or set GOODSTANDING_LANDING in .env to the folder that has them"
    )


def main() -> None:
    """Complete the project's `.env`, prepare its landing, and say what was done, without the secrets."""
    added = complete(ENV_FILE)
    if write_key(KEY_FILE, ENV_FILE):
        print(f"{KEY_FILE}: the key of the pseudonyms; back it up apart from everything else")
    print(f"{ENV_FILE}: added {', '.join(added)}" if added else f"{ENV_FILE} is complete")
    print(prepare_landing(PROJECT))
    print("`docker compose up --build --wait` starts Airflow; its user is admin, the password is in .env")


if __name__ == "__main__":
    main()
