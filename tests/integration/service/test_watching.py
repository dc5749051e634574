"""What a service tells those who watch it: metrics, and the log's lines."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.api.logs import JsonLines
from service.client import Client, NewPicture
from service.storage.breaker import CircuitBreaker
from service.storage.keys import Keys
from tests.drawings import encoded, person
from tests.handmade_bundle import write_handmade_bundle
from tests.serving import Serving, handmade_settings, serving


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Serving]:
    """Serves a model that made nothing of what is enrolled in the gallery ``waiting``; the one before did."""
    with serving(handmade_settings(tmp_path)) as running, Client(running.url) as client:
        client.create_gallery("waiting")
        client.enrol("waiting", [NewPicture(encoded(person(who)), f"p{who % 2}") for who in range(3)])
    present = write_handmade_bundle(tmp_path / "present.onnx", dimension=50)
    before = tmp_path / "handmade.onnx"
    with serving(handmade_settings(tmp_path, bundle=present, previous_bundle=before)) as running:
        yield running


def measured(service: Serving) -> dict[str, float]:
    lines = httpx.get(f"{service.url}/metrics", timeout=60).text.splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def test_metrics_tell_what_is_waited_for_and_owed(service: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    found = measured(service)
    about = '{gallery="waiting"}'
    assert found[f"penumbra_gallery_images{about}"] == found[f"penumbra_gallery_pending_images{about}"] == 3
    assert (found[f"penumbra_gallery_people{about}"], found[f"penumbra_gallery_reindexing{about}"]) == (2, 0)
    assert (found["penumbra_erasures_owed"], found["penumbra_cache_left_alone"]) == (0, 0)
    assert found["process_resident_memory_bytes"] > 0
    models = {name for name in found if name.startswith("penumbra_model{")}
    assert {name.split('generation="')[1].split('"')[0] for name in models} == {"present", "previous"}

    assembly = service.app.state.assembly
    with monkeypatch.context() as patched:
        patched.setattr(type(assembly.reindexer), "under_way", {"waiting", "foreign"})
        patched.setattr(type(assembly.galleries), "owes", True)
        found = measured(service)
    assert (found[f"penumbra_gallery_reindexing{about}"], found["penumbra_erasures_owed"]) == (1, 1)
    assert 'penumbra_gallery_reindexing{gallery="foreign"}' not in found


def test_a_breaker_says_whether_it_is_open() -> None:
    breaker = CircuitBreaker()
    assert not breaker.open
    breaker.failed()
    assert breaker.open
    breaker.succeeded()
    assert not breaker.open


def test_a_call_is_named_as_on_the_apis_page_with_its_method_and_key(
    service: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    key = Keys(service.app.state.assembly.catalog.database).create("watched", "admin")
    route = "/v1/galleries/{gallery}/people/{person}"
    until = time.monotonic() + 60
    told: dict[str, object] = {}
    with (
        caplog.at_level(logging.INFO, "service.access"),
        httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {key.token}"}) as http,
    ):
        while (
            told.get("key") is None
        ):  # that there are keys is known after a second; a line comes when it does
            assert time.monotonic() < until
            http.get("/v1/galleries/waiting/people/p1")
            lines = [vars(one) for one in caplog.records if getattr(one, "route", None) == route]
            told = lines[-1] if lines else {}
        text = http.get("/metrics").text
    assert (told["method"], told["status"], told["key"]) == ("GET", 200, key.record.id)
    assert f'penumbra_requests_total{{method="GET",route="{route}",status="200"}}' in text
    entry = json.loads(JsonLines().format(logging.makeLogRecord(told)))
    assert {"method": "GET", "route": route, "key": key.record.id}.items() <= entry.items()
