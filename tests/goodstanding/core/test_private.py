"""Who may read what lies in a home."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from goodstanding.core import private
from goodstanding.core.private import close_home, files_of_the_caller, own_files


@pytest.fixture(autouse=True)
def umask(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(private, "_callers_umask", None)
    before = os.umask(0o002)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path


def test_files_are_their_owners_but_those_outside_the_home_are_as_the_caller_has_it(tmp_path: Path) -> None:
    own_files()
    own_files()
    assert mode(write(tmp_path / "home" / "a")) == 0o600 and mode(tmp_path / "home") == 0o700
    with files_of_the_caller():
        assert mode(write(tmp_path / "landing" / "a")) == 0o664
        assert mode(tmp_path / "landing") == 0o775
    assert mode(write(tmp_path / "home" / "b")) == 0o600


def test_an_open_home_is_closed_once(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside")
    home = tmp_path / "home"
    deep, key = write(home / "published" / "sites" / "index.html"), write(home / "pseudonym.key")
    program = write(home / "dbt" / "program")
    program.chmod(0o775)
    (home / "dbt" / "link").symlink_to(outside)
    (home / "logs" / "lost").parent.mkdir()
    (home / "logs" / "lost").symlink_to(tmp_path / "nothing")
    assert close_home(home) == 3
    assert (mode(deep), mode(key), mode(program)) == (0o600, 0o600, 0o700)
    # under root, PostgreSQL's user may pass through
    assert mode(home) == (0o701 if os.geteuid() == 0 else 0o700)
    assert {mode(path) for path in (home / "published", deep.parent, home / "dbt")} == {0o700}
    assert mode(outside) == 0o664, "what a link leads to is not the home's"
    assert close_home(home) == 0


def test_an_interrupted_closing_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [write(tmp_path / "receipts" / name) for name in ("a", "b", "c")]
    closed: list[Path] = []
    close = private._close

    def close_two(path: Path, home: Path) -> bool:
        if len(closed) == 2:
            raise KeyboardInterrupt
        closed.append(path)
        return close(path, home)

    with monkeypatch.context() as patch:
        patch.setattr(private, "_close", close_two)
        with pytest.raises(KeyboardInterrupt):
            close_home(tmp_path)
    assert close_home(tmp_path) == 1
    assert {mode(file) for file in files} == {0o600}


def test_a_folder_that_holds_the_users_own_things_stays_as_open_as_it_was(tmp_path: Path) -> None:
    home = tmp_path / "shop"
    orders, receipts = write(home / "orders" / "2010-12-01.csv"), write(home / "receipts" / "receipts.sqlite")
    close_home(home)
    assert (mode(home), mode(orders.parent), mode(orders)) == (0o775, 0o775, 0o664)
    assert (mode(receipts.parent), mode(receipts)) == (0o700, 0o600)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files of another user")
def test_the_files_of_postgresql_and_the_way_to_them_are_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    theirs = write(home / "airflow" / "postgres" / "base")
    for path in (theirs, theirs.parent):
        os.chown(path, 12345, 12345)
    write(home / "airflow" / "airflow.cfg")
    (home / "airflow").chmod(0o755)
    assert close_home(home) == 1
    assert mode(home / "airflow") == mode(home) == 0o701
    assert (mode(theirs), mode(theirs.parent)) == (0o664, 0o775)
