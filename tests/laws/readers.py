"""Readers of the published file, as processes of their own: `python readers.py FILE COUNT STOP_FILE`.

Each opens the file again and again until STOP_FILE exists, and counts bad reads. A good read sees one whole
day: the newest day of the classes and lines is the publication's, the marts add up, and the day is no earlier
than that of the read before. Prints a JSON object: readers, reads, bad, days (seen), first (bad read).
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
    = (select sum(net_amount + returned_amount) from marts.invoices where kind = 'sale')
    as lines_are_invoices,
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
    """Read the file until the stop file exists; return the counts."""
    seen: list[str] = []
    reads, bad, first = 0, 0, ""
    # each read opens the file again; DuckDB starts only once, as the start took two thirds of a read
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
    """Fork the readers, and add up their counts."""
    pipes = []
    for number in range(count):
        reader, writer = os.pipe()
        if os.fork() == 0:
            random.seed(number)
            with os.fdopen(writer, "w") as output:
                json.dump(read(path, stop), output)
            os._exit(0)
        os.close(writer)
        pipes.append(reader)
    counts = [json.load(os.fdopen(reader)) for reader in pipes]
    print(
        json.dumps(
            {
                "readers": len(counts),
                "reads": sum(reader_counts["reads"] for reader_counts in counts),
                "bad": sum(reader_counts["bad"] for reader_counts in counts),
                "days": sorted({day for reader_counts in counts for day in reader_counts["days"]}),
                "first": next(
                    (reader_counts["first"] for reader_counts in counts if reader_counts["first"]), ""
                ),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
