"""Notices are replaced with the days of their files, and shown by topic and message."""

from datetime import date
from pathlib import Path

import pytest

from goodstanding.warehouse.files import open_intake
from goodstanding.warehouse.notices import Notice, notice_groups
from tests.goodstanding.ingest.homes import DAY, HEADER, Home, line

NEXT = date(2011, 1, 5)
SAME_BYTES = "a file with the same bytes as another of the day: not read"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home whose mapping takes any file of a day."""
    mapping = (Path(__file__).parents[3] / "shops/online_retail.yml").read_text()
    shop = tmp_path / "parts.yml"
    shop.write_text(mapping.replace('path: "{day}.csv"', 'path: "{day}*.csv"'))
    return Home(tmp_path, str(shop))


def held(home: Home) -> list[tuple[object, ...]]:
    return home.rows(
        "select event_day, file_name, topic, lines, example, message from raw.notices order by all"
    )


def put(home: Home, day: date, *names: str) -> None:
    for name in names:
        text = line(time=f"{day} 08:26:00", invoice=f"{day:%Y%m%d}")
        home.put_bytes(f"{HEADER}\n{text}\n{text}\n".encode(), f"{day}{name}.csv")


def test_the_notices_of_a_day_are_those_of_its_files_now(home: Home) -> None:
    put(home, DAY, "", "-again")
    put(home, NEXT, "", "-again", "-and-again")
    home.ingest(DAY, NEXT)
    of_day = (DAY, f"{DAY}.csv", "same_bytes", 2, f"{DAY}.csv", SAME_BYTES)
    of_next = [
        (NEXT, f"{NEXT}{n}.csv", "same_bytes", 2, f"{NEXT}{n}.csv", SAME_BYTES) for n in ("-and-again", "")
    ]
    assert held(home) == [of_day, *of_next]
    home.ingest(DAY, NEXT)
    assert held(home) == [of_day, *of_next]
    (home.landing / f"{DAY}-again.csv").unlink()
    home.ingest(DAY)
    assert held(home) == of_next


def test_notices_of_one_topic_and_message_are_one_with_the_newest_example(home: Home) -> None:
    put(home, DAY, "", "-again")
    put(home, NEXT, "", "-again", "-and-again")
    home.ingest(DAY, NEXT)
    with open_intake(home.settings) as connection:
        (group,) = notice_groups(connection, "raw.notices")
    assert group == {
        "topic": "same_bytes",
        "message": SAME_BYTES,
        "lines": 6,
        "days": 2,
        "last_day": NEXT,
        "example": f"{NEXT}-and-again.csv",
    }


def test_a_notice_has_a_topic_of_the_vocabulary() -> None:
    with pytest.raises(ValueError, match="there is no topic 'gossip'; the topics are same_bytes"):
        Notice(DAY, "2011-01-04.csv", "gossip", 1, "2011-01-04.csv:2", "heard")
