"""Write the measured figures from `bench/results.json` into the docs, so that none is typed by hand.

All figures are in `docs/explanation/measured.md`, and the few that a user asks for first in the README too.

python -m bench.readme     puts the figures of the last `make bench` into both
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from bench.results import Results
from goodstanding.core.settings import PROJECT

RESULTS = PROJECT / "bench" / "results.json"
README = PROJECT / "README.md"
PAGE = PROJECT / "docs" / "explanation" / "measured.md"
# How far at most the scorecard should rank below tuned LightGBM on public sets.
PUBLIC_GOAL = 0.012
# Ways to decide that `bench.profit` compares with the policy, and that are quoted in words of their own.
REFUSE_ALL, BEST_RULE = "refuse all", "best single rule"
BLOCK = re.compile(r"(?<=<!-- measured -->\n).*?(?=<!-- /measured -->)", re.S)


def keep_apart(name: str, measured: Mapping[str, object]) -> None:
    """Keep what a benchmark beside `make bench` measured, under its name, and quote it in the docs."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    results.setdefault("apart", {})[name] = measured
    write_results(results)


def write_results(results: Results) -> None:
    """Write `bench/results.json`, and quote it in the docs."""
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    main()


def measured_section(results: Results) -> str:
    """The lines between the page's two marks, from what `bench.run` wrote."""
    product, peers, machine = results["goodstanding"], results["peers"], results["machine"]
    plain = peers["duckdb"]["seconds"]
    year, growth = product["year"], product["growth"]
    days = year["days"]
    rows: list[tuple[str, Mapping[str, Any]]] = [
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
than the seconds. `make bench` measures again.

| what | seconds | to the DuckDB script | peak MB |
| --- | ---: | ---: | ---: |
{table}

One more day after ten years of the same shop ({long["lines"]:,} lines) takes {ratios["seconds"]:.2f} times \
as long as after one year
({long["seconds"]:.2f} and {short["seconds"]:.2f} s for the eight steps) and {ratios["peak_mb"]:.2f} times \
the memory. After one year, in seconds:
{steps}.

Under the scheduler the seconds of a day are: {shares}.
(*scheduler*: no task runs. *start*, *end*: of the eight tasks, before and after their steps. *sql*: the
nodes of dbt, *dbt*: the rest of `transform`.)
{_apart(results.get("apart", {}))}"""


def headline_section(results: Results) -> str:
    """The lines between the README's two marks: the figures that a user asks for first."""
    product, apart = results["goodstanding"], results.get("apart", {})
    run, day, growth = product["make_run"], product["further_day_in_process"], product["growth"]["ratios"]
    rows = [
        (
            f"`make run`: {product['year']['days']} days loaded, checked, scored, published, documented",
            f"{run['seconds']:.0f} s, {run['peak_mb']:,} MB of memory",
        ),
        (
            "one more day; the same day after ten years",
            f"{day['seconds']:.1f} s; {growth['seconds']:.2f} times as long",
        ),
        ("one day of a backfill under the scheduler", f"{product['day_under_scheduler']['seconds']:.1f} s"),
    ]
    if "returns" in apart:
        months = apart["returns"]["months"]
        rows.append(
            (
                "which orders come back: AUC of the scorecard; of the customer's return rate alone",
                f"{_auc(months['measures']['scorecard'])}; {_auc(months['measures']['return_rate'])}",
            )
        )
    if "credit" in apart:
        measures = apart["credit"]["measures"]
        rows.append(
            (
                "who defaults, of 30,000 credit card clients: AUC of the scorecard; of boosted trees",
                f"{_auc(measures['scorecard'])}; {_auc(measures['lightgbm_monotone'])}",
            )
        )
    if "api" in apart:
        size = list(apart["api"]["sizes"].values())[-1]
        quiet = size["undisturbed"]
        rows.append(
            (
                f"an answer over HTTP with {size['customers']:,} customers: median; 99 of 100",
                f"{quiet['p50_ms']:.1f} ms; {quiet['p99_ms']:.1f} ms",
            )
        )
    return "| what | figure |\n| --- | --- |\n" + "".join(f"| {what} | {figure} |\n" for what, figure in rows)


def _auc(measured: dict[str, Any]) -> str:
    value, low, high = measured["auc"].values() if isinstance(measured["auc"], dict) else measured["auc"]
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _apart(measured: dict[str, Any]) -> str:
    """What benchmarks beside `make bench` measured, one paragraph each."""
    text = ""
    if "single_days" in measured:
        single = measured["single_days"]
        text += f"""
All {single["days"]} days as one run each in one process (`python -m bench.year`) took \
{single["seconds"] / 60:.1f} minutes, {single["seconds_per_day"]:.2f} s a day,
and published the same rows as one range, table by table.
"""
    if "one_model" in measured:
        text += _one_model(measured["one_model"])
    if "lifetime" in measured:
        lifetime = measured["lifetime"]
        bg, pareto = lifetime["bg_nbd"], lifetime["pareto_nbd"]
        text += f"""
Lifetime models, on one core (`python -m bench.lifetime`): the {lifetime["customers"]:,} customers of CDNOW \
are fitted in {bg["fit"]["seconds"]:.1f} s by BG/NBD and
{pareto["fit"]["seconds"]:.1f} s by Pareto/NBD, and {lifetime["scored"]:,} customers scored in \
{bg["score"]["seconds"]:.1f} and {pareto["score"]["seconds"]:.1f} s.
"""
    if "returns" in measured:
        text += _returns(measured["returns"])
    if "credit" in measured:
        text += _credit(measured["credit"])
    if "public_cards" in measured:
        text += _public_cards(measured["public_cards"])
    if "true_risks" in measured:
        text += _true_risks(measured["true_risks"])
    if "profit" in measured:
        text += _profit(measured["profit"])
    if "api" in measured:
        text += _api(measured["api"])
    for name, scale in measured.items():
        if name.startswith("scale_"):
            run, peer = scale["run"], scale["duckdb_peer"]
            load = f" at a load of {scale['load']:.1f}" if "load" in scale else ""
            text += f"""
With {scale["times"]} times the customers ({scale["lines"]:,} lines as Parquet, snapshots of month ends, \
{scale["memory_limit"]} for DuckDB) the range took{load}
{scale["seconds"]:.0f} s from files to classes, {scale["ratio_to_duckdb_peer"]:.1f} times the script's \
{peer["seconds_without_imports"]:.0f} s, with a peak of {run["peak_mb"]:,} MB and at most
{run["spill_mb"]:,} MB of temporary disk ({peer["peak_mb"]:,} and {peer["spill_mb"]:,} MB for the script). \
`python -m bench.scale --times {scale["times"]}`.
"""
    return text


def _one_model(result: dict[str, Any]) -> str:
    """What an edit of one model takes until it is built and compared."""
    new, same, dbt = result["new_copy"], result["same_copy"], result["dbt"]
    ratio = same["cpu_seconds"] / dbt["cpu_seconds"]
    return f"""
`goodstanding dbt build -s {result["model"]}` on the real year (`python -m bench.one_model`) took \
{new["seconds"]:.1f} s ({new["cpu_seconds"]:.1f} s of the processor)
with a new copy of the warehouse, and {same["seconds"]:.1f} s ({same["cpu_seconds"]:.1f}) on the copy \
that lay there, tests of the model and comparison with the publication included;
dbt alone took {dbt["seconds"]:.1f} s ({dbt["cpu_seconds"]:.1f}) for the same model without its unit test \
({ratio:.1f} times as much by the product). \
Load of the machine before: {result["machine"]["load_before"]:.1f}.
"""


RISK_TABLE = """\
| method | AUC | KS | Brier | ECE | F1 | cost |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
"""


def _risk_row(name: str, measured: dict[str, Any]) -> str:
    values = {
        measure: list(of.values())[:3] if isinstance(of, dict) else of for measure, of in measured.items()
    }
    value, low, high = values["auc"]
    others = " | ".join(f"{values[measure][0]:.3f}" for measure in ("ks", "brier", "ece", "f1", "cost"))
    return f"| {name} | {value:.3f} [{low:.3f}, {high:.3f}] | {others} |"


def _risk_table(measures: dict[str, Any]) -> str:
    return RISK_TABLE + "\n".join(_risk_row(name, measured) for name, measured in measures.items())


def _returns(result: dict[str, Any]) -> str:
    """Which orders come back: a table of the months, and a sentence on the window."""
    window, months = result["window"], result["months"]
    (test,) = window["tests"]
    in_window, by_month = window["measures"]["scorecard"], months["measures"]["scorecard"]
    value, low, high = in_window["auc"]
    ends = ", ".join(test["until"][:7] for test in months["tests"])
    return f"""
Which orders of the Online Retail year come back within 60 days (`python -m bench.returns`), in \
{len(months["tests"])} later months ({ends}), each predicted
from the orders whose 60 days were over before it. Cost: the mean per order, where an order that comes back \
costs five times as much as one that is refused wrongly (an assumption).

{_risk_table(months["measures"])}

Of the tenth with the greatest predicted probability {by_month["top_decile"][0]:.1%} came back \
({months["baseline"]}: {months["measures"][months["baseline"]]["top_decile"][0]:.1%}); predicting the \
overall share for every order has a Brier score of {months["base_brier"]:.4f}.
Fitted on orders up to {test["learnt_until"]} and tested on the {test["orders"]:,} orders from two months \
later until {test["until"]}, its AUC is {value:.3f} [{low:.3f}, {high:.3f}], the share of
the tenth {in_window["top_decile"][0]:.1%}, Brier {in_window["brier"][0]:.4f} (the share alone \
{window["base_brier"]:.4f}).
"""


def _credit(result: dict[str, Any]) -> str:
    """Who defaults: a row per method, then the shares of groups that would be approved."""
    approved = "; ".join(
        f"{name}: "
        + ", ".join(f"{group} {of['best_80']:.3f}" for group, of in groups.items())
        + f" (least to greatest {_ratio(groups):.2f})"
        for name, groups in result["approved"]["scorecard"].items()
    )
    return f"""
Who defaults, of {result["people"]:,} credit card clients ({result["share"]:.1%} do; \
`python -m bench.credit FILE`), in five folds with equal rows together,
without sex, age, marriage and education. The data have no dates, so nothing is predicted ahead in time. \
Cost: the mean per applicant, where a default
costs five times as much as a wrong refusal, and applicants are refused from a probability of 1/6 on.

{_risk_table(result["measures"])}

Where the scorecard approves four fifths of all, it approves these shares of groups that it does not know: \
{approved}.
"""


def _public_cards(result: dict[str, Any]) -> str:
    """The scorecard beside other methods on public sets: a row for each."""
    sets = result["sets"].values()
    more = [one["auc_more_than"] for one in sets]
    trees = [of["lightgbm_tuned"]["value"] for of in more]
    others = [of["optbinning"]["value"] for of in more if "optbinning" in of]
    text = f"""
The scorecard on {len(sets)} public sets that packages ship (`python -m bench.public_cards`), LightGBM \
with settings searched on inner folds beside it,
and optbinning where it is installed; in five folds, everything fitted inside them, sets of fewer than 5,000 \
rows three times. AUC; a difference is
the card's to the other, with an interval of 95 %. *Ends*: the card's mean chance and the bad share of the \
twentieth of the rows with the least
chance, and of that with the greatest.

| set | rows | bad | scorecard | LightGBM | difference | optbinning | difference | ends |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |
"""
    for name, one in result["sets"].items():
        auc = {method: of["auc"]["value"] for method, of in one["measures"].items()}
        ends = "; ".join(f"{said:.1%}, {bad:.1%}" for said, bad in one["ends"]["scorecard"].values())
        cells = [
            f"{auc[method]:.3f} | {_signed(one['auc_more_than'][method])}" if method in auc else "- | -"
            for method in ("lightgbm_tuned", "optbinning")
        ]
        text += (
            f"| {name} | {one['rows']:,} | {one['share']:.1%} | {auc['scorecard']:.3f} | {' | '.join(cells)} "
            f"| {ends} |\n"
        )
    near = sum(value >= -PUBLIC_GOAL for value in trees)
    text += f"""
On {near} of {len(sets)} sets the card is within {PUBLIC_GOAL:.3f} of LightGBM or ahead of it, at worst \
{min(trees):+.3f}, in the median {median(trees):+.3f}. Two of its settings (turns \
and parts of pairs) were chosen on these sets, split otherwise."""
    return text + (f" To optbinning it is in the median {median(others):+.3f}.\n" if others else "\n")


def _signed(gain: dict[str, float]) -> str:
    return f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]"


def _ratio(groups: dict[str, dict[str, float]]) -> float:
    shares = [of["best_80"] for of in groups.values()]
    return min(shares) / max(shares)


def _true_risks(result: dict[str, Any]) -> str:
    """How near the simulated shop's scorecards come to the true probabilities, and what its runs cost."""
    steps = {
        "simulate": "simulating it",
        "run_to_cut": "its days up to then",
        "train": "training",
        "run_after": "the days after",
    }
    costs = ", ".join(
        f"{what} {cost['seconds']:.0f} ({cost['cpu_seconds']:.0f}), {cost['peak_mb']:,} MB"
        for what, cost in ((what, result["costs"][step]) for step, what in steps.items())
    )
    text = f"""
Scorecards against the truth (`python -m bench.true_risks`), SIMULATED: a shop of {result["customers"]:,} \
customers, {result["days"]} days and {result["order_lines"]:,} order lines,
its scorecards trained at {result["cut"]} and applied to later orders. *Truth*: the probabilities by which \
outcomes were drawn; no score can predict better.
*Rank*: Spearman's correlation of score and truth over the orders. {result["as_of_days"]} days are kept to \
learn from (`GOODSTANDING_AS_OF_DAYS`), with {result["memory_limit"]} for DuckDB.

| label | orders | bad rate | AUC | AUC of baselines | AUC of the truth | rank | mean predicted, true | ECE |
| --- | ---: | ---: | --- | --- | --- | --- | --- | ---: |
"""
    for label, held in result["labels"].items():
        if held is None:
            text += f"| {label} | no card shipped |" + " |" * 7 + "\n"
            continue
        measures = held["measures"]
        baselines = ", ".join(
            f"{name} {of['auc']['value']:.3f}"
            for name, of in measures.items()
            if name not in ("scorecard", "truth")
        )
        means = ", ".join(f"{held['mean'][of]:.3f}" for of in ("scorecard", "truth"))
        auc, ceiling = (_interval(measures[of]["auc"]) for of in ("scorecard", "truth"))
        text += (
            f"| {label} | {held['orders']:,} | {held['share']:.1%} | {auc} | {baselines} | {ceiling} "
            f"| {_interval(held['spearman'])} | {means} | {measures['scorecard']['ece']['value']:.3f} |\n"
        )
    text += "\nThe more is known of a customer, the smaller the distance to the truth:\n"
    text += "\n".join(_by_history(label, held["history"]) for label, held in result["labels"].items() if held)
    load = result["machine"]["load_before"]
    heading = f"Seconds (of the processor) at a load of {load:.1f} by other work, and peak memory"
    return f"{text}\n\n{heading}:\n{costs}.\n"


def _profit(result: dict[str, Any]) -> str:
    """What the shipped policy earns on a simulated shop, a table for each method and kind of bad outcome."""
    text = f"""
Profit under the true chances (`python -m bench.profit`), SIMULATED: a shop of {result["customers"]:,} \
customers, {result["days"]} days, seed {result["seed"]}; cards and rules were learnt up to
{result["cut"]}, and each later order whose window is over was asked about. It earns its margin and loses \
its cost of failure by the chances with which its outcome was drawn, at the policy's shares for both.
Intervals of 95 % by customer; differences are order by order. *Best single rule*: of all figures and \
borders the one refusal that earned most on the outcomes up to the cut.
"""
    for method, measured in result["methods"].items():
        why = result["refused"].get(method)
        card = "the trained card" if measured["card"] else f"the card set by hand, as none shipped ({why})"
        nobody = ": nobody, no border earned more" if measured["answers"][BEST_RULE]["yes"] == 1 else ""
        text += f"""
{method}: {measured["orders"]:,} orders of {measured["customers"]:,} customers, by {card}.
The single rule refuses where `{measured["rule"]}`{nobody}. Refusing all earns nothing.
"""
        for truth, earned in measured["truths"].items():
            text += f"\n| {truth} | yes | part | profit |\n| --- | ---: | ---: | ---: |\n"
            for way, profit in earned["profit"].items():
                shares = measured["answers"].get(way)
                cells = f"{shares['yes']:.1%} | {shares['part']:.1%}" if shares else " | "
                text += f"| {way} | {cells} | {_amount(profit)} |\n"
            for way, others in earned["more_than"].items():
                for other, more in others.items():
                    if other != REFUSE_ALL:  # its profit is 0
                        text += f"| {way} less {other} | | | {_amount(more)} |\n"
            text += f"\n{_who_is_level(earned['more_than'])}"
            over = earned["profit"]["card alone"]["value"] - earned["profit"]["accept all"]["value"]
            text += f" By itself the card earns {over:+,} against accepting all.\n"
    return f"""{text}
The shop is made up and accepted every order, no answer changes who comes back, the plan asked about is the \
shortest, and interest is not counted.
"""


def _who_is_level(more_than: dict[str, dict[str, dict[str, float]]]) -> str:
    """A sentence for each way of reckoning the policy: whom it does not beat beyond chance."""
    sentences = []
    for way, others in more_than.items():
        level = [other for other, more in others.items() if more["low"] <= 0 <= more["high"]]
        behind = [other for other, more in others.items() if more["high"] < 0]
        told = [
            f"{said} {', '.join(some)}" for said, some in (("level with", level), ("behind", behind)) if some
        ]
        sentences.append(f"The {way}: {'; '.join(told) or 'ahead of every other way'}.")
    return " ".join(sentences)


def _amount(of: dict[str, float]) -> str:
    return f"{of['value']:,.0f} [{of['low']:,.0f}, {of['high']:,.0f}]"


def _by_history(label: str, history: dict[str, Any]) -> str:
    few, many = (
        f"AUC {_interval(part['scorecard'])}, truth {part['truth']['value']:.3f}"
        for part in (history["few"], history["many"])
    )
    return (
        f"- {label}: {history['few']['orders']:,} orders after fewer than 10 `{history['of']}`, {few}; "
        f"{history['many']['orders']:,} after more, {many}."
    )


def _interval(of: dict[str, float]) -> str:
    return f"{of['value']:.3f} [{of['low']:.3f}, {of['high']:.3f}]"


def _api(result: dict[str, Any]) -> str:
    """What decisions over HTTP cost, a line for each number of customers."""
    sizes = list(result["sizes"].values())
    first = sizes[0]
    windows = len(first["undisturbed"]["p99_ms_of_windows"])
    text = f"""
Decisions over HTTP (`python -m bench.api`): {first["rate"]} requests a second at even times, \
{first["workers"]} worker, server and load on the
{result["machine"]["cores"]} shared cores at a load of {result["machine"]["load_before"]:.1f} by other work. \
Milliseconds from when a request was due, of {windows} windows the median, in brackets the least and the \
greatest; *machine*: how late the load itself woke up.

| customers | p50 | p99 | machine p99 | p99 with {first["with_publications"]["publications"]} publications | \
machine p99 | not answered | CPU a request | peak MB |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""
    for size in sizes:
        quiet, busy = size["undisturbed"], size["with_publications"]
        lost = quiet["not_answered"] + busy["not_answered"]
        asked = quiet["requests"] + busy["requests"]
        text += (
            f"| {size['customers']:,} | {quiet['p50_ms']:.1f} | {quiet['p99_ms']:.1f} "
            f"[{quiet['p99_ms_of_windows'][0]:.1f}, {quiet['p99_ms_of_windows'][-1]:.1f}] "
            f"| {quiet['machine_p99_ms']:.1f} | {busy['p99_ms']:.1f} | {busy['machine_p99_ms']:.1f} "
            f"| {lost} of {asked:,} | {size['cpu_ms_per_request']:.1f} | {size['peak_mb']:,} |\n"
        )
    return text


def main() -> None:
    """Write the sections of figures into the pages."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    _put(PAGE, measured_section(results))
    _put(README, headline_section(results))


def _put(path: Path, section: str) -> None:
    text = path.read_text(encoding="utf-8")
    path.write_text(BLOCK.sub(lambda _: section, text), encoding="utf-8")


if __name__ == "__main__":
    main()
