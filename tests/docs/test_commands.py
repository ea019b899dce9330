"""Every block of shell commands in the docs is run as a reader would run it.

The blocks are run in a copy of the project whose landing has nine days of a made-up shop in the public
format, first `make run` of the README and then all pages, in the home that it filled. A comment above a block
says what is different here:

    <!-- in the test: A = B; C = D -->          B is run in place of A, which would take too long
    <!-- refused in the test: TEXT -->          the made-up shop is too small for it: it ends with 1 and TEXT
    <!-- run elsewhere: tests/FILE: TEXT -->    that test does it, and has TEXT as the block has
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, PROJECT, Block, blocks_of, name_of, text_of
from tests.shop import line, write_day

README = PROJECT / "README.md"


def once(blocks: Iterable[Block]) -> list[Block]:
    """The blocks without those that say the same as an earlier one: it need not be run again."""
    first: dict[str, Block] = {}
    for block in blocks:
        first.setdefault(re.sub(r"\s+#.*", "", block.commands).strip(), block)
    return list(first.values())


BLOCKS = [
    block for page in (README, *(page for page in PAGES if page != README)) for block in blocks_of(page)
]
MAKE_RUN, *HERE = once(block for block in BLOCKS if not block.elsewhere)
FIRST, LAST = date(2011, 12, 1), date(2011, 12, 9)
# `make run` has the newest day alone, for it runs each of the last seven by itself
OF_MAKE_RUN = 1


@dataclass(frozen=True)
class Copy:
    """A copy of the project, where the blocks are run, and a folder in place of /tmp."""

    project: Path
    scratch: Path

    def run(self, block: Block) -> subprocess.CompletedProcess[str]:
        """Run a block by itself in the project's folder; what it leaves in the background is ended."""
        commands = block.commands
        for before, after in block.smaller:
            assert before in commands, (
                f"{block.label}: the comment above names '{before}', which is not there"
            )
            commands = commands.replace(before, after)
        commands = commands.replace("/tmp/", f"{self.scratch}/").replace("8000", str(free_port()))
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("GOODSTANDING_")
        }
        environment |= {"PYTHONPATH": str(self.project), "PYTHONDONTWRITEBYTECODE": "", "NO_COLOR": "1"}
        output = self.scratch / "output"
        with output.open("w") as file:
            process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", commands],
                cwd=self.project,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait(timeout=300)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
        return subprocess.CompletedProcess(commands, code, output.read_text(encoding="utf-8"))

    def git(self, *arguments: str) -> None:
        """Call git in the copy."""
        who = ["-c", "user.name=reader", "-c", "user.email=reader@example.org"]
        subprocess.run(["git", *who, *arguments], cwd=self.project, check=True, capture_output=True)


def free_port() -> int:
    """A port on which nobody listens, in place of the one that the docs name."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def made_up_days(landing: Path) -> None:
    """Orders of all days by thirty customers, two of whom the docs name; closed on Saturdays."""
    drawn = random.Random(352)
    customers = [17850, 14646, *range(12400, 12428)]
    for number in range((LAST - FIRST).days + 1):
        day = FIRST + timedelta(days=number)
        buyers = [17850, *drawn.sample(customers[1:], 11)] if day.isoweekday() != 6 else []
        if 14646 not in buyers and buyers:
            buyers.append(14646)
        lines = [
            line(
                day,
                f"{500000 + number * 100 + place}",
                customer,
                code,
                drawn.randint(1, 9),
                drawn.randint(1, 20),
            )
            for place, customer in enumerate(buyers)
            for code in drawn.sample(["22423", "85123A", "47566", "20725", "84879"], 3)
        ]
        if lines:
            write_day(landing, day, lines)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """The project as a clone has it, with `.venv` beside, after the README's `make run`."""
    folder = tmp_path_factory.mktemp("docs")
    made = Copy(folder / "goodstanding", folder / "tmp")
    made.scratch.mkdir()
    for name in tracked():
        target = made.project / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, target)  # with its time, or make would install everything anew
    (made.project / ".venv").symlink_to(PROJECT / ".venv")
    made.git("init", "--quiet", "--initial-branch", "main")
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "The project.")
    landing, later = made.project / "data" / "landing", made.scratch / "later"
    made_up_days(landing)
    later.mkdir()
    files = sorted(landing.iterdir())
    for path in files[:-OF_MAKE_RUN]:
        path.rename(later / path.name)
    done = made.run(MAKE_RUN)
    assert done.returncode == 0, done.stdout[-3000:]
    for path in later.iterdir():
        path.rename(landing / path.name)
    # the blocks come in any order, and each finds the days that the README's reader has by now
    loaded = made.run(replace(MAKE_RUN, commands=f".venv/bin/goodstanding run --from {FIRST} --to {LAST}"))
    assert loaded.returncode == 0, loaded.stdout[-3000:]
    return made


def tracked() -> list[str]:
    """Every file of the project that is under version control, or would be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    names = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [name for name in names if (PROJECT / name).is_file()]


def test_the_readme_begins_with_make_run(copy: Copy) -> None:
    assert MAKE_RUN.page == README and "make run" in MAKE_RUN.commands
    assert (copy.project / "var" / "published" / "current.duckdb").exists()


@pytest.mark.parametrize("block", HERE, ids=lambda block: block.label)
def test_every_block_of_commands_runs(block: Block, copy: Copy) -> None:
    done = copy.run(block)
    copy.git("checkout", "--quiet", "dbt_project")  # what a block edits, the next finds as it was
    if block.refusal:
        assert done.returncode == 1 and block.refusal in done.stdout, done.stdout[-3000:]
    else:
        assert done.returncode == 0, f"{block.label}:\n{block.commands}\n{done.stdout[-3000:]}"


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.elsewhere], ids=lambda block: block.label
)
def test_a_block_that_is_run_elsewhere_names_a_test_that_has_its_text(block: Block) -> None:
    assert block.elsewhere
    file, text = block.elsewhere
    assert text in block.commands, f"{block.label}: the block has no '{text}'"
    assert (PROJECT / file).is_file(), f"{block.label}: there is no {file}"
    assert text in text_of(PROJECT / file), f"{block.label}: {file} has no '{text}'"


def test_every_page_with_commands_is_read() -> None:
    assert {"README.md", "docs/tutorial.md", "docs/how-to/decide.md"} <= {name_of(b.page) for b in BLOCKS}
