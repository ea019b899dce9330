"""Charts as inline SVG, which a page shows with no script and in the colours of its own style.

Built as an element tree, so they are well-formed XML with all text escaped whatever they are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from xml.etree import ElementTree

from markupsafe import Markup

# in units of the view box, about a pixel each
SIDE, LEFT, TOP, RIGHT, BELOW, ROW = 290, 50, 10, 12, 46, 19
WIDTH = LEFT + SIDE + RIGHT
TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1)


@dataclass(frozen=True)
class Series:
    """A named line through points of the unit square.

    A point is (x, y), or (x, y, count): then a dot stands on it whose area grows with the count.
    """

    name: str
    points: Sequence[Sequence[float]]


def unit_chart(
    title: str, across: str, up: str, series: Sequence[Series], diagonal: str | None = None
) -> Markup:
    """Lines in the unit square, with axes, a named diagonal to compare with, and a legend below.

    Colours, widths and dashes are those of the classes `line` and `line-0` to `line-4` of the page's style,
    in the order of the series; the first is drawn last, over the others.

    Args:
        title: what a reader who cannot see the chart is told.
        across: the label of the axis below.
        up: the label of the axis at the left.
        series: at most five; more could not be told apart.
        diagonal: what a point on the diagonal would mean.
    """
    rows: list[tuple[int | str, str]] = list(enumerate(one.name for one in series))
    if diagonal:
        rows.append(("diagonal", diagonal))
    box = f"0 0 {WIDTH} {TOP + SIDE + BELOW + ROW * len(rows)}"
    svg = ElementTree.Element("svg", {"viewBox": box, "role": "img", "aria-label": title})
    _axes(svg, across, up)
    if diagonal:
        _path(svg, f"M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}", "line line-diagonal")
    for number, one in reversed(list(enumerate(series))):
        if one.points:
            path = "L".join(f"{_x(x)} {_y(y)}" for x, y, *_ in one.points)
            _path(svg, f"M{path}", f"line line-{number}")
        _dots(svg, [point for point in one.points if len(point) > 2], f"dot dot-{number}")
    for row, (which, name) in enumerate(rows):
        middle = TOP + SIDE + BELOW + ROW * row + ROW / 2
        _path(svg, f"M{LEFT} {middle}h30", f"line line-{which}")
        _text(svg, LEFT + 38, middle + 4, name)
    # everything in it came through the tree
    return Markup(ElementTree.tostring(svg, encoding="unicode"))


def _axes(svg: ElementTree.Element, across: str, up: str) -> None:
    for tick in TICKS:
        _path(svg, f"M{_x(tick)} {_y(0)}V{_y(1)}M{_x(0)} {_y(tick)}H{_x(1)}", "grid")
        _text(svg, float(_x(tick)), TOP + SIDE + 17, f"{tick:g}", anchor="middle")
        _text(svg, LEFT - 7, float(_y(tick)) + 4, f"{tick:g}", anchor="end")
    _text(svg, LEFT + SIDE / 2, TOP + SIDE + 36, across, anchor="middle")
    middle = TOP + SIDE / 2
    _text(svg, 13, middle, up, anchor="middle", transform=f"rotate(-90 13 {middle})")


def _dots(svg: ElementTree.Element, points: Sequence[Sequence[float]], kind: str) -> None:
    for x, y, count in points:
        radius = 2 + 5 * sqrt(count / max(most for *_, most in points))
        place = {"cx": _x(x), "cy": _y(y), "r": f"{radius:.1f}", "class": kind}
        ElementTree.SubElement(svg, "circle", place)


def _path(svg: ElementTree.Element, path: str, kind: str) -> None:
    ElementTree.SubElement(svg, "path", {"d": path, "class": kind})


def _text(
    svg: ElementTree.Element, x: float, y: float, text: str, anchor: str = "start", **more: str
) -> None:
    place = {"x": f"{x:g}", "y": f"{y:g}", "text-anchor": anchor, **more}
    ElementTree.SubElement(svg, "text", place).text = text


def _x(share: float) -> str:
    return f"{LEFT + SIDE * share:.1f}"


def _y(share: float) -> str:
    return f"{TOP + SIDE * (1 - share):.1f}"
