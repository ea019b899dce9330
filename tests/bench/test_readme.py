"""The README shows the figures that were measured, and no others."""

from __future__ import annotations

import json

from bench.readme import BLOCK, README, RESULTS, measured_section


def test_the_readme_quotes_the_last_results() -> None:
    (shown,) = BLOCK.findall(README.read_text(encoding="utf-8"))
    assert shown == measured_section(json.loads(RESULTS.read_text(encoding="utf-8")))
