"""On the command line a question names its basket and its key, as it does over HTTP."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from app.cli.main import app
from tests.app.api.conftest import home, published  # noqa: F401

ASKED = ("decide", "12", "--method", "cod", "--json", "--basket")


def ask(*more: str) -> dict:
    done = CliRunner().invoke(app, [*ASKED, *more])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_only_the_newest_quote_of_a_basket_is_taken(published):  # noqa: F811
    first, second = (ask(basket, "--basket-id", "cart") for basket in ("20.00", "30.00"))
    done = CliRunner().invoke(app, ["commit", first["receipt_id"], "1"])
    assert done.exit_code != 0 and second["receipt_id"] in done.output
    assert CliRunner().invoke(app, ["commit", second["receipt_id"], "1"]).exit_code == 0


def test_a_question_with_a_key_gets_one_answer_and_another_with_it_is_refused(published):  # noqa: F811
    assert ask("20.00", "--idempotency-key", "k") == ask("20", "--idempotency-key", "k")
    done = CliRunner().invoke(app, [*ASKED, "30.00", "--idempotency-key", "k"])
    assert done.exit_code != 0 and "was used for another question" in done.output


def test_a_commit_that_names_the_customer_is_one_of_that_customers_question(published):  # noqa: F811
    receipt_id = ask("20.00")["receipt_id"]
    refused = CliRunner().invoke(app, ["commit", receipt_id, "1", "--customer", "14"])
    assert refused.exit_code != 0 and "is an answer about another buyer" in refused.output
    assert CliRunner().invoke(app, ["commit", receipt_id, "1", "--customer", "12"]).exit_code == 0


@pytest.mark.parametrize("option", ["--basket-id", "--idempotency-key", "--order"])
@pytest.mark.parametrize("text", ["", "x" * 201])
def test_what_names_something_has_1_to_200_characters(published, option, text):  # noqa: F811
    done = CliRunner().invoke(app, [*ASKED, "20.00", option, text])
    assert done.exit_code != 0 and f"{option} has {len(text)} characters" in done.output


def test_a_guest_has_a_name_and_a_plan_1_to_120_months_as_over_http(published):  # noqa: F811
    for asked, why in (
        (["--method", "cod", "--guest", ""], "--guest has 0 characters"),
        (["--method", "cod", "--guest", "x" * 201], "--guest has 201 characters"),
        (["12", "--method", "emi", "--months", "0"], "greater than or equal to 1"),
        (["12", "--method", "emi", "--months", "121"], "less than or equal to 120"),
    ):
        done = CliRunner().invoke(app, ["decide", "--basket", "20.00", *asked])
        assert done.exit_code != 0 and why in " ".join(done.output.split()), done.output
