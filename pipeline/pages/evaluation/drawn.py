"""How a part of the page is drawn: Jinja templates that escape whatever they are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.pages.cannot_tell import what_is_enough
from pipeline.pages.data_docs import STYLE

Found = Mapping[str, Any]


def number(value: float, form: str = ".3f") -> str:
    """A number as a page shows it: with a space, at which no line breaks, before the sign of per cent."""
    return format(value, form).replace("%", "\N{NO-BREAK SPACE}%")


def bounds(measured: Sequence[float], form: str = ".3f") -> str:
    """The bounds of a measure."""
    _, low, high = measured
    return f"[{number(low, form)}, {number(high, form)}]"


PAGES = Environment(
    loader=PackageLoader("pipeline.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
PAGES.filters |= {
    "number": number,
    "bounds": bounds,
    "needed": lambda refused: what_is_enough(refused)[0],
    "enough": lambda refused: what_is_enough(refused)[1],
}
PAGES.globals |= {"STYLE": Markup(STYLE)}


def drawn(template: str, **given: Any) -> Markup:
    """A template of `pipeline/pages/templates/` with what it is given, all text of it escaped."""
    return Markup(PAGES.get_template(template).render(given))


def refused(name: str, question: str, why: str) -> Markup:
    """The part for what was not measured: the number that is missing, and what would be enough."""
    needed, enough = what_is_enough(why)
    return drawn("refused.html", name=name, question=question, needed=needed, enough=enough)
