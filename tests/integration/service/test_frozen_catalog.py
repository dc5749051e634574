"""While PostgreSQL is frozen (its connections stand, nothing is answered) callers are told so in time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
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

PICTURE = {"files": [("files", ("0", encoded(person(1))))]}
CALLERS = 24
"""More than the service has threads for keys, and for what reads."""


@pytest.fixture
def service(tmp_path: Path, postgresql_server: PostgreSQLServer) -> Iterator[Serving]:
    settings = handmade_settings(tmp_path, catalog_url=postgresql_server.empty_database(), deadline_s=1.0)
    with serving(settings) as running:
        yield running


@contextmanager
def frozen(server: PostgreSQLServer) -> Iterator[None]:
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


def ask(http: httpx.Client, number: int) -> httpx.Response:
    """One of several calls that are sent by POST."""
    calls: list[Callable[[], httpx.Response]] = [
        lambda: http.post("/v1/embed", **PICTURE),  # type: ignore[arg-type]
        lambda: http.post("/v1/galleries/g/query", **PICTURE),  # type: ignore[arg-type]
        lambda: http.post(
            "/v1/galleries/g/images",
            data={"items": json.dumps([{"person": "anna"}])},
            **PICTURE,  # type: ignore[arg-type]
        ),
    ]
    return calls[number % len(calls)]()


def all_answer(http: httpx.Client) -> bool:
    return all(ask(http, number).is_success for number in range(3))


def until(happens: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < give_up
        time.sleep(0.05)


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
        with frozen(postgresql_server):
            service.app.state.assembly.gatekeeper._found.clear()
            for answer in callers.map(lambda number: ask(http, number), range(CALLERS)):
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
        with frozen(postgresql_server):
            gatekeeper._any = (time.monotonic() + 3600, False)  # nobody looks for keys
            for number, answer in enumerate(callers.map(lambda number: ask(http, number), range(CALLERS))):
                assert answer.status_code == (200 if number % 3 == 0 else 504), answer.text
        until(lambda: all_answer(http))
