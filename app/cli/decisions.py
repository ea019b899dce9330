"""The commands `decide`, `commit` and `release`: ask, let an order take the answer, give it back."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from app.cli.shown import AsJson, console, reports_errors, say, show
from goodstanding.core.errors import WrongUse
from goodstanding.core.settings import settings

Method = Literal["cod", "emi"]
Because = Literal["cancelled", "expired", "typed_wrongly"]
ReceiptId = Annotated[str, typer.Argument(help="The receipt_id of an answer.")]


@reports_errors
def decide(
    basket: Annotated[str, typer.Option("--basket", help="Money of the order, like 120.00.")],
    method: Annotated[Method, typer.Option("--method", help="On delivery (cod) or by instalments (emi).")],
    customer_id: Annotated[
        str | None, typer.Argument(help="The shop's own customer id, like 17850; for a guest, none.")
    ] = None,
    months: Annotated[
        list[int] | None,
        typer.Option(
            "--months", min=1, max=120, help="A plan of the policy, again for more; default: its shortest."
        ),
    ] = None,
    said: Annotated[
        list[str] | None,
        typer.Option("--order", help="channel=web, payment_type=card or weight=2.5; again for more."),
    ] = None,
    guest: Annotated[
        str | None, typer.Option("--guest", help="A buyer without an id: their e-mail, phone or device.")
    ] = None,
    basket_id: Annotated[
        str | None,
        typer.Option("--basket-id", help="Which basket it is: only its newest quote can be taken."),
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option("--idempotency-key", help="Of this question: asked again, it gets one answer."),
    ] = None,
    order_id: Annotated[
        str | None, typer.Option("--commit", help="The shop's id of the order that takes what is granted.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """May this customer pay for this basket on delivery, or by instalments? Answers as the API does."""
    from decimal import Decimal

    from app.api.answers import Answers, Asked, basket_of, order_of
    from app.cli.decision_tables import print_commitment, print_decision
    from goodstanding.decisions.decide import Question

    if months and method != "emi":
        raise WrongUse("--months is for --method emi")
    if (customer_id is None) == (guest is None):
        raise WrongUse("name a customer by their id, or a buyer without one by --guest")
    named = (("--guest", guest), ("--basket-id", basket_id), ("--idempotency-key", idempotency_key))
    for name, text in (*named, *(("--order", text) for text in said or [])):
        if text is not None and not 1 <= len(text) <= 200:
            raise WrongUse(f"{name} has {len(text)} characters; give it 1 to 200, or leave it out")
    first, *others = dict.fromkeys(months) if months else [None]
    question = Question(method, basket_of(basket), first, tuple(filter(None, others)))
    answers = Answers(settings())
    asked = Asked(customer_id, question, order_of(said or []), guest, basket_id, idempotency_key)
    (answer,) = answers.decide([asked])
    if order_id is None:
        show(answer, as_json, print_decision)
        return
    taken = None
    if Decimal(answer["granted"]):
        taken = answers.commit(answer["receipt_id"], order_id, customer_id=customer_id)
    show({**answer, "commitment": taken}, as_json, print_decision)
    if not as_json:
        if taken:
            print_commitment(taken, console)
        else:
            say(console, "nothing is granted, so the order takes nothing")


@reports_errors
def commit(
    receipt_id: ReceiptId,
    order_id: Annotated[str, typer.Argument(help="The shop's id of the order, as its files write it.")],
    months: Annotated[
        int | None,
        typer.Option("--months", min=1, max=120, help="Of the plan, where the question named several."),
    ] = None,
    customer_id: Annotated[
        str | None,
        typer.Option("--customer", help="The customer's id, where the order's id holds it in another case."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let an order take what an answer grants: from then on it counts against the caps, until it ends."""
    from app.api.answers import Answers
    from app.cli.decision_tables import print_commitment

    show(Answers(settings()).commit(receipt_id, order_id, months, customer_id), as_json, print_commitment)


@reports_errors
def release(
    receipt_id: ReceiptId,
    because: Annotated[
        Because, typer.Option("--because", help="Why nothing is open any more.")
    ] = "cancelled",
    as_json: AsJson = False,
) -> None:
    """Give back what an order took of the caps: it was cancelled, is too old, or was typed wrongly."""
    from app.api.answers import Answers
    from app.cli.decision_tables import print_commitment

    show(Answers(settings()).release(receipt_id, because), as_json, print_commitment)
