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
from app.api.keys import KEY_HEADER, Keys, Rates
from app.api.models import Problem
from goodstanding.core.errors import GoodstandingError
from goodstanding.identity.normal_form import NoCustomerId

PROBLEM = "application/problem+json"
# A batch of a hundred questions has about 15 kB, and with the longest ids, written as \\u....\\u...., 320 kB.
MOST_BYTES = 400_000
TOO_LONG = f"a body may have {MOST_BYTES:,} bytes"
# By the root of a path, the scope that its keys need.
ROOTS = {"/v1/customers": "profiles", "/v1/decisions": "decisions", "/v1/policy": "policy"}
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
    """Middleware that refuses a request before anything of its body is read: without a valid key, by a key
    that may not ask for this or has asked too often, or longer than any question. FastAPI reads the body
    before it looks at anything else.
    """

    def __init__(self, app: ASGIApp, keys: Keys, rates: Rates) -> None:
        self._app, self._keys, self._rates = app, keys, rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            try:
                refused = self._refusal(scope["path"], headers)
            except GoodstandingError as error:
                refused = _problem(503, str(error))
            if refused:
                if _has_body(headers):
                    # what is not read of it is no next request
                    refused.headers["Connection"] = "close"
                await refused(scope, receive, send)
                return
        await self._limited(scope, receive, send)

    def _refusal(self, path: str, headers: Headers) -> Response | None:
        if path.startswith("/v1/"):
            text = headers.get(KEY_HEADER)
            key = self._keys.find(text)
            if key is None:
                told = {"WWW-Authenticate": "ApiKey", "Connection": "close"}
                return _problem(401, self._keys.refusal(text) or "this key has ended", told)
            needed = scope_of(path)
            if needed and needed not in key.scopes:
                return _problem(403, f"this key may not ask for {needed}: it has {', '.join(key.scopes)}")
            if not self._rates.allows(key):
                limit = f"this key may make {key.per_second} requests a second"
                return _problem(429, limit, {"Retry-After": "1"})
        return _problem(413, TOO_LONG) if _length(headers) > MOST_BYTES else None

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


def scope_of(path: str) -> str | None:
    """The scope that a key must have for a path; None where there is nothing."""
    return next((scope for root, scope in ROOTS.items() if path == root or path.startswith(f"{root}/")), None)


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


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
