"""Charts: well-formed whatever they are given, and every point where it belongs."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from goodstanding.charts import LEFT, SIDE, TOP, WIDTH, Series, unit_chart


def drawn(*series: Series, **more: str) -> ElementTree.Element:
    return ElementTree.fromstring(unit_chart("a chart", "across", "up", series, **more))


def texts(svg: ElementTree.Element) -> list[str]:
    return [str(text.text) for text in svg.iter("text")]


def test_points_lie_where_the_axes_say() -> None:
    svg = drawn(Series("it", [(0, 0), (0.5, 0.25), (1, 1)]))
    (line,) = (path.get("d") for path in svg.findall("path[@class='line line-0']")[:1])
    assert line == f"M{LEFT}.0 {TOP + SIDE}.0L{LEFT + SIDE / 2} {TOP + SIDE * 0.75}L{LEFT + SIDE}.0 {TOP}.0"


def test_every_series_and_the_diagonal_are_named_below_the_axes_and_within_the_box() -> None:
    series = [Series(f"method {number}", [(0, 0), (1, 1)]) for number in range(5)]
    svg = drawn(*series, diagonal="chance")
    assert texts(svg)[-6:] == [*(one.name for one in series), "chance"]
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
