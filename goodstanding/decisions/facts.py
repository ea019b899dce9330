"""States of each characteristic its family, its direction, what it means where missing, and how it is told.

A scorecard rests on figures that are made for it, like a shrunk rate. A customer is told the plain facts
behind them, as counted from the order log: `2 of your 9 orders came back`. Which columns hold them is stated
here.

The direction of a characteristic says whether more of it may only earn points or only lose them; whatever
the data say, a card goes that way (`in_stated_direction`, and `ml.scorecards.fit`). A missing value is one of
two:

- **never**: what it counts the days since has never happened. It earns the most points of its characteristic.
- **not known**: it earns no more than the worst known value, so that silence never pays.

Two characteristics that earn their points together go these ways, too, each beside every value of the other,
and are told in one sentence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal, TypedDict

from goodstanding.decisions.order import column_and_word
from goodstanding.decisions.scorecard import Bin, Characteristic, Pair, Scorecard, Value, is_missing

# More earns points, more costs points, or the data choose.
Direction = Literal[1, -1, 0]
MORE_IS_BETTER: Direction = 1
MORE_IS_WORSE: Direction = -1
AS_DATA_SAY: Direction = 0
# The plain values of a fact by name; money as text.
Fact = dict[str, int | float | str | None]


class Reason(TypedDict):
    """One reason of an answer.

    `code` names the family, or what caps the sum; no two reasons of an answer have the same. `text` is for a
    clerk to say, `formal` for a letter, `fact` what both state, as counted. `points` are lost against the
    best value; None where the reason is none of the score.
    """

    code: str
    text: str
    formal: str
    fact: Fact
    points: int | None


@dataclass(frozen=True)
class Family:
    """Characteristics that tell of one thing, of which an answer names one; `ground` is that in words."""

    code: str
    ground: str


STANDING = Family("standing", "the RFM credit score")
RETURNS = Family("returns", "return behaviour")
PAYMENTS = Family("payments", "payment behaviour")
DEBT = Family("debt", "payment behaviour")
WAYS_TO_PAY = Family("ways_to_pay", "payment behaviour")
BASKET_FAMILY = Family("basket", "the basket")
ORDER = Family("order", "the order itself")
RECENCY = Family("recency", "earlier orders")
HISTORY = Family("history", "earlier orders")
SPENDING = Family("spending", "earlier orders")
# The order in which grounds are listed.
GROUNDS = tuple(
    dict.fromkeys(family.ground for family in (STANDING, RETURNS, PAYMENTS, BASKET_FAMILY, ORDER, RECENCY))
)

# What a sentence is made of: the values by name, and `as of <day>, ` or nothing.
Sentence = Callable[[Mapping[str, Value], str], str]


@dataclass(frozen=True)
class Told:
    """What is stated of a characteristic.

    Attributes:
        family: an answer names one characteristic of each.
        direction: whether more of it earns or costs points.
        facts: the columns of `marts.master_data` that hold its plain facts.
        text: the sentence for a clerk, of known facts.
        formal: the sentence for a letter, of known facts.
        missing: both, where it is missing.
        is_never: whether missing means that it never happened.
    """

    family: Family
    direction: Direction
    facts: tuple[str, ...]
    text: Sentence
    formal: Sentence
    missing: tuple[str, str]
    is_never: bool = False


def told(name: str) -> Told:
    """What is stated of a characteristic; one that is not listed is its own family, without a direction."""
    if name in _TOLD:
        return _TOLD[name]
    word = column_and_word(name)
    if word is not None:
        return _of_word(name, *word)
    thing = label(name)
    return Told(
        Family(name, "earlier orders"),
        AS_DATA_SAY,
        (name,),
        lambda values, _: f"{thing} is {shown(values[name])}",
        lambda values, _: f"{thing} is {shown(values[name])}",
        (f"{thing} is not known", f"{thing} is not known"),
    )


def facts_of(names: Iterable[str]) -> set[str]:
    """The columns that hold the plain facts of some characteristics."""
    return {fact for name in names for fact in told(name).facts}


def sentences(
    name: str, values: Mapping[str, Value], as_of: str | None = None, is_unseen: bool = False
) -> tuple[str, str, Fact]:
    """What a clerk says of a characteristic, what a letter says, and the plain fact that both state.

    Args:
        name: of the characteristic.
        values: of the customer, with the columns of its facts; one that is not there is not known.
        as_of: the last day that the data cover.
        is_unseen: whether its value is a level that the scorecard does not know.
    """
    text, formal, fact = _clauses(name, values, as_of, is_unseen)
    return _sentence(text), _sentence(formal), fact


def joint_sentences(
    names: tuple[str, str],
    values: Mapping[str, Value],
    as_of: str | None = None,
    unseen: Iterable[str] = (),
) -> tuple[str, str, Fact]:
    """As `sentences`, of two characteristics that earn their points together; `unseen` are names."""
    first, second = names
    *clauses, fact = _clauses(first, values, as_of, first in unseen)
    *of_day, also_fact = _clauses(second, values, as_of, second in unseen)
    *of_no_day, _ = _clauses(second, values, None, second in unseen)
    # the day is said once, by the second where the first does not say it
    text, formal = (
        _sentence(f"{clause}, and {without if _as_of(as_of) in clause else with_day}")
        for clause, with_day, without in zip(clauses, of_day, of_no_day, strict=True)
    )
    return text, formal, {**fact, **also_fact}


def _as_of(day: str | None) -> str:
    return f"as of {day}, " if day else ""


def _clauses(
    name: str, values: Mapping[str, Value], as_of: str | None, is_unseen: bool
) -> tuple[str, str, Fact]:
    stated = told(name)
    fact: Fact = {column: _plain(column, values.get(column)) for column in stated.facts}
    if any(is_missing(values.get(column)) for column in stated.facts):
        text, formal = stated.missing
    elif is_unseen:
        text = formal = (
            f"{label(name)} {shown(values[name])} was never seen, or too rarely, when the scorecard was made"
        )
    else:
        day = _as_of(as_of)
        text, formal = stated.text(values, day), stated.formal(values, day)
    return text, formal, fact


def in_stated_direction(card: Scorecard) -> Scorecard:
    """The scorecard with points lowered until each characteristic goes the way that is stated of it.

    A value earns no more than any better one, a missing one no more than the worst known one, unless missing
    means never: that earns the most. Of a basket it follows that who is granted one is granted every smaller
    one. A card that goes these ways stays as it is.
    """
    return replace(
        card,
        characteristics=tuple(map(_held, card.characteristics)),
        pairs=tuple(map(_held_pair, card.pairs)),
    )


def _held_pair(pair: Pair) -> Pair:
    """The pair whose points go the stated ways of both, each beside every value of the other."""
    by_first = _held_beside(pair.first, pair.points)
    by_second = _held_beside(pair.second, tuple(zip(*by_first, strict=True)))
    return replace(pair, points=tuple(zip(*by_second, strict=True)))


def _held_beside(
    characteristic: Characteristic, rows: tuple[tuple[int, ...], ...]
) -> tuple[tuple[int, ...], ...]:
    """The rows of a table, one for each bin of the characteristic, each column of them held as if alone."""
    held_columns = []
    for column in zip(*rows, strict=True):
        bins = [
            replace(bin_, points=earned) for bin_, earned in zip(characteristic.bins, column, strict=True)
        ]
        held = _held(replace(characteristic, bins=tuple(bins)))
        points = {replace(bin_, points=0): bin_.points for bin_ in held.bins}
        held_columns.append([points[replace(bin_, points=0)] for bin_ in bins])
    return tuple(zip(*held_columns, strict=True))


def _held(characteristic: Characteristic) -> Characteristic:
    stated = told(characteristic.name)
    apart = [bin_ for bin_ in characteristic.bins if bin_.exactly is not None or bin_.of_levels]
    known = sorted((bin_ for bin_ in characteristic.bins if bin_.is_interval), key=_start)
    missing = [bin_ for bin_ in characteristic.bins if bin_.is_missing]
    if stated.direction != AS_DATA_SAY:
        from_best = known if stated.direction == MORE_IS_WORSE else known[::-1]
        fewest = accumulate((bin_.points for bin_ in from_best), min)
        lowered = [replace(bin_, points=points) for bin_, points in zip(from_best, fewest, strict=True)]
        known = sorted(lowered, key=_start)
    values = [*apart, *known]
    if values and stated.is_never:
        missing = [Bin(max(bin_.points for bin_ in (*values, *missing)), is_missing=True)]
    elif values and missing:
        worst = min(bin_.points for bin_ in values)
        missing = [replace(bin_, points=min(bin_.points, worst)) for bin_ in missing]
    return replace(characteristic, bins=(*apart, *known, *missing))


def _start(bin_: Bin) -> float:
    return -math.inf if bin_.above is None else bin_.above


def shown(value: Value, digits: int = 4) -> str:
    """A number as people write it: so many significant digits, from 1,000 on at least two decimals.

    A level is shown as it is.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.{digits}g}" if abs(value) < 1000 else f"{value:,.{max(2, digits - 4)}f}"
    return "none" if value is None else f"{int(value):,}"


def money_of(value: Value) -> str:
    """An amount of the data: two decimals, no separators."""
    return f"{value or 0:.2f}"


def count_of(number: Value, thing: str) -> str:
    """A number of things: `no order`, `1 order`, `2 orders`, `2.5 orders`."""
    if not number:
        return f"no {thing}"
    return f"{shown(number)} {thing}{'' if number == 1 else 's'}"


def part_of(count: Value, whole: Value, thing: str, whose: str = "the") -> str:
    """A part of some things: `none of your orders`, `1 of your 9 orders`, `both of your orders`."""
    count, whole = int(count or 0), int(whole or 0)
    if count == 0:
        return f"none of {whose} {thing}s"
    if count > whole:
        return f"{count_of(count, thing)}"
    if count == whole:
        return (
            f"{whose} only {thing}"
            if whole == 1
            else f"{'both' if whole == 2 else f'all {whole:,}'} of {whose} {thing}s"
        )
    return f"{count:,} of {whose} {whole:,} {thing}s"


def times(count: Value) -> str:
    """How many times: `once`, `twice`, `3 times`."""
    return {1: "once", 2: "twice"}.get(int(count or 0)) or f"{shown(count)} times"


def share_of(share: Value) -> str:
    """A share in per cent, never 0 % of what is there nor 100 % of what is not all."""
    percent = 100 * float(share or 0)
    if 0 < percent < 0.1:
        return "less than 0.1%"
    if 99.9 < percent < 100:
        return "more than 99.9%"
    return "none" if percent <= 0 else f"{percent:.1f}".removesuffix(".0") + "%"


def label(name: str) -> str:
    """A characteristic in words, like `the return rate of 6 months`."""
    window = WINDOW.search(name)
    if window:
        return f"{label(name[: window.start()])} of {window[1]} {'months' if window[2] == 'm' else 'days'}"
    return LABELS.get(name) or "the " + name.replace("_", " ")


WINDOW = re.compile(r"_(\d+)([md])$")
# Characteristics whose names do not read as words.
LABELS = {
    "recency_days": "the time since the last order in days",
    "tenure_days": "the time since the first order in days",
    "days_since_return": "the time since the last return in days",
    "mean_gap_days": "the mean time between orders in days",
    "mean_lines": "the mean number of lines of an order",
    "days_since_cancellation": "the time since the last cancellation in days",
    "cancelled_lines_rate": "the rate of cancelled lines to orders",
    "credit_score": "the RFM credit score",
    "r_score": "the recency score",
    "f_score": "the frequency score",
    "m_score": "the monetary score",
}
LATELY = " of the last 6 months"
IN_LATELY = " in the last 6 months"
MONEY = frozenset(
    {
        "basket",
        "credit_limit",
        "largest_basket",
        "last_basket",
        "mean_basket",
        "monetary",
        "monetary_6m",
        "outstanding",
    }
)


def _plain(name: str, value: Value) -> int | float | str | None:
    if is_missing(value):
        return None
    return money_of(value) if name in MONEY else value


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _part_sentences(
    count: str, orders: str, did: str, were: tuple[str, str] = ("", ""), when: str = ""
) -> tuple[Sentence, Sentence]:
    """Sentences such as `2 of your 9 orders came back`; `were` comes before `did`, for one and for more."""

    def said(values: Mapping[str, Value], whose: str) -> str:
        part = part_of(values[count], values[orders], "order", whose)
        return f"{part}{when} {were[values[count] != 1]}{did}"

    return (
        lambda values, _: said(values, "your"),
        lambda values, day: f"{day}{said(values, 'the')}",
    )


def _days_sentences(column: str, thing: str) -> tuple[Sentence, Sentence]:
    """Sentences such as `as of 2011-12-09, your last order was 40 days ago`."""

    def ago(values: Mapping[str, Value]) -> str:
        return f"{count_of(values[column], 'day')} ago" if values[column] else "on that day"

    return (
        lambda values, day: f"{day}your {thing} was {ago(values)}",
        lambda values, day: f"{day}the {thing} with us was {ago(values)}",
    )


def _you(
    text: str, formal: str, *columns: str, show: Callable[[Value], str] = shown
) -> tuple[Sentence, Sentence]:
    """Sentences that name the values of some columns in turn."""

    def fill(template: str, values: Mapping[str, Value]) -> str:
        return template.format(*(show(values[column]) for column in columns))

    return (
        lambda values, _: fill(text, values),
        lambda values, day: day + fill(formal, values),
    )


def _asked(
    text: str, formal: str, column: str, show: Callable[[Value], str] = shown
) -> tuple[Sentence, Sentence]:
    """Sentences of what is asked now, which are of no day of the data."""
    of_data, _ = _you(text, "", column, show=show)
    in_letter, _ = _you(formal, "", column, show=show)
    return of_data, in_letter


def _things(thing: str) -> Callable[[Value], str]:
    return lambda number: count_of(number, thing)


def _days(number: Value) -> str:
    return count_of(number, "day") if number else "0 days"


def _state(
    name: str,
    family: Family,
    direction: Direction,
    wording: tuple[Sentence, Sentence],
    *facts: str,
    missing: tuple[str, str] | None = None,
    is_never: bool = False,
) -> tuple[str, Told]:
    unknown = f"{label(name)} is not known"
    text, formal = wording
    return name, Told(
        family, direction, facts or (name,), text, formal, missing or (unknown, unknown), is_never
    )


def _windows(family: Family, direction: Direction, name: str, count: str, did: str) -> list[tuple[str, Told]]:
    """A characteristic of all orders, and the same of the last six months."""
    missing = "how many of your orders came back is not known", "how many orders came back is not known"
    return [
        _state(
            name + window,
            family,
            direction,
            _part_sentences(f"{count}{window}", f"orders{window}", did, when=when),
            f"{count}{window}",
            f"orders{window}",
            missing=missing,
        )
        for window, when in (("", ""), ("_6m", LATELY))
    ]


def _returns() -> list[tuple[str, Told]]:
    back, worse = RETURNS, MORE_IS_WORSE
    refused = ("was ", "were ")
    return [
        *_windows(back, worse, "return_rate", "returned_orders", "came back"),
        *_windows(back, worse, "returned_orders", "returned_orders", "came back"),
        *_windows(back, worse, "cancelled_orders", "cancelled_orders", "came back in full"),
        _state(
            "returned_share",
            back,
            worse,
            _you(
                "{} of the value that you ordered came back",
                "{} of the value that was ordered with us came back",
                "returned_share",
                show=share_of,
            ),
        ),
        _state("cancellations", back, worse, _cancelled()),
        _state(
            "cancellation_rate",
            back,
            worse,
            _cancelled("orders"),
            "cancellations",
            "orders",
        ),
        _state("cancelled_lines_rate", back, worse, _cancelled_lines(), "cancelled_lines", "orders"),
        *(
            _state(
                f"days_since_{event}",
                back,
                MORE_IS_BETTER,
                _days_sentences(f"days_since_{event}", f"last {event}"),
                missing=(f"there never was a {event}", f"there never was a {event}"),
                is_never=True,
            )
            for event in ("cancellation", "return", "refusal")
        ),
        *(
            _state(
                name,
                back,
                worse,
                _part_sentences("refused_orders", "orders", "refused at the door", refused),
                "refused_orders",
                "orders",
            )
            for name in ("refused_orders", "refusal_rate")
        ),
        _state(
            "refused_orders_6m",
            back,
            worse,
            _you(
                f"you refused {{}} at the door{IN_LATELY}",
                f"refusals of {{}} at the door were recorded{IN_LATELY}",
                "refused_orders_6m",
                show=_things("order"),
            ),
        ),
    ]


def _cancelled(*orders: str) -> tuple[Sentence, Sentence]:
    """Sentences such as `you cancelled twice in 9 orders`; `orders` is their column, if they are named."""

    def said(values: Mapping[str, Value], who: str) -> str:
        if not values["cancellations"]:
            return f"{who} never cancelled"
        over = "".join(f" in {count_of(values[column], 'order')}" for column in orders)
        return f"{who} cancelled {times(values['cancellations'])}{over}"

    return (
        lambda values, _: said(values, "you"),
        lambda values, day: day + said(values, "products were"),
    )


def _cancelled_lines() -> tuple[Sentence, Sentence]:
    def lines(values: Mapping[str, Value]) -> str:
        return f"{count_of(values['cancelled_lines'], 'line')} in {count_of(values['orders'], 'order')}"

    return (
        lambda values, _: f"you cancelled {lines(values)}",
        lambda values, day: (
            f"{day}{lines(values)} {'was' if values['cancelled_lines'] == 1 else 'were'} cancelled"
        ),
    )


def _earlier_orders() -> list[tuple[str, Told]]:
    better = MORE_IS_BETTER
    counts = {
        "orders": ("you have placed {}", "{} in all"),
        "orders_6m": (f"you placed {{}}{IN_LATELY}", f"{{}}{IN_LATELY}"),
        "frequency": ("you have kept {}", "{} with something kept"),
    }
    only_one = "you have placed only one order so far", "only one order has been placed with us so far"
    amounts = {
        "monetary": "your orders came to {} after returns",
        "monetary_6m": f"your orders{LATELY} came to {{}} after returns",
        "mean_basket": "your orders came to {} on average",
        "largest_basket": "your largest order came to {}",
        "last_basket": "your last order came to {}",
    }
    groups = {
        "r_score": (
            replace(RECENCY, ground=STANDING.ground),
            "how recently you ordered",
            "how recently was ordered",
        ),
        "f_score": (
            replace(HISTORY, ground=STANDING.ground),
            "how often you ordered",
            "how often was ordered",
        ),
        "m_score": (replace(SPENDING, ground=STANDING.ground), "how much you spent", "how much was spent"),
    }
    return [
        *(
            _state(
                name,
                HISTORY,
                better,
                _you(text, f"the account shows {formal}", name, show=_things("order")),
            )
            for name, (text, formal) in counts.items()
        ),
        _state("recency_days", RECENCY, MORE_IS_WORSE, _days_sentences("recency_days", "last order")),
        _state("tenure_days", HISTORY, better, _days_sentences("tenure_days", "first order")),
        _state(
            "mean_gap_days",
            HISTORY,
            MORE_IS_WORSE,
            _you(
                "your orders are {} apart on average",
                "the orders are {} apart on average",
                "mean_gap_days",
                show=_days,
            ),
            missing=only_one,
        ),
        _state(
            "mean_lines",
            SPENDING,
            MORE_IS_WORSE,
            _you(
                "your orders have {} on average",
                "the orders have {} on average",
                "mean_lines",
                show=_things("line"),
            ),
        ),
        *(
            _state(
                name,
                SPENDING,
                better,
                _you(text, text.replace("your", "the"), name, show=money_of),
            )
            for name, text in amounts.items()
        ),
        *(
            _state(
                name,
                family,
                better,
                _you(
                    f"by {own} you are in group {{}} of 4, where 4 is the best",
                    f"by {formal} the group is {{}} of 4, where 4 is the best",
                    name,
                ),
            )
            for name, (family, own, formal) in groups.items()
        ),
        _state(
            "credit_score",
            STANDING,
            better,
            _you(
                "by how recently, how often and for how much you ordered you have {} of 12 points",
                "the score of how recently, how often and for how much was ordered is {} of 12 points",
                "credit_score",
            ),
        ),
    ]


def _payments() -> list[tuple[str, Told]]:
    better, worse = MORE_IS_BETTER, MORE_IS_WORSE
    late = {
        "worst_days_late": (
            "your longest delay with an instalment was {}",
            "the longest delay with an instalment was {}",
        ),
        "mean_days_late": (
            "your instalments were {} late on average",
            "the instalments were {} late on average",
        ),
        "last_days_late": ("your last instalment was {} late", "the last instalment was {} late"),
    }
    ways: dict[str, tuple[Direction, str]] = {
        "e_payment": (better, "paid electronically"),
        "auto_billed": (better, "billed automatically"),
        "on_delivery": (AS_DATA_SAY, "paid on delivery"),
        "on_account": (AS_DATA_SAY, "paid on account"),
    }
    no_instalments = "no instalment of yours was due so far", "no instalment was due so far"
    shares = {
        "on_time_share": (
            better,
            "you paid {} of your instalments on time",
            "{} of the instalments were paid on time",
        ),
        "paid_share": (better, "you paid {} of what was due", "{} of what was due was paid"),
    }
    return [
        _state(
            "instalments",
            PAYMENTS,
            better,
            _you(
                "you have had {} so far",
                "the account shows {} so far",
                "instalments",
                show=_things("instalment"),
            ),
        ),
        _state(
            "instalments_due",
            PAYMENTS,
            better,
            _you(
                "you have had {} due so far",
                "{} fell due so far",
                "instalments_due",
                show=_things("instalment"),
            ),
        ),
        _state(
            "overdue_instalments",
            PAYMENTS,
            worse,
            _you(
                "you have {} overdue",
                "the account shows {} overdue",
                "overdue_instalments",
                show=_things("instalment"),
            ),
        ),
        *(
            _state(name, PAYMENTS, worse, _you(text, formal, name, show=_days), missing=no_instalments)
            for name, (text, formal) in late.items()
        ),
        *(
            _state(name, PAYMENTS, direction, _you(text, formal, name, show=share_of), missing=no_instalments)
            for name, (direction, text, formal) in shares.items()
        ),
        _state(
            "utilisation",
            DEBT,
            worse,
            _you(
                "you use {} of your credit limit",
                "{} of the credit limit is used",
                "utilisation",
                show=share_of,
            ),
        ),
        _state(
            "credit_limit",
            DEBT,
            better,
            _you("your credit limit is {}", "the credit limit is {}", "credit_limit", show=money_of),
        ),
        _state(
            "outstanding",
            DEBT,
            worse,
            _you("you still owe {}", "{} is still owed", "outstanding", show=money_of),
        ),
        *(
            _state(
                f"orders_{kind}_6m",
                WAYS_TO_PAY,
                direction,
                _you(
                    f"you had {{}} {how}{IN_LATELY}",
                    f"the account shows {{}} {how}{IN_LATELY}",
                    f"orders_{kind}_6m",
                    show=_things("order"),
                ),
            )
            for kind, (direction, how) in ways.items()
        ),
    ]


def _of_order() -> list[tuple[str, Told]]:
    return [
        _state(
            "basket",
            BASKET_FAMILY,
            MORE_IS_WORSE,
            _asked("the basket is {}", "the amount of the order is {}", "basket", show=money_of),
        ),
        _state(
            "weight",
            ORDER,
            AS_DATA_SAY,
            _asked("the order weighs {}", "the weight of the order is {}", "weight"),
            missing=("the weight of the order was not said", "the weight of the order was not stated"),
        ),
    ]


def _of_word(name: str, column: str, word: str) -> Told:
    thing = column.replace("_", " ")

    def text(values: Mapping[str, Value], _: str) -> str:
        return f"the {thing} of the order is {'' if values[name] else 'not '}{word}"

    missing = f"the {thing} of the order was not said"
    return Told(ORDER, AS_DATA_SAY, (name,), text, text, (missing, missing))


_TOLD = dict([*_returns(), *_earlier_orders(), *_payments(), *_of_order()])
