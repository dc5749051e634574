"""While PostgreSQL is frozen (its connections stand, nothing is answered) callers are told so in time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from service.storage.database import Database
from service.storage.keys import Keys
from tests.drawings import encoded, person
from tests.servers import PostgreSQLServer
from tests.serving import Serving, handmade_settings, serving
from tests.waiting import until

PICTURE = [("files", ("0", encoded(person(1))))]
CALLERS = 24
"""More than the service has threads for keys, and for what reads."""


@pytest.fixture
def service(tmp_path: Path, postgresql_server: PostgreSQLServer) -> Iterator[Serving]:
    settings = handmade_settings(tmp_path, catalog_url=postgresql_server.empty_database())
    with serving(settings) as running:
        yield running


@contextmanager
def frozen(service: Serving, server: PostgreSQLServer) -> Iterator[None]:
    """Nothing is answered by the server; the service's deadlines are short meanwhile, and long otherwise."""
    assembly = service.app.state.assembly
    parts, gatekeeper = assembly.galleries._parts, assembly.gatekeeper
    before = parts.deadline_s
    parts.deadline_s = gatekeeper._deadline_s = 0.5
    server.freeze()
    try:
        yield
    finally:
        server.thaw()
        parts.deadline_s = gatekeeper._deadline_s = before


def enrol(http: httpx.Client) -> httpx.Response:
    items = {"items": json.dumps([{"person": "anna"}])}
    return http.post("/v1/galleries/g/images", files=PICTURE, data=items)


def query(http: httpx.Client) -> httpx.Response:
    return http.post("/v1/galleries/g/query", files=PICTURE)


def embed(http: httpx.Client) -> httpx.Response:
    """Needs nothing of the catalog but the key."""
    return http.post("/v1/embed", files=PICTURE)


def all_answer(http: httpx.Client) -> bool:
    return all(ask(http).is_success for ask in (enrol, query, embed))


def test_keys_that_cannot_be_looked_up_are_503_and_afterwards_all_is_answered(
    service: Serving, postgresql_server: PostgreSQLServer
) -> None:
    database = Database(service.app.state.assembly.settings.catalog_url)
    token = Keys(database).create("operator", "admin").token
    database.close()
    bearer = {"Authorization": f"Bearer {token}"}
    with (
        httpx.Client(base_url=service.url, timeout=60, trust_env=False, headers=bearer) as http,
        ThreadPoolExecutor(CALLERS) as callers,
    ):
        http.post("/v1/galleries", json={"name": "g"}).raise_for_status()
        assert all_answer(http)
        with frozen(service, postgresql_server):
            service.app.state.assembly.gatekeeper._found.clear()
            for answer in callers.map(lambda ask: ask(http), [enrol, query, embed] * (CALLERS // 3)):
                assert answer.status_code == 503, answer.text
                assert "no key can be checked" in answer.json()["detail"]
                assert int(answer.headers["Retry-After"]) > 0
        until(lambda: all_answer(http))


def test_what_only_reads_is_504_and_afterwards_all_is_answered(
    service: Serving, postgresql_server: PostgreSQLServer
) -> None:
    with (
        httpx.Client(base_url=service.url, timeout=60, trust_env=False) as http,
        ThreadPoolExecutor(CALLERS) as callers,
    ):
        http.post("/v1/galleries", json={"name": "g"}).raise_for_status()
        assert all_answer(http)
        gatekeeper = service.app.state.assembly.gatekeeper
        with frozen(service, postgresql_server):
            gatekeeper._any = (time.monotonic() + 3600, False)  # nobody looks for keys
            for answer in callers.map(lambda ask: ask(http), [enrol, query] * (CALLERS // 2)):
                assert answer.status_code == 504, answer.text
        until(lambda: all_answer(http))
