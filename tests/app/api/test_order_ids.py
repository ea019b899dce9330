"""An order's id that holds the customer's own is kept as its number is published, and so settles."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from app.api.answers import Answers, Asked
from app.api.commitments import Conflict
from goodstanding.decisions.decide import Question
from goodstanding.identity.normal_form import CustomerIds
from goodstanding.ingest.masks import possible_ids
from goodstanding.warehouse.exposure import expose
from tests.goodstanding.ingest.homes import Home
from tests.goodstanding.ingest.test_masks import HEADER, SHOP, line
from tests.goodstanding.warehouse.test_exposure import Shop

DAY = date(2011, 12, 1)


def ordered(folder: Path, customer: str, number: str, ids: str = "text") -> tuple[Home, Answers, str, str]:
    """A home with an order, its answers, the receipt of a question, and the number as it is published."""
    mapping = {name: value for name, value in SHOP.items() if name != "returns"}
    mapping["columns"] = {**SHOP["columns"], "customer_id": {"from": "who", "as": ids}}  # type: ignore[dict-item]
    (folder / "shop.yml").write_text(yaml.safe_dump(mapping))
    home = Home(folder, str(folder / "shop.yml"))
    home.put(line(no=number, who=customer), header=HEADER, day=DAY)
    home.ingest(DAY)
    answers = Answers(home.settings)
    (answer,) = answers.decide([Asked(customer, Question("cod", Decimal("20.00")))])
    assert Decimal(answer["granted"])
    ((published,),) = home.rows("select invoice_no from raw.order_lines")
    return home, answers, answer["receipt_id"], published


@pytest.mark.parametrize(
    ("customer", "number", "ids", "is_hidden"),
    [
        ("CUST-000781", "CUST-000781-1", "text", True),
        ("CUST-000781", "invcust-000781-1", "text", True),
        ("cust-000781", "CUST-000781", "text", True),
        ("Ann@shop.example", "Ann@shop.example/7", "text", True),
        ("17850.0", "2011-017850-1", "whole_number", True),
        ("17850", "17850 17850;17850", "whole_number", True),
        ("Müller-7", "MÜLLER-7/1", "text", True),
        # what names nobody or another
        ("12", "2011-12-1", "text", False),
        ("CUST-000781", "CUST-0007811", "text", False),
        ("7850", "17850-1", "whole_number", False),
        ("CUST-000781", "536365", "text", False),
    ],
)
def test_an_order_takes_an_answer_by_the_number_under_which_it_is_published(
    tmp_path: Path, customer: str, number: str, ids: str, is_hidden: bool
) -> None:
    home, answers, receipt_id, published = ordered(tmp_path, customer, number, ids)
    taken = answers.commit(receipt_id, f" {number}\u00a0")
    assert taken["order_id"] == published and (published != number.upper()) == is_hidden
    assert answers.commit(receipt_id, number) == taken, "again it changes nothing"
    if is_hidden:
        files = [path for path in home.settings.receipts.rglob("*") if path.is_file()]
        held = b"".join(path.read_bytes() for path in files).lower()
        assert files and customer.removesuffix(".0").lower().encode() not in held


def test_an_id_at_hand_is_found_in_a_number_that_has_it_in_another_case(tmp_path: Path) -> None:
    _, answers, receipt_id, published = ordered(tmp_path, "Ann@shop.example", "ANN@SHOP.EXAMPLE/7")
    with pytest.raises(Conflict, match="another buyer"):
        answers.commit(receipt_id, "ANN@SHOP.EXAMPLE/7", customer_id="bob@shop.example")
    taken = answers.commit(receipt_id, "ANN@SHOP.EXAMPLE/7", customer_id="Ann@shop.example")
    assert taken["order_id"] == published and "SHOP" not in published


def test_an_id_is_looked_for_in_a_long_number_at_a_cost_that_grows_with_its_length_alone() -> None:
    ids = CustomerIds("text", "keep", frozenset())
    number = "".join(f"Ä{place}b" for place in range(64))
    found = possible_ids(number, 5, ids)
    assert {"9bÄ10", "9BÄ10"} <= found
    assert len(found) <= 2 * 4 * len(number)


def test_a_commitment_of_an_order_whose_id_holds_the_customers_settles(tmp_path: Path) -> None:
    home, answers, receipt_id, published = ordered(tmp_path, "CUST-000781", "CUST-000781-1")
    answers.commit(receipt_id, "CUST-000781-1")
    told, day = Shop(home.settings.receipts), answers.today()
    assert len(expose(told.file, home.settings.receipts, day).rows) == 1
    cancelled = (day, day + timedelta(days=1), None, 20, False)
    told.tell("features.invoice_states", home.pseudonym("CUST-000781"), published, *cancelled)
    exposure = expose(told.file, home.settings.receipts, day + timedelta(days=1))
    assert exposure.changes[receipt_id] == (str(day), 2000, "came back or was cancelled")
    assert exposure.rows.empty
