"""Who has no files of their own begins with a made-up shop, and no gate of raw lines may stop it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from goodstanding.core.days import Days
from goodstanding.ingest.samples.simulate import simulate_shop
from pipeline import steps
from tests.conftest import MADE_UP_CUSTOMERS


@pytest.mark.parametrize("seed", [352, 7])
def test_every_day_of_the_made_up_shop_passes_gate_1(
    tmp_path: Path, use_settings: Callable[..., object], seed: int
) -> None:
    # on its first days after Christmas and Easter four of five invoices are cancellations
    landing = tmp_path / "landing"
    simulate_shop(landing, customers=MADE_UP_CUSTOMERS, seed=seed)
    use_settings(home=tmp_path / "home", landing=landing)
    names = sorted(path.stem for path in landing.glob("*.csv"))
    days = Days.parse(names[0], names[-1])
    steps.ingest(days, "run")
    assert "barred" not in steps.check_raw(days, "run")
