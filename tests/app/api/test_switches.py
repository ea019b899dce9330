"""A method that is switched off grants nothing from the next request on: in all workers, and to no quote."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from app.api.answers import Answers, Asked
from app.api.commitments import Conflict
from app.api.letters import letter_of
from app.api.models import Decision
from app.api.policy_changes import new_officer, switch_off, switch_on
from app.api.policy_log import FILE
from goodstanding.core.settings import Settings
from goodstanding.decisions.decide import Question
from tests.app.api.publication import AS_OF
from tests.app.api.serving import serving
from tests.app.api.test_receipts_served import home as served_home  # noqa: F401

TEN = Question("cod", Decimal("10.00"))


def turn_on(home):
    names = ("risk-1", "risk-2")
    for key in [new_officer(home, name, []) for name in names]:
        switch_on(home, "cod", key, "over")


def test_it_is_told_as_its_own_reason_and_the_receipt_gives_it_again(home, published):
    answers = Answers(home)
    (before,) = answers.decide([Asked("11", TEN)])
    switch_off(home, "cod", "a wave of fraud")
    (cod,) = answers.decide([Asked("11", TEN)])
    (emi,) = answers.decide([Asked("11", replace(TEN, method="emi"))])
    assert before["decision"] == "yes" and emi["situation"] != "switched_off"
    Decision.model_validate(cod)
    assert (cod["decision"], cod["limit"], cod["granted"], cod["quote_until"]) == ("no", "0.00", "0.00", None)
    assert (cod["situation"], cod["reasons"][0]["code"]) == ("switched_off", "switched_off")
    assert cod["nearest_change"] is None and cod["score"] is None
    assert "not offered at present" in letter_of(answers.receipts, cod["receipt_id"]).text()
    assert "fraud" not in str(cod)
    turn_on(home)
    assert answers.decide([Asked("11", TEN)])[0]["decision"] == "yes"
    (home.policy / FILE).unlink()
    for answer in (before, cod):
        assert answers.receipts.verify(answer["receipt_id"])["equal"]


@pytest.mark.parametrize(
    "customer", ["11", "16", "9999", None], ids=["known", "cancelled", "unknown", "guest"]
)
@pytest.mark.parametrize("when", ["fresh", "stale", "unpublished"])
def test_nothing_is_granted_to_anybody_whatever_is_published(home, published, monkeypatch, customer, when):
    if when == "stale":
        monkeypatch.setattr(Answers, "today", lambda _: AS_OF + timedelta(days=99))
    if when == "unpublished":
        published.unlink()
    switch_off(home, "cod", "")
    (answer,) = Answers(home).decide([Asked(customer, TEN)])
    assert (answer["situation"], answer["granted"]) == ("switched_off", "0.00")


def test_a_quote_of_before_can_be_taken_no_more_and_an_order_that_took_one_keeps_it(home, published):
    answers = Answers(home)
    first, second = answers.decide([Asked("11", TEN), Asked("12", TEN)])
    taken = answers.commit(first["receipt_id"], "A-1")
    switch_off(home, "cod", "")
    assert answers.commit(first["receipt_id"], "A-1") == taken
    with pytest.raises(Conflict, match="cod is switched off"):
        answers.commit(second["receipt_id"], "A-2")
    turn_on(home)
    assert answers.commit(second["receipt_id"], "A-2")["state"] == "open"


def test_the_same_idempotency_key_gets_no_yes_of_before_nor_a_no_of_the_time_it_was_off(home, published):
    answers, asked = Answers(home), Asked("11", TEN, idempotency_key="k")
    assert answers.decide([asked])[0]["decision"] == "yes"
    switch_off(home, "cod", "")
    off = answers.decide([asked])[0]
    assert off["decision"] == "no" and answers.decide([asked])[0]["receipt_id"] == off["receipt_id"]
    turn_on(home)
    assert answers.decide([asked])[0]["decision"] == "yes"


@contextmanager
def receipts_busy(answers):
    with answers.receipts.transaction():
        yield


def test_it_waits_for_no_receipts_and_counts_for_who_waits_for_them(home, published):
    answers, others = Answers(home), Answers(home)
    answers.decide([Asked("11", TEN)])
    with ThreadPoolExecutor(1) as pool:
        with receipts_busy(answers):
            waits = pool.submit(others.decide, [Asked("11", TEN)])
            time.sleep(0.2)
            began = time.monotonic()
            switch_off(home, "cod", "")
            assert time.monotonic() - began < 1 and not waits.done()
        assert waits.result()[0]["situation"] == "switched_off"


def test_it_holds_in_all_workers_from_the_next_request_on_and_after_a_restart(served_home: Path):  # noqa: F811
    asked = {"customer_id": "11", "basket": "10.00", "method": "cod"}
    current = Settings(home=served_home, _env_file=None)
    with serving(served_home) as server:

        def ask(_: int) -> tuple[float, float, str | None]:
            began = time.monotonic()
            answer = server.client.post("/v1/decisions", json=asked).json()
            return began, time.monotonic(), answer["situation"]

        ask(0)
        with ThreadPoolExecutor(8) as pool:
            burst = [pool.submit(ask, number) for number in range(300)]
            time.sleep(0.3)
            switch_off(current, "cod", "")
            done = time.monotonic()
            answers = [each.result() for each in burst]
        later = [situation for began, _, situation in answers if began > done]
        earlier = [situation for _, ended, situation in answers if ended < done]
        assert len(later) > 20 and set(later) == {"switched_off"}
        assert earlier and earlier[0] is None
    with serving(served_home) as server:
        assert server.client.post("/v1/decisions", json=asked).json()["situation"] == "switched_off"
        path = served_home / "policy" / FILE
        path.write_text(path.read_text()[:-9])
        answer = server.client.post("/v1/decisions", json=asked).json()
        assert answer["situation"] == "switched_off"
        problem = "the log of policy changes cannot be used; `goodstanding policy log` says why"
        assert problem in [server.client.get("/ready").json()["problem"] for _ in range(4)]
    with serving(served_home) as server:
        refused = server.client.post("/v1/decisions", json=asked)
        assert refused.status_code == 503 and "log.jsonl:1: has no end" in refused.json()["detail"]
