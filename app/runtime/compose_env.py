"""Writes the secrets that docker-compose.yaml asks for into `.env`: what `make compose-env` calls.

A value that stands there already is never touched: a database keeps the password that it was made with.
The names have not the prefix of our settings, so a run outside the containers takes no notice of them.
Standard library only: who has Docker needs nothing installed for this.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from app.runtime.keys import new_keys, new_password

ENV_FILE = Path(__file__).resolve().parents[2] / ".env"
# Under root the containers still run as an ordinary user; nobody on the host needs to have this number.
UID_UNDER_ROOT = 50000


def fresh_values() -> dict[str, str]:
    """A new value for every variable without which docker-compose.yaml refuses to start."""
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
    """Append what is missing to an env file, readable by its owner only, and name what was added."""
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


def main() -> None:
    """Complete the project's `.env` and say what was done, without the values."""
    added = complete(ENV_FILE)
    print(f"{ENV_FILE}: added {', '.join(added)}" if added else f"{ENV_FILE} is complete")
    print("`docker compose up --build --wait` starts Airflow; its user is admin, the password is in .env")


if __name__ == "__main__":
    main()
