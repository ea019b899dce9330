"""Draws the section on segments: who is in them, how many there could be, and what clumpiness adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from markupsafe import Markup

from ml.segments.study import ClumpinessStudy
from ml.value import FEWEST_TOLD
from pipeline.pages.charts import DOT, Axis, Series, axis_from_zero, chart, short, unit_axis, whole_axis
from pipeline.pages.evaluation.report import EvaluationReport
from pipeline.pages.page import draw, draw_refused
from pipeline.pages.words import interval, number

QUESTION = "customers who buy alike"
MEASURES = {
    "rfm": "All three measures",
    "recency_days": "Recency alone",
    "frequency": "Frequency alone",
    "monetary": "Monetary alone",
}
ALONE: tuple[Literal["recency_days", "frequency", "monetary"], ...] = (
    "recency_days",
    "frequency",
    "monetary",
)
# Within a cell each segment has a quarter to itself, so that no mark hides another.
PLACES = ((0.28, 0.72), (0.72, 0.72), (0.28, 0.28), (0.72, 0.28))


def segments(report: EvaluationReport) -> Markup:
    """The segments of the newest day, or why there are none."""
    described = report.get("segments")
    if not described:
        return Markup()
    curves, clumpiness = described["curves"], described["clumpiness"]
    if described["refused"] or not curves or not clumpiness:
        return draw_refused("segments", QUESTION, described["refused"] or "")
    return draw(
        "segments.html",
        question=QUESTION,
        found=described,
        measures=MEASURES,
        map=_map(described),
        curves=_curves(described),
        alone=[_alone(described, measure) for measure in ALONE if curves[measure]["by_k"]],
        clumpiness=_what_clumpiness_adds(clumpiness),
    )


def _map(described: Mapping[str, Any]) -> tuple[Markup, str]:
    """Recency across, monetary up, by cells whose borders grow by a factor: as good as log axes."""
    cells = described["map"]
    points = [
        [
            (row + dx, column + dy, count)
            for row, counts in enumerate(of_segment)
            for column, count in enumerate(counts)
            # who is alone in a cell could be known by it
            if count >= FEWEST_TOLD
        ]
        for of_segment, (dx, dy) in zip(cells["customers"], PLACES, strict=True)
    ]
    rows, columns = ([int(point[axis]) for one in points for point in one] for axis in (0, 1))
    title = f"Map of the segments of {described['as_of']}"
    series = [
        Series(f"{row['number']} {row['name']}", one, joined=False)
        for row, one in zip(described["segments"], points, strict=True)
    ]
    hidden = described["customers"] - sum(count for one in points for _, _, count in one)
    return (
        chart(
            title,
            _cells("days since the last order", cells["recency_from"], rows),
            _cells("spent so far", cells["monetary_from"], columns),
            series,
        ),
        "Map. Customers by recency (across) and monetary (up), counted in the cells of the grid; the "
        "greater a mark, the more customers. Where in its cell a mark stands says only which segment it is. "
        f"Cells with fewer than {FEWEST_TOLD} customers of a segment are not drawn: {hidden:,} customers.",
    )


def _cells(label: str, borders: Sequence[float], used: Sequence[int]) -> Axis:
    first, last = min(used, default=0), max(used, default=len(borders) - 1)
    ticks = [(at, short(borders[at])) for at in range(first, min(last + 2, len(borders)))]
    return Axis(label, first, last + 1, ticks)


def _curves(described: Mapping[str, Any]) -> list[tuple[Markup, str]]:
    """Inertia, silhouette and stability over the number of segments."""
    curve, k = described["curves"]["rfm"], described["k"]
    by_k = curve["by_k"]
    if not by_k:
        return []
    across = _number_of_segments(by_k)
    stability = [(row["k"], *row["stability"]) for row in by_k]

    def over_k(title: str, up: Axis, one: Series) -> Markup:
        return chart(f"{title} over the number of segments", across, up, [one], _kept(k, up), DOT)

    return [
        (
            over_k(
                "Inertia",
                axis_from_zero("inertia", max(row["inertia"] for row in by_k)),
                Series("inertia", [(row["k"], row["inertia"], 1) for row in by_k]),
            ),
            "Elbow. The sum of squared distances to the centre of the segment. It lies farthest under its "
            f"chord at {curve['elbow']}; a smooth curve has such a place too, so that it says little.",
        ),
        (
            over_k(
                "Silhouette",
                axis_from_zero("silhouette", max(row["silhouette"] for row in by_k)),
                Series("silhouette", [(row["k"], row["silhouette"], 1) for row in by_k]),
            ),
            "Silhouette. How much nearer customers lie to their own segment than to the next: 1 apart, 0 on "
            f"the border. It is greatest at {curve['greatest_silhouette']}; {k} are kept because they can be "
            "acted on, not because the curves ask for it.",
        ),
        (
            over_k(
                "Stability",
                unit_axis("adjusted Rand index"),
                Series(
                    "mean of the resamples",
                    [(at, mean, 1) for at, mean, _, _ in stability],
                    [(at, low, high) for at, _, low, high in stability],
                ),
            ),
            f"Stability. How far {curve['resamples']} fits of resampled customers part all customers alike "
            f"(1: the same, 0: by chance); upright where 95 % of them lie. {_stability_in_words(by_k, k)}",
        ),
    ]


def _stability_in_words(by_k: Sequence[Mapping[str, Any]], k: int) -> str:
    return " ".join(f"With {k} it is {interval(row['stability'])}." for row in by_k if row["k"] == k)


def _number_of_segments(by_k: Sequence[Mapping[str, Any]]) -> Axis:
    return whole_axis("number of segments", by_k[0]["k"], by_k[-1]["k"])


def _kept(k: int, up: Axis) -> Series:
    return Series(f"{k}, kept for use", [(k, up.low), (k, up.high)])


def _alone(described: Mapping[str, Any], measure: str) -> tuple[Markup, str]:
    """Both curves of one measure in one small chart: the inertia as a share of its greatest."""
    curve, name = described["curves"][measure], MEASURES[measure]
    by_k = curve["by_k"]
    # where customers stand on so few points that nothing is left
    most = by_k[0]["inertia"] or 1
    up = unit_axis("share, silhouette")
    return (
        chart(
            f"{name}: inertia and silhouette over the number of segments",
            _number_of_segments(by_k),
            up,
            [
                Series("silhouette", [(row["k"], row["silhouette"]) for row in by_k]),
                Series(
                    f"inertia, as a share of that of {by_k[0]['k']}",
                    [(row["k"], row["inertia"] / most) for row in by_k],
                ),
            ],
            _kept(described["k"], up),
        ),
        f"{name}. Elbow at {curve['elbow']}, silhouette greatest at {curve['greatest_silhouette']}. "
        f"{_stability_in_words(by_k, described['k']).replace('it is', 'stability is')}",
    )


def _what_clumpiness_adds(study: ClumpinessStudy) -> str:
    """What clumpiness adds to who buys, and what it does to the segments."""
    groups = {
        "among all customers": study["everybody"],
        "among those alone who have one": study["with_value"],
    }
    asked = {whose: gain for whose, gain in groups.items() if gain}
    if not asked:
        return f"Not measured: {study['refused'] or 'too few customers'}."
    gains = ", ".join(
        f"{interval(gain['auc_gain'], '+.4f')} {whose} (Holm-adjusted p = {gain['p_holm']:.3f})"
        for whose, gain in asked.items()
    )
    clear = [whose for whose, gain in asked.items() if gain["auc_gain"][1] > 0 and gain["p_holm"] <= 0.05]
    whether = f"adds {' and '.join(clear)}" if clear else "does not clearly add"
    said = [
        f"Clumpiness {whether}: the AUC of who buys within 90 days changes by {gains}. "
        f"{number(study['share_with_value'], '.1%')} of the customers have one, "
        f"for it needs {study['order_days_needed']} days with orders."
    ]
    if parted := study["segments"]:
        index = parted["adjusted_rand_index"]
        said.append(
            "As a fourth measure it leaves their segments alike at an adjusted Rand index of "
            f"{index['rfm_and_clumpiness']:.3f}; dealt out at random it does at "
            f"{index['rfm_and_shuffled']:.3f}."
        )
    return " ".join(said)
