"""The law of the closed home: all that the commands write is their owner's alone, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from goodstanding.core.private import PARTS
from tests.app.api.publication import KEY
from tests.app.api.serving import serving
from tests.conftest import Year, call_goodstanding
from tests.shop import mapping

QUESTION = {"customer_id": None, "basket": "20.00", "method": "cod"}


def open_to_others(home: Path) -> Iterator[str]:
    """Each file or folder of a home, itself included, that anybody else may read, write or enter.

    There is no exception but under root with a PostgreSQL, which tests/app/runtime/test_supervisor.py names.
    """
    for path in (home, *home.rglob("*")):
        status = path.lstat()
        # a link's own mode says nothing: what it leads to is looked at where it lies
        if not stat.S_ISLNK(status.st_mode) and status.st_mode & 0o077:
            yield f"{stat.filemode(status.st_mode)} {path.relative_to(home)}"


def test_after_a_run_and_a_training_under_an_open_umask_nothing_of_the_home_is_open(any_year: Year) -> None:
    """`call_goodstanding` starts every command with the umask 0."""
    assert (any_year.home / "models").is_dir(), "the run has trained"
    assert list(open_to_others(any_year.home)) == []


def test_every_part_of_a_home_is_one_that_an_old_home_has_closed(any_year: Year) -> None:
    assert {path.name for path in any_year.home.iterdir()} <= set(PARTS)


@pytest.mark.parametrize("umask", [0, 0o022])
def test_keys_receipts_and_what_a_server_writes_are_closed(umask: int, tmp_path: Path) -> None:
    home, shop = tmp_path / "home", mapping(tmp_path)
    made = call_goodstanding(
        home,
        None,
        *("key", "new", "--scope", "decisions"),
        umask=umask,
        GOODSTANDING_SHOP=str(shop),
        GOODSTANDING_PSEUDONYM_KEY=KEY,
    )
    assert made.returncode == 0, made.stderr
    with serving(home, key=made.stdout.strip(), umask=umask) as server:
        assert server.client.post("/v1/decisions", json=QUESTION).status_code == 200
        assert list(open_to_others(home)) == []
    assert {"api", "receipts"} <= {path.name for path in home.iterdir()}
    assert list(open_to_others(home)) == []


def test_a_home_that_an_older_version_left_open_is_closed_at_the_next_command(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "receipts").mkdir(parents=True)
    for file in (home / "pseudonym.key", home / "receipts" / "receipts.sqlite.lock"):
        file.touch(0o666)
    os.chmod(home / "receipts", 0o755)
    told = call_goodstanding(home, None, "key", "list")
    assert "files of" in told.stderr and "open to other users" in told.stderr
    assert [line for line in open_to_others(home) if not line.endswith(" .")] == []
    assert call_goodstanding(home, None, "key", "list").stderr == ""
