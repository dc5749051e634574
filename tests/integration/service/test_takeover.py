"""A service whose PostgreSQL catalog another one has claimed: it refuses, says why, and ends."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest

from service.storage.audit import AuditTrail
from service.storage.catalog import Catalog
from service.storage.schema import CatalogError
from tests.drawings import encoded, person
from tests.servers import PostgreSQLServer
from tests.serving import handmade_settings, serving
from tests.waiting import until


def take_over(postgresql: PostgreSQLServer, other: Catalog) -> None:
    """Cut the service's connections until the other one has its lock."""
    while True:
        postgresql.cut_connections()
        try:
            return other.claim()
        except CatalogError:
            continue  # the service was quicker


def enrol(http: httpx.Client, who: int) -> httpx.Response:
    return http.post(
        "/v1/galleries/g/images",
        files=[("files", ("0", encoded(person(who))))],
        data={"items": json.dumps([{"person": f"p{who}"}])},
    )


def test_a_service_whose_catalog_was_taken_over_changes_answers_and_leaves_nothing(
    tmp_path: Path, postgresql_server: PostgreSQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.storage.claim._PATIENCE_S", 0.3)
    settings = handmade_settings(tmp_path, catalog_url=postgresql_server.empty_database(), snapshots=True)
    with (
        serving(settings) as running,
        httpx.Client(base_url=running.url, timeout=60, trust_env=False) as http,
    ):
        http.post("/v1/galleries", json={"name": "g", "keep_pictures": True}).raise_for_status()
        enrol(http, 1).raise_for_status()
        running.app.state.assembly.galleries._parts.snapshots.write()  # unless it is being written by itself
        until(lambda: len(list(settings.data_dir.glob("snapshots/*.snapshot"))) == 1)
        files = sorted(tmp_path.rglob("*.picture*"))
        other = Catalog(settings.catalog_url)
        take_over(postgresql_server, other)

        until(lambda: http.get("/readyz").status_code == 503)
        until(lambda: "another service has taken the catalog over" in http.get("/readyz").json()["detail"])
        parts = http.get("/readyz").json()["parts"]
        assert [part for part, ready in parts.items() if not ready] == ["catalog"]
        question = {"files": [("files", ("0", encoded(person(1))))]}
        gatekeeper = running.app.state.assembly.gatekeeper
        for admitted, ask in (
            (True, lambda: enrol(http, 2)),
            (True, lambda: http.delete("/v1/galleries/g/people/p1")),
            (True, lambda: http.post("/v1/galleries", json={"name": "h"})),
            (True, lambda: http.post("/v1/galleries/g/query", **question)),  # type: ignore[arg-type]
            (True, lambda: http.get("/v1/galleries/g/images")),
            (False, lambda: http.get("/v1/galleries/g/images")),
        ):
            gatekeeper._any = (time.monotonic(), False) if admitted else None  # whether it looks for keys
            answer = ask()
            assert answer.status_code == 503, answer.text
            assert "another service has taken the catalog over" in answer.json()["detail"].lower()
            assert int(answer.headers["retry-after"]) > 0
        assert sorted(tmp_path.rglob("*.picture*")) == files
        assert other.people.page(1, 10)[0].name == "p1"
        trail = AuditTrail(other.database)
        until(lambda: 503 in [event.status for event in trail.events()])
    assert list(settings.data_dir.glob("snapshots/*.*")) == [], "nobody would erase from them"
    other.close()
