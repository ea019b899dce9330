"""API keys: who may ask for what, and how often. Only hashes of the keys are kept, in one file of the home.

A key is `gs_<id>_<secret>`. The secret has 256 random bits, so one round of SHA-256 protects it; the id names
the key in commands and lists. A key that is rotated stays valid for some hours beside its successor.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from filelock import FileLock

from app.api.published import Stamp, stamp_of
from app.api.sqlite import SqliteFile
from goodstanding.core.durable import write_in_place
from goodstanding.core.errors import WrongUse
from goodstanding.core.vocabulary import now_utc

SCOPES = ("decisions", "policy", "profiles")
FILE, RATES = "keys.json", "rates.sqlite"
FORM = re.compile(r"gs_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
PER_SECOND = 500
KEY_HEADER = "X-API-Key"
SCHEMA = """
create table if not exists rates (
    key_id text primary key, second integer not null, requests integer not null
) without rowid
"""


@dataclass(frozen=True)
class Key:
    """The record of a key, without its secret.

    Attributes:
        key_id: names it in commands and lists.
        hash: SHA-256 of the whole text.
        scopes: some of `SCOPES`.
        per_second: how many requests it may make in a second.
        made_at: in UTC, as ISO 8601.
        ends_at: the same; None while it has been neither revoked nor rotated.
    """

    key_id: str
    hash: str
    scopes: tuple[str, ...]
    per_second: int
    made_at: str
    ends_at: str | None = None

    def is_valid(self, at: datetime) -> bool:
        """Whether it is valid at a moment, in UTC."""
        return self.ends_at is None or at.isoformat() < self.ends_at


# ten years: what is longer is no rotation
LONGEST_HOURS = 87_600


class Keys:
    """The keys of a home. The file is read again only when it has changed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._stamp: Stamp | None = None
        self._keys: dict[str, Key] = {}

    def all(self) -> list[Key]:
        """Every key that was ever made, the newest last."""
        stamp = stamp_of(self._path)
        if stamp != self._stamp:
            self._keys = {key.key_id: key for key in self._read()} if stamp else {}
            self._stamp = stamp
        return list(self._keys.values())

    def find(self, text: str | None) -> Key | None:
        """The valid key with this text, or None."""
        match = FORM.fullmatch(text or "")
        self.all()
        key = self._keys.get(match[1]) if match else None
        given = hashlib.sha256((text or "").encode()).hexdigest()
        if key is None or not hmac.compare_digest(key.hash, given):
            return None
        return key if key.is_valid(now_utc()) else None

    def refusal(self, text: str | None) -> str | None:
        """Why a text, or none, is no valid key; None where it is one."""
        if text is None:
            return f"give a key in the header {KEY_HEADER}"
        return None if self.find(text) else "this key is not valid"

    def new(self, scopes: Sequence[str], per_second: int = PER_SECOND) -> tuple[Key, str]:
        """Make a key and return it with its text, which cannot be read again.

        Raises:
            WrongUse: a scope is unknown, or none is given.
        """
        unknown = set(scopes) - set(SCOPES)
        if unknown or not scopes:
            what = f"there is no scope '{min(unknown)}'" if unknown else "a key needs a scope"
            raise WrongUse(f"{what}; scopes are {', '.join(SCOPES)}")
        key_id = secrets.token_hex(4)
        text = f"gs_{key_id}_{secrets.token_urlsafe(32)}"
        key = Key(
            key_id=key_id,
            hash=hashlib.sha256(text.encode()).hexdigest(),
            scopes=tuple(sorted(set(scopes))),
            per_second=per_second,
            made_at=now_utc().isoformat(timespec="seconds"),
        )
        with self._writing() as keys:
            keys.append(key)
        return key, text

    def revoke(self, key_id: str) -> Key:
        """End a key at once.

        Raises:
            WrongUse: there is no such key, or it has ended.
        """
        return self._end(key_id, now_utc())

    def rotate(self, key_id: str, hours: float) -> tuple[Key, str]:
        """Make a successor with the same scopes; the old key ends so many hours later.

        Raises:
            WrongUse: there is no such key, it has ended, or nobody would live to see the end of these hours.
        """
        if not 0 <= hours <= LONGEST_HOURS:
            raise WrongUse(
                f"the old key may stay valid for 0 to {LONGEST_HOURS:,} hours, and not for {hours:g}"
            )
        old = self._end(key_id, now_utc() + timedelta(hours=hours))
        return self.new(old.scopes, old.per_second)

    def _end(self, key_id: str, at: datetime) -> Key:
        with self._writing() as keys:
            for place, key in enumerate(keys):
                if key.key_id == key_id and key.is_valid(now_utc()):
                    keys[place] = replace(key, ends_at=at.isoformat())
                    return keys[place]
        raise WrongUse(f"there is no valid key {key_id}; `goodstanding key list` names those there are")

    def _read(self) -> list[Key]:
        keys = json.loads(self._path.read_text(encoding="utf-8"))
        return [Key(**{**key, "scopes": tuple(key["scopes"])}) for key in keys]

    @contextmanager
    def _writing(self) -> Iterator[list[Key]]:
        """The keys, to be changed; the file is replaced as a whole, by one process at a time."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(self._path.with_suffix(".lock")):
            keys = self._read() if self._path.exists() else []
            yield keys
            write_in_place(self._path, json.dumps([asdict(key) for key in keys], indent=1))


class Rates:
    """Limits how many requests a key may make in a second, counted over all workers together."""

    def __init__(self, folder: Path) -> None:
        # a count for one second may be lost in a power cut
        self._file = SqliteFile(folder / RATES, SCHEMA, synchronous="off")

    def allows(self, key: Key) -> bool:
        """Count a request, and say whether the key may make it."""
        second = int(time.time())
        row = self._file.connection.execute(
            """
            insert into rates values (?, ?, 1) on conflict do update set
                requests = case when second = excluded.second then requests + 1 else 1 end,
                second = excluded.second
            returning requests
            """,
            (key.key_id, second),
        )
        (requests,) = row.fetchone()
        return int(requests) <= key.per_second
