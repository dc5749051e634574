"""While somebody else holds the catalog's locks, changes are refused in time, and are not done afterwards."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest

from service.storage import database
from tests.drawings import encoded, person
from tests.serving import Serving, handmade_settings, serving

if TYPE_CHECKING:
    from tests.servers import PostgreSQLServer


@dataclass(frozen=True)
class Locked:
    """A service, and a lock on what it writes to; ``holding`` has it for as long as its context lasts."""

    service: Serving
    holding: Callable[[], AbstractContextManager[None]]


@pytest.fixture(params=["sqlite", "postgresql"])
def locked(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Locked]:
    monkeypatch.setattr(database, "_BUSY_MS", 200)
    settings = handmade_settings(tmp_path)
    holding: Callable[[], AbstractContextManager[None]]
    if request.param == "sqlite":

        @contextmanager
        def holding() -> Iterator[None]:
            with closing(
                sqlite3.connect(tmp_path / "data" / "catalog.sqlite3", isolation_level=None)
            ) as other:
                other.execute("BEGIN IMMEDIATE")
                yield

    else:
        server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
        settings = handmade_settings(tmp_path, catalog_url=server.empty_database())
        url = settings.catalog_url.replace("+psycopg", "")

        @contextmanager
        def holding() -> Iterator[None]:
            with psycopg.connect(url) as other:  # as who changes the schema, or dumps and restores it
                other.execute("LOCK TABLE galleries, people, images, audit IN SHARE ROW EXCLUSIVE MODE")
                yield

    with serving(settings) as service:
        yield Locked(service, holding)


def changes(http: httpx.Client, image: str) -> list[httpx.Response]:
    enrolled = {
        "files": [("files", ("a", encoded(person(2))))],
        "data": {"items": json.dumps([{"person": "ben", "client_id": "ben"}])},
    }
    asked = [
        http.build_request("POST", "/v1/galleries/g/images", **enrolled),  # type: ignore[arg-type]
        http.build_request("POST", "/v1/galleries", json={"name": "h"}),
        http.build_request("PATCH", "/v1/galleries/g", json={"retention_days": 9}),
        http.build_request("PATCH", "/v1/galleries/g/people/anna", json={"name": "hanna"}),
        http.build_request("DELETE", f"/v1/galleries/g/images/{image}"),
        http.build_request("DELETE", "/v1/galleries/g/people/anna"),
        http.build_request("DELETE", "/v1/galleries/g"),
    ]
    with ThreadPoolExecutor(len(asked)) as callers:
        return list(callers.map(http.send, asked))


def state(http: httpx.Client) -> object:
    return [
        http.get(path).json()
        for path in ("/v1/galleries", "/v1/galleries/g/people", "/v1/galleries/g/images")
    ]


def test_changes_are_refused_while_the_catalog_is_locked_and_nothing_of_them_is_done(
    locked: Locked, tmp_path: Path
) -> None:
    with httpx.Client(base_url=locked.service.url, timeout=60, trust_env=False) as http:
        http.post("/v1/galleries", json={"name": "g", "keep_pictures": True}).raise_for_status()
        made = http.post(
            "/v1/galleries/g/images",
            files=[("files", ("a", encoded(person(1))))],
            data={"items": '[{"person": "anna"}]'},
        )
        image = made.json()["items"][0]["id"]
        before, kept = state(http), sorted(tmp_path.rglob("*.picture*"))
        with locked.holding():
            for answer in changes(http, image):
                assert answer.status_code == 503, answer.text
                assert int(answer.headers["Retry-After"]) > 0
                assert answer.json()["type"].endswith("/unavailable")
            assert state(http) == before
        time.sleep(0.5)
        assert state(http) == before
        assert sorted(tmp_path.rglob("*.picture*")) == kept
        give_up = time.monotonic() + 60
        while (deleted := http.delete("/v1/galleries/g")).status_code == 503:
            assert time.monotonic() < give_up  # the audit trail, which waited too, may have the lock now
        assert deleted.status_code == 204
