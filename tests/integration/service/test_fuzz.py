"""Whatever the OpenAPI page allows, and much that it does not, is answered without a fault of the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, given, settings

from tests.serving import handmade_settings, serving

schemathesis.serializer.alias("application/x-ndjson", "application/json")  # a stream of one line


def test_no_request_breaks_the_service(tmp_path: Path) -> None:
    with serving(handmade_settings(tmp_path)) as running:
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
        max_examples=10,
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
