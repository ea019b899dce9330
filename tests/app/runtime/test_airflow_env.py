"""Airflow's environment: its own secrets, served on this machine only, and cheap to set up again."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.runtime import airflow_env
from app.runtime.airflow_env import admin_password, airflow_environment, airflow_home, sqlite_url
from goodstanding.core.settings import PROJECT, Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    landing = tmp_path / "landing"
    landing.mkdir()
    return Settings(home=tmp_path / "home", landing=landing, port=8123, _env_file=None)


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    return airflow_environment(settings, sqlite_url(settings))


def test_only_the_owner_can_read_a_file_with_a_secret(
    settings: Settings, environment: dict[str, str]
) -> None:
    home = airflow_home(settings)
    for file in (home / "secrets.json", home / "passwords.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_secrets_are_made_once_per_home_and_two_homes_never_share_one(
    settings: Settings, environment: dict[str, str], tmp_path: Path
) -> None:
    names = ["AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET"]
    again = airflow_environment(settings, sqlite_url(settings))
    other_settings = Settings(home=tmp_path / "other", _env_file=None)
    other_environment = airflow_environment(other_settings, sqlite_url(other_settings))
    for name in names:
        assert again[name] == environment[name] != other_environment[name]
    assert admin_password(settings) != admin_password(other_settings)


def test_the_password_is_generated_and_airflows_login_accepts_it(
    settings: Settings, environment: dict[str, str]
) -> None:
    passwords = Path(environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    assert json.loads(passwords.read_text()) == {"admin": admin_password(settings)}
    assert len(admin_password(settings)) >= 16


def test_airflow_answers_on_this_machine_only(environment: dict[str, str]) -> None:
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    for name in ("AIRFLOW__API__BASE_URL", "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"):
        assert urlsplit(environment[name]).netloc == "127.0.0.1:8123"


def test_a_task_reads_the_settings_of_its_run(
    settings: Settings, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        if name.startswith("GOODSTANDING_"):
            monkeypatch.setenv(name, value)
    assert Settings(_env_file=None) == settings


def test_a_mapping_given_by_path_is_found_from_any_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(home=tmp_path, shop="mine/shop.yml", _env_file=None)
    environment = airflow_environment(settings, sqlite_url(settings))
    assert environment["GOODSTANDING_SHOP"] == str(tmp_path / "mine" / "shop.yml")


def test_the_key_of_the_pseudonyms_reaches_the_tasks_unmasked(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, pseudonym_key="ab" * 32, _env_file=None)
    assert airflow_environment(settings, "sqlite://")["GOODSTANDING_PSEUDONYM_KEY"] == "ab" * 32


def test_passing_on_the_environment_does_not_make_it_grow(
    settings: Settings, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTHONPATH", "NO_PROXY"):
        monkeypatch.setenv(name, environment[name])
    assert airflow_environment(settings, sqlite_url(settings)) == environment


PREPARE = """
import os, sys
from app.runtime.airflow_env import prepare
prepare(dict(os.environ))
print("airflow imported:", "airflow" in sys.modules)
"""


def test_a_home_is_set_up_once_with_one_writer_slot_and_the_preload_of_an_older_home_is_replaced(
    settings: Settings, environment: dict[str, str]
) -> None:
    def prepared() -> str:
        command = [sys.executable, "-c", PREPARE]
        done = subprocess.run(
            command, env={**os.environ, **environment}, cwd=PROJECT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    def writers() -> list[tuple[int]]:
        with sqlite3.connect(database) as connection:
            return connection.execute("select slots from slot_pool where pool = 'duckdb_writer'").fetchall()

    database = airflow_home(settings) / "airflow.sqlite"
    assert prepared() == "airflow imported: True"
    assert writers() == [(1,)]
    # a home of an older release, whose import would keep this release's scheduler from starting
    local = airflow_home(settings) / "config" / "airflow_local_settings.py"
    local.write_text('import sys\n\nif sys.argv[1:2] == ["scheduler"]:\n    import goodstanding.preload\n')
    assert prepared() == "airflow imported: False"
    imported = re.findall(r"^ +import ([\w.]+)", local.read_text(), re.MULTILINE)
    assert imported == ["pipeline.preload"] and find_spec(imported[0])

    with sqlite3.connect(database) as connection:
        connection.execute("update slot_pool set slots = 5 where pool = 'duckdb_writer'")
    assert prepared() == "airflow imported: True"
    assert writers() == [(1,)]


def test_a_container_starts_with_the_key_of_an_earlier_volume_and_with_no_other(
    tmp_path: Path, use_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, secret, prepared = tmp_path / "home", tmp_path / "secret", []
    monkeypatch.setenv("AIRFLOW_HOME", str(home / "airflow"))
    monkeypatch.setattr(airflow_env, "prepare", prepared.append)
    monkeypatch.setattr(airflow_env, "own_files", lambda: None)
    use_settings(home=home, pseudonym_key_file=secret)
    with pytest.raises(SystemExit, match=r"secret.*cannot be read"):
        airflow_env.main([])
    # a volume of before the key was a secret has one of its own
    (home / "pseudonym.key").write_text("ab" * 32)
    secret.write_text("cd" * 32)
    with pytest.raises(SystemExit, match=r"secret holds another key than .*pseudonym\.key.*copy that one"):
        airflow_env.main([])
    assert not prepared and (home / "pseudonym.key").read_text() == "ab" * 32
    secret.write_text("ab" * 32)
    airflow_env.main([])
    assert len(prepared) == 1
