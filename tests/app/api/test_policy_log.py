"""Every change of the policy is in a log; an edit, a cut, and a log written anew are noticed."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from typer.testing import CliRunner

from app.api import policy_log
from app.api.answers import Answers, Asked
from app.api.policy_book import Book, state_of
from app.api.policy_changes import accept_loss, checked_log, end_officer, new_officer, switch_off, switch_on
from app.api.policy_drafts import Drafting, approve, draft, end
from app.api.policy_log import FILE, read_log
from app.cli.main import app
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.decisions.decide import Question
from goodstanding.decisions.differences import differing_of


def three_changes(home):
    for method in ("cod", "emi", "cod"):
        switch_off(home, method, "fraud")
    return home.policy / FILE


def test_each_change_says_who_when_and_what_and_is_for_its_owner_alone(home):
    path = three_changes(home)
    entries = read_log(home.policy)
    assert [entry.number for entry in entries] == [1, 2, 3]
    assert [(entry.subject, entry.before, entry.after) for entry in entries] == [
        ("cod", "on", "off"),
        ("emi", "on", "off"),
        ("cod", "off", "off"),
    ]
    assert all(entry.who.startswith("uid:") and entry.at == entry.clock for entry in entries)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def edited(lines):
    return [lines[0], lines[1].replace('"fraud"', '"other"'), lines[2]]


def hashed_anew(lines):
    """Whoever edits may write the right hash beside: the next line does not follow it."""
    content = {**json.loads(lines[1]), "note": "other"}
    entry = policy_log.Entry(**content)
    return [lines[0], json.dumps({**content, "hash": policy_log._hash(entry)}), lines[2]]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (edited, "log.jsonl:2: was edited"),
        (hashed_anew, "log.jsonl:3: does not follow"),
        (lambda lines: [lines[0], lines[2]], "log.jsonl:2: was edited"),
        (lambda lines: [lines[1], lines[0], lines[2]], "log.jsonl:1: was edited"),
        (lambda lines: [*lines, lines[2]], "log.jsonl:4: was edited"),
        (lambda lines: [*lines[:2], lines[2][:40]], "log.jsonl:3: is no entry"),
        (lambda lines: [*lines[:2], "[1]"], "log.jsonl:3: is no entry"),
    ],
)
def test_an_edit_is_noticed_with_its_line_and_nothing_is_added_to_it(home, change, where):
    path = three_changes(home)
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    for refused in (lambda: read_log(home.policy), lambda: new_officer(home, "risk-1", [])):
        with pytest.raises(DataProblem, match=f"policy/{where}"):
            refused()


def test_half_a_last_line_is_noticed(home):
    path = three_changes(home)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataProblem, match="has no end"):
        read_log(home.policy)


def test_a_cut_is_noticed_by_the_receipts_and_by_a_head_that_was_noted(home, published):
    path = three_changes(home)
    whole = path.read_text()
    head = read_log(home.policy)[-1].hash
    path.write_text("".join(line + "\n" for line in whole.splitlines()[:2]))
    # nobody has seen the third entry yet
    assert len(checked_log(home)) == 2
    with pytest.raises(DataProblem, match="has 2 entries and no entry 3 where one was seen"):
        checked_log(home, [f"3:{head[:12]}"])
    path.write_text(whole)
    Answers(home).decide([Asked("11", Question("cod", Decimal(10)))])
    assert len(checked_log(home)) == 3
    path.unlink()
    with pytest.raises(DataProblem, match="has 0 entries and no entry 3 where one was seen"):
        checked_log(home)
    for _ in range(3):
        with pytest.raises(DataProblem, match=r"entry 3 where one was seen.*switch cod off again"):
            switch_off(home, "cod", "fraud")
    with pytest.raises(DataProblem, match="has another entry 3 where one was seen"):
        checked_log(home)
    with pytest.raises(WrongUse, match="a head of '3'"):
        checked_log(home, ["3"])


def test_a_process_that_answers_takes_up_no_log_that_was_cut_or_edited(home, caplog):
    path = three_changes(home)
    book, whole = Book(home.policy), path.read_text()
    assert book.current.is_off("cod") and book.current.is_off("emi")
    for content in ("", whole.splitlines()[0] + "\n", whole[:-20], whole.replace("fraud", "fresh")):
        path.write_text(content)
        assert book.current.is_off("emi") and book.look(), content[:20]
    path.unlink()
    assert book.current.is_off("emi") and "was cut or replaced" in str(book.look())
    path.write_text(whole)
    assert book.current.is_off("emi") and book.look() is None
    path.write_text(whole[:-20])
    with pytest.raises(DataProblem, match=r"nothing is answered: policy/log\.jsonl:3"):
        _ = Book(home.policy).current


@pytest.mark.parametrize(
    "damaged",
    [
        lambda lines: lines[:3],
        lambda lines: [],
        lambda lines: [*lines[:-1], lines[-1][:-9]],
        lambda lines: [lines[0], lines[1].replace('"fraud"', '"other"'), *lines[2:]],
        lambda lines: lines[1:],
        lambda lines: ["\udcff", *lines],
    ],
    ids=["older", "removed", "half a line", "edited", "cut in front", "no text"],
)
@pytest.mark.parametrize("answered", [True, False])
def test_a_switch_off_counts_in_a_running_server_whatever_became_of_the_log(
    home, published, damaged, answered
):
    path = three_changes(home)
    for key in [new_officer(home, name, []) for name in ("risk-1", "risk-2")]:
        for method in ("cod", "emi"):
            switch_on(home, method, key, "")
    answers, whole = Answers(home), path.read_text()
    asked = [Asked("11", Question(method, Decimal(10))) for method in ("cod", "emi")]
    if answered:
        answers.decide(asked)
    assert not answers.book.current.switched_off
    content = damaged(whole.splitlines())
    path.write_bytes("".join(f"{line}\n" for line in content).encode(errors="surrogateescape"))
    if not content:
        path.unlink()
    # no switch that the log shows and that was undone since counts anew
    assert not answers.book.current.switched_off
    is_log = content in (whole.splitlines()[:3], [])
    if answered or not is_log:
        with pytest.raises(
            DataProblem, match=r"by emi from now on, but .* put it back .* switch emi off again"
        ):
            switch_off(home, "emi", "stop it")
    else:
        switch_off(home, "emi", "stop it")
    assert [answer["situation"] for answer in answers.decide(asked)] == [None, "switched_off"]
    assert answers.book.problem
    path.write_text(whole)
    switch_off(home, "cod", "")
    assert list(answers.book.current.switched_off) == ["cod"] and answers.book.problem is None


def test_receipts_that_cannot_be_read_are_named_and_keep_no_switch_from_being_written(home):
    home.receipts.mkdir(parents=True)
    (home.receipts / "receipts.sqlite").write_text("no database" * 99)
    with pytest.raises(DataProblem, match=r"by cod from now on, but receipts\.sqlite: cannot be read"):
        switch_off(home, "cod", "")
    assert state_of(read_log(home.policy)).is_off("cod")


def test_what_running_servers_would_not_take_up_is_not_written(home, published):
    first, _ = (new_officer(home, name, []) for name in ("risk-1", "risk-2"))
    switch_off(home, "cod", "")
    Answers(home).decide([Asked("11", Question("cod", Decimal(10)))])
    path = home.policy / FILE
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    drafting = Drafting("2", (differing_of("cod cap_day=1"),))
    for change in (
        lambda: new_officer(home, "risk-3", []),
        lambda: end_officer(home, "risk-2", first),
        lambda: switch_on(home, "cod", first, ""),
        lambda: draft(home, drafting, first),
        lambda: approve(home, "2", "0" * 12, first),
        lambda: end(home, "2", [first], ""),
    ):
        with pytest.raises(DataProblem, match="no entry 3 where one was seen"):
            change()
    assert len(read_log(home.policy)) == 2


def test_after_a_loss_nothing_is_answered_until_it_is_accepted_and_then_all_is_off(home, published):
    asked = [Asked("11", Question(method, Decimal(10))) for method in ("cod", "emi")]
    switch_off(home, "cod", "fraud")
    with pytest.raises(WrongUse, match="no loss to accept"):
        accept_loss(home, "")
    Answers(home).decide(asked)
    whole = (home.policy / FILE).read_text()
    (home.policy / FILE).unlink()
    with pytest.raises(DataProblem, match=r"nothing is answered: .* no entry 1 where one was seen"):
        Answers(home).decide(asked)
    assert "no entry 1 where one was seen" in str(Answers(home).book.look())
    status = CliRunner().invoke(app, ["status"])
    assert status.exit_code == 1 and "no entry 1 where one was seen" in " ".join(status.stderr.split())
    (home.policy / FILE).write_text(whole)
    assert Answers(home).decide(asked)[1]["situation"] != "switched_off"
    (home.policy / FILE).unlink()
    assert accept_loss(home, "the disk broke").before == [[1, json.loads(whole)["hash"]]]
    answers = Answers(home).decide(asked)
    assert [answer["situation"] for answer in answers] == ["switched_off"] * 2
    assert len(checked_log(home)) == 1
    # what was seen since is missed again
    (home.policy / FILE).unlink()
    with pytest.raises(DataProblem, match="where one was seen"):
        Answers(home).decide(asked)


def test_its_time_never_runs_back_and_an_entry_tells_what_the_clock_said(home, monkeypatch):
    switch_off(home, "cod", "")
    at = read_log(home.policy)[0].moment
    monkeypatch.setattr(policy_log, "now_utc", lambda: at - timedelta(days=9))
    switch_off(home, "emi", "")
    second = read_log(home.policy)[1]
    assert second.moment == at and datetime.fromisoformat(second.clock) == at - timedelta(days=9)


def test_changes_at_once_are_all_kept(home):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: switch_off(home, "cod", str(number)), range(16)))
    assert sorted(int(entry.note) for entry in read_log(home.policy)) == list(range(16))


@pytest.mark.parametrize(
    "note",
    [
        "ask ann@example.org",
        "ask ann\uff20example.org",
        "@ann knows",
        "call Anna on +44 7700 900123",
        "call 0044 (0)7700-900123",
        "call (+447700900123)",
        "two\nlines",
        "one\rother",
        "one\u2028other",
        "\x1b[2Jhidden",
        "turned \u202e round",
        "x" * 501,
    ],
)
def test_a_note_that_names_somebody_or_is_long_or_hides_something_is_refused(home, note):
    with pytest.raises(WrongUse, match="a note"):
        switch_off(home, "cod", note)
    assert read_log(home.policy) == ()


@pytest.mark.parametrize(
    "note",
    [
        "",
        "from 2026-12-24 08:00 to 2027-01-06",
        "zu viele R\u00fcckl\u00e4ufer \u2013 siehe\u00a0Protokoll 17",
        "cap 1000000.00, share 0.0012345678, +10 %",
    ],
)
def test_a_note_of_days_and_amounts_is_kept_as_it_was_written(home, note):
    assert switch_off(home, "cod", note).note == read_log(home.policy)[0].note == note


def test_a_third_officer_is_let_in_by_two_and_no_key_is_in_the_log(home):
    first, second = (new_officer(home, name, []) for name in ("risk-1", "risk-2"))
    for keys in ([], [first], [first, first], [first, "gso_x"]):
        with pytest.raises(WrongUse, match="officer"):
            new_officer(home, "risk-3", keys)
    third = new_officer(home, "risk-3", [first, second])
    text = (home.policy / FILE).read_text()
    assert not [key for key in (first, second, third) if key in text]
    for name in ("risk-1", "Ann Smith", "a", "a@b.c"):
        with pytest.raises(WrongUse, match="name"):
            new_officer(home, name, [first, second])


def test_no_officer_locks_the_others_out_and_lets_nobody_in_alone(home):
    first, second = (new_officer(home, name, []) for name in ("risk-1", "risk-2"))
    for name in ("risk-1", "risk-2"):
        with pytest.raises(WrongUse, match="fewer than two officers would be left"):
            end_officer(home, name, first)
    new_officer(home, "risk-3", [first, second])
    end_officer(home, "risk-2", first)
    with pytest.raises(WrongUse, match="no officer's key"):
        new_officer(home, "risk-9", [first, second])
    with pytest.raises(WrongUse, match="two officers let another in"):
        new_officer(home, "risk-9", [first])
    with pytest.raises(WrongUse, match="there is no officer risk-2"):
        end_officer(home, "risk-2", first)


def test_it_is_switched_on_by_two_officers_alone(home):
    first, second = (new_officer(home, name, []) for name in ("risk-1", "risk-2"))
    is_off = lambda: state_of(read_log(home.policy)).is_off("cod")  # noqa: E731
    with pytest.raises(WrongUse, match="cod is on"):
        switch_on(home, "cod", first, "")
    switch_off(home, "cod", "")
    with pytest.raises(WrongUse, match="no officer's key"):
        switch_on(home, "cod", "gso_x", "")
    switch_on(home, "cod", first, "")
    with pytest.raises(WrongUse, match="risk-1 has asked for it already"):
        switch_on(home, "cod", first, "")
    # who switches off once more takes back what was asked for
    switch_off(home, "cod", "")
    switch_on(home, "cod", second, "")
    assert is_off()
    entry = switch_on(home, "cod", first, "")
    assert entry.who == "risk-2 and risk-1" and not is_off()


def test_what_was_asked_for_long_ago_or_by_an_officer_who_ended_counts_no_longer(home, monkeypatch):
    first, second = (new_officer(home, name, []) for name in ("risk-1", "risk-2"))
    third = new_officer(home, "risk-3", [first, second])
    switch_off(home, "cod", "")
    switch_on(home, "cod", first, "")
    end_officer(home, "risk-1", second)
    switch_on(home, "cod", second, "")
    assert state_of(read_log(home.policy)).is_off("cod")
    later = read_log(home.policy)[-1].moment + timedelta(hours=25)
    monkeypatch.setattr(policy_log, "now_utc", lambda: later)
    switch_on(home, "cod", third, "")
    assert state_of(read_log(home.policy)).is_off("cod")


def test_the_commands_tell_what_they_did_and_read_keys_from_the_standard_input(home):
    def run(*arguments, keys=()):
        return CliRunner().invoke(
            app, ["policy", *arguments, "--json"], input="".join(f"{key}\n" for key in keys)
        )

    keys = [json.loads(run("officer", "new", f"risk-{number}").stdout)["key"] for number in (1, 2)]
    assert json.loads(run("officer", "list").stdout)["officers"] == ["risk-1", "risk-2"]
    assert run("officer", "new", "risk-3", keys=keys).exit_code == 0
    assert run("officer", "end", "risk-3", keys=keys[:1]).exit_code == 0
    assert json.loads(run("switch-off", "cod", "--because", "fraud").stdout)["after"] == "off"
    status = CliRunner().invoke(app, ["status"])
    assert "cod is switched off" in status.stderr
    assert json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)["switched_off"] == ["cod"]
    assert run("switch-on", "cod", "--because", "over").exit_code == 2
    for key in keys:
        assert run("switch-on", "cod", "--because", "over", keys=[key]).exit_code == 0
    entries = json.loads(run("log").stdout)["entries"]
    assert [entry["what"] for entry in entries][-2:] == ["switch_on_asked", "switched_on"]
    assert run("log", "--noted", f"{len(entries)}:{entries[-1]['hash']}").exit_code == 0
    shown = CliRunner().invoke(app, ["policy", "log"])
    assert "write down the head" in shown.stderr + shown.stdout
    path = home.policy / FILE
    path.write_text(path.read_text().replace("fraud", "fresh"))
    assert run("log").exit_code == 1
