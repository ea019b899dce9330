"""The HTTP API of decisions and profiles: `goodstanding serve`.

It reads the published warehouse alone and takes up a new publication by itself. No customer id goes into a
log, an error or a receipt: requests are not logged, and refusals name the field and not its value.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import APIKeyHeader
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.answers import Answers, Asked
from app.api.keys import Keys, Rates
from app.api.models import Asked as AskedBody
from app.api.models import (
    Batch,
    ByInstalments,
    CustomerId,
    Decision,
    Decisions,
    Health,
    OnDelivery,
    PolicyInEffect,
    Problem,
    Profile,
    Readiness,
)
from app.api.published import Watch
from goodstanding.core.errors import GoodstandingError
from goodstanding.core.settings import Settings, settings
from goodstanding.decisions.decide import Question

log = logging.getLogger(__name__)
# a batch of a hundred questions has some 15 kB
MOST_BYTES = 100_000
DAY_SECONDS = 24 * 60 * 60
PROBLEM = "application/problem+json"
HEADER = APIKeyHeader(
    name="X-API-Key", auto_error=False, description="Made by `goodstanding key new --scope ...`."
)


def create(current: Settings | None = None) -> FastAPI:
    """The application over a home; without settings, that of this process."""
    current = current or settings()
    watch = Watch(current.publication)
    answers, keys, rates = Answers(current, watch), Keys(current.api), Rates(current.api)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watch.load()
        ended = threading.Event()
        threading.Thread(target=_prune_daily, args=(answers, ended), daemon=True).start()
        yield
        ended.set()

    api = FastAPI(
        title="goodstanding",
        version="1",
        description="May a customer pay by instalments, or on delivery, up to what, and why?",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    _tell_problems(api)
    api.add_middleware(_Limit)

    def scope(name: str) -> Any:
        return Depends(_may(name, keys, rates))

    @api.get(
        "/v1/customers/{customer_id}",
        dependencies=[scope("profiles")],
        responses=_documented(Profile, 404, 422, 503),
        response_class=Response,
        summary="What is published of a customer",
    )
    def profile(
        customer_id: Annotated[CustomerId, Path(description="The shop's own id, as its mapping casts it.")],
    ) -> Response:
        found = answers.profile(customer_id)
        if found is None:
            raise HTTPException(404, "no customer with this id is published; give it as the mapping casts it")
        return _json(found)

    @api.post(
        "/v1/decisions",
        dependencies=[scope("decisions")],
        responses=_documented(Decision, 400, 413, 422, 503),
        response_class=Response,
        summary="May this customer pay this basket so?",
    )
    def decision(question: AskedBody) -> Response:
        return _json(answers.decide([_asked(question)])[0])

    @api.post(
        "/v1/decisions/batch",
        dependencies=[scope("decisions")],
        responses=_documented(Decisions, 400, 413, 422, 503),
        response_class=Response,
        summary="Several questions at once",
    )
    def batch(questions: Batch) -> Response:
        return _json({"answers": answers.decide([_asked(each) for each in questions.questions])})

    @api.get(
        "/v1/policy",
        dependencies=[scope("policy")],
        responses=_documented(PolicyInEffect, 503),
        response_class=Response,
        summary="The policy in effect today",
    )
    def policy() -> Response:
        found = answers.policy()
        if found is None:
            raise HTTPException(503, "no policy is in effect today")
        return _json(
            {
                "version": found.version,
                "effective_from": found.effective_from,
                "effective_to": found.effective_to,
                "hash": found.content_hash,
                "rules": found.rows,
            }
        )

    @api.get("/health", responses={200: {"model": Health}}, response_class=Response, summary="Is it alive?")
    def health() -> Response:
        return _json({"status": "alive"})

    @api.get(
        "/ready",
        responses={200: {"model": Readiness}, 503: {"model": Readiness}},
        response_class=Response,
        summary="Is it ready, and how old are the data?",
    )
    def ready() -> Response:
        published = watch.current
        if published is None:
            found: dict[str, Any] = {
                "status": "no_publication",
                "as_of": None,
                "published_at": None,
                "age_days": None,
            }
        else:
            age, in_force = answers.age_days(published), answers.policy()
            oldest = max((rules.stale_after_days for rules in in_force.rules.values()) if in_force else [0])
            found = {
                "status": "ready" if age <= oldest else "stale_data",
                "as_of": published.as_of,
                "published_at": published.published_at,
                "age_days": age,
            }
        return _json({**found, "problem": watch.problem}, 200 if found["status"] == "ready" else 503)

    return api


def _prune_daily(answers: Answers, ended: threading.Event) -> None:
    """Drop old receipts at the start and then once a day; of several workers one does it."""
    while True:
        try:
            answers.receipts.prune(answers.today(), ended.wait)
        except (sqlite3.Error, OSError) as error:
            log.error("old receipts are not dropped today: %s", error)
        if ended.wait(DAY_SECONDS):
            return


class _Limit:
    """Refuses a body that is longer than any question, before it is read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MOST_BYTES:
                raise HTTPException(413, f"a body may have {MOST_BYTES:,} bytes")
            return message

        await self._app(scope, limited, send)


def _may(scope: str, keys: Keys, rates: Rates) -> Callable[..., Awaitable[None]]:
    """A check of the key before anything else of a request is looked at."""

    async def check(text: Annotated[str | None, Security(HEADER)]) -> None:
        key = keys.find(text)
        if key is None:
            reason = "give a key in the header X-API-Key" if text is None else "this key is not valid"
            raise HTTPException(401, reason, {"WWW-Authenticate": "ApiKey"})
        if scope not in key.scopes:
            raise HTTPException(403, f"this key may not ask for {scope}: it has {', '.join(key.scopes)}")
        if not rates.allows(key):
            raise HTTPException(
                429, f"this key may make {key.per_second} requests a second", {"Retry-After": "1"}
            )

    return check


def _asked(question: OnDelivery | ByInstalments) -> Asked:
    months = question.months if isinstance(question, ByInstalments) else None
    return Asked(question.customer_id, Question(question.method, Decimal(question.basket), months))


def _documented(model: Any, *statuses: int) -> dict[int | str, dict[str, Any]]:
    problems: dict[int | str, dict[str, Any]] = {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted({401, 403, 429, *statuses})
    }
    return {200: {"model": model}, **problems}


def _tell_problems(api: FastAPI) -> None:
    """Every error as problem+json, and the OpenAPI with what that looks like."""

    @api.exception_handler(HTTPException)
    async def of_http(_: Request, error: HTTPException) -> Response:
        return _problem(error.status_code, str(error.detail), error.headers)

    @api.exception_handler(RequestValidationError)
    async def of_validation(_: Request, error: RequestValidationError) -> Response:
        # neither the value nor what pydantic quotes of it: it may be a customer's
        where = "; ".join(
            f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()[:5]
        )
        return _problem(422, where)

    @api.exception_handler(GoodstandingError)
    async def of_ours(_: Request, error: GoodstandingError) -> Response:
        return _problem(503, str(error))

    @api.exception_handler(Exception)
    async def of_faults(_: Request, error: Exception) -> Response:
        return _problem(500, "a fault of goodstanding; its log has more")

    plain = api.openapi

    def openapi() -> dict[str, Any]:
        schema = plain()
        schema["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        for name in ("HTTPValidationError", "ValidationError"):
            schema["components"]["schemas"].pop(name, None)
        return schema

    api.openapi = openapi  # type: ignore[method-assign]


def _problem(status: int, detail: str, headers: Any = None) -> Response:
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return Response(json.dumps(content), status, dict(headers or {}), PROBLEM)


def _json(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content, default=_plain), status, media_type="application/json")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds") + "Z"
    return value.isoformat() if isinstance(value, date) else str(value)


def serve(current: Settings, host: str, port: int, workers: int) -> None:
    """Run the API until it is ended. Each worker is a process that takes up publications by itself."""
    import uvicorn

    uvicorn.run(
        "app.api.server:create",
        factory=True,
        host=host,
        port=port,
        workers=workers if workers > 1 else None,
        # a path may hold a customer id
        access_log=False,
        log_level="warning",
        server_header=False,
    )
