"""Draws the pages that a run writes: HTML from the Jinja templates beside this module.

Every page is one file that needs no network and no script: style and charts are inline.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from goodstanding.core.durable import write_in_place
from goodstanding.core.printable import printable
from pipeline.pages.words import bounds, number, what_is_enough

TEMPLATES = Path(__file__).parent / "templates"


def _as_text(value: object) -> object:
    """Text from files as it stands; what was drawn is a page's own."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


PAGES = Environment(
    loader=PackageLoader("pipeline.pages"),
    autoescape=True,
    finalize=_as_text,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
PAGES.filters |= {
    "number": number,
    "bounds": bounds,
    "needed": lambda reason: what_is_enough(reason)[0],
    "enough": lambda reason: what_is_enough(reason)[1],
}


def draw(template: str, **given: object) -> Markup:
    """A template of `pipeline/pages/templates/` with what it is given, all text of it escaped."""
    return Markup(PAGES.get_template(template).render(given))


def draw_refused(name: str, question: str, reason: str) -> Markup:
    """The section for what was not measured: what is missing, and what would be enough."""
    needed, enough = what_is_enough(reason)
    return draw("refused.html", name=name, question=question, needed=needed, enough=enough)


def write_page(page: Path, text: str) -> None:
    """Write a page aside and rename it, so that nobody reads half of one."""
    write_in_place(page, text)
