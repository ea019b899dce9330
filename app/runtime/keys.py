"""Makes new secrets for Airflow: its keys and the password of its user.

Standard library only, so that `make compose-env` works before anything is installed.
"""

from __future__ import annotations

import base64
import secrets


def new_keys() -> dict[str, str]:
    """Return new keys of what Airflow's components share: connections, the UI's sessions, tasks' tokens."""
    return {
        # Fernet takes 32 bytes in this alphabet.
        "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "secret_key": secrets.token_hex(32),
        "jwt_secret": secrets.token_hex(64),
    }


def new_password() -> str:
    """Return a new password of 16 letters, digits, dashes and underscores."""
    return secrets.token_urlsafe(12)
