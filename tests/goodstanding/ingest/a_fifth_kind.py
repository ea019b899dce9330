"""Checks that a new kind of source needs one entry in KINDS; `test_a_fifth_kind.py` runs it as a process.

    python a_fifth_kind.py FOLDER

Only that entry and the shop's mapping define the kind.
"""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path

import pytest
import yaml

from goodstanding.shops import kinds

REVIEWS = kinds.Kind(
    name="reviews",
    table="reviews",
    line="a review of a product",
    casts={
        "customer_id": kinds.TEXT,
        "stock_code": kinds.TEXT,
        "stars": kinds.INTEGER,
        "reviewed_at": kinds.TIMESTAMP,
        "remark": kinds.TEXT,
    },
    may_be_unmapped=("remark",),
    may_be_blank=("remark",),
    happened="reviewed_at",
    sort="review_kind",
    usual="public",
    others=("private",),
    ruled_by=("remark",),
    stored=("customer_id", "stock_code", "review_kind", "stars", "reviewed_at", "remark"),
    faults=(("stars_value not between 1 and 5", "stars: not between 1 and 5"),),
    checks=(kinds.Check("stars", "stars", limits=(1, 5)),),
)
# before any other import, so that it acts like an entry in the file
kinds.KINDS = (*kinds.KINDS, REVIEWS)
kinds.OPTIONAL_KINDS = kinds.KINDS[1:]

from expectations.gate import run_gate  # noqa: E402
from goodstanding.core.days import Days  # noqa: E402
from goodstanding.core.errors import GateFailed  # noqa: E402
from goodstanding.core.vocabulary import RAW_GATE  # noqa: E402
from goodstanding.ingest.load import ingest  # noqa: E402
from goodstanding.warehouse.dbt_sources import sources_of  # noqa: E402
from goodstanding.warehouse.files import open_intake, open_warehouse  # noqa: E402
from goodstanding.warehouse.ledger import note_whole_days, record_verdict  # noqa: E402
from tests.goodstanding.ingest.homes import DAY, Home, line  # noqa: E402
from tests.shop import mapping  # noqa: E402

MAPPING = """
reviews:
  files: {path: "reviews/{day}.csv"}
  columns:
    customer_id: {from: Customer, as: whole_number}
    stock_code: {from: Product, as: text}
    stars: {from: Stars, as: integer}
    reviewed_at: {from: When, as: timestamp}
    remark: {from: Remark, as: text, optional: true}
  kinds:
    private: {column: remark, matches: "^only for you"}
"""
HEADER = "Customer,Product,Stars,When,Remark"
GOOD = f"11,85123A,5,{DAY} 09:00:00,lovely"
PRIVATE = f"12,85123A,4,{DAY} 09:30:00,only for you: it squeaks"
TOO_MANY_STARS = f"12,85123A,6,{DAY} 10:00:00,"
OF_ANOTHER_DAY = f"12,85123A,3,{date(2011, 1, 3)} 10:00:00,"


def main(folder: Path) -> None:
    shop = mapping(folder, accounts=True)
    home = Home(folder, str(shop))
    make_as_before_the_kind(home)
    shop.write_text(shop.read_text() + MAPPING)
    ann, bob = home.pseudonym("11"), home.pseudonym("12")

    counts = take_in(home, GOOD, TOO_MANY_STARS, OF_ANOTHER_DAY)
    assert counts == {"files": 2, "lines": 4, "accepted": 2, "rejected": 2, "changed_customers": 2}, counts
    accepted = "select line_number, customer_id, review_kind, stars, remark from raw.reviews order by 1"
    assert home.rows(accepted) == [(2, ann, "public", 5, "lovely")]
    assert home.rows("select line_number, reason from raw.rejected_reviews order by 1") == [
        (3, "stars: not between 1 and 5"),
        (4, "reviewed_at: a row of 2011-01-03 in the file of 2011-01-04"),
    ]

    take_in(home, PRIVATE)
    assert home.rows(accepted) == [(2, bob, "private", 4, "only for you: it squeaks")]
    assert home.rows("select stars, known_until is not null from raw.superseded_reviews") == [(5, True)]
    assert home.rows("select line_number from raw.superseded_rejected_reviews order by 1") == [(3,), (4,)]
    assert home.rows("select lines, accepted, rejected from raw.days") == [(2, 2, 0)]
    assert not home.rows("from raw.files where lines <> accepted + rejected")

    judge(home)
    result = json.loads((home.settings.home / "checks" / RAW_GATE / f"{DAY}.json").read_text())
    assert result["passed"] and "reviews" in [batch["name"] for batch in result["batches"]]
    with open_warehouse(home.settings) as connection:
        record_verdict(connection, RAW_GATE, Days(DAY, DAY), "test", True, "")
        note_whole_days(connection)
    changed = home.rows("select distinct customer_id from raw.changes where kind = 'account'")
    assert set(changed) == {(ann,), (bob,)}, "the customers of the removed and of the new review"

    with open_warehouse(home.settings) as connection:
        connection.execute("update intake.raw.reviews set stars = 9")
    with pytest.raises(GateFailed, match="stars"):
        judge(home)
    with open_warehouse(home.settings) as connection:
        connection.execute("delete from intake.raw.reviews")
    with pytest.raises(GateFailed, match="every accepted line is stored"):
        judge(home)

    tables = {table["name"] for table in yaml.safe_load(sources_of(kinds.KINDS))["sources"][0]["tables"]}
    assert {"reviews", "superseded_reviews"} <= tables


def make_as_before_the_kind(home: Home) -> None:
    """Make the home's tables without those of the kind, like a home made before the kind existed."""
    with open_intake(home.settings) as connection:
        for table in ("reviews", "rejected_reviews", "superseded_reviews", "superseded_rejected_reviews"):
            connection.execute(f"drop table raw.{table}")
        connection.execute("comment on table ops.facts is 'of before'")


def take_in(home: Home, *reviews: str) -> dict[str, int]:
    """Take in the day with a file of orders and one of reviews."""
    home.put(line())
    home.put(*reviews, header=HEADER, name=f"reviews/{DAY}.csv")
    return ingest(home.settings, Days(DAY, DAY), "test")


def judge(home: Home) -> None:
    """Run gate 1, and raise its failures."""
    with open_warehouse(home.settings) as connection:
        run_gate(connection, RAW_GATE, Days(DAY, DAY), "test", home.settings)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
