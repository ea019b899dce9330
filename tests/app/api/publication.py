"""Writes a small publication as the publish step leaves one: six customers, two month ends, the policy."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

from goodstanding.decisions.policy import COLUMNS
from goodstanding.decisions.scorecard import Scorecard
from goodstanding.identity.pseudonyms import pseudonym
from tests.small_policy import POLICY

KEY = "ab" * 32
AS_OF, BEFORE = date(2026, 3, 10), date(2026, 2, 28)
# id: class, credit score, recency, frequency, monetary, return rate; class and measures at the month's end
CUSTOMERS: dict[str, tuple[Any, ...]] = {
    "11": ("Best", 12, 1, 40, 9000.0, 0.02, "Best", 2, 39, 8900.0),
    "12": ("Good", 9, 10, 5, 900.0, 0.10, "Best", 2, 40, 8900.0),
    "13": ("Average", 6, 30, 2, 200.0, 0.21, "Good", 30, 2, 200.0),
    "14": ("Worst", 3, 90, 1, 20.0, 0.50, "Average", 60, 1, 20.0),
    "15": ("Good", 8, 12, 3, 400.0, 0.15, None, None, None, None),
    # everything was cancelled: Worst by rule
    "16": ("Worst", None, None, 0, 0.0, 0.6, None, None, None, None),
}
BENEFITS = {"Best": "everything", "Good": "much", "Average": "some", "Worst": "none"}
BORDERS = {
    "recency": (5, 20, 60),
    "frequency": (1, 3, 10),
    "monetary": (100, 300, 1000),
    "credit_score": (4, 7, 10),
}


@dataclass(frozen=True)
class Publication:
    """What to publish; the defaults are a live shop whose data are a day old."""

    as_of: date = AS_OF
    published_at: datetime = field(default_factory=lambda: datetime(2026, 3, 11, 4, 0))
    simulated: bool = False
    customers: Mapping[str, tuple[Any, ...]] = field(default_factory=lambda: CUSTOMERS)
    cards: tuple[Scorecard, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    policy: Iterable[Mapping[str, str]] | None = None
    owed: Mapping[str, float] = field(default_factory=dict)
    # most days late of those who pay instalments; who is none of the customers has no order
    paid: Mapping[str, float] = field(default_factory=dict)


def policy_rows() -> list[dict[str, str]]:
    """The rows of the policy of tests."""
    with POLICY.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def policy_with_instalments() -> list[dict[str, str]]:
    """These rows, with instalments turned on by name, as nothing is published of payments."""
    rows = policy_rows()
    on = {"decision": "emi", "rule": "without_payments", "applies_to": "", "above": "", "up_to": ""}
    return [*rows, {**rows[0], **on, "value": "1"}]


def name_of(customer: str) -> str:
    """The pseudonym."""
    return pseudonym(customer, bytes.fromhex(KEY))


def publish(path: Path, publication: Publication | None = None) -> None:
    """Write it and put it in place, as a run does."""
    what = publication or Publication()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with duckdb.connect(str(draft)) as file:
        file.execute("create schema marts; create schema predictions; begin")
        file.execute(
            "create table marts.publication as select ?::date as as_of, ?::timestamp as published_at, "
            "? as simulated",
            [what.as_of, what.published_at, what.simulated],
        )
        file.execute(
            """
            create table marts.customer_profiles (
                customer_id varchar, as_of date, recency integer, frequency integer, monetary decimal(28, 4),
                credit_score integer, class varchar, benefits varchar, first_order_day date
            );
            create table marts.master_data (
                customer_id varchar, as_of date, credit_score integer, return_rate double, frequency integer,
                outstanding double, instalments bigint, worst_days_late double
            );
            create table marts.customer_classes (
                customer_id varchar, as_of date, class varchar, recency integer, frequency integer,
                monetary decimal(28, 4)
            );
            create table marts.class_borders (as_of date, q25 double, q50 double, q75 double);
            create table marts.rfm_borders (as_of date, measure varchar, q25 double, q50 double, q75 double);
            create table predictions.scorecards (
                as_of date, decision varchar, model_id varchar, data_day date, card json, note varchar
            )
            """
        )
        for customer, values in what.customers.items():
            class_, score, recency, frequency, monetary, rate, *before = values
            name = name_of(customer)
            file.execute(
                "insert into marts.customer_profiles values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [name, what.as_of, recency, frequency, monetary, score, class_, BENEFITS[class_], BEFORE],
            )
            file.execute(
                "insert into marts.master_data values "
                "(?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, 99, 0, 77, 0, null)",
                [
                    *(name, what.as_of, score, rate, frequency, what.owed.get(customer)),
                    *(3 if customer in what.paid else 0, what.paid.get(customer), name, BEFORE, score),
                ],
            )
            if before[0]:
                file.execute(
                    "insert into marts.customer_classes values (?, ?, ?, ?, ?, ?)", [name, BEFORE, *before]
                )
        if what.paid:
            file.execute(
                "create table marts.payment_behaviour (customer_id varchar, as_of date, instalments bigint, "
                "worst_days_late double, outstanding decimal(28, 4))"
            )
        for customer, late in what.paid.items():
            file.execute(
                "insert into marts.payment_behaviour values (?, ?, 3, ?, ?), (?, ?, 3, 99, 77)",
                [name_of(customer), what.as_of, late, what.owed.get(customer), name_of(customer), BEFORE],
            )
        for day in (BEFORE, what.as_of):
            file.execute(
                "insert into marts.class_borders values (?, ?, ?, ?)", [day, *BORDERS["credit_score"]]
            )
            for measure in ("recency", "frequency", "monetary"):
                file.execute(
                    "insert into marts.rfm_borders values (?, ?, ?, ?, ?)", [day, measure, *BORDERS[measure]]
                )
        notes = dict(what.notes)
        for card in what.cards:
            text = json.dumps(card.to_json())
            file.execute(
                "insert into predictions.scorecards values (?, ?, ?, ?, ?, ?)",
                [what.as_of, card.decision, card.model_id, BEFORE, text, notes.pop(card.decision, None)],
            )
        for decision, note in notes.items():
            file.execute(
                "insert into predictions.scorecards values (?, ?, null, null, null, ?)",
                [what.as_of, decision, note],
            )
        file.execute(
            """
            create table marts.policy (
                version varchar, mode varchar, effective_from date, effective_to date, decision varchar,
                rule varchar, applies_to varchar, above decimal(18, 6), up_to decimal(18, 6),
                value decimal(18, 6), note varchar
            )
            """
        )
        rows = [[row[name] or None for name in COLUMNS] for row in (what.policy or policy_rows())]
        file.executemany(f"insert into marts.policy values ({', '.join('?' * len(COLUMNS))})", rows)
        file.execute("commit; checkpoint")
    os.replace(draft, path)
