"""Answers every error of the HTTP API as problem+json (RFC 9457), without repeating what the client sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.commitments import Conflict, NoOrderId, NoReceipt
from app.api.keys import KEY_HEADER, Keys
from app.api.models import Problem
from goodstanding.core.errors import GoodstandingError
from goodstanding.identity.normal_form import NoCustomerId

PROBLEM = "application/problem+json"
# A batch of a hundred questions has about 15 kB, and with the longest ids, written as \\u....\\u...., 320 kB.
MOST_BYTES = 400_000
TOO_LONG = f"a body may have {MOST_BYTES:,} bytes"
# The form in which FastAPI takes a route's `responses`: by status, parts of an OpenAPI document.
Responses = dict[int | str, dict[str, Any]]


def documented(model: type[BaseModel], *statuses: int) -> Responses:
    """The `responses` of a route for its OpenAPI: the model of its answer, and the problems it may give.

    The statuses that a check of the key gives (401, 403, 429) are added to those named.
    """
    problems: Responses = {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted({401, 403, 429, *statuses})
    }
    return {200: {"model": model}, **problems}


def answer_problems(api: FastAPI) -> None:
    """Answer every error of an application as problem+json, and describe that in its OpenAPI."""

    @api.exception_handler(HTTPException)
    async def of_http(_: Request, error: HTTPException) -> Response:
        return _problem(error.status_code, str(error.detail), error.headers)

    @api.exception_handler(RequestValidationError)
    async def of_validation(_: Request, error: RequestValidationError) -> Response:
        # neither the value nor what pydantic quotes of it: it may be a customer's id
        where = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()[:5]
        )
        return _problem(422, where)

    @api.exception_handler(NoCustomerId)
    @api.exception_handler(NoOrderId)
    async def of_ids(_: Request, error: NoCustomerId | NoOrderId) -> Response:
        return _problem(422, str(error))

    @api.exception_handler(NoReceipt)
    async def of_receipts(_: Request, error: NoReceipt) -> Response:
        return _problem(404, str(error))

    @api.exception_handler(Conflict)
    async def of_conflicts(_: Request, error: Conflict) -> Response:
        return _problem(409, str(error))

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


class Door:
    """Middleware that refuses a request before anything of its body is read: without a valid key, or longer
    than any question. FastAPI reads the body before it asks for the key.
    """

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            refused = None
            if scope["path"].startswith("/v1/") and (reason := self._keys.refusal(headers.get(KEY_HEADER))):
                refused = _problem(401, reason, {"WWW-Authenticate": "ApiKey", "Connection": "close"})
            elif _length(headers) > MOST_BYTES:
                refused = _problem(413, TOO_LONG, {"Connection": "close"})
            if refused:
                await refused(scope, receive, send)
                return
        await self._limited(scope, receive, send)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a body whose length was not told once it is too long."""
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MOST_BYTES:
                raise HTTPException(413, TOO_LONG, {"Connection": "close"})
            return message

        await self._app(scope, limited, send)


def _length(headers: Headers) -> int:
    """The length of a body as its sender tells it; 0 where it tells none, or no number."""
    told = headers.get("content-length", "")
    # Python refuses to read a number of thousands of digits
    return int(told[:20]) if told.isdecimal() else 0


def _problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return Response(json.dumps(content), status, dict(headers or {}), PROBLEM)
