"""Fixtures for ingest: a home and a landing for one test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.goodstanding.ingest.homes import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A new home of the online shop with an empty landing."""
    return Home(tmp_path)
