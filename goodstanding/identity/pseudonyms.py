"""Makes the pseudonym by which ingest replaces a customer id; all later steps know only the pseudonym.

A pseudonym is the first 32 hex digits (128 bits) of HMAC-SHA256 under the shop's own key. So a customer has
the same pseudonym every day, and nobody without the key can recover the id or test a guess.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import tempfile
from pathlib import Path

from goodstanding.core.errors import WrongUse
from goodstanding.core.settings import Settings

LENGTH = 32


def pseudonym_key(settings: Settings) -> bytes:
    """The key: from the settings, else from the home, where it is made once and only its owner may read it.

    Raises:
        WrongUse: the key file does not hold a key, or the file that a setting names cannot be read, or holds
            another key than the home.
    """
    if settings.pseudonym_key:
        return bytes.fromhex(settings.pseudonym_key.get_secret_value())
    own = settings.home / "pseudonym.key"
    if named := settings.pseudonym_key_file:
        key = _read_key(named)
        if own.exists() and _read_key(own) != key:
            raise WrongUse(
                f"setting GOODSTANDING_PSEUDONYM_KEY_FILE: {named} holds another key than {own}, under which "
                "this home knows its customers; copy that one over it"
            )
        return key
    if not own.exists():
        make_key(own)
    return _read_key(own)


def _read_key(path: Path) -> bytes:
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise WrongUse(f"{path}, the key of the pseudonyms, cannot be read ({error.strerror})") from None
    if not re.fullmatch(r"([0-9a-fA-F]{2}){32,}", text):
        raise WrongUse(f"{path} holds no key; restore it, or the same customers get other pseudonyms")
    return bytes.fromhex(text)


def make_key(path: Path) -> None:
    """Write a new key; if two processes do so at once, the first one's key is kept.

    A hard link does not replace a file, so this needs no lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)


def keyed_hash(kind: str, text: str, key: bytes) -> str:
    """What is kept in place of a text that is no customer's id, such as the e-mail address of a guest.

    No text has the pseudonym of a customer: no id in normal form begins with a control character.
    """
    return pseudonym(f"\0{kind}\0{text}", key)


def pseudonym(customer: str, key: bytes) -> str:
    """The pseudonym of the shop's own customer id, which is in normal form (`normal_form.CustomerIds`)."""
    return hmac.new(key, customer.encode(), hashlib.sha256).hexdigest()[:LENGTH]
