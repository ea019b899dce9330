"""`python -m tests.oracle.many N SEED`: compare N drawn shops with the oracle, and with the relations."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.laws.history import own_settings, use_here
from tests.oracle.drawn import draw_shop
from tests.oracle.published import Runner, differences, expected
from tests.oracle.relations import check_relations


def main(count: int, seed: int) -> int:
    """Compare shops; print where each differs, and return the exit code."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder, own_settings():
        runner = Runner(Path(folder), use_here)
        for number in range(seed, seed + count):
            shop = draw_shop(number)
            try:
                found = runner.publish(shop)
                told = differences(expected(shop, runner.landing), found)
                told += check_relations(shop, runner.build, number)
            except Exception as error:
                told = [f"{type(error).__name__}: {error}"]
            failed += bool(told)
            for text in told[:12]:
                print(f"shop {number}: {text}", flush=True)
    print(f"{failed} of {count} drawn shops differ from the oracle or break a relation")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
