"""Plain paths: a folder whose path some library would take for syntax is reached by a link."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from goodstanding.core import plain_paths
from goodstanding.core.errors import WrongUse
from goodstanding.core.plain_paths import LONGEST, plain
from goodstanding.core.settings import Settings
from goodstanding.core.sql import literal
from goodstanding.warehouse.files import open_warehouse

ODD = [
    *("a#b", "a%20b", "a%sb", "a&b", "a;b", "a{{ b }}", "{% b %}", "$HOME", "a*b", "a|b"),
    *(
        "a b",
        "it's",
        'a"b',
        "a[b]",
        "a(b)",
        "line\nbreak",
        "tab\tb",
        "ä ö é",
        "日本",
        "a=b",
        "a:b",
        "a@b",
        "~a",
    ),
    *("-a", "..a", "a!b", "a`b", "a^b", "a,b", "a+b", "x" * 250),
]


@pytest.fixture(autouse=True)
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "goodstanding" / "homes"


@pytest.mark.parametrize("name", ODD)
def test_a_home_of_any_name_can_be_opened_by_every_library(tmp_path: Path, name: str) -> None:
    home = Settings(home=tmp_path / name, _env_file=None)
    with open_warehouse(home) as connection:
        connection.execute("create table state.told as select 42 as figure")
    with duckdb.connect() as connection:
        connection.execute(f"attach {literal(home.warehouse / 'standing.duckdb')} as it (read_only)")
        assert connection.execute("from it.state.told").fetchone() == (42,)
    engine = sa.create_engine(f"sqlite:///{home.home / 'airflow.sqlite'}")
    with engine.begin() as session:
        session.execute(sa.text("create table told (figure int)"))
    engine.dispose()
    assert {path.name for path in (tmp_path / name).iterdir()} == {"airflow.sqlite", "warehouse"}


def test_a_plain_path_is_left_alone(tmp_path: Path, links: Path) -> None:
    assert plain(tmp_path / "a b's (c)") == tmp_path / "a b's (c)"
    assert not links.exists()


def test_a_link_is_made_once_and_each_folder_has_its_own(tmp_path: Path, links: Path) -> None:
    first, second = tmp_path / "a#1", tmp_path / "a#2"
    assert plain(first) == plain(first) != plain(second)
    assert {path.readlink() for path in links.iterdir()} == {first, second}
    assert plain(plain(first)) == plain(first)


def test_a_very_long_path_is_reached_by_a_short_one(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["x" * 200] * 5)
    assert len(str(plain(folder))) < LONGEST < len(str(folder))
    with open_warehouse(Settings(home=folder, _env_file=None)):
        assert (folder / "warehouse" / "standing.duckdb").exists()


def test_where_the_cache_cannot_be_written_the_link_lies_among_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(plain_paths.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    assert plain(tmp_path / "a#b").is_relative_to(tmp_path / "tmp")
    monkeypatch.setattr(plain_paths.tempfile, "gettempdir", lambda: str(tmp_path / "file"))
    with pytest.raises(OSError):
        plain(tmp_path / "a#b")


@pytest.mark.parametrize("sign", ["?", "\\"])
def test_a_home_that_duckdb_cannot_open_is_refused_by_the_name_of_its_setting(
    use_settings, tmp_path, sign
) -> None:
    told = "setting GOODSTANDING_HOME: DuckDB opens no file whose path has a"
    with pytest.raises(WrongUse, match=told):
        use_settings(home=tmp_path / f"a{sign}b" / "home")
    (tmp_path / f"real{sign}").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / f"real{sign}")
    with pytest.raises(WrongUse, match=told):
        use_settings(home=tmp_path / "link")
