"""Prints the result of the command `evaluate`: a table per task, then segments and the value of customers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from app.cli.shown import say
from app.cli.tables import mark_of, titled_table
from pipeline.pages.evaluation.questions import is_risk
from pipeline.pages.evaluation.report import figure
from pipeline.pages.words import interval

if TYPE_CHECKING:
    from ml.segments.study import ClumpinessStudy, Past, SegmentStudy
    from ml.side_by_side import TaskResult
    from ml.value import ValueStudy
    from pipeline.pages.evaluation.report import PublishedEvaluation

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


def print_evaluation(evaluation: PublishedEvaluation, console: Console) -> None:
    """Print one table per task, with the methods from the simplest on, and two of what customers spend."""
    mark, decisions = mark_of(evaluation), evaluation.get("decisions")
    tasks = evaluation["tasks"] | (decisions["tasks"] if decisions else {})
    for name, task in tasks.items():
        title = f"{mark}{name}: {task['question']}"
        if task["refused"]:
            say(console, f"\nnot measured: {task['refused']}", head=title)
            continue
        over = f"AUC gain over {task['baseline']}"
        shown = SHOWN_OF_RISKS if is_risk(task) else SHOWN
        table = titled_table(title, "method", "AUC", *shown.values(), over, "champion")
        for method in task["pooled"]:
            gain = task["gains"].get(method)
            table.add_row(
                method,
                interval(figure(task, method, "auc")),
                *(f"{figure(task, method, measure)[0]:.3f}" for measure in shown),
                interval(gain, "+.3f") if gain else "",
                "yes" if method == task["champion"] else "",
            )
        table.add_caption(" ".join(_notes(task)))
        table.caption_justify = "left"
        console.print(table)
    if segments := evaluation.get("segments"):
        _print_segments(segments, mark, console)
    if value := evaluation.get("value"):
        _print_value(value, mark, console)
    say(console, f"  {evaluation['page']}", head="page", wraps=False)


def _print_segments(study: SegmentStudy, mark: str, console: Console) -> None:
    title = f"{mark}segments of {study['as_of']}: customers who buy alike"
    segments, curves, past, clumpiness = (
        study["segments"],
        study["curves"],
        study["past"],
        study["clumpiness"],
    )
    if study["refused"] or not (segments and curves and past and clumpiness):
        say(console, f"\nnot measured: {study['refused']}", head=title)
        return
    table = titled_table(
        title, "segment", "customers", "share", "of the money", "recency", "frequency", "monetary"
    )
    for row in segments:
        medians = (f"{median:,.0f}" for median in (row["recency_days"], row["frequency"], row["monetary"]))
        shares = f"{row['share']:.1%}", f"{row['money_share']:.1%}"
        table.add_row(f"{row['number']} {row['name']}", f"{row['customers']:,}", *shares, *medians)
    table.add_caption(f"Recency (days), frequency and monetary: medians. {_what_became(past)}.")
    curve = curves["rfm"]
    by_k = titled_table(f"{mark}how many segments", "segments", "inertia", "silhouette", "stability")
    for fit in curve["by_k"]:
        measured = f"{fit['inertia']:,.0f}", f"{fit['silhouette']:.3f}", interval(fit["stability"])
        by_k.add_row(str(fit["k"]), *measured)
    by_k.add_caption(
        f"{study['k']} are kept for use. The inertia lies farthest under its chord at {curve['elbow']}, the "
        f"silhouette is greatest at {curve['greatest_silhouette']}. Stability: adjusted Rand index to "
        f"{curve['resamples']} fits of resampled customers, mean and where 95 % of them lie. "
        f"{_what_clumpiness_adds(clumpiness)}."
    )
    for shown in (table, by_k):
        shown.caption_justify = "left"
        console.print(shown)


def _what_became(past: Past) -> str:
    if past["refused"] or not past["segments"]:
        return f"What they bought then is not measured: {past['refused']}"
    bought = ", ".join(f"{row['bought_90d']:.0%} of {row['name']}" for row in past["segments"])
    return f"Of those of {past['as_of']} bought within 90 days: {bought}"


def _what_clumpiness_adds(study: ClumpinessStudy) -> str:
    groups = ((study["everybody"], ""), (study["with_value"], " among the customers who have one"))
    gains = [
        f"{interval(gain['auc_gain'], '+.3f')}{whose} (Holm-adjusted p = {gain['p_holm']:.3f})"
        for gain, whose in groups
        if gain
    ]
    if not gains:
        return f"Whether clumpiness adds to it is not measured: {study['refused'] or 'too few customers'}"
    return f"Clumpiness adds to the AUC of who buys within 90 days {', '.join(gains)}"


def _print_value(value: ValueStudy, mark: str, console: Console) -> None:
    title = f"{mark}value: {value['question']}"
    scores = value["rfm_score"]
    if value["refused"] or not scores:
        say(console, f"\nnot measured: {value['refused']}", head=title)
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
    table.add_caption(" ".join(_notes_on_value(value)))
    table.caption_justify = "left"
    console.print(table)
    table = titled_table(
        f"{mark}RFM score and value",
        "score",
        "customers",
        "predicted",
        "spent after it",
        "share of all spend",
    )
    for row in scores["by_score"]:
        mean, spend, share = row["predicted_value"], row["spend"], row["share_of_spend"]
        table.add_row(
            str(row["score"]),
            f"{row['customers']:,}",
            "" if mean is None else f"{mean:,.0f}",
            "" if spend is None else interval(spend, ",.0f"),
            "" if share is None else f"{share:.1%}",
        )
    correlations = [
        f"Rank correlation with {what} {interval(correlation['spearman'])} (p {correlation['p_value']:.3f})."
        for correlation, what in (
            (scores["predicted"], f"the value that {scores['value_by']} predicts"),
            (scores["spend"], "what was spent"),
        )
    ]
    table.add_caption(" ".join(correlations))
    table.caption_justify = "left"
    console.print(table)


def _notes_on_value(value: ValueStudy) -> list[str]:
    cuts = ", ".join(f"{cut['cut']} ({cut['customers']:,} customers)" for cut in value["cuts"])
    notes = [
        f"95 % intervals. Pooled over the cuts {cuts}. MAPE: of ten groups by forecast. Less top: "
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


def _notes(task: TaskResult) -> list[str]:
    cuts = task["cuts"]
    if cuts[0]["train_cut"] == cuts[0]["test_cut"]:
        days = f"{len(cuts)} random folds of the customers of {cuts[0]['test_cut']}: no future in it."
    else:
        shown = ", ".join(f"{cut['test_cut']} ({cut['customers']:,} customers)" for cut in cuts)
        days = f"Pooled over the test cuts {shown}."
    majority = figure(task, next(iter(task["pooled"])), "majority")[0]
    notes = [f"95 % intervals. {days} Always choosing the commonest class is right in {majority:.3f}."]
    if task["note"]:
        notes.append(f"{task['note']}.")
    if task["left_out"]:
        notes.append(f"Left out: {'; '.join(f'{name} ({why})' for name, why in task['left_out'].items())}.")
    return notes
