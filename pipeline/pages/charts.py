"""Draws charts as inline SVG, which a page shows without a script and in the colours of its own style.

Built as an element tree, so they are well-formed XML with all text escaped whatever they are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10, sqrt
from xml.etree import ElementTree

from markupsafe import Markup

# in units of the view box, about a pixel each
SIDE, LEFT, TOP, RIGHT, BELOW, ROW = 290, 50, 10, 12, 46, 19
WIDTH = LEFT + SIDE + RIGHT
# the radius of marks that stand for points of a line and not for how many
DOT = 3.5
# Marks of the series after the first, which has circles: of about the area of a circle of radius 1.
CORNERS: dict[int | str, Sequence[tuple[float, float]]] = {
    1: ((-0.89, -0.89), (0.89, -0.89), (0.89, 0.89), (-0.89, 0.89)),
    2: ((0, -1.4), (1.3, 0.9), (-1.3, 0.9)),
    3: ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
    4: ((0, 1.4), (1.3, -0.9), (-1.3, -0.9)),
}


@dataclass(frozen=True)
class Axis:
    """What an axis is of, where it begins and ends, and its ticks: (where, what is written there)."""

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]

    def share(self, value: float) -> float:
        """How far along the axis a value lies, 0 to 1."""
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Series:
    """Named points, joined by a line unless said otherwise.

    A point is (x, y), or (x, y, count): then a mark stands on it whose area grows with the count. A span is
    (x, low, high): an upright line, as of an interval.
    """

    name: str
    points: Sequence[Sequence[float]]
    spans: Sequence[tuple[float, float, float]] = ()
    joined: bool = True


def unit_axis(label: str) -> Axis:
    """From 0 to 1."""
    return Axis(label, 0, 1, [(tick, f"{tick:g}") for tick in (0, 0.2, 0.4, 0.6, 0.8, 1)])


def whole_axis(label: str, first: int, last: int) -> Axis:
    """Whole numbers, with half a step of room at both ends."""
    return Axis(label, first - 0.5, last + 0.5, [(tick, str(tick)) for tick in range(first, last + 1)])


def axis_from_zero(label: str, highest: float) -> Axis:
    """From 0 to the first tick that is no less than the highest value; about five ticks, at round numbers."""
    rough = (highest or 1) / 5
    power = 10.0 ** floor(log10(rough))
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= rough * 0.999)
    steps = 1
    while steps * step < highest:
        steps += 1
    return Axis(label, 0, steps * step, [(step * tick, short(step * tick)) for tick in range(steps + 1)])


def short(number: float) -> str:
    """A number in few characters: 2500 is 2.5k."""
    for power, unit in ((1e6, "M"), (1e3, "k")):
        if number >= power:
            return f"{number / power:g}{unit}"
    return f"{number:g}"


def unit_chart(
    title: str, across: str, up: str, series: Sequence[Series], diagonal: str | None = None
) -> Markup:
    """Lines in the unit square, with a named diagonal to compare with."""
    reference = Series(diagonal, [(0, 0), (1, 1)]) if diagonal else None
    return chart(title, unit_axis(across), unit_axis(up), series, reference)


def chart(
    title: str,
    across: Axis,
    up: Axis,
    series: Sequence[Series],
    reference: Series | None = None,
    radius: float = 7,
) -> Markup:
    """Series between two axes, and a legend below.

    Colours, widths and dashes are those of the classes `line` and `line-0` to `line-4` of the page's style,
    in the order of the series, and each has a mark of its own; the first is drawn last, over the others.

    Args:
        title: the text for a reader who cannot see the chart.
        across: the axis below.
        up: the axis at the left.
        series: at most five; more could not be distinguished.
        reference: a line to compare with, drawn thin under the others.
        radius: of the mark with the greatest count of all series.
    """
    shown: list[tuple[int | str, Series]] = list(enumerate(series))
    if reference:
        shown.append(("reference", reference))
    box = f"0 0 {WIDTH} {TOP + SIDE + BELOW + ROW * len(shown)}"
    svg = ElementTree.Element("svg", {"viewBox": box, "role": "img", "aria-label": title})
    _axes(svg, across, up)
    most = max((point[2] for one in series for point in one.points if len(point) > 2), default=1)
    for which, one in reversed(shown):
        places = [(_x(across.share(point[0])), _y(up.share(point[1]))) for point in one.points]
        if one.joined and places:
            path = "L".join(f"{x} {y}" for x, y in places)
            _path(svg, f"M{path}", f"line line-{which}")
        for at, low, high in one.spans:
            path = f"M{_x(across.share(at))} {_y(up.share(low))}V{_y(up.share(high))}"
            _path(svg, path, f"line line-{which} span")
        for (x, y), (_, _, *count) in zip(places, one.points, strict=True):
            if count:
                _mark(svg, which, float(x), float(y), 2 + (radius - 2) * sqrt(count[0] / most))
    for row, (which, one) in enumerate(shown):
        middle = TOP + SIDE + BELOW + ROW * row + ROW / 2
        if one.joined:
            _path(svg, f"M{LEFT} {middle}h30", f"line line-{which}")
        else:
            _mark(svg, which, LEFT + 15, middle, 5)
        _text(svg, LEFT + 38, middle + 4, one.name)
    # safe: the tree has escaped all text
    return Markup(ElementTree.tostring(svg, encoding="unicode"))


def _axes(svg: ElementTree.Element, across: Axis, up: Axis) -> None:
    for tick, name in across.ticks:
        place = _x(across.share(tick))
        _path(svg, f"M{place} {_y(0)}V{_y(1)}", "grid")
        _text(svg, float(place), TOP + SIDE + 17, name, anchor="middle")
    for tick, name in up.ticks:
        place = _y(up.share(tick))
        _path(svg, f"M{_x(0)} {place}H{_x(1)}", "grid")
        _text(svg, LEFT - 7, float(place) + 4, name, anchor="end")
    _text(svg, LEFT + SIDE / 2, TOP + SIDE + 36, across.label, anchor="middle")
    middle = TOP + SIDE / 2
    _text(svg, 13, middle, up.label, anchor="middle", transform=f"rotate(-90 13 {middle})")


def _mark(svg: ElementTree.Element, which: int | str, x: float, y: float, radius: float) -> None:
    kind = f"dot dot-{which}"
    corners = CORNERS.get(which)
    if corners is None:
        place = {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": f"{radius:.1f}", "class": kind}
        ElementTree.SubElement(svg, "circle", place)
        return
    path = "L".join(f"{x + radius * dx:.1f} {y + radius * dy:.1f}" for dx, dy in corners)
    _path(svg, f"M{path}Z", kind)


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
