"""Pseudonyms: equal for the same customer, and only a holder of the key can compute them."""

from __future__ import annotations

import hashlib
import hmac
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from goodstanding.core.errors import WrongUse
from goodstanding.core.settings import Settings
from goodstanding.identity.pseudonyms import pseudonym, pseudonym_key


def settings_of(home: Path, **values: object) -> Settings:
    return Settings(home=home, _env_file=None, **values)


def test_a_pseudonym_is_half_of_the_keyed_hash_and_differs_by_customer_and_key() -> None:
    key, other_key = b"k" * 32, b"o" * 32
    assert pseudonym("17850", key) == hmac.new(key, b"17850", hashlib.sha256).hexdigest()[:32]
    assert len({pseudonym("17850", key), pseudonym("17851", key), pseudonym("17850", other_key)}) == 3


def test_a_customer_id_in_any_script_has_a_pseudonym() -> None:
    assert len(pseudonym("Gärtner-7 \u4e2d", b"k" * 32)) == 32


def test_a_key_in_the_settings_is_used_and_no_file_is_written(tmp_path: Path) -> None:
    assert pseudonym_key(settings_of(tmp_path, pseudonym_key="AB" * 32)) == b"\xab" * 32
    assert list(tmp_path.iterdir()) == []


def test_without_a_setting_a_key_is_made_once_and_only_the_owner_can_read_it(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    key = pseudonym_key(settings_of(home))
    assert len(key) == 32
    assert pseudonym_key(settings_of(home)) == key
    [file] = home.iterdir()
    assert file.name == "pseudonym.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_two_homes_have_two_keys(tmp_path: Path) -> None:
    assert pseudonym_key(settings_of(tmp_path / "one")) != pseudonym_key(settings_of(tmp_path / "two"))


def test_concurrent_first_uses_get_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as workers:
        keys = list(workers.map(pseudonym_key, [settings_of(tmp_path / "home")] * 16))
    assert len(set(keys)) == 1
    assert len(list((tmp_path / "home").iterdir())) == 1


@pytest.mark.parametrize("content", ["", "abc", "g" * 64, "ab" * 31])
def test_a_damaged_key_is_refused_and_not_replaced(tmp_path: Path, content: str) -> None:
    file = tmp_path / "pseudonym.key"
    file.write_text(content)
    with pytest.raises(WrongUse, match=r"pseudonym\.key holds no key; restore it"):
        pseudonym_key(settings_of(tmp_path))
    assert file.read_text() == content


def test_a_key_file_of_the_settings_is_used_and_never_made(tmp_path: Path) -> None:
    file, home = tmp_path / "secret", tmp_path / "home"
    settings = settings_of(home, pseudonym_key_file=file)
    with pytest.raises(WrongUse, match=r"secret.*cannot be read"):
        pseudonym_key(settings)
    file.write_text("cd" * 32 + "\n")
    assert pseudonym_key(settings) == b"\xcd" * 32
    assert not (home / "pseudonym.key").exists()


def test_a_key_file_that_is_not_the_key_of_the_home_is_refused(tmp_path: Path) -> None:
    file, home = tmp_path / "secret", tmp_path / "home"
    own = pseudonym_key(settings_of(home))
    file.write_text("cd" * 32)
    with pytest.raises(WrongUse, match="holds another key than"):
        pseudonym_key(settings_of(home, pseudonym_key_file=file))
    file.write_text(own.hex())
    assert pseudonym_key(settings_of(home, pseudonym_key_file=file)) == own
