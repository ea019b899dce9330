"""One book of time zones: SQL and Python agree on every clock and instant, and nobody asks another book."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from importlib import metadata, resources
from pathlib import Path

import duckdb
import pytest

from goodstanding.core.days import end_of
from goodstanding.core.zones import book_version, clock_of, instant_of, transitions, zone

ZONES = (
    *("UTC", "Europe/London", "Africa/Casablanca", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"),
    *("America/Vancouver", "America/St_Johns", "Pacific/Apia", "Pacific/Kiritimati", "America/Sao_Paulo"),
    *("Africa/Monrovia", "Asia/Pyongyang", "Europe/Dublin", "Antarctica/Troll", "Pacific/Chatham"),
)


def instants_of(name: str) -> list[datetime]:
    """Instants about every change of a zone's clock and on plain days, without a zone."""
    changes = [when for when, _, _ in transitions(name)]
    near = [timedelta(minutes=minutes) for minutes in (-121, -61, -31, -1, 0, 1, 29, 31, 61, 121)]
    plain = [datetime(1970, 1, 2) + timedelta(days=97, minutes=31) * n for n in range(480)]
    return [when + by for when in changes for by in near] + plain


@pytest.mark.parametrize("name", ZONES)
def test_sql_and_python_read_the_same_clock(name: str) -> None:
    here, instants = zone(name), instants_of(name)
    with duckdb.connect() as connection:
        connection.execute("create table times as select unnest($1::timestamp[]) as time", [instants])
        clocks = connection.execute(f"select {clock_of(name, 'time')} from times").fetchall()
        found = connection.execute(f"select {instant_of(name, 'time')} from times").fetchall()
    assert [clock for (clock,) in clocks] == [
        instant.replace(tzinfo=UTC).astimezone(here).replace(tzinfo=None) for instant in instants
    ]
    # the same times as clocks: among them those that are shown twice, and those that are never shown
    assert [instant for (instant,) in found] == [
        clock.replace(tzinfo=here).astimezone(UTC).replace(tzinfo=None) for clock in instants
    ]


def test_a_zone_of_2026_has_the_hours_of_the_locked_book() -> None:
    at = datetime(2026, 11, 20, 7, 30)
    clock = at.replace(tzinfo=UTC).astimezone(zone("America/Vancouver")).replace(tzinfo=None)
    with duckdb.connect() as connection:
        found = connection.execute(f"select {clock_of('America/Vancouver', 'timestamp' + repr(str(at)))}")
        assert found.fetchall() == [(clock,)]
    # the day to which it belongs is over after it, and not before
    assert end_of(clock.date() - timedelta(days=1), "America/Vancouver") <= at.replace(tzinfo=UTC)
    assert at.replace(tzinfo=UTC) < end_of(clock.date(), "America/Vancouver")


def test_the_files_of_the_system_are_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # a system on which London is Tokyo
    (tmp_path / "Europe").mkdir()
    tokyo = resources.files("tzdata.zoneinfo") / "Asia" / "Tokyo"
    (tmp_path / "Europe" / "London").write_bytes(tokyo.read_bytes())
    zone.cache_clear()
    transitions.cache_clear()
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath([str(tmp_path)])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        assert zoneinfo.ZoneInfo("Europe/London").utcoffset(datetime(2011, 1, 1)) == timedelta(hours=9)
        assert zone("Europe/London").utcoffset(datetime(2011, 1, 1)) == timedelta(0)
    finally:
        zoneinfo.reset_tzpath(before)
        zoneinfo.ZoneInfo.clear_cache()
    assert book_version() == metadata.version("tzdata")


@pytest.mark.parametrize("name", ["Mars/Phobos", "", "../etc/passwd", "europe/london", "/usr/share"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(LookupError, match="is no time zone"):
        zone(name)
