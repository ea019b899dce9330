"""`make compose-env` writes complete, private secrets, keeps those already written, and makes a landing."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from dotenv import dotenv_values

from app.runtime.compose_env import complete, fresh_values, prepare_landing, write_key
from goodstanding.core.settings import Settings


def test_a_new_file_has_every_secret_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    added = complete(path)
    values = dotenv_values(path)
    assert set(added) == set(values) == set(fresh_values())
    assert all(values.values())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_second_call_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    complete(path)
    before = path.read_text()
    assert complete(path) == []
    assert path.read_text() == before


def test_existing_values_are_kept_and_an_empty_one_is_filled(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(
        "GOODSTANDING_THREADS=4\nPOSTGRES_PASSWORD=mine\nAIRFLOW_SECRET_KEY=\n#AIRFLOW_JWT_SECRET=old"
    )
    path.chmod(0o644)
    added = complete(path)
    values = dotenv_values(path)
    assert values["POSTGRES_PASSWORD"] == "mine" and values["GOODSTANDING_THREADS"] == "4"
    assert "POSTGRES_PASSWORD" not in added and "AIRFLOW_SECRET_KEY" in added
    assert values["AIRFLOW_SECRET_KEY"] and values["AIRFLOW_JWT_SECRET"] != "old"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_projects_never_get_the_same_secret() -> None:
    first_project, second_project = fresh_values(), fresh_values()
    assert {name for name in first_project if first_project[name] == second_project[name]} == {"AIRFLOW_UID"}


def test_the_containers_never_run_as_root() -> None:
    assert int(fresh_values()["AIRFLOW_UID"]) > 0


def test_a_run_outside_the_containers_ignores_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"GOODSTANDING_{name.upper()}", raising=False)
    path = tmp_path / ".env"
    complete(path)
    assert Settings(_env_file=path) == Settings(_env_file=None)


def test_the_default_landing_is_created_and_the_message_says_what_to_put_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOODSTANDING_LANDING", raising=False)
    landing = tmp_path / "data" / "landing"
    assert prepare_landing(tmp_path).startswith(f"{landing} is empty: put the shop's daily files there")
    assert landing.is_dir()
    (landing / "2010-12-01.csv").touch()
    assert prepare_landing(tmp_path) == f"the shop's files are read from {landing}"


@pytest.mark.parametrize("where", [".env", "shell"])
def test_a_landing_named_by_a_setting_is_not_created_but_reported_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    named = tmp_path / "orders"
    if where == "shell":
        monkeypatch.setenv("GOODSTANDING_LANDING", str(named))
    (tmp_path / ".env").write_text(
        f'GOODSTANDING_LANDING="{named}"  # exported nightly\n'
        if where == ".env"
        else "GOODSTANDING_LANDING=/x"
    )
    assert prepare_landing(tmp_path).startswith(f"{named} is missing")
    assert not named.exists() and not (tmp_path / "data").exists()
    named.mkdir()
    (named / "2010-12-01.csv").touch()
    assert prepare_landing(tmp_path) == f"the shop's files are read from {named}"


@pytest.mark.parametrize("line", ["", f"GOODSTANDING_PSEUDONYM_KEY={'ab' * 32}\n"])
def test_the_key_of_the_pseudonyms_is_written_once_and_is_the_one_that_was_set(
    tmp_path: Path, line: str
) -> None:
    path, key = tmp_path / ".env", tmp_path / "pseudonym.key"
    path.write_text(line)
    complete(path)
    assert write_key(key, path)
    written = key.read_text()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert str(key.stat().st_uid) == dotenv_values(path)["AIRFLOW_UID"]
    assert written == "ab" * 32 if line else len(bytes.fromhex(written)) == 32
    assert not write_key(key, path) and key.read_text() == written
