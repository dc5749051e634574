"""Whatever the OpenAPI page allows, and much that it does not, is answered without a fault of the service."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, given, settings

from service.storage.keys import ROLES, Keys, Role
from tests.serving import handmade_settings, serving

schemathesis.serializer.alias("application/x-ndjson", "application/json")  # a stream of one line


def test_no_request_breaks_the_service(tmp_path: Path, catalog_url: str) -> None:
    with serving(handmade_settings(tmp_path, catalog_url=catalog_url)) as running:
        httpx.post(f"{running.url}/v1/galleries", json={"name": "shop"})
        described = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
        operations = [found.ok() for found in described.get_all_operations()]
        assert len(operations) >= 20
        for operation in operations:
            _fuzz(operation)
        assert httpx.get(f"{running.url}/readyz").status_code == 200


def _fuzz(operation: Any) -> None:
    @given(case=operation.as_strategy())
    @settings(
        max_examples=8,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def answered(case: schemathesis.Case) -> None:
        answer = case.call()
        assert answer.status_code < 500, (operation.label, answer.status_code, answer.text)
        assert '"status":500' not in answer.text, (operation.label, answer.text)  # of one line of many

    answered()


def test_with_keys_nothing_breaks_and_nobody_does_more_than_the_key_says(
    tmp_path: Path, catalog_url: str
) -> None:
    often = "1000000/minute"  # else most would be refused for that
    with serving(handmade_settings(tmp_path, refusal_limit=often, catalog_url=catalog_url)) as running:
        httpx.post(f"{running.url}/v1/galleries", json={"name": "shop"})
        keys = Keys(running.app.state.assembly.galleries._parts.catalog.database)
        tokens = {role: keys.create(role, role).token for role in ROLES}
        time.sleep(1.1)  # that there is no key is taken for granted for a second
        described = schemathesis.openapi.from_dict(httpx.get(f"{running.url}/openapi.json").json())
        described.config.update(base_url=running.url)
        for operation in (found.ok() for found in described.get_all_operations()):
            _fuzz_with_keys(operation, tokens)
        for path in ("/docs", "/openapi.json", "/healthz", "/readyz"):
            assert httpx.get(running.url + path).status_code == 200


def _fuzz_with_keys(operation: Any, tokens: dict[Role, str]) -> None:
    asks = operation.method == "get" or operation.path.rsplit("/", 1)[-1] in (
        "query",
        "batch",
        "verify",
        "embed",
    )
    is_open = operation.path in ("/healthz", "/readyz")

    @given(case=operation.as_strategy())
    @settings(
        max_examples=1,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def answered(case: schemathesis.Case) -> None:
        for role, token in {None: "", **tokens}.items():
            case.headers.pop("Authorization", None)
            given_key = {} if role is None else {"Authorization": f"Bearer {token}"}
            answer = case.call(headers=given_key)
            about = (operation.label, role, answer.status_code, answer.text)
            assert answer.status_code < 500, about
            if role is None:
                assert is_open or answer.status_code >= 400, about
            else:
                assert answer.status_code != 401, about
            if role == "query":
                assert asks or answer.status_code >= 400, about

    answered()
