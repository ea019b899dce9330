"""The docs show exactly the measured figures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bench import readme
from bench.readme import BLOCK, PAGE, README, RESULTS, headline_section, keep_apart, measured_section


def test_the_docs_quote_the_last_results() -> None:
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    (shown,) = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert shown == measured_section(results)
    (shown,) = BLOCK.findall(README.read_text(encoding="utf-8"))
    assert shown == headline_section(results)


def test_a_separate_benchmark_adds_its_figures_and_leaves_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = json.loads(RESULTS.read_text(encoding="utf-8"))
    for name, path in (("RESULTS", RESULTS), ("README", README), ("PAGE", PAGE)):
        monkeypatch.setattr(readme, name, tmp_path / path.name)
        shutil.copy(path, tmp_path)
    keep_apart("single_days", {"days": 374, "seconds": 840.5, "seconds_per_day": 2.25})
    after = json.loads((tmp_path / RESULTS.name).read_text(encoding="utf-8"))
    assert after.pop("apart").pop("single_days") == {"days": 374, "seconds": 840.5, "seconds_per_day": 2.25}
    assert after == {key: value for key, value in before.items() if key != "apart"}
    text = (tmp_path / PAGE.name).read_text(encoding="utf-8")
    assert "All 374 days as one run each in one process (`python -m bench.year`) took 14.0 minutes" in text
