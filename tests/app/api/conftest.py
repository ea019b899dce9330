"""Fixtures: a home with a small publication, and the API on it with a key of every scope."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.api.answers import Answers
from app.api.keys import SCOPES, Keys
from app.api.server import create
from goodstanding.core.settings import Settings
from tests.app.api.publication import KEY, Publication, policy_with_instalments, publish
from tests.shop import mapping

TODAY = date(2026, 3, 11)


@pytest.fixture
def home(tmp_path: Path, use_settings: Any, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a new home of a live shop, with nothing published, on a fixed day."""
    shop = mapping(tmp_path)
    shop.write_text(shop.read_text().replace("archive: true", "archive: false"))
    monkeypatch.setattr(Answers, "today", lambda _: TODAY)
    found: Settings = use_settings(home=tmp_path / "home", shop=shop, pseudonym_key=KEY)
    return found


@pytest.fixture
def published(home: Settings) -> Path:
    """The same, with the small publication in place, and instalments turned on by name."""
    path = home.published / "current.duckdb"
    publish(path, Publication(policy=policy_with_instalments()))
    return path


@pytest.fixture
def client(home: Settings) -> Iterator[TestClient]:
    """The API with a key of every scope, over whatever is published when it starts."""
    _, text = Keys(home.api).new(SCOPES, per_second=100_000)
    with TestClient(create(home), headers={"X-API-Key": text}, raise_server_exceptions=False) as client:
        yield client
