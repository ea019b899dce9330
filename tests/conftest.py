"""Fixtures that every room's tests share: settings of a home of its own, and where the real data lie."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from goodstanding.settings import Settings, settings

REAL_LANDING = os.environ.get("GOODSTANDING_LANDING")
REAL_REQUIRED = os.environ.get("GOODSTANDING_REAL_DATA_REQUIRED", "").lower() in ("1", "true")


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test sets what it needs: neither the caller's environment nor a .env file reaches it."""
    for name in list(os.environ):
        if name.startswith("GOODSTANDING_"):
            monkeypatch.delenv(name)
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def use_settings(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Make these the settings of the process, as a user would by the environment."""

    def use(**values: object) -> Settings:
        for name, value in values.items():
            monkeypatch.setenv(f"GOODSTANDING_{name.upper()}", str(value))
        settings.cache_clear()
        return settings()

    return use


@pytest.fixture(scope="session")
def real_landing() -> Path:
    """The folder of the real year's 305 day files; where it must be there and is not, tests fail."""
    path = Path(REAL_LANDING) if REAL_LANDING else Path(__file__).parent.parent / "data" / "landing"
    if len(list(path.glob("????-??-??.csv"))) == 305:
        return path
    message = f"the real year's 305 files are not in {path}; set GOODSTANDING_LANDING to their folder"
    if REAL_REQUIRED:
        pytest.fail(message)
    pytest.skip(message)
