"""What `goodstanding evaluate` prints: a table per task, then the segments and the value of customers."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from app.cli.tables import mark_of, titled_table
from pipeline.pages.evaluation.questions import is_risk
from pipeline.pages.words import interval

# Beside the AUC and its gain; `--json` has all measures, each with its interval.
SHOWN = {
    "average_precision": "AP",
    "brier": "Brier",
    "ece": "ECE",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
}
SHOWN_OF_RISKS = {
    "ks": "KS",
    "top_decile": "top 10 %",
    "brier": "Brier",
    "ece": "ECE",
    "f1": "F1",
    "cost": "cost",
}
VALUE_COLUMNS = (
    *("method", "MAE", "RMSE", "bias", "Spearman"),
    *("MAPE", "top 10 %", "less top", "Gini", "gain of Gini"),
)


def print_evaluation(found: dict[str, Any], console: Console) -> None:
    """Print one table per task, with the methods from the simplest on, and two of what customers spend."""
    tasks = found["tasks"] | (found.get("decisions") or {"tasks": {}})["tasks"]
    for name, task in tasks.items():
        title = f"{mark_of(found)}{name}: {task['question']}"
        if task["refused"]:
            console.print(f"[bold]{title}[/bold]\nnot measured: {task['refused']}", highlight=False)
            continue
        over = f"AUC gain over {task['baseline']}"
        shown = SHOWN_OF_RISKS if is_risk(task) else SHOWN
        table = titled_table(title, "method", "AUC", *shown.values(), over, "champion")
        for method, measured in task["pooled"].items():
            gain = task["gains"].get(method)
            table.add_row(
                method,
                interval(measured["auc"]),
                *(f"{measured[measure][0]:.3f}" for measure in shown),
                interval(gain, "+.3f") if gain else "",
                "yes" if method == task["champion"] else "",
            )
        table.caption = " ".join(_notes(task))
        table.caption_justify = "left"
        console.print(table)
    if found.get("segments"):
        _print_segments(found["segments"], mark_of(found), console)
    if found.get("value"):
        _print_value(found["value"], mark_of(found), console)
    console.print(f"[bold]page[/bold]  {found['page']}", highlight=False, soft_wrap=True)


def _print_segments(found: dict[str, Any], mark: str, console: Console) -> None:
    title = f"{mark}segments of {found['as_of']}: customers who buy alike"
    if found["refused"]:
        console.print(f"[bold]{title}[/bold]\nnot measured: {found['refused']}", highlight=False)
        return
    table = titled_table(
        title, "segment", "customers", "share", "of the money", "recency", "frequency", "monetary"
    )
    for row in found["segments"]:
        medians = (f"{row[measure]:,.0f}" for measure in ("recency_days", "frequency", "monetary"))
        shares = f"{row['share']:.1%}", f"{row['money_share']:.1%}"
        table.add_row(f"{row['number']} {row['name']}", f"{row['customers']:,}", *shares, *medians)
    table.caption = f"Recency (days), frequency and monetary: medians. {_what_became(found['past'])}."
    curve = found["curves"]["rfm"]
    by_k = titled_table(f"{mark}how many segments", "segments", "inertia", "silhouette", "stability")
    for row in curve["by_k"]:
        measured = f"{row['inertia']:,.0f}", f"{row['silhouette']:.3f}", interval(row["stability"])
        by_k.add_row(str(row["k"]), *measured)
    by_k.caption = (
        f"{found['k']} are kept for use. The inertia lies farthest under its chord at {curve['elbow']}, the "
        f"silhouette is greatest at {curve['greatest_silhouette']}. Stability: adjusted Rand index to "
        f"{curve['resamples']} fits of resampled customers, mean and where 95 % of them lie. "
        f"{_what_clumpiness_adds(found['clumpiness'])}."
    )
    for shown in (table, by_k):
        shown.caption_justify = "left"
        console.print(shown)


def _what_became(past: dict[str, Any]) -> str:
    if past["refused"]:
        return f"What they bought then is not measured: {past['refused']}"
    bought = ", ".join(f"{row['bought_90d']:.0%} of {row['name']}" for row in past["segments"])
    return f"Of those of {past['as_of']} bought within 90 days: {bought}"


def _what_clumpiness_adds(found: dict[str, Any]) -> str:
    whom = {"everybody": "", "with_value": " among the customers who have one"}
    gains = [
        f"{interval(found[part]['auc_gain'], '+.3f')}{text} (Holm-adjusted p = {found[part]['p_holm']:.3f})"
        for part, text in whom.items()
        if found[part]
    ]
    if not gains:
        return f"Whether clumpiness adds to it is not measured: {found['refused'] or 'too few customers'}"
    return f"Clumpiness adds to the AUC of who buys within 90 days {', '.join(gains)}"


def _print_value(value: dict[str, Any], mark: str, console: Console) -> None:
    title = f"{mark}value: {value['question']}"
    if value["refused"]:
        console.print(f"[bold]{title}[/bold]\nnot measured: {value['refused']}", highlight=False)
        return
    table = titled_table(title, *VALUE_COLUMNS)
    for method, measured in value["pooled"].items():
        gain = value["gini_gain"].get(method)
        table.add_row(
            method,
            *(f"{measured[measure][0]:,.0f}" for measure in ("mae", "rmse")),
            f"{measured['bias'][0]:+.1%}",
            f"{measured['spearman'][0]:.3f}",
            *(f"{measured[measure][0]:.1%}" for measure in ("decile_mape", "top_share")),
            f"{value['pooled_without_top'][method]['gini'][0]:.3f}",
            interval(measured["gini"]),
            interval(gain, "+.3f") if gain else "",
        )
    table.caption = " ".join(_notes_on_value(value))
    table.caption_justify = "left"
    console.print(table)
    scores = value["rfm_score"]
    table = titled_table(
        f"{mark}RFM score and value",
        "score",
        "customers",
        "predicted",
        "spent after it",
        "share of all spend",
    )
    for row in scores["by_score"]:
        told = row["spend"] is not None
        table.add_row(
            str(row["score"]),
            f"{row['customers']:,}",
            f"{row['predicted_value']:,.0f}" if told else "",
            interval(row["spend"], ",.0f") if told else "",
            f"{row['share_of_spend']:.1%}" if told else "",
        )
    table.caption = " ".join(
        f"Rank correlation with {what} {interval(scores[name]['spearman'])} "
        f"(p {scores[name]['p_value']:.3f})."
        for name, what in (
            ("predicted", f"the value that {scores['value_by']} predicts"),
            ("spend", "what was spent"),
        )
    )
    table.caption_justify = "left"
    console.print(table)


def _notes_on_value(value: dict[str, Any]) -> list[str]:
    cuts = ", ".join(f"{cut['cut']} ({cut['customers']:,} customers)" for cut in value["cuts"])
    notes = [
        f"95 % intervals. Pooled over the cuts {cuts}. MAPE: of ten groups by what was foretold. Less top: "
        f"Gini without the 0.5 % who spent most. Gain: over {value['baseline']}."
    ]
    correlations = ", ".join(f"{cut['value_correlation']:+.2f}" for cut in value["cuts"])
    notes.append(f"Number and mean value of orders correlate at {correlations}.")
    if value["left_out"]:
        notes.append(f"Left out: {', '.join(value['left_out'])}: {next(iter(value['left_out'].values()))}.")
        return notes
    if any(cut["count_model"] == "nbd" for cut in value["cuts"]):
        notes.append("No drop-out identifiable at some cut: Pareto/NBD is the NBD there.")
    if value["coverage"]:
        notes.append(f"Intervals of 80 % held {interval(value['coverage'])} of the customers.")
    if value["note"]:
        notes.append(f"{value['note']}.")
    return notes


def _notes(task: dict[str, Any]) -> list[str]:
    cuts = task["cuts"]
    if cuts[0]["train_cut"] == cuts[0]["test_cut"]:
        days = f"{len(cuts)} random folds of the customers of {cuts[0]['test_cut']}: no future in it."
    else:
        shown = ", ".join(f"{cut['test_cut']} ({cut['customers']:,} customers)" for cut in cuts)
        days = f"Pooled over the test cuts {shown}."
    majority = next(iter(task["pooled"].values()))["majority"][0]
    notes = [f"95 % intervals. {days} Always choosing the commonest class is right in {majority:.3f}."]
    if task["note"]:
        notes.append(f"{task['note']}.")
    if task["left_out"]:
        notes.append(f"Left out: {'; '.join(f'{name} ({why})' for name, why in task['left_out'].items())}.")
    return notes
