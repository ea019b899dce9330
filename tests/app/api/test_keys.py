"""Keys are kept as hashes, end when they are revoked or rotated, and are limited to their rate."""

from __future__ import annotations

import stat
from datetime import timedelta

import pytest

from app.api.keys import PER_SECOND, SCOPES, Keys, Rates
from goodstanding.core.errors import WrongUse
from goodstanding.core.vocabulary import now_utc


def test_a_key_is_found_by_its_text_alone_and_only_its_hash_is_kept(tmp_path):
    keys = Keys(tmp_path / "api")
    key, text = keys.new(["decisions", "policy", "decisions"])
    assert key.scopes == ("decisions", "policy") and key.per_second == PER_SECOND
    assert Keys(tmp_path / "api").find(text) == key
    for wrong in (None, "", "gs_", text[:-1], text[:-1] + ("A" if text[-1] != "A" else "B"), key.hash):
        assert keys.find(wrong) is None
    (file,) = (path for path in (tmp_path / "api").iterdir() if path.name == "keys.json")
    assert text.split("_", 2)[2] not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_revoked_key_ends_at_once_also_for_a_process_that_has_read_the_keys(tmp_path):
    keys, others = Keys(tmp_path), Keys(tmp_path)
    (one, text), (_, other) = keys.new(["policy"]), keys.new(["policy"])
    assert others.find(text)
    keys.revoke(one.key_id)
    assert others.find(text) is None and others.find(other)
    with pytest.raises(WrongUse, match=f"there is no valid key {one.key_id}"):
        keys.revoke(one.key_id)
    assert [each.is_valid(now_utc()) for each in others.all()] == [False, True]


def test_a_rotated_key_goes_on_beside_its_successor_for_the_hours_named(tmp_path):
    keys = Keys(tmp_path)
    old, text = keys.new(["profiles"], per_second=7)
    new, next_text = keys.rotate(old.key_id, hours=2)
    assert (new.scopes, new.per_second) == (old.scopes, 7) and new.key_id != old.key_id
    assert keys.find(text) and keys.find(next_text)
    ending = keys.all()[0]
    assert ending.is_valid(now_utc() + timedelta(hours=1.9)) and not ending.is_valid(
        now_utc() + timedelta(hours=2)
    )
    keys.rotate(new.key_id, hours=0)
    assert keys.find(next_text) is None


@pytest.mark.parametrize("scopes", [[], ["decisions", "all"]])
def test_a_scope_that_is_none_is_named(tmp_path, scopes):
    with pytest.raises(WrongUse, match="scopes are " + ", ".join(SCOPES)):
        Keys(tmp_path).new(scopes)


def test_all_workers_together_let_a_key_ask_as_often_as_it_may(tmp_path, monkeypatch):
    keys = Keys(tmp_path)
    (one, _), (other, _) = keys.new(["policy"], 5), keys.new(["policy"], 5)
    workers = [Rates(tmp_path) for _ in range(3)]
    monkeypatch.setattr("app.api.keys.time.time", lambda: 1000.0)
    assert sum(workers[turn % 3].allows(one) for turn in range(12)) == 5
    assert workers[0].allows(other)
    monkeypatch.setattr("app.api.keys.time.time", lambda: 1001.0)
    assert workers[1].allows(one)
