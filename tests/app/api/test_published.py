"""A standing holds what is published of a customer, and a new publication is loaded without a restart."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from hashlib import md5
from pathlib import Path
from threading import Event

import duckdb
import pytest

from app.api.answers import Answers, Asked, order_of
from app.api.published import Watch, read_published
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.decisions.decide import Question
from goodstanding.decisions.policy import COD, EMI
from goodstanding.decisions.scorecard import Bin, Characteristic, Scorecard
from tests.app.api.publication import AS_OF, CUSTOMERS, Publication, name_of, policy_rows, publish

CARD = Scorecard(
    "fitted-1",
    COD,
    "it comes back",
    500,
    600,
    10.0,
    40,
    (Characteristic("frequency", (Bin(0, None, 2.0), Bin(90, 2.0))),),
)


@pytest.mark.parametrize("customer", CUSTOMERS)
def test_a_standing_has_the_values_of_the_newest_day_and_of_the_month_before(published, customer):
    found = read_published(published)
    class_, score, recency, frequency, monetary, rate, before, *measures = CUSTOMERS[customer]
    standing = found.standing(name_of(customer), COD, 1)
    assert (standing.customer_class, standing.as_of) == (class_, AS_OF.isoformat())
    if score is None:
        assert standing.situation == "first_time_buyer" and standing.values == {}
        return
    assert standing.values == {"credit_score": score, "return_rate": rate}
    assert standing.measures == {"recency": recency, "frequency": frequency, "monetary": monetary}
    if before is None:
        assert standing.before is None
    else:
        assert standing.before["class"] == before and standing.before["as_of"] == "2026-02-28"
        assert [standing.before[name] for name in ("recency", "frequency", "monetary")] == measures


@pytest.mark.parametrize("customer", CUSTOMERS)
def test_a_customer_read_alone_has_the_same_standing_as_among_all(published, customer):
    name = name_of(customer)
    everybody, alone = read_published(published), read_published(published, only=name)
    assert len(alone.keys) == 1 and alone.standing(name, EMI, 0) == everybody.standing(name, EMI, 0)
    assert alone.profile(name) == everybody.profile(name)
    assert everybody.profile(name)["customer_id"] == name


def test_customers_who_come_in_several_batches_are_found_each_with_their_own(published, monkeypatch):
    monkeypatch.setattr("app.api.published.BATCH", 2048)
    with duckdb.connect(str(published)) as file:
        file.execute(
            "insert into marts.customer_profiles by name "
            "select md5(number::varchar) as customer_id, ?::date as as_of, 'Good' as class, "
            "9 as credit_score, number as recency from range(5000) as numbers (number)",
            [AS_OF],
        )
    found = read_published(published)
    assert len(found.keys) == len(CUSTOMERS) + 5000 and found.keys.tolist() == sorted(found.keys.tolist())
    for number in range(0, 5000, 7):
        name = md5(str(number).encode()).hexdigest()
        assert found.standing(name, COD, 0).measures["recency"] == number
    assert found.profile(name)["recency"] == number


def test_an_unknown_customer_is_not_found(published):
    found = read_published(published)
    for stranger in (name_of("17"), "", "0" * 32, "f" * 32, "g" * 32, name_of("11")[:31]):
        assert found.find(stranger) is None and found.profile(stranger) is None
    assert found.standing(name_of("17"), COD, 0).situation == "unknown_customer"
    assert found.standing(None, COD, 0).situation == "first_time_buyer"


def test_a_fitted_card_and_its_note_are_read(tmp_path):
    path = tmp_path / "current.duckdb"
    publish(path, Publication(cards=(CARD,), notes={EMI: "no payments are known"}))
    found = read_published(path)
    assert found.cards == {COD: CARD} and found.notes == {EMI: "no payments are known"}
    assert found.standing(name_of("11"), COD, 0).values["frequency"] == 40


def test_what_a_customer_owes_is_known_to_the_cent_and_never_less(tmp_path):
    path = tmp_path / "current.duckdb"
    publish(path, Publication(owed={"11": 12.341}))
    found = read_published(path)
    assert found.standing(name_of("11"), EMI, 0).outstanding == Decimal("12.35")
    assert found.standing(name_of("12"), EMI, 0).outstanding == 0


def test_what_a_customer_owes_is_unknown_where_instalments_are_stated_and_no_debt(tmp_path):
    path = tmp_path / "current.duckdb"
    publish(path, Publication(owed={"11": 0}, paid={"11": 0, "12": 0}))
    found = read_published(path)
    assert [found.standing(name_of(each), EMI, 0).outstanding for each in ("11", "12", "13")] == [0, None, 0]


LATE = replace(
    CARD,
    decision=EMI,
    characteristics=(Characteristic("worst_days_late", (Bin(90, None, 0.0), Bin(0, 0.0))),),
)


def test_who_pays_instalments_is_scored_for_them_even_without_an_order_that_counts(tmp_path):
    """16 has cancelled everything, 21 has never ordered; 22 had paid nothing by the last day."""
    path = tmp_path / "current.duckdb"
    publish(path, Publication(cards=(LATE,), owed={"21": 12.341}, paid={"11": 0, "16": 0, "21": 9}))
    for found in (read_published(path), *(read_published(path, only=name_of(each)) for each in ("16", "21"))):
        for key, days, class_ in (("16", 0, "Worst"), ("21", 9, None)):
            if found.find(name_of(key)) is None:
                continue
            by_instalments = found.standing(name_of(key), EMI, 0)
            assert (by_instalments.situation, by_instalments.customer_class) == (None, class_)
            assert by_instalments.values == {
                "credit_score": None,
                "return_rate": 0.6 if key == "16" else None,
                "worst_days_late": days,
            }
            assert found.standing(name_of(key), COD, 0).situation == "first_time_buyer"
    found = read_published(path)
    assert len(found.keys) == len(CUSTOMERS) + 1
    assert found.standing(name_of("21"), EMI, 0).outstanding == Decimal("12.35")
    assert found.profile(name_of("21")) is None and found.profile(name_of("16"))["class"] == "Worst"
    assert found.standing(name_of("22"), EMI, 0).situation == "unknown_customer"


def test_who_pays_no_instalments_and_has_no_order_that_counts_is_not_scored_for_them(tmp_path):
    path = tmp_path / "current.duckdb"
    publish(path, Publication(cards=(LATE,), paid={"11": 0}))
    assert read_published(path).standing(name_of("16"), EMI, 0).situation == "first_time_buyer"


@pytest.mark.parametrize("card", [LATE, None])
def test_an_answer_of_instalments_rests_on_whichever_card_there_is(home, card):
    paid = {"21": 9, "22": 0}
    publish(home.published / "current.duckdb", Publication(cards=(card,) if card else (), paid=paid))
    asked = [Asked(customer, Question(EMI, Decimal("20.00"))) for customer in paid]
    late, in_time = (Answers(home).decide([each])[0] for each in asked)
    if card:
        assert late["model_id"] == in_time["model_id"] == card.model_id
        assert (late["score"], in_time["score"]) == (500, 590)
    else:
        # what orders would say is not known, which earns as little as the worst of what is
        assert late["score"] == in_time["score"] == 410 and late["model_id"] == "hand-set-emi-1"
        assert "set by hand" in late["notes"][0]
        assert "The RFM credit score is not known" in late["reasons"][0]["text"]


def test_a_customer_who_cancelled_everything_since_last_month_learns_why_the_class_moved(home):
    cancelled = ("Worst", None, None, 0, 0.0, 0.6, "Best", 2, 40, 8900.0)
    publish(
        home.published / "current.duckdb",
        Publication(customers={"16": cancelled}, cards=(LATE,), paid={"16": 0}),
    )
    (answer,) = Answers(home).decide([Asked("16", Question(EMI, Decimal("20.00")))])
    assert answer["class_move"]["cause"] == "own_behaviour"
    assert "recency from 2 to none" in answer["class_move"]["sentence"]


@pytest.mark.parametrize(
    ("said", "score"),
    # what is not said of an order earns as little as the worst that could be
    [
        ([], 450),
        (["channel=web"], 510),
        (["channel=web", "weight=1"], 560),
        (["channel=app", "weight=2.5"], 450),
        (["weight=1"], 500),
    ],
)
def test_a_card_may_ask_for_the_channel_and_weight_of_the_order(home, said, score):
    web = Characteristic("channel: web", (Bin(0, up_to=0.5), Bin(60, above=0.5), Bin(0, is_missing=True)))
    weight = Characteristic("weight", (Bin(0, up_to=2), Bin(-50, above=2), Bin(0, is_missing=True)))
    card = replace(CARD, characteristics=(web, weight))
    publish(home.published / "current.duckdb", Publication(cards=(card,)))
    (answer,) = Answers(home).decide([Asked("13", Question(COD, Decimal("20.00")), order_of(said))])
    assert answer["score"] == score and answer["model_id"] == "fitted-1"
    assert Answers(home).receipts.verify(answer["receipt_id"])["equal"]


@pytest.mark.parametrize("wrong", ["", "channel", "channel=", "colour=red", "weight=heavy", "weight=1.23456"])
def test_what_cannot_be_said_of_an_order_is_refused(wrong):
    with pytest.raises(WrongUse, match="write"):
        order_of([wrong])


def test_a_card_that_asks_for_what_is_not_published_is_not_used_and_said_so(tmp_path):
    path = tmp_path / "current.duckdb"
    asks = replace(CARD, characteristics=(Characteristic("shoe_size", (Bin(0),)),))
    publish(path, Publication(cards=(asks,)))
    found = read_published(path)
    assert found.cards == {} and "shoe_size is not published" in found.notes[COD]


def test_a_card_on_a_protected_attribute_is_refused(tmp_path):
    path = tmp_path / "current.duckdb"
    publish(path, Publication(cards=(replace(CARD, characteristics=(Characteristic("SEX", (Bin(0),)),)),)))
    with pytest.raises(WrongUse, match="SEX is a protected attribute"):
        read_published(path)


@pytest.mark.parametrize(
    ("is_archive", "simulated", "days"), [(False, False, 31), (True, False, 20), (False, True, 20)]
)
def test_age_counts_from_the_last_day_and_of_a_log_that_ended_from_its_publication(
    tmp_path, is_archive, simulated, days
):
    path = tmp_path / "current.duckdb"
    at = datetime(2026, 3, 21, 3, 0)
    publish(path, Publication(published_at=at, simulated=simulated))
    assert read_published(path).age_days(date(2026, 4, 10), is_archive) == days


def wait(watch: Watch, as_of: date) -> None:
    for _ in range(200):
        if watch.current and watch.current.as_of == as_of:
            return
        time.sleep(0.02)
    raise AssertionError(f"{as_of} was not taken up; {watch.problem}")


def test_a_new_publication_is_taken_up_and_a_broken_one_leaves_the_last(tmp_path):
    path = tmp_path / "current.duckdb"
    watch = Watch(path)
    watch.load()
    assert watch.current is None
    for day in range(10, 15):
        as_of = date(2026, 3, day)
        publish(path, Publication(as_of=as_of))
        wait(watch, as_of)
        assert watch.current.profile(name_of("11"))["as_of"] == as_of
    (tmp_path / "broken").write_text("no database")
    (tmp_path / "broken").replace(path)
    for _ in range(200):
        assert watch.current.as_of == date(2026, 3, 14)
        if watch.problem:
            break
        time.sleep(0.02)
    assert watch.problem and watch.current.profile(name_of("12")) is not None
    bad = [row | {"value": "-1"} if row["rule"] == "cap_day" else row for row in policy_rows()]
    publish(path, Publication(as_of=date(2026, 3, 20), policy=bad))
    watch.load()
    assert "cap_day" in watch.problem and watch.current.as_of == date(2026, 3, 14)
    publish(path, Publication(as_of=date(2026, 3, 21)))
    wait(watch, date(2026, 3, 21))
    assert watch.problem is None


def test_who_asks_while_a_new_version_is_loaded_waits_for_what_it_scores(published):
    asked, begun, may_end = [()], Event(), Event()

    def read(path, cards):
        if cards:
            begun.set()
            assert may_end.wait(10)
        return read_published(path, cards=cards)

    watch = Watch(published, read, lambda: asked[0])
    watch.load()
    assert "frequency" not in watch.current.characteristics
    asked[0] = (CARD,)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lambda: watch.current)
        assert begun.wait(10)
        second = pool.submit(lambda: watch.current)
        time.sleep(0.05)
        assert not second.done()
        may_end.set()
        assert all("frequency" in each.result().characteristics for each in (first, second))


def test_what_a_new_version_scores_is_loaded_also_while_the_newest_publication_is_broken(published):
    asked = [()]
    watch = Watch(published, cards=lambda: asked[0])
    watch.load()
    (published.parent / "broken").write_text("no database")
    (published.parent / "broken").replace(published)
    asked[0] = (CARD,)
    found = watch.current
    assert watch.problem and found.standing(name_of("11"), COD, 0).values["frequency"] == 40
    assert watch.current is found and found.profile(name_of("11")) is not None


def test_what_an_older_version_published_is_named(tmp_path):
    path = Path(tmp_path / "current.duckdb")
    with duckdb.connect(str(path)) as file:
        file.execute("create schema marts; create table marts.policy (version varchar)")
    with pytest.raises(DataProblem, match=r"has no marts\.master_data: an older version"):
        read_published(path)


def test_a_mart_that_is_published_as_a_view_is_found(published):
    with duckdb.connect(str(published)) as file:
        for name in ("policy", "master_data"):
            file.execute(f"alter table marts.{name} rename to {name}_rows")
            file.execute(f"create view marts.{name} as from marts.{name}_rows")
    found = read_published(published)
    assert found is not None and found.policies and found.standing(name_of("12"), "cod", 0).situation is None
