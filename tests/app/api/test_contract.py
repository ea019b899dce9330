"""The API keeps to its OpenAPI whatever is sent: no fault, no status and no form that it does not describe.

Schemathesis draws requests, right and wrong ones, from the OpenAPI alone.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from app.api.answers import Answers
from app.api.keys import SCOPES, Keys
from app.api.server import create
from goodstanding.core.settings import Settings
from tests.app.api.conftest import TODAY
from tests.app.api.publication import KEY, publish
from tests.shop import mapping

OPERATIONS = (
    ("GET", "/v1/customers"),
    ("GET", "/v1/customers/{customer_id}"),
    ("POST", "/v1/decisions"),
    ("POST", "/v1/decisions/batch"),
    ("POST", "/v1/decisions/{receipt_id}/commit"),
    ("POST", "/v1/decisions/{receipt_id}/release"),
    ("GET", "/v1/decisions/{receipt_id}/letter"),
    ("GET", "/v1/policy"),
    ("GET", "/health"),
    ("GET", "/ready"),
)


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str]]:
    """The OpenAPI of an API over the small publication, and a key of every scope."""
    folder = tmp_path_factory.mktemp("contract")
    shop = mapping(folder)
    current = Settings(home=folder / "home", shop=str(shop), pseudonym_key=KEY, _env_file=None)
    publish(current.published / "current.duckdb")
    _, text = Keys(current.api).new(SCOPES, per_second=100_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Answers, "today", lambda _: TODAY)
        api = create(current)
        with TestClient(api):
            yield schemathesis.openapi.from_asgi("/openapi.json", api), text


def test_the_openapi_has_exactly_these_operations(contract):
    schema, _ = contract
    found = {
        (operation.ok().method.upper(), operation.ok().path) for operation in schema.get_all_operations()
    }
    assert found == set(OPERATIONS)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda part: part)
def test_every_answer_is_as_the_openapi_says(contract, method, path, mode):
    schema, key = contract
    operation = schema[path][method]
    parameterless = not operation.body and not operation.path_parameters and not operation.query
    if parameterless and mode is GenerationMode.NEGATIVE:
        return

    @settings(
        max_examples=3 if parameterless else 40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy(generation_mode=mode))
        if mode is GenerationMode.POSITIVE:
            # which ids there can be is for the shop's mapping to say, and no part of the OpenAPI
            _give_ids(case, data.draw(st.integers(1, 20).map(str)))
        case.call_and_validate(headers={"X-API-Key": key})

    check()


def _give_ids(case: Any, number: str) -> None:
    """Give every customer and order of a drawn request an id that the mapping of the shop reads."""
    questions = case.body.get("questions", [case.body]) if isinstance(case.body, dict) else []
    for part in (case.path_parameters, case.query, *questions):
        for name in ("customer_id", "order_id"):
            if isinstance(part, MutableMapping) and isinstance(part.get(name), str):
                part[name] = number
