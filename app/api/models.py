"""Pydantic models of the requests and answers of the HTTP API, from which its OpenAPI page is made.

Requests are checked by these models. Answers are built by `goodstanding.decisions` and only described here; a
test checks that both agree.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.api.commitments import Because
from goodstanding.identity.normal_form import LONGEST_ID

MOST_QUESTIONS = 100
MONEY = r"^-?[0-9]+\.[0-9]{2}$"
# An amount above 0 like 120.00 or 120, of 999999999.99 at most.
BASKET = r"^(([1-9][0-9]{0,8})(\.[0-9]{2})?|0\.([1-9][0-9]|0[1-9]))$"
# A weight like 2.5, with 4 decimals at most.
WEIGHT = r"^[0-9]{1,9}(\.[0-9]{1,4})?$"
EXAMPLE_ANSWER: dict[str, Any] = {
    "decision": "yes",
    "limit": "400.00",
    "score": 640,
    "probability": 0.0953,
    "threshold": 0.3333,
    "summary": (
        "The chance that the order is refused or returned is 9.5%, within the 33.3% up to which the margin "
        "covers the loss."
    ),
    "reasons": [
        {
            "code": "standing",
            "text": "By how recently, how often and for how much you ordered you have 6 of 12 points.",
            "formal": (
                "The score of how recently, how often and for how much was ordered is 6 of 12 points."
            ),
            "fact": {"credit_score": 6},
            "points": 60,
        }
    ],
    "points": [
        {
            "characteristic": "credit_score",
            "value": 6,
            "points": 40,
            "best_points": 100,
            "best": {"above": 10.0, "up_to": None, "is_missing": False},
        }
    ],
    "next_step": None,
    "pay_now": "0.00",
    "granted": "120.00",
    "open_after": "220.00",
    "plan": None,
    "plans": [],
    "nearest_change": None,
    "class": "Average",
    "class_move": None,
    "benefits": "free delivery above 50",
    "situation": None,
    "notes": [],
    "policy_version": "1",
    "model_id": "hand-set-cod-1",
    "as_of": "2011-12-09",
    "age_days": 0,
    "simulated": False,
    "quote_until": "2026-01-31T10:00:00.000000Z",
    "receipt_id": "5d3f0c7f1a5b4c1e9a52f3b7a6c8d9e0",
    "at": "2026-01-31T09:30:00.000000Z",
}
Class = Literal["Best", "Good", "Average", "Worst"]
Money = Annotated[str, Field(pattern=MONEY, examples=["120.00"])]
CUSTOMER_ID = (
    f"The shop's own id as its files write it, of at most {LONGEST_ID} characters of any kind; it is brought "
    "to its normal form as in the files. An id that the mapping gives to no customer is refused (422)."
)
CustomerId = Annotated[str, Field(examples=["17850"], description=CUSTOMER_ID)]


def _whole(value: Any) -> Any:
    """JSON has only one kind of number, so 6.0 is the whole number 6."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


Word = Annotated[str, Field(min_length=1, max_length=200)]


Months = Annotated[int, Field(ge=1, le=120), BeforeValidator(_whole)]


class _Question(_Strict):
    customer_id: CustomerId | None = Field(description=f"{CUSTOMER_ID} null: a buyer without an id.")
    basket: Annotated[str, Field(pattern=BASKET)] = Field(
        description="The amount of the order in the shop's currency.", examples=["120.00"]
    )
    payment_type: Word | None = Field(
        default=None, description="How it is to be paid, in the shop's words; for scorecards that ask for it."
    )
    channel: Word | None = Field(
        default=None, description="Where it comes in, in the shop's words, likewise.", examples=["web"]
    )
    weight: Annotated[str, Field(pattern=WEIGHT)] | None = Field(
        default=None, description="Its weight in the shop's unit, likewise.", examples=["2.5"]
    )
    guest: Word | None = Field(
        default=None,
        description="An e-mail address, a phone or a device by which a buyer without an id is known again. "
        "Only a hash of it is kept.",
        examples=["ann@example.org"],
    )
    basket_id: Word | None = Field(
        default=None,
        description="Which basket it is: its newest quote takes the place of those before.",
        examples=["cart-81"],
    )
    idempotency_key: Word | None = Field(
        default=None,
        description="Of this one question: while its quote holds, it gets the same answer again.",
        examples=["8f14e45f"],
    )


class OnDelivery(_Question):
    """May this basket be paid on delivery?"""

    method: Literal["cod"]


class ByInstalments(_Question):
    """May this basket be paid by instalments?"""

    method: Literal["emi"]
    months: Months | Annotated[list[Months], Field(min_length=1, max_length=12)] | None = Field(
        default=None,
        description="A plan of the policy, or several to compare; default: the shortest.",
        examples=[6],
    )


Asked = Annotated[OnDelivery | ByInstalments, Field(discriminator="method")]


class Batch(_Strict):
    """Several questions at once; none of them counts for another."""

    questions: list[Asked] = Field(min_length=1, max_length=MOST_QUESTIONS)


class Reason(BaseModel):
    """One reason; no two of an answer have the same code."""

    code: str = Field(description="Of the family, such as returns, or of what caps the sum.")
    text: str = Field(description="For a clerk to say.")
    formal: str = Field(description="For a letter.")
    fact: dict[str, int | float | str | None] = Field(
        description="The plain values that both sentences state, as counted."
    )
    points: int | None = Field(
        description="Lost against the best value; null for a reason that is none of the score."
    )


class Best(BaseModel):
    """The values of the best bin: above `above` and up to `up_to`, or the missing ones, or those named."""

    above: float | None
    up_to: float | None
    is_missing: bool
    exactly: float | None = Field(None, description="The one number that the bin holds; else left out.")
    levels: list[str] | None = Field(None, description="The levels that the bin holds; else left out.")


class Together(BaseModel):
    """The second characteristic of two that earn their points together."""

    characteristic: str
    value: float | str | None
    best: Best


class Points(BaseModel):
    """The points of a characteristic, and those of its best bin."""

    characteristic: str
    value: float | str | None
    points: int
    best_points: int
    best: Best
    together_with: Together | None = Field(
        None, description="Of two that earn their points together, the other; else left out."
    )


class Payment(BaseModel):
    """One month of a plan; `balance` is still owed after it."""

    month: int
    due: date
    instalment: Money
    principal: Money
    interest: Money
    balance: Money


class Plan(BaseModel):
    """The instalments of what is granted; they sum to `total` to the cent, of which `cost` is interest.

    Rates are shares (0.12 is 12 % a year): `yearly_rate` is nominal, `apr_eu` the annual percentage rate of
    charge of Directive 2008/48/EC, `apr_us` that of Regulation Z (12 CFR 1026, Appendix J).
    """

    months: int
    yearly_rate: str
    apr_eu: str
    apr_us: str
    amount: Money
    instalment: Money
    total: Money
    cost: Money
    schedule: list[Payment]


class Change(BaseModel):
    """What the customer can change to get a yes: `pay_now`, the `basket`, or the `months` of the plan."""

    characteristic: Literal["pay_now", "basket", "months"]
    value: str | int
    sentence: str


class ClassMove(BaseModel):
    """Why the class differs from that at the end of last month."""

    model_config = ConfigDict(populate_by_name=True)
    from_: Class = Field(alias="from")
    to: Class
    since: str
    cause: Literal["own_behaviour", "borders", "both"]
    sentence: str


class Decision(BaseModel):
    """An answer with its reasons and its receipt."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_ANSWER]}, populate_by_name=True)
    decision: Literal["yes", "no", "partial"]
    limit: Money = Field(description="The largest basket that is answered yes.")
    score: int | None = Field(description="The sum of the points; null where nothing could be scored.")
    probability: float | None = Field(description="Of a bad outcome, over the months of the plan.")
    threshold: float = Field(description="The probability up to which the margin covers the loss.")
    summary: str
    reasons: list[Reason] = Field(
        max_length=4, description="What limits the sum, then what costs points, one of each family."
    )
    points: list[Points]
    next_step: Literal["ask for part payment", "send to a person"] | None
    pay_now: Money = Field(description="What of the basket is to be paid at once.")
    granted: Money = Field(description="What of the basket may be paid by the method.")
    open_after: Money = Field(
        description="What the customer would have open by the method if an order took what is granted."
    )
    plan: Plan | None = Field(description="The first plan that was asked for.")
    plans: list[Plan] = Field(description="All plans that were asked for.")
    nearest_change: Change | None
    class_: Class | None = Field(alias="class")
    class_move: ClassMove | None
    benefits: str | None
    situation: (
        Literal["unknown_customer", "first_time_buyer", "stale_data", "no_publication", "switched_off"] | None
    )
    notes: list[str]
    policy_version: str
    model_id: str | None
    as_of: str | None
    age_days: int | None
    simulated: bool
    quote_until: str | None = Field(
        description="Until then an order may take what is granted; null where nothing is."
    )
    receipt_id: str
    at: str


class Taking(_Strict):
    """The order that takes what a receipt grants."""

    order_id: Annotated[str, Field(min_length=1, max_length=LONGEST_ID, examples=["581587"])] = Field(
        description="The shop's own id of the order, as its files write it; one that the mapping gives to "
        "no order is refused (422)."
    )
    customer_id: CustomerId | None = Field(
        default=None,
        description="Of the question's customer: an order's id that holds it is kept with the pseudonym in "
        "its place, and by this it is found in any mix of cases. Another customer's is refused (409).",
    )
    months: Months | None = Field(
        default=None, description="Of the plan, where the question named several; default: the first."
    )


class Releasing(_Strict):
    """Why an order gives back what it took."""

    because: Because = "cancelled"


class Commitment(BaseModel):
    """What an order took of the caps."""

    receipt_id: str
    order_id: str
    method: Literal["cod", "emi"]
    granted: Money
    months: int | None
    day: str = Field(description="Of the shop, on which it was committed.")
    until: str = Field(
        description="The last day on which something of it is open, unless a release, or what the shop's "
        "files tell of the order, ends it before."
    )
    at: str
    state: Literal["open", "released"]
    released_because: Because | None


class Decisions(BaseModel):
    """The answers to a batch, in the order of its questions."""

    answers: list[Decision]


class Profile(BaseModel):
    """What is published of a customer: the columns of `marts.customer_profiles`, and the age of the data."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)
    customer_id: str = Field(description="The pseudonym.")
    as_of: str
    class_: Class = Field(alias="class")
    benefits: str
    age_days: int
    simulated: bool


class PolicyInEffect(BaseModel):
    """The version in effect now, with its rows, and the methods by which nothing is granted at present."""

    version: str
    effective_from: str
    effective_to: str | None
    hash: str
    rules: list[dict[str, Any]]
    switched_off: list[Literal["cod", "emi"]]


class Health(BaseModel):
    """The process answers."""

    status: Literal["alive"]


class Readiness(BaseModel):
    """Whether the data are young enough to rest on; if not, answers are the policy's safe ones."""

    status: Literal["ready", "no_publication", "stale_data"]
    as_of: str | None
    published_at: str | None
    age_days: int | None
    problem: str | None = Field(
        description="Why the newest publication, or the log of policy changes, cannot be used; null where "
        "both are."
    )


class Problem(BaseModel):
    """What is wrong and what to do (RFC 9457)."""

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str
