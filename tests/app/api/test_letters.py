"""The letter of an answer comes as text and as PDF, over HTTP and on the command line."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from typer.testing import CliRunner

from app.api.answers import Answers, Asked
from app.api.letters import as_pdf, letter_of
from app.cli.main import app
from goodstanding.decisions.decide import Question
from goodstanding.decisions.letter import Letter
from tests.app.api.publication import name_of


@pytest.fixture
def receipt_id(home, published) -> str:
    (answer,) = Answers(home).decide([Asked("14", Question("cod", Decimal("800.00")))])
    assert answer["decision"] == "no"
    return answer["receipt_id"]


def test_a_letter_comes_over_http_as_text_and_as_pdf(home, client, receipt_id):
    path = f"/v1/decisions/{receipt_id}/letter"
    text, pdf = client.get(path), client.get(path, params={"form": "pdf"})
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert "You asked to pay an order of 800.00 on delivery." in text.text and receipt_id in text.text
    assert pdf.headers["content-type"] == "application/pdf" and pdf.content.startswith(b"%PDF-")
    # not even the pseudonym: whoever has the letter need not be able to look anything up
    assert name_of("14") not in text.text
    assert client.get(path, params={"form": "html"}).status_code == 422
    assert client.get(path.replace(receipt_id, "0" * 32)).status_code == 404
    assert client.get(path.replace(receipt_id, "no-receipt")).status_code == 422


def test_the_command_prints_the_letter_or_writes_it_for_the_owner_alone(home, receipt_id, tmp_path):
    shown = CliRunner().invoke(app, ["letter", receipt_id])
    assert shown.exit_code == 0 and shown.stdout == letter_of(Answers(home).receipts, receipt_id).text()
    file = tmp_path / "letter.pdf"
    written = CliRunner().invoke(app, ["letter", receipt_id, "--pdf", str(file), "--json"])
    assert json.loads(written.stdout)["letter"]["reference"] == receipt_id
    assert file.read_bytes().startswith(b"%PDF-") and file.stat().st_mode & 0o777 == 0o600
    assert CliRunner().invoke(app, ["letter", "0" * 32]).exit_code != 0
    refused = CliRunner().invoke(app, ["letter", receipt_id, "--pdf", str(tmp_path)])
    assert refused.exit_code != 0 and isinstance(refused.exception, SystemExit)


def test_a_letter_as_pdf_is_the_same_each_time_and_takes_no_text_as_markup():
    letter = Letter("About <b>bold", "2026-03-11", "r", ("<font size=99>",), ("a & b <i>",), ("</para>",))
    assert as_pdf(letter) == as_pdf(letter)
