"""A version holds once an officer who is not its author approves it, and changes no answer of before."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app.api import policy_book, policy_log
from app.api.answers import Answers, Asked
from app.api.keys import SCOPES, Keys
from app.api.policies import diff
from app.api.policy_book import Book, state_of
from app.api.policy_changes import end_officer, new_officer, switch_off, switch_on
from app.api.policy_drafts import Drafting, approve, check, draft, end, moment_of
from app.api.policy_log import FILE, read_log
from app.api.server import create
from app.cli.main import app
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.vocabulary import now_utc
from goodstanding.decisions.decide import Question
from goodstanding.decisions.differences import differing_of, parsed
from tests.app.api.publication import Publication, policy_rows, publish

BASKET = Question("cod", Decimal("1800.00"))
LESS = (differing_of("cod cap_customer Best=1500"),)


@pytest.fixture
def keys(home):
    return [new_officer(home, name, []) for name in ("risk-1", "risk-2")]


@pytest.fixture
def clock(monkeypatch):
    """Sets the clock of the log and of the answers so many hours ahead."""
    ahead = [0.0]
    for module in (policy_log, policy_book):
        monkeypatch.setattr(module, "now_utc", lambda: now_utc() + timedelta(hours=ahead[0]))

    def set_to(hours):
        ahead[0] = hours

    return set_to


def approved(home, keys, version="2", differing=LESS, **more):
    drafted = draft(home, Drafting(version, differing, **more), keys[0])
    return approve(home, version, drafted.hash, keys[1])


def answer_of(home, customer="11", question=BASKET):
    (answer,) = Answers(home).decide([Asked(customer, question)])
    return answer


def test_it_holds_from_its_approval_on_and_receipts_of_before_and_after_verify_alone(home, published, keys):
    before = answer_of(home)
    entry = approved(home, keys)
    after = answer_of(home)
    assert (before["decision"], before["policy_version"]) == ("yes", "1")
    assert (after["decision"], after["policy_version"]) == ("partial", "2")
    assert entry.before == "1" and entry.after["differences"][0]["before"] == "2000"
    published.unlink()
    (home.policy / FILE).unlink()
    for answer in (before, after):
        assert Answers(home).receipts.verify(answer["receipt_id"])["equal"]


def test_it_is_taken_up_at_its_moment_by_a_running_server_and_not_before(home, published, keys, clock):
    starts = now_utc() + timedelta(hours=2)
    _, text = Keys(home.api).new(SCOPES, per_second=100_000)
    with TestClient(create(home), headers={"X-API-Key": text}) as client:

        def version():
            asked = {"customer_id": "11", "basket": "1800.00", "method": "cod"}
            answer = client.post("/v1/decisions", json=asked).json()
            assert client.get("/v1/policy").json()["version"] == answer["policy_version"]
            return answer["policy_version"]

        approved(home, keys, starts=starts)
        assert version() == "1" and answer_of(home)["policy_version"] == "1"
        clock(2.01)
        assert version() == "2" and answer_of(home)["policy_version"] == "2"
        # the clock is set back: nothing is changed by it but what holds by the clock
        clock(1)
        assert version() == "1"
        clock(3)
        switch_off(home, "emi", "")
        clock(-50)
        # the log knows that this moment has come
        assert version() == "2"


def test_an_entry_under_a_wrong_clock_lets_no_version_begin_and_no_request_to_switch_on_last(
    home, published, keys, clock
):
    approved(home, keys, starts=now_utc() + timedelta(hours=5))
    switch_off(home, "emi", "")
    clock(24 * 365)
    switch_on(home, "emi", keys[0], "")
    clock(0)
    assert answer_of(home)["policy_version"] == "1"
    # the first who asks by the right clock is the first of two
    switch_on(home, "emi", keys[1], "")
    assert Book(home.policy).current.is_off("emi")
    assert read_log(home.policy)[-1].at == read_log(home.policy)[-1].clock
    clock(6)
    assert answer_of(home)["policy_version"] == "2"


def test_the_author_approves_by_no_key(home, keys):
    drafted = draft(home, Drafting("2", LESS), keys[0])
    with pytest.raises(WrongUse, match="risk-1 drafted 2: another officer must approve it"):
        approve(home, "2", drafted.hash, keys[0])
    for key in ("", "risk-2", "gso_x", keys[1][:-1]):
        with pytest.raises(WrongUse, match="no officer's key"):
            approve(home, "2", drafted.hash, key)
    new_officer(home, "risk-3", keys)
    end_officer(home, "risk-1", keys[1])
    with pytest.raises(WrongUse, match="is an officer no more"):
        approve(home, "2", drafted.hash, keys[1])


def test_what_is_approved_is_what_was_read(home, published, keys):
    read = draft(home, Drafting("2", LESS), keys[0])
    changed = draft(home, Drafting("2", (differing_of("cod cap_customer Best=9000"),)), keys[0])
    assert changed.before == read.hash
    for wrong in (read.hash, "", changed.hash[:11]):
        with pytest.raises(WrongUse, match="is not"):
            approve(home, "2", wrong, keys[1])
    path = home.policy / FILE
    whole = path.read_text()
    path.write_text(whole.replace('"value":"9000"', '"value":"5000"'))
    with pytest.raises(Exception, match="was edited"):
        approve(home, "2", changed.hash, keys[1])
    path.write_text(whole)
    approve(home, "2", changed.hash[:12], keys[1])
    assert answer_of(home)["policy_version"] == "2"


def test_of_two_approvals_at_once_one_holds(home, keys):
    third = new_officer(home, "risk-3", keys)
    drafted = draft(home, Drafting("2", LESS), keys[0])

    def attempt(key):
        with suppress(WrongUse):
            return approve(home, "2", drafted.hash, key)

    with ThreadPoolExecutor(4) as pool:
        done = [entry for entry in pool.map(attempt, [keys[1], third] * 2) if entry]
    assert len(done) == 1 and read_log(home.policy)[-1].hash == done[0].hash
    with pytest.raises(WrongUse, match="version 2 is approved already"):
        approve(home, "2", drafted.hash, third)


def test_a_draft_that_follows_what_holds_no_more_is_not_approved(home, published, keys):
    second = draft(home, Drafting("2", LESS), keys[0])
    third = draft(home, Drafting("3", (differing_of("cod cap_customer Good=1"),)), keys[0])
    approve(home, "2", second.hash, keys[1])
    with pytest.raises(WrongUse, match="draft 3 follows another version than 2"):
        approve(home, "3", third.hash, keys[1])
    approved(home, keys, "3", (differing_of("cod cap_customer Good=1"),))
    assert answer_of(home, "11")["limit"] == "1500.00" and answer_of(home, "12")["limit"] == "1.00"


def test_a_draft_is_not_approved_once_the_published_file_was_changed(home, published, keys):
    drafted = draft(home, Drafting("2", LESS), keys[0])
    rows = [row | {"value": "7"} if row["rule"] == "cap_day" else row for row in policy_rows()]
    publish(published, Publication(policy=rows))
    with pytest.raises(WrongUse, match="draft 2 follows another version than 1"):
        approve(home, "2", drafted.hash, keys[1])


def test_nothing_holds_from_a_moment_that_is_past(home, keys, clock):
    with pytest.raises(WrongUse, match="is past: no answer of before changes"):
        draft(home, Drafting("2", LESS, starts=now_utc() - timedelta(minutes=1)), keys[0])
    drafted = draft(home, Drafting("2", LESS, starts=now_utc() + timedelta(hours=1)), keys[0])
    clock(2)
    with pytest.raises(WrongUse, match="which is past: draft it again"):
        approve(home, "2", drafted.hash, keys[1])
    # and no clock that is set back makes it a moment to come
    switch_off(home, "emi", "")
    clock(-5)
    with pytest.raises(WrongUse, match="which is past"):
        approve(home, "2", drafted.hash, keys[1])


def test_a_version_to_come_is_undone_by_none_before_it_and_can_be_ended(home, published, keys, clock):
    approved(home, keys, starts=now_utc() + timedelta(hours=5))
    with pytest.raises(WrongUse, match="version 2 is approved for a later moment and would undo it"):
        draft(home, Drafting("3", (differing_of("cod cap_customer Good=1"),)), keys[0])
    for alone in (keys[:1], [keys[1]] * 2):
        with pytest.raises(WrongUse, match="two officers end version 2, which two have approved"):
            end(home, "2", alone, "not wanted")
    assert end(home, "2", keys, "not wanted").who == "risk-1 and risk-2"
    clock(6)
    assert answer_of(home)["policy_version"] == "1"
    with pytest.raises(WrongUse, match="there is a version 2 already"):
        draft(home, Drafting("2", LESS), keys[0])
    approved(home, keys, "3")
    with pytest.raises(WrongUse, match="version 3 holds: draft and approve one that changes it back"):
        end(home, "3", keys, "")
    with pytest.raises(WrongUse, match="no draft and no approved version 9"):
        end(home, "9", keys[:1], "")


def test_a_version_of_the_file_that_begins_later_takes_its_place(home, published, keys, monkeypatch):
    approved(home, keys)
    tomorrow = date.today() + timedelta(days=1)
    rows = [row | {"version": "new", "effective_from": str(tomorrow)} for row in policy_rows()]
    publish(
        published,
        Publication(policy=[row | {"effective_to": str(date.today())} for row in policy_rows()] + rows),
    )
    assert answer_of(home)["policy_version"] == "2"
    monkeypatch.setattr(Answers, "today", lambda _: tomorrow)
    assert answer_of(home)["policy_version"] == "new"


def test_a_running_server_loads_what_an_approved_scorecard_asks_for(home, published, keys):
    """The published policy asks for no frequency: it is loaded once a version that does is approved."""
    _, text = Keys(home.api).new(SCOPES, per_second=100_000)
    points = [
        {"rule": "points", "above": "", "up_to": "4", "value": "0"},
        {"rule": "points", "above": "4", "up_to": "", "value": "90"},
        {"rule": "points_missing", "above": "", "up_to": "", "value": "0"},
    ]
    rows = tuple(
        (f"row {number}", {"decision": "cod", "applies_to": "frequency", "note": "", **row})
        for number, row in enumerate(points)
    )
    with TestClient(create(home), headers={"X-API-Key": text}) as client:

        def points_of(customer):
            asked = {"customer_id": customer, "basket": "10.00", "method": "cod"}
            answer = client.post("/v1/decisions", json=asked).json()
            return {each["characteristic"]: (each["value"], each["points"]) for each in answer["points"]}

        assert "frequency" not in points_of("11")
        approved(home, keys, differing=rows)
        assert points_of("14")["frequency"] == (1, 0)
        # who has the best points is told none
        assert "frequency" not in points_of("11")
    unknown = tuple((where, {**row, "applies_to": "shoe_size"}) for where, row in rows)
    with pytest.raises(WrongUse, match="cod points shoe_size: is published of no customer"):
        draft(home, Drafting("3", unknown), keys[0])


def test_an_approval_between_two_looks_counts_from_the_next_question_on(home, published, keys, monkeypatch):
    """The publication was loaded without what the new version asks for, so it is not answered by it."""
    watched = Answers._published

    def before_the_approval(answers, only):
        found = watched(answers, only)
        if "2" not in state_of(read_log(home.policy)).approved_versions:
            approved(home, keys)
        return found

    monkeypatch.setattr(Answers, "_published", before_the_approval)
    assert [answer_of(home)["policy_version"] for _ in range(2)] == ["1", "2"]


@pytest.fixture
def stricter(monkeypatch):
    """Lets this release refuse the versions that are named."""
    refused = set()

    def read(rows):
        if rows[0]["version"] in refused:
            raise WrongUse("log:1: cod gone_rule: there is no such rule")
        return parsed(rows)

    monkeypatch.setattr(policy_book, "parsed", read)
    policy_book._parsed.cache_clear()
    yield lambda *versions: (refused.update(versions), policy_book._parsed.cache_clear())
    policy_book._parsed.cache_clear()


def test_a_version_that_a_running_server_cannot_read_leaves_what_held_and_a_switch_counts(
    home, published, keys, stricter
):
    answers = Answers(home)
    answers.decide([Asked("11", BASKET)])
    stricter("2")
    approved(home, keys)
    for situation in (None, "switched_off"):
        (answer,) = answers.decide([Asked("11", BASKET)])
        assert (answer["policy_version"], answer["situation"]) == ("1", situation)
        assert "version 2, approved by entry 4" in answers.book.look()
        switch_off(home, "cod", "")


def test_a_version_that_holds_and_cannot_be_read_is_named_with_the_way_out(
    home, published, keys, stricter, monkeypatch
):
    approved(home, keys)
    stricter("2")
    with pytest.raises(DataProblem, match=r"version 2, approved .* no such rule; .* that begins later"):
        answer_of(home)
    assert "no such rule" in Book(home.policy).look()
    shown = CliRunner().invoke(app, ["policy", "log"])
    assert shown.exit_code == 0 and "there is no such rule" in " ".join(shown.stdout.split())
    tomorrow = date.today() + timedelta(days=1)
    publish(
        published, Publication(policy=[{**row, "effective_from": str(tomorrow)} for row in policy_rows()])
    )
    monkeypatch.setattr(Answers, "today", lambda _: tomorrow)
    assert answer_of(home)["policy_version"] == "1"


def test_a_version_that_holds_no_more_or_answers_nobody_stops_nothing_where_it_cannot_be_read(
    home, published, keys, stricter
):
    approved(home, keys)
    approved(home, keys, "3", (differing_of("cod cap_customer Good=1"),))
    stricter("2")
    assert answer_of(home)["policy_version"] == "3" and Book(home.policy).look() is None
    for mode, share in (("shadow", None), ("challenger", Decimal("0.9"))):
        approved(home, keys, mode, (differing_of("cod cap_customer Good=2"),), mode=mode, share=share)
        stricter(mode)
    assert answer_of(home)["policy_version"] == "3" and "no such rule" in Book(home.policy).look()


@pytest.mark.parametrize(
    ("drafting", "fault"),
    [
        (Drafting("1", LESS), "there is a version 1 already"),
        (Drafting("a b", LESS), "a version of 'a b'"),
        (Drafting("2", LESS, mode="loud"), "a mode of 'loud'"),
        (Drafting("2", LESS, mode="challenger"), "a challenger has a share"),
        (Drafting("2", LESS, share=Decimal("0.1")), "a challenger has a share"),
        (Drafting("2", LESS, mode="challenger", share=Decimal(1)), "a share of 1"),
        (Drafting("2", LESS, mode="challenger", share=Decimal("NaN")), "a share of NaN"),
        (Drafting("2", LESS, note="ask ann@example.org"), "names nobody"),
        (Drafting("2", ()), "nothing differs"),
    ],
)
def test_what_is_wrong_with_a_version_is_told_and_it_is_not_kept(home, published, keys, drafting, fault):
    with pytest.raises(WrongUse, match=fault):
        draft(home, drafting, keys[0])
    assert len(read_log(home.policy)) == 2


def test_a_check_says_what_changes_and_writes_nothing(home, published, keys, tmp_path):
    draft(home, Drafting("2", (differing_of("cod failure_cost_share=3"),)), keys[0])
    checked = check(home, "2")
    assert (checked["faults"], checked["follows"], checked["author"]) == ([], "1", "risk-1")
    assert [(row["before"], row["after"]) for row in checked["differences"]] == [("0.6", "3")]
    cod = checked["effects"][0]
    assert cod["lose"] > 0 == cod["gain"]
    assert len(read_log(home.policy)) == 3
    with pytest.raises(WrongUse, match=r"there is no draft 9 \(there are: 2\)"):
        check(home, "9")
    approve(home, "2", checked["draft"], keys[1])
    with pytest.raises(WrongUse, match="version 2 is approved"):
        check(home, "2")
    assert diff(home, "1", "2", [Decimal("50.00")])["rows"][0]["lose"] == cod["lose"]


def test_a_moment_is_by_the_clock_of_the_shop(home):
    assert str(moment_of(home, "2026-07-01 08:00")) == "2026-07-01 07:00:00"
    assert str(moment_of(home, "2026-07-01T08:00+02:00")) == "2026-07-01 06:00:00"
    with pytest.raises(WrongUse, match="write it by the shop's clock"):
        moment_of(home, "tomorrow")


def test_the_commands_lead_from_a_file_to_an_approval(home, published, keys, tmp_path):
    file = tmp_path / "d.csv"
    file.write_text("decision,rule,applies_to,above,up_to,value,note\ncod,cap_customer,Bset,,,1500,\n")

    def run(*arguments, key=""):
        return CliRunner().invoke(app, ["policy", *arguments], input=f"{key}\n")

    found = run("check", str(file))
    assert found.exit_code == 1 and "d.csv:2: cod cap_customer Bset" in found.stdout.replace("\n", "")
    new = ("new", "2", "--note", "less open", "--differs", str(file))
    assert run(*new, key=keys[0]).exit_code == 2
    file.write_text(file.read_text().replace("Bset", "Best"))
    shown = run(*new, "--set", "cod cap_customer Good=900", key=keys[0])
    assert shown.exit_code == 0 and "goodstanding policy approve 2 --draft" in shown.stdout
    checked = json.loads(run("check", "2", "--json").stdout)
    assert [row["after"] for row in checked["differences"]] == ["1500", "900"]
    assert "cod cap_customer Best" in run("check", "2").stdout
    approval = ("approve", "2", "--draft", checked["draft"])
    assert run(*approval, key=keys[0]).exit_code == 2
    assert "holds from" in run(*approval, key=keys[1]).stdout
    assert state_of(read_log(home.policy)).newest("live", Book(home.policy).current.now).version == "2"
    assert "1000 to 900" in " ".join(run("log").stdout.split())
    later = (
        "new",
        "3",
        "--note",
        "",
        "--from",
        "2999-01-01 00:00",
        "--set",
        "emi cap_day=1",
        "--mode",
        "shadow",
    )
    assert run(*later, key=keys[0]).exit_code == 0
    assert run("end", "3", "--because", "no", key=keys[1]).exit_code == 0
    to_come = draft(
        home,
        Drafting("4", (differing_of("emi cap_day=1"),), starts=now_utc() + timedelta(hours=1)),
        keys[0],
    )
    approve(home, "4", to_come.hash, keys[1])
    assert run("end", "4", "--because", "no", key=keys[1]).exit_code == 2
    assert run("end", "4", "--because", "no", key="\n".join(keys)).exit_code == 0
