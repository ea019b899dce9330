"""Fresh secrets for Airflow. Standard library only, so that they can be made before anything is installed."""

from __future__ import annotations

import base64
import secrets


def new_keys() -> dict[str, str]:
    """Keys for what Airflow's components share: connections, sessions of the UI, tokens of tasks."""
    return {
        # Fernet takes 32 bytes in this alphabet.
        "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "secret_key": secrets.token_hex(32),
        "jwt_secret": secrets.token_hex(64),
    }


def new_password() -> str:
    """A password of 16 letters, digits, dashes and underscores."""
    return secrets.token_urlsafe(12)
