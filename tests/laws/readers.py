"""Readers of the published file, as processes of their own: `python readers.py FILE COUNT STOP_FILE`.

Each opens the file again and again until STOP_FILE is there, and counts the reads that were not of one whole
day: the newest day of the classes and lines is the publication's, the marts add up, and no read is of an
earlier day than the one before it. Prints a JSON object: readers, reads, bad, days (seen), first (bad read).
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import duckdb

WHOLE_DAY = """
select
    publication.as_of,
    publication.as_of = (select max(as_of) from marts.customer_classes)
    and publication.as_of = (select max(event_day) from marts.order_lines) as is_of_that_day,
    (select coalesce(sum(kept_amount), 0) from marts.order_lines where customer_id is not null)
    = (select sum(net_amount) from marts.invoices where kind = 'sale') as lines_are_invoices,
    (select sum(net_amount) from marts.invoices where is_kept)
    = (select sum(monetary) from marts.rfm_scores where as_of = publication.as_of) as invoices_are_scores,
    (select count(*) from marts.rfm_scores) = (select count(*) from marts.customer_classes)
    and (select count(*) from marts.customer_profiles where credit_score is not null)
    = (select count(*) from marts.customer_classes where as_of = publication.as_of) as scores_are_classes
from marts.publication
"""
# fifty readers at this pace take a third of a core
SECONDS_BETWEEN_READS = 2.0


def read(path: Path, stop: Path) -> dict[str, Any]:
    """One reader."""
    seen: list[str] = []
    reads, bad, first = 0, 0, ""
    # it opens the file anew for each read, and starts DuckDB, two thirds of what a read took, but once
    engine = duckdb.connect(config={"threads": 1})
    while not stop.exists():
        reads += 1
        try:
            engine.execute(f"attach '{path}' as published (read_only)")
            with engine.cursor() as connection:
                connection.execute("use published")
                [(as_of, *is_whole)] = connection.execute(WHOLE_DAY).fetchall()
            engine.execute("detach published")
            fault = "" if all(is_whole) and (not seen or str(as_of) >= seen[-1]) else f"{as_of} {is_whole}"
            seen.append(str(as_of))
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
        bad += bool(fault)
        first = first or fault
        time.sleep(random.uniform(0, 2 * SECONDS_BETWEEN_READS))
    return {"reads": reads, "bad": bad, "days": sorted(set(seen)), "first": first}


def main(path: Path, count: int, stop: Path) -> None:
    """Fork the readers, and add up what they tell."""
    pipes = []
    for number in range(count):
        reader, writer = os.pipe()
        if os.fork() == 0:
            random.seed(number)
            with os.fdopen(writer, "w") as told:
                json.dump(read(path, stop), told)
            os._exit(0)
        os.close(writer)
        pipes.append(reader)
    found = [json.load(os.fdopen(reader)) for reader in pipes]
    print(
        json.dumps(
            {
                "readers": len(found),
                "reads": sum(one["reads"] for one in found),
                "bad": sum(one["bad"] for one in found),
                "days": sorted({day for one in found for day in one["days"]}),
                "first": next((one["first"] for one in found if one["first"]), ""),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
