"""The routes of the HTTP API: profiles, decisions, the policy, and whether the API is alive and ready."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Depends, Path, Query, Request, Response, Security
from fastapi.security import APIKeyHeader
from starlette.exceptions import HTTPException

from app.api.answers import Answers, Asked, basket_of
from app.api.keys import KEY_HEADER
from app.api.letters import as_pdf, letter_of
from app.api.models import Asked as AskedBody
from app.api.models import (
    Batch,
    ByInstalments,
    Commitment,
    CustomerId,
    Decision,
    Decisions,
    Health,
    OnDelivery,
    PolicyInEffect,
    Profile,
    Readiness,
    Releasing,
    Taking,
)
from app.api.problems import documented
from app.api.published import Watch
from goodstanding.core.errors import DataProblem
from goodstanding.decisions.decide import Question
from goodstanding.decisions.order import Order

UNUSABLE = "the newest publication cannot be used; the log of the server says why"
UNUSABLE_LOG = "the log of policy changes cannot be used; `goodstanding policy log` says why"
# For the OpenAPI page: the key is looked at by `problems.Door`.
HEADER = APIKeyHeader(
    name=KEY_HEADER, auto_error=False, description="Made by `goodstanding key new --scope ...`."
)


def profiles(answers: Answers) -> APIRouter:
    """What is published of a customer, for keys with the scope `profiles`."""
    router = APIRouter(dependencies=[Security(HEADER), Depends(_is_unicode)])

    def profile(customer_id: str) -> Response:
        profile = answers.profile(customer_id)
        if profile is None:
            raise HTTPException(404, "no customer with this id is published")
        return _json(profile)

    @router.get(
        "/v1/customers",
        responses=documented(Profile, 404, 422, 503),
        response_class=Response,
        summary="What is published of a customer, of any id",
    )
    def profile_of_query(customer_id: Annotated[CustomerId, Query()]) -> Response:
        return profile(customer_id)

    @router.get(
        # an id may hold a slash
        "/v1/customers/{customer_id:path}",
        responses=documented(Profile, 404, 422, 503),
        response_class=Response,
        summary="What is published of a customer",
        description="An id of . or .. cannot stand in a path: ask for it by `/v1/customers?customer_id=`.",
    )
    def profile_of_path(customer_id: Annotated[CustomerId, Path()]) -> Response:
        return profile(customer_id)

    return router


def decisions(answers: Answers) -> APIRouter:
    """Answers to one question or several, for keys with the scope `decisions`."""
    router = APIRouter(dependencies=[Security(HEADER)])

    @router.post(
        "/v1/decisions",
        responses=documented(Decision, 400, 409, 413, 422, 503),
        response_class=Response,
        summary="May this customer pay for this basket on delivery, or by instalments?",
    )
    def decision(question: AskedBody) -> Response:
        (answer,) = answers.decide([_asked(question)])
        return _json(answer)

    @router.post(
        "/v1/decisions/batch",
        responses=documented(Decisions, 400, 409, 413, 422, 503),
        response_class=Response,
        summary="Several questions at once",
    )
    def batch(questions: Batch) -> Response:
        return _json({"answers": answers.decide([_asked(question) for question in questions.questions])})

    @router.post(
        "/v1/decisions/{receipt_id}/commit",
        responses=documented(Commitment, 400, 404, 409, 413, 422, 503),
        response_class=Response,
        summary="Let an order take what an answer grants",
    )
    def commit(receipt_id: Annotated[str, Path()], taking: Taking) -> Response:
        return _json(answers.commit(receipt_id, taking.order_id, taking.months, taking.customer_id))

    @router.post(
        "/v1/decisions/{receipt_id}/release",
        responses=documented(Commitment, 400, 404, 413, 422, 503),
        response_class=Response,
        summary="Give back what an order took",
    )
    def release(receipt_id: Annotated[str, Path()], releasing: Releasing | None = None) -> Response:
        return _json(answers.release(receipt_id, (releasing or Releasing()).because))

    return router


def letters(answers: Answers) -> APIRouter:
    """Letters about answers that were given, for keys with the scope `decisions`."""
    router = APIRouter(dependencies=[Security(HEADER)])
    forms = {
        "text/plain": {"schema": {"type": "string"}},
        "application/pdf": {"schema": {"type": "string", "format": "binary"}},
    }

    @router.get(
        "/v1/decisions/{receipt_id}/letter",
        responses={
            **documented(Decision, 404, 422, 503),
            200: {"description": "The letter.", "content": forms},
        },
        response_class=Response,
        summary="What a customer is told of an answer, as text or as PDF",
    )
    def letter(
        receipt_id: Annotated[str, Path(pattern="^[0-9a-f]{32}$")],
        form: Annotated[Literal["text", "pdf"], Query()] = "text",
    ) -> Response:
        try:
            content = letter_of(answers.receipts, receipt_id, answers.sender)
        except DataProblem as error:
            raise HTTPException(404, str(error)) from None
        if form == "pdf":
            return Response(as_pdf(content, answers.sender.font), media_type="application/pdf")
        return Response(content.text(), media_type="text/plain; charset=utf-8")

    return router


def policies(answers: Answers) -> APIRouter:
    """The policy in effect, for keys with the scope `policy`."""
    router = APIRouter(dependencies=[Security(HEADER)])

    @router.get(
        "/v1/policy",
        responses=documented(PolicyInEffect, 503),
        response_class=Response,
        summary="The policy in effect now",
    )
    def policy() -> Response:
        in_effect, state = answers.policy(), answers.book.current
        if in_effect is None:
            raise HTTPException(503, "no policy is in effect today")
        return _json(
            {
                "version": in_effect.version,
                "effective_from": in_effect.effective_from,
                "effective_to": in_effect.effective_to,
                "hash": in_effect.content_hash,
                "rules": in_effect.rows,
                "switched_off": sorted(state.switched_off),
            }
        )

    return router


def health(answers: Answers, watch: Watch) -> APIRouter:
    """Whether the API is alive, and whether its data are young enough; without a key."""
    router = APIRouter()

    @router.get(
        "/health", responses={200: {"model": Health}}, response_class=Response, summary="Is it alive?"
    )
    def health() -> Response:
        return _json({"status": "alive"})

    @router.get(
        "/ready",
        responses={200: {"model": Readiness}, 503: {"model": Readiness}},
        response_class=Response,
        summary="Is it ready to answer, and how old are the data?",
    )
    def ready() -> Response:
        published = watch.current
        if published is None:
            status, age_days = "no_publication", None
        else:
            age_days, policy = answers.age_days(published), None
            # a log of changes that cannot be read is told below
            with suppress(DataProblem):
                policy = answers.policy()
            oldest = max((rules.stale_after_days for rules in policy.rules.values()) if policy else [0])
            status = "ready" if age_days <= oldest else "stale_data"
        content = {
            "status": status,
            "as_of": published and published.as_of,
            "published_at": published and published.published_at,
            "age_days": age_days,
            # anybody may ask this, so no path is named
            "problem": (watch.problem and UNUSABLE) or (answers.book.look() and UNUSABLE_LOG),
        }
        return _json(content, 200 if status == "ready" else 503)

    return router


def _is_unicode(request: Request) -> None:
    """Refuse an address that is no UTF-8: decoded otherwise, several ids would become one."""
    address = request.scope.get("raw_path", b"") + b"?" + request.scope["query_string"]
    try:
        unquote_to_bytes(address).decode()
    except UnicodeDecodeError:
        raise HTTPException(422, "customer_id: write it in UTF-8, percent-encoded") from None


def _asked(question: OnDelivery | ByInstalments) -> Asked:
    months = question.months if isinstance(question, ByInstalments) else None
    first, *others = dict.fromkeys(months) if isinstance(months, list) else [months]
    order = Order(
        question.payment_type, question.channel, None if question.weight is None else Decimal(question.weight)
    )
    return Asked(
        question.customer_id,
        Question(question.method, basket_of(question.basket), first, tuple(filter(None, others))),
        order,
        *(question.guest, question.basket_id, question.idempotency_key),
    )


def _json(content: Mapping[str, object], status: int = 200) -> Response:
    return Response(json.dumps(content, default=_plain), status, media_type="application/json")


def _plain(value: object) -> float | str:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds") + "Z"
    return value.isoformat() if isinstance(value, date) else str(value)
