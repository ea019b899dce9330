"""The letter of an answer comes as text and as PDF, over HTTP and on the command line."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
import reportlab
import yaml
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app.api.answers import Answers, Asked
from app.api.keys import SCOPES, Keys
from app.api.letters import as_pdf, letter_of, sender_of
from app.api.server import create
from app.cli.main import app
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.decisions.decide import Question
from goodstanding.decisions.letter import Letter
from goodstanding.shops.mapping import load_shop
from tests.app.api.publication import name_of

VERA = str(Path(reportlab.__file__).parent / "fonts" / "Vera.ttf")


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
    assert (
        shown.exit_code == 0
        and shown.stdout == letter_of(Answers(home).receipts, receipt_id, Answers(home).sender).text()
    )
    file = tmp_path / "letter.pdf"
    written = CliRunner().invoke(app, ["letter", receipt_id, "--pdf", str(file), "--json"])
    assert json.loads(written.stdout)["letter"]["reference"] == receipt_id
    assert file.read_bytes().startswith(b"%PDF-") and file.stat().st_mode & 0o777 == 0o600
    assert CliRunner().invoke(app, ["letter", "0" * 32]).exit_code != 0
    refused = CliRunner().invoke(app, ["letter", receipt_id, "--pdf", str(tmp_path)])
    assert refused.exit_code != 0 and isinstance(refused.exception, SystemExit)


def letter(*sender: str, reason: str = "<font size=99>") -> Letter:
    return Letter("About <b>bold", "2026-03-11", "r", sender, "EUR", ("a & b <i>",), (reason,), ("</para>",))


def test_a_letter_as_pdf_is_the_same_each_time_and_takes_no_text_as_markup():
    assert as_pdf(letter("<b>", "&amp;")) == as_pdf(letter("<b>", "&amp;"))
    assert as_pdf(letter("Müller & Söhne", "10 € „hier“"))


@pytest.mark.parametrize("font", [None, VERA])
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("наложенный", r"\(U\+043D\), which (Times|Vera.ttf) does not have; .*letters.font"),
        ("商店", r"\(U\+5546\), which"),
        ("\U0001f600", r"\(U\+1F600\), which"),
        ("حانوت", r"\(U\+062D\), whose script runs from right to left.*take it as text$"),
        ("חנות", "whose script runs from right to left"),
        ("दुकान", r"\(U\+0926\)|whose script"),
        ("q̀", "joins its signs"),
    ],
)
def test_what_a_letter_as_pdf_cannot_show_rightly_is_refused_with_what_to_do(font, text, why):
    for content in (letter("Shop", text), letter(reason=text)):
        with pytest.raises(DataProblem, match=why):
            as_pdf(content, font)


def test_a_font_shows_what_times_does_not_have():
    with pytest.raises(DataProblem, match="which Times does not have"):
        as_pdf(letter("Łód"))
    assert b"FontFile2" in as_pdf(letter("Łód"), VERA), "the font is in the file"


def test_a_font_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "text.ttf").write_text("no font")
    for name, why in (("text.ttf", "Not a recognized TrueType font"), ("none.ttf", "there is none")):
        with pytest.raises(WrongUse, match=f"letters.font of the mapping: {name} cannot be used .{why}"):
            as_pdf(letter(), str(tmp_path / name))


def test_the_mapping_says_who_writes(home, published, client, receipt_id, use_settings):
    path = f"/v1/decisions/{receipt_id}/letter"
    assert client.get(path).text.startswith("Your request to pay on delivery\n"), "nobody is named"
    shop = Path(home.shop)
    section = {"name": "Gifts & Co", "address": ["1 High Street", "London"], "contact": "help@gifts.example"}
    shop.write_text(shop.read_text() + yaml.safe_dump({"letters": {**section, "font": "fonts/none.ttf"}}))
    shown = CliRunner().invoke(app, ["letter", receipt_id])
    head = (
        "Gifts & Co\n1 High Street\nLondon\nhelp@gifts.example\n\nYour request to pay on delivery\n\nDate: "
    )
    assert shown.stdout.startswith(head) and "\nAll amounts are in GBP.\n" in shown.stdout
    # the font lies beside the mapping
    assert sender_of(load_shop(home)).font == str(shop.parent / "fonts" / "none.ttf")
    refused = CliRunner().invoke(app, ["letter", receipt_id, "--pdf", str(shop.parent / "letter.pdf")])
    assert refused.exit_code != 0 and "none.ttf cannot be used (there is none)" in refused.output
    _, key = Keys(home.api).new(SCOPES)
    with TestClient(create(home), headers={"X-API-Key": key}) as again:
        answered = again.get(path, params={"form": "pdf"})
    assert answered.status_code == 503 and "none.ttf" in answered.json()["detail"]
    assert str(shop.parent) not in answered.text
