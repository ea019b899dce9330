"""Charts are well-formed SVG for any input, with every point in its place."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from pipeline.pages.charts import LEFT, SIDE, TOP, WIDTH, Axis, Series, axis_from_zero, chart, unit_chart


def drawn(*series: Series, **more: str) -> ElementTree.Element:
    return ElementTree.fromstring(unit_chart("a chart", "across", "up", series, **more))


def texts(svg: ElementTree.Element) -> list[str]:
    return [str(text.text) for text in svg.iter("text")]


def test_points_lie_at_their_place_on_the_axes() -> None:
    svg = drawn(Series("it", [(0, 0), (0.5, 0.25), (1, 1)]))
    (line,) = (path.get("d") for path in svg.findall("path[@class='line line-0']")[:1])
    assert line == f"M{LEFT}.0 {TOP + SIDE}.0L{LEFT + SIDE / 2} {TOP + SIDE * 0.75}L{LEFT + SIDE}.0 {TOP}.0"


def test_every_series_and_the_diagonal_are_named_below_the_axes_and_within_the_box() -> None:
    series = [Series(f"method {number}", [(0, 0), (1, 1)]) for number in range(5)]
    svg = drawn(*series, diagonal="chance")
    assert texts(svg)[-6:] == [*(line.name for line in series), "chance"]
    _, _, width, height = map(float, str(svg.get("viewBox")).split())
    places = [float(str(text.get("y"))) for text in svg.iter("text")]
    assert width == WIDTH and max(places) < height
    assert min(places[-6:]) > TOP + SIDE + 36, "below the label of the axis"
    assert min(b - a for a, b in zip(places[-6:], places[-5:], strict=False)) >= 14, "none on the other"


def test_the_first_series_is_drawn_over_the_others() -> None:
    svg = drawn(Series("first", [(0, 0), (1, 1)]), Series("second", [(0, 0), (1, 1)]))
    lines = [path.get("class") for path in svg.iter("path") if "line" in str(path.get("class"))]
    assert lines == ["line line-1", "line line-0", "line line-0", "line line-1"], "two lines, then the legend"


def test_the_area_of_a_dot_grows_with_the_customers_it_stands_for() -> None:
    svg = drawn(Series("it", [(0.1, 0.2, 10), (0.3, 0.2, 1000)]))
    small, great = (float(str(dot.get("r"))) for dot in svg.iter("circle"))
    assert 2 <= small < great == 7


def test_names_are_escaped_and_an_empty_series_is_no_line() -> None:
    name = "<script>alert('&')</script>"
    source = unit_chart(name, name, name, [Series(name, [])], name)
    assert "<script" not in source
    svg = ElementTree.fromstring(source)
    assert texts(svg).count(name) == 4 and svg.get("aria-label") == name
    assert not re.search(r'd="M"', source)


@pytest.mark.parametrize(
    ("highest", "written"),
    [
        (0, ["0", "0.2", "0.4", "0.6", "0.8", "1"][:2]),
        (0.43, ["0", "0.1", "0.2", "0.3", "0.4", "0.5"]),
        (1, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (6471, ["0", "2k", "4k", "6k", "8k"]),
        (4480.8, ["0", "1k", "2k", "3k", "4k", "5k"]),
        (2_500_000, ["0", "500k", "1M", "1.5M", "2M", "2.5M"]),
    ],
)
def test_an_axis_from_zero_ends_at_a_round_number_no_less_than_the_highest(
    highest: float, written: list[str]
) -> None:
    axis = axis_from_zero("it", highest)
    assert [name for _, name in axis.ticks] == written
    assert axis.high == axis.ticks[-1][0] >= highest and axis.share(axis.high) == 1


def test_a_series_lies_at_its_place_with_its_spans_and_the_reference_under_it() -> None:
    one = Series("it", [(2, 10, 1), (4, 30, 1)], [(2, 0, 20)])
    source = chart(
        "a chart", Axis("k", 2, 6, []), Axis("up", 0, 40, []), [one], Series("kept", [(4, 0), (4, 40)])
    )
    paths: dict[str | None, str | None] = {}
    for path in ElementTree.fromstring(source).iter("path"):
        # the legend repeats the same marks
        paths.setdefault(path.get("class"), path.get("d"))
    left, bottom, middle = f"{LEFT}.0", f"{TOP + SIDE}.0", f"{LEFT + SIDE / 2}"
    assert paths["line line-0"] == f"M{left} {TOP + SIDE * 0.75}L{middle} {TOP + SIDE * 0.25}"
    assert paths["line line-0 span"] == f"M{left} {bottom}V{TOP + SIDE / 2}"
    assert paths["line line-reference"] == f"M{middle} {bottom}L{middle} {TOP}.0"
    assert list(paths) == ["line line-reference", "line line-0", "line line-0 span"], "in this order"


def test_series_that_are_not_joined_have_a_mark_each_in_the_legend_and_no_line() -> None:
    series = [Series(f"kind {number}", [(0.5, 0.5, 4)], joined=False) for number in range(5)]
    svg = drawn(*series)
    assert not [path for path in svg.iter("path") if "line" in str(path.get("class"))]
    marks = {path.get("class") for path in svg.iter("path") if "dot" in str(path.get("class"))}
    assert len(svg.findall("circle")) == 2 and marks == {f"dot dot-{number}" for number in range(1, 5)}
    shapes = {len(str(path.get("d")).split("L")) for path in svg.iter("path") if path.get("class") != "grid"}
    assert shapes == {3, 4}
