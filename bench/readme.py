"""The measured figures as the README shows them: written from `bench/results.json`, never by hand.

python -m bench.readme     puts the figures of the last `make bench` into the README
"""

from __future__ import annotations

import json
import re
from typing import Any

from goodstanding.settings import PROJECT

RESULTS = PROJECT / "bench" / "results.json"
README = PROJECT / "README.md"
BLOCK = re.compile(r"(?<=<!-- measured -->\n).*?(?=<!-- /measured -->)", re.S)


def keep_apart(name: str, found: dict[str, Any]) -> None:
    """Keep what a benchmark beside `make bench` found, under its name, and quote it in the README."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    results.setdefault("apart", {})[name] = found
    write_results(results)


def write_results(results: dict[str, Any]) -> None:
    """Write `bench/results.json`, and quote it in the README."""
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    main()


def measured_section(results: dict[str, Any]) -> str:
    """The lines between the README's two marks, from what `bench.run` wrote."""
    product, peers, machine = results["goodstanding"], results["peers"], results["machine"]
    plain = peers["duckdb"]["seconds"]
    year, growth = product["year"], product["growth"]
    days = year["days"]
    rows = [
        (f"`make run`: {days} days loaded, audited, scored, published, documented", product["make_run"]),
        ("the year in one range, files to classes, a snapshot of every day", year["one_range"]),
        ("the same with one snapshot, as the two scripts do it", year["one_range_one_as_of"]),
        ("one more day in a process, Airflow's share included", product["further_day_in_process"]),
        ("one day of a backfill under the scheduler", product["day_under_scheduler"]),
        ("files to classes by a plain DuckDB script (`bench/peer_duckdb.py`)", peers["duckdb"]),
        ("files to classes by a plain pandas script (`bench/peer_pandas.py`)", peers["pandas"]),
    ]
    table = "\n".join(
        f"| {what} | {cost['seconds']:.1f} | {cost['seconds'] / plain:.1f} | {cost.get('peak_mb', '')} |"
        for what, cost in rows
    )
    short, long, ratios = growth["after_1_year"], growth["after_10_years"], growth["ratios"]
    steps = ", ".join(f"{step} {seconds:.2f}" for step, seconds in short["steps"].items())
    shares = ", ".join(
        f"{name} {took:.2f}" for name, took in product["day_under_scheduler"]["shares"].items()
    )
    return f"""\
The real year ({results["lines"]:,} lines) on {machine["cores"]} shared cores, measured on \
{machine["measured_on"]}. The machine is noisy: read the ratios rather
than the seconds. `make bench` measures anew.

| what | seconds | to the DuckDB script | peak MB |
| --- | ---: | ---: | ---: |
{table}

One more day after ten years of the same shop ({long["lines"]:,} lines) takes {ratios["seconds"]:.2f} times \
as long as after one year
({long["seconds"]:.2f} and {short["seconds"]:.2f} s for the eight steps) and {ratios["peak_mb"]:.2f} times \
the memory. After one year, in seconds:
{steps}.

Under the scheduler the seconds of a day are: {shares}.
(*scheduler*: no task runs. *start*, *end*: of the eight tasks, before and after their steps. *sql*: what the
nodes of dbt took, *dbt*: the rest of `transform`.)
{_apart(results.get("apart", {}))}"""


def _apart(found: dict[str, Any]) -> str:
    """What was measured beside `make bench`, one paragraph each."""
    text = ""
    if "single_days" in found:
        single = found["single_days"]
        text += f"""
All {single["days"]} days as one run each in one process (`python -m bench.year`) took \
{single["seconds"] / 60:.1f} minutes, {single["seconds_per_day"]:.2f} s a day,
and published the same rows as one range, table by table.
"""
    if "lifetime" in found:
        lifetime = found["lifetime"]
        bg, pareto = lifetime["bg_nbd"], lifetime["pareto_nbd"]
        text += f"""
Lifetimes, on one core (`python -m bench.lifetime`): the {lifetime["customers"]:,} customers of CDNOW are \
learnt in {bg["fit"]["seconds"]:.1f} s by BG/NBD and
{pareto["fit"]["seconds"]:.1f} s by Pareto/NBD, and {lifetime["scored"]:,} customers scored in \
{bg["score"]["seconds"]:.1f} and {pareto["score"]["seconds"]:.1f} s.
"""
    for name, scale in found.items():
        if name.startswith("scale_"):
            run, peer = scale["run"], scale["duckdb_peer"]
            load = f" at a load of {scale['load']:.1f}" if "load" in scale else ""
            text += f"""
With {scale["times"]} times the customers ({scale["lines"]:,} lines as Parquet, month ends alone, \
{scale["memory_limit"]} for DuckDB) the range took{load}
{scale["seconds"]:.0f} s from files to classes, {scale["ratio_to_duckdb_peer"]:.1f} times the script's \
{peer["seconds_without_imports"]:.0f} s, with a peak of {run["peak_mb"]:,} MB and at most
{run["spill_mb"]:,} MB of temporary disk ({peer["peak_mb"]:,} and {peer["spill_mb"]:,} MB for the script). \
`python -m bench.scale --times {scale["times"]}`.
"""
    return text


def main() -> None:
    """Write the section anew."""
    section = measured_section(json.loads(RESULTS.read_text(encoding="utf-8")))
    text = README.read_text(encoding="utf-8")
    README.write_text(BLOCK.sub(lambda _: section, text), encoding="utf-8")


if __name__ == "__main__":
    main()
