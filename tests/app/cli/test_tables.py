"""The tables of the command line show the numbers of the real year that were read for them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from app.cli.tables import print_profile, print_refused, print_report, print_status
from goodstanding.core.settings import Settings
from goodstanding.core.vocabulary import GATES, STEPS
from pipeline.report import read_profile, read_status
from tests.conftest import Year


def shown(print_it: Callable[[Any, Console], None], found: dict[str, Any]) -> str:
    """What a table of 120 columns shows of it."""
    console = Console(record=True, width=120, file=io.StringIO())
    print_it(found, console)
    return console.export_text()


@pytest.fixture
def home(real_year: Year) -> Settings:
    return Settings(home=real_year.home, landing=real_year.landing, _env_file=None)


def test_the_tables_of_the_report_show_the_same_numbers_and_what_to_do_next(real_year: Year) -> None:
    text = shown(print_report, real_year.report)
    for figure in ("541,909", "135,080", "5,225", "22,190", "3,654", "4,372", "2,867", "4,674", "1,331"):
        assert re.search(rf"(?<![\d,]){figure}(?![\d,])", text), figure
    for name, count in real_year.report["classes"].items():
        assert re.search(rf"{name} +│ +{count:,} │", text), name
    for words in ("recency", "credit score", "buys_90d", "rfm_rank", "peak MB"):
        assert words in text
    for step in STEPS:
        # the range, its last seven days, and what follows on the training
        times = 9 if step in ("score", "check_predictions", "publish") else 8
        assert re.search(rf"│ {step} +│ +{times} │", text), step
    for path in real_year.report["paths"].values():
        assert path in text.replace("\n", "")
    following = text[text.index("Next:") :]
    for command in ("goodstanding profile ID", "the column CustomerID", "goodstanding status", "make up"):
        assert command in following
    assert "SIMULATED" not in text


def test_a_training_says_why_a_question_has_no_new_model() -> None:
    refused = {"emi": "emi needs 3 month(s) of its orders"}
    assert "not fitted: emi needs 3 month(s) of its orders" in shown(print_refused, refused)


def test_a_profile_says_why_somebody_is_worst_by_rule(home: Settings) -> None:
    # 12346 gave everything back on the same day
    profile = read_profile(home, "12346")
    assert profile["class_note"] in " ".join(shown(print_profile, profile).split())


def test_the_status_shows_four_passed_gates(home: Settings) -> None:
    text = shown(print_status, read_status(home))
    assert "Last good day 2011-12-09" in text
    for gate in GATES:
        assert re.search(rf"gate {gate} +│ +passed", text)


def test_the_status_shows_what_answers_each_question_with_its_greatest_drift(home: Settings) -> None:
    status = read_status(home)
    text = " ".join(shown(print_status, status).split())
    assert "no emi model was trained on data up to 2011-12-09" in text
    for answer in status["answers"]:
        if answer["question"] == "emi":
            continue
        drift = (
            f"greatest drift {answer['value']:.2f} of {answer['allowed']:.2f}, in bounds ({answer['name']})"
        )
        assert drift in text
    refused = {
        **status["answers"][0],
        **{"model_id": None, "note": "refused: the stability index of tenure_days"},
    }
    text = " ".join(shown(print_status, {**status, "answers": [refused]}).split())
    assert "buys_30d │ refused: the stability index of tenure_days" in text
