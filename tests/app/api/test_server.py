"""The API as a client sees it: keys, problems, safe answers, and no customer id where there must be none."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from app.api.answers import Answers
from app.api.keys import SCOPES, Keys
from app.api.models import EXAMPLE_ANSWER, Commitment, Decision, PolicyInEffect, Profile, Readiness
from app.api.problems import scope_of
from app.api.receipts import Receipts
from app.api.server import create
from goodstanding.core.errors import DataProblem
from goodstanding.decisions.policy import COD, EMI
from goodstanding.decisions.scorecard import Bin, Characteristic
from tests.app.api.publication import Publication, name_of, policy_with_instalments, publish
from tests.app.api.test_published import CARD


def question(customer_id: str | None = "12", basket: str = "120.00", method: str = COD, **more: Any) -> dict:
    return {"customer_id": customer_id, "basket": basket, "method": method, **more}


def ask(client: TestClient, **asked: Any) -> dict[str, Any]:
    answered = client.post("/v1/decisions", json=question(**asked))
    assert answered.status_code == 200, answered.text
    found: dict[str, Any] = answered.json()
    Decision.model_validate(found)
    assert set(found) == {field.alias or name for name, field in Decision.model_fields.items()}
    return found


def wait(client: TestClient, as_of: str = "2026-03-10") -> None:
    """Until a publication is taken up."""
    for _ in range(250):
        if client.get("/ready").json()["as_of"] == as_of:
            return
        time.sleep(0.02)
    raise AssertionError(client.get("/ready").text)


@pytest.mark.parametrize("customer", ["11", "12", "13", "14", "15", "16", "17", None])
@pytest.mark.parametrize("method", [COD, EMI])
def test_each_customer_gets_an_answer_of_the_form_in_the_openapi(published, client, customer, method):
    found = ask(client, customer_id=customer, method=method)
    assert found["as_of"] == "2026-03-10" and found["age_days"] == 1 and found["policy_version"] == "1"
    assert (found["score"] is None) == (customer in ("16", "17", None))


def test_the_example_of_the_openapi_is_of_the_form_of_an_answer(published, client):
    assert set(EXAMPLE_ANSWER) == set(ask(client))
    Decision.model_validate(EXAMPLE_ANSWER)


def test_a_moved_class_is_explained(published, client):
    assert ask(client, customer_id="12")["class_move"]["cause"] == "own_behaviour"
    assert ask(client, customer_id="11")["class_move"] is None


def test_instalments_come_with_their_schedule(published, client):
    plan = ask(client, method=EMI, months=6)["plan"]
    assert plan["months"] == 6 and len(plan["schedule"]) == 6
    none = ask(client, method=EMI, months=7)
    assert none["decision"] == "no" and "plans of 3, 6, 12" in none["reasons"][0]["text"]


@pytest.mark.parametrize(
    ("customer", "situation", "decision", "limit"),
    [("17", "unknown_customer", "partial", "50.00"), (None, "first_time_buyer", "partial", "50.00")],
)
def test_who_is_not_known_gets_the_safe_answer_of_the_policy(
    published, client, customer, situation, decision, limit
):
    found = ask(client, customer_id=customer)
    assert (found["situation"], found["decision"], found["limit"]) == (situation, decision, limit)


def test_before_anything_is_published_answers_are_safe_and_it_is_not_ready(client):
    found = ask(client, customer_id="12")
    assert (found["situation"], found["limit"], found["as_of"]) == ("no_publication", "50.00", None)
    assert client.get("/ready").status_code == 503
    assert client.get("/ready").json()["status"] == "no_publication"
    assert client.get("/health").json() == {"status": "alive"}
    assert client.get("/v1/customers/12").status_code == 503
    assert client.get("/v1/policy").json()["version"] == "1"


def test_data_that_are_too_old_give_the_safe_answer_and_are_not_ready(published, client, monkeypatch):
    assert client.get("/ready").json() == {
        "status": "ready",
        "as_of": "2026-03-10",
        "published_at": "2026-03-11T04:00:00.000000Z",
        "age_days": 1,
        "problem": None,
    }
    monkeypatch.setattr(Answers, "today", lambda _: date(2026, 3, 18))
    found = ask(client, customer_id="12")
    assert (found["situation"], found["limit"], found["age_days"]) == ("stale_data", "50.00", 8)
    ready = client.get("/ready")
    assert ready.status_code == 503
    assert Readiness.model_validate(ready.json()).status == "stale_data"


def test_a_profile_is_what_is_published(published, client):
    found = client.get("/v1/customers/12").json()
    Profile.model_validate(found)
    assert found["customer_id"] == name_of("12") and found["class"] == "Good" and found["monetary"] == 900.0
    unknown = client.get("/v1/customers/17")
    assert unknown.status_code == 404 and unknown.headers["content-type"] == "application/problem+json"


def test_the_policy_in_effect_is_shown_row_by_row(published, client):
    found = client.get("/v1/policy").json()
    PolicyInEffect.model_validate(found)
    assert len(found["rules"]) == len(policy_with_instalments()) and found["effective_to"] is None


def test_questions_of_a_batch_take_nothing_of_each_other(published, client):
    asked = [question(basket="900.00"), question(basket="300.00"), question("11", "10.00", EMI)]
    answers = client.post("/v1/decisions/batch", json={"questions": asked}).json()["answers"]
    assert [each["granted"] for each in answers] == ["900.00", "300.00", "10.00"]
    too_many = client.post("/v1/decisions/batch", json={"questions": asked * 34})
    assert too_many.status_code == 422


def test_an_order_takes_an_answer_and_gives_it_back(published, client):
    found = ask(client, basket="900.00")
    path = f"/v1/decisions/{found['receipt_id']}"
    taken = client.post(f"{path}/commit", json={"order_id": " A-1 "})
    assert taken.status_code == 200, taken.text
    Commitment.model_validate(taken.json())
    assert (taken.json()["order_id"], taken.json()["granted"]) == ("A-1", "900.00")
    assert client.post(f"{path}/commit", json={"order_id": "A-1"}).json() == taken.json()
    other = ask(client, basket="100.01")
    assert (other["granted"], other["open_after"]) == ("100.00", "1000.00")
    again = client.post(f"/v1/decisions/{other['receipt_id']}/commit", json={"order_id": "A-1"})
    assert again.status_code == 409 and "has taken receipt" in again.json()["detail"]
    released = client.post(f"{path}/release", json={"because": "expired"})
    assert released.status_code == 200 and released.json()["released_because"] == "expired"
    assert client.post(f"{path}/release").json() == released.json()
    assert ask(client, basket="900.00")["open_after"] == "900.00"


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("nothing/commit", {"order_id": "A-1"}, 404),
        ("nothing/release", {"because": "cancelled"}, 404),
        ("nothing/commit", {"order_id": "\u200b "}, 422),
        ("nothing/commit", {"order_id": ""}, 422),
        ("nothing/commit", {"order_id": "9" * 255}, 404),
        ("nothing/commit", {"order_id": "9" * 256}, 422),
        ("nothing/commit", {"order_id": "9", "customer_id": "guest"}, 422),
        ("nothing/commit", {}, 422),
        ("nothing/release", {"because": "no reason"}, 422),
    ],
)
def test_what_no_order_can_take_is_a_problem(published, client, path, content, status):
    refused = client.post(f"/v1/decisions/{path}", json=content)
    assert refused.status_code == status and refused.json()["title"]


def test_a_question_has_an_identity_of_its_own(published, client, home):
    first = ask(client, basket="120.00", idempotency_key="k", months=None, **{"method": EMI})
    assert ask(client, basket="120", idempotency_key="k", method=EMI) == first
    other = client.post("/v1/decisions", json=question(basket="121", method=EMI, idempotency_key="k"))
    said = {"channel": "web", "weight": "2.5", "idempotency_key": "of an order"}
    of_order = ask(client, **said)
    assert ask(client, **{**said, "weight": "2.50"}) == of_order
    for change in ({"channel": "shop"}, {"weight": "2.6"}, {"payment_type": "card"}, {"channel": None}):
        again = client.post("/v1/decisions", json=question(**{**said, **change}))
        assert again.status_code == 409, change
    assert other.status_code == 409
    old, new = (ask(client, basket=basket, basket_id="cart 8") for basket in ("100.00", "110"))
    taken = [
        client.post(f"/v1/decisions/{found['receipt_id']}/commit", json={"order_id": "B-1"}).status_code
        for found in (old, new)
    ]
    assert taken == [409, 200]
    plans = ask(client, basket="90.00", method=EMI, months=[3, 12, 3])["plans"]
    assert [plan["months"] for plan in plans] == [3, 12]


def test_a_guest_is_known_again_however_the_address_is_written_and_it_is_kept_nowhere(
    published, client, home
):
    guests = ("Ann@Example.org", " ann@example.ORG", "+49 170-123 45", "0049 17012345")
    for number, guest in enumerate(guests):
        found = ask(client, customer_id=None, basket="30.00", guest=guest)
        assert found["granted"] == ("20.00" if number % 2 else "30.00")
        client.post(f"/v1/decisions/{found['receipt_id']}/commit", json={"order_id": f"G-{number}"})
    for path in home.receipts.iterdir():
        kept = path.read_bytes().lower()
        assert b"example.org" not in kept and b"17012345" not in kept


def test_a_fitted_scorecard_answers_by_its_model_id(home, client):
    publish(home.published / "current.duckdb", Publication(cards=(CARD,), notes={EMI: "no payments yet"}))
    wait(client)
    found = ask(client, customer_id="12")
    assert (found["model_id"], found["score"], found["notes"]) == ("fitted-1", 590, [])
    assert "no payments yet" in ask(client, method=EMI)["notes"]


def test_a_new_publication_is_answered_from_without_a_restart(published, client):
    for day in (12, 13):
        publish(published, Publication(as_of=date(2026, 3, day), published_at=datetime(2026, 3, day)))
        wait(client, f"2026-03-{day}")
        assert ask(client)["as_of"] == f"2026-03-{day}"


def test_the_receipt_of_an_answer_is_verified(published, client, home):
    found = ask(client, customer_id="13", method=EMI, basket="77.77")
    receipts = Receipts(home.receipts)
    assert receipts.verify(found["receipt_id"])["equal"]
    assert receipts.read(found["receipt_id"])["answer"]["limit"] == found["limit"]


def test_old_receipts_are_dropped_while_it_serves(published, home, client):
    receipt_id = ask(client)["receipt_id"]
    receipts = Receipts(home.receipts)
    with receipts.transaction() as connection:
        connection.execute("update receipts set day = '2024-02-09'")
    assert receipts.read(receipt_id), "it is done at the start and once a day"
    with TestClient(create(home)):
        for _ in range(200):
            if not list(receipts.since(date.min, date.max)):
                break
            time.sleep(0.02)
    with pytest.raises(DataProblem, match="it may be older than the 25 months"):
        receipts.read(receipt_id)


@pytest.mark.parametrize("path", ["/v1/customers/12", "/v1/policy"])
def test_a_key_is_asked_for_and_must_have_the_scope(published, home, path):
    keys = Keys(home.api)
    _, wrong = keys.new(["decisions"])
    ended, gone = keys.new(["profiles", "policy"])
    with TestClient(create(home)) as client:
        assert client.get(path, headers={"X-API-Key": gone}).status_code == 200
        keys.revoke(ended.key_id)
        statuses = [client.get(path, headers=headers).status_code for headers in ({}, {"X-API-Key": gone})]
        assert statuses == [401, 401]
        forbidden = client.get(path, headers={"X-API-Key": wrong})
        assert forbidden.status_code == 403 and forbidden.json()["status"] == 403
        assert client.post("/v1/decisions", json=question()).status_code == 401


def test_the_door_knows_the_scope_of_every_route(home):
    paths = [path for path in create(home).openapi()["paths"] if path.startswith("/v1/")]
    assert paths and all(scope_of(path) in SCOPES for path in paths)
    assert scope_of("/v1/decisionsx") is None


@pytest.mark.parametrize(("scopes", "per_second", "status"), [(["policy"], 9, 403), (["decisions"], 0, 429)])
def test_a_key_that_may_not_ask_is_refused_before_its_body_is_read(home, scopes, per_second, status):
    _, text = Keys(home.api).new(scopes, per_second=per_second)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("the body is read")

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        **{"type": "http", "method": "POST", "path": "/v1/decisions", "raw_path": b"/v1/decisions"},
        **{"query_string": b"", "http_version": "1.1", "scheme": "http", "server": ("x", 80)},
        "headers": [(b"x-api-key", text.encode()), (b"content-length", b"300")],
    }
    asyncio.run(create(home)(scope, receive, send))
    assert sent[0]["status"] == status and (b"connection", b"close") in sent[0]["headers"]


def test_a_key_asks_no_oftener_than_it_may(published, home, monkeypatch):
    _, text = Keys(home.api).new(["policy"], per_second=3)
    monkeypatch.setattr("app.api.keys.time.time", lambda: 1000.0)
    with TestClient(create(home), headers={"X-API-Key": text}) as client:
        answers = [client.get("/v1/policy") for _ in range(5)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].headers["retry-after"] == "1"


@pytest.mark.parametrize(
    "asked",
    [
        {},
        question(basket="0.00"),
        question(basket="-1.00"),
        question(basket="1.234"),
        question(basket="1e3"),
        question(basket=120),
        question(method="cash"),
        question(months=6),
        question(method="emi", months="6"),
        question(method="emi", months=0),
        question(customer_id="secret-customer"),
        question(customer_id="1" * 256),
        question(customer_id=" \u200b"),
        question(customer_id="guest"),
        question(customer_id=17850),
        question(extra=1),
        "secret-customer",
        None,
    ],
)
def test_what_is_no_question_is_a_problem_that_repeats_nothing_of_it(published, client, asked):
    refused = client.post("/v1/decisions", json=asked)
    assert refused.status_code == 422 and refused.headers["content-type"] == "application/problem+json"
    assert set(refused.json()) == {"type", "title", "status", "detail"}
    assert "secret" not in refused.text and "17850" not in refused.text


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_without_end_is_refused_before_it_is_read(published, client, is_chunked):
    parts = iter([b'{"x": "', *[b"x" * 10_000] * 1000])
    content = parts if is_chunked else b"".join(parts)
    refused = client.post("/v1/decisions", content=content)
    assert refused.status_code == 413 and refused.json()["detail"] == "a body may have 400,000 bytes"


@pytest.mark.parametrize("written", ["12", "12.0", "012", "+12", " 12\t", "\u00a012\ufeff"])
def test_an_id_may_be_given_as_it_stands_in_the_shops_files(published, client, written):
    assert ask(client, customer_id=written)["class"] == "Good"
    for answer in (
        client.get("/v1/customers", params={"customer_id": written}),
        client.get(f"/v1/customers/{quote(written, safe='')}"),
    ):
        assert answer.json()["customer_id"] == name_of("12")


@pytest.mark.parametrize(
    ("customer", "reason"),
    [
        *(("12.5", "no whole number"), ("K12", "no whole number"), ("1" * 256, "longer than 255 characters")),
        *(("0.0", "stands for nobody"), ("NULL", "stands for nobody"), ("\u00a0", "missing")),
    ],
)
def test_an_id_that_the_mapping_gives_to_nobody_is_refused_and_not_unknown(
    published, client, customer, reason
):
    for refused in (
        client.get("/v1/customers", params={"customer_id": customer}),
        client.get(f"/v1/customers/{quote(customer, safe='')}"),
        client.post("/v1/decisions", json=question(customer)),
    ):
        assert refused.status_code == 422 and refused.json()["detail"].startswith(f"customer_id: {reason}")
    batch = {"questions": [question("12"), question(customer)]}
    refused = client.post("/v1/decisions/batch", json=batch)
    assert refused.status_code == 422
    assert refused.json()["detail"].startswith(f"questions.1.customer_id: {reason}")


IDS = [
    "a/b",
    "/",
    "a//b/",
    "%2F",
    "50%",
    "a b",
    "ö/é?#&=+",
    "😀",
    "\u05d0\u200f1",
    ".",
    "..",
    "x" * 255,
    '"\\',
    "null",
]


def reads_text_ids(home) -> None:
    """Let every text be the id of a customer of the shop."""
    mapping_file = Path(home.shop)
    text = mapping_file.read_text().replace("CustomerID, as: whole_number", "CustomerID, as: text")
    mapping_file.write_text(text + "\nnobody: []\n")


def test_any_id_that_a_file_can_hold_can_be_asked_for(home):
    reads_text_ids(home)
    good = ("Good", 9, 1, 4, 90.0, 0.1, "Best", 1, 5, 99.0)
    publish(home.published / "current.duckdb", Publication(customers=dict.fromkeys(IDS, good)))
    _, key = Keys(home.api).new(["decisions", "profiles"])
    with TestClient(create(home), headers={"X-API-Key": key}) as client:
        for customer in IDS:
            assert ask(client, customer_id=customer)["class"] == "Good", customer
            asked = client.get("/v1/customers", params={"customer_id": customer})
            assert asked.json()["customer_id"] == name_of(customer), customer
            # the client of tests, unlike a server, decodes a path twice
            if customer not in (".", "..", "%2F"):
                asked = client.get(f"/v1/customers/{quote(customer, safe='')}")
                assert asked.json()["customer_id"] == name_of(customer), customer
        assert client.get("/v1/customers/%FF").status_code == 422
        assert client.get("/v1/customers?customer_id=%FF").status_code == 422
        hundred = {"questions": [question("😀" * 255)] * 100}
        escaped, headers = json.dumps(hundred), {"Content-Type": "application/json"}
        assert client.post("/v1/decisions/batch", content=escaped, headers=headers).status_code == 200


def test_a_fault_is_a_problem_without_its_insides(published, client, monkeypatch):
    monkeypatch.setattr(Answers, "decide", lambda *_: 1 / 0)
    failed = client.post("/v1/decisions", json=question())
    assert failed.status_code == 500 and failed.headers["content-type"] == "application/problem+json"
    assert "division" not in failed.text


def test_no_customer_id_is_in_the_home_after_answers_nor_in_logs(home, caplog):
    customer = "CUSTOMER-4711"
    reads_text_ids(home)
    publish(
        home.published / "current.duckdb",
        Publication(customers={customer: ("Good", 9, 1, 4, 90.0, 0.1, "Best", 1, 5, 99.0)}),
    )
    _, text = Keys(home.api).new(["decisions", "profiles"])
    with caplog.at_level(logging.DEBUG), TestClient(create(home), headers={"X-API-Key": text}) as client:
        assert client.post("/v1/decisions", json=question(customer)).json()["class"] == "Good"
        assert client.get(f"/v1/customers/{customer}").status_code == 200
        client.get(f"/v1/customers/{customer}X")
        client.post("/v1/decisions", json=question(customer, basket="x"))
    for path in Path(home.home).rglob("*"):
        if path.is_file():
            assert customer.encode() not in path.read_bytes(), path
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("httpx")]
    assert customer not in json.dumps(ours)


def test_orders_that_are_made_up_are_marked(home, client):
    publish(home.published / "current.duckdb", Publication(simulated=True))
    wait(client)
    assert ask(client)["simulated"] is True
    assert client.get("/v1/customers/12").json()["simulated"] is True


def test_a_card_is_held_monotone_in_the_basket_before_it_answers(home, client):
    rising = Characteristic("basket", (Bin(0, None, 100.0), Bin(400, 100.0)))
    card = replace(CARD, characteristics=(rising,), base_points=400)
    publish(home.published / "current.duckdb", Publication(cards=(card,)))
    wait(client)
    assert ask(client, basket="50.00")["score"] == ask(client, basket="500.00")["score"] == 400
