"""What no call takes is refused, and the answer says what was wrong with it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.api.schemas import examples
from tests.drawings import encoded, person
from tests.serving import handmade_settings, serving

PICTURE = encoded(person(1))
NOT_ASKED = ("/healthz", "/readyz", "/metrics")


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        serving(handmade_settings(tmp_path_factory.mktemp("service"))) as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        client.post("/v1/galleries", json={"name": "shop"}).raise_for_status()
        yield client


def refused(answer: httpx.Response) -> str:
    """The detail of a request that did not validate."""
    assert answer.status_code == 422, answer.text
    detail: str = answer.json()["detail"]
    assert "alue error" not in detail
    return detail


def test_contradicting_rates_are_told_in_plain_words(http: httpx.Client) -> None:
    said = "match_rate (0.5) must not be above uncertain_rate (0.1)"
    rates = {"match_rate": 0.5, "uncertain_rate": 0.1}
    form = {name: str(rate) for name, rate in rates.items()}
    assert refused(http.post("/v1/galleries/shop/query", files={"files": PICTURE}, data=form)) == said
    assert refused(http.patch("/v1/galleries/shop", json=rates)) == f"body: {said}"
    made = http.post("/v1/galleries", json={"name": "other", **rates})
    assert refused(made) == f"body: {said}"
    assert made.json()["errors"] == [{"field": "body", "message": said}]
    line = json.dumps({"pictures": ["AAAA"], **rates})
    kind = {"Content-Type": "application/x-ndjson"}
    answered = http.post("/v1/galleries/shop/query/batch", content=line, headers=kind)
    assert answered.json()["problem"]["detail"] == said


def test_a_body_that_is_no_json_is_told_as_such(http: httpx.Client) -> None:
    answer = http.post("/v1/galleries", content=b'{"name": }', headers={"Content-Type": "application/json"})
    assert refused(answer) == "body: No JSON: Expecting value (character 9)"


@pytest.mark.parametrize("time", [1700000000, 1700000000000, 1.5, "1700000000", "2026-01-31T12:00:00"])
def test_times_are_taken_in_one_form_everywhere(http: httpx.Client, time: Any) -> None:
    items = json.dumps([{"person": "anna", "time": time}])
    enrolled = http.post("/v1/galleries/shop/images", files={"files": PICTURE}, data={"items": items})
    assert refused(enrolled).startswith("items[0].time: not a date and time of RFC 3339 with an offset")
    for name in ("time_from", "time_to"):
        asked = http.post("/v1/galleries/shop/query", files={"files": PICTURE}, data={name: str(time)})
        assert refused(asked).startswith(f"{name}: not a date and time of RFC 3339 with an offset")
        line = json.dumps({"pictures": ["AAAA"], name: time})
        kind = {"Content-Type": "application/x-ndjson"}
        answered = http.post("/v1/galleries/shop/query/batch", content=line, headers=kind).json()
        assert answered["problem"]["detail"].startswith(f"{name}: not a date and time of RFC 3339")


def test_a_query_parameter_that_a_call_does_not_know_is_refused_by_every_call(http: httpx.Client) -> None:
    page = http.get("/openapi.json").json()
    for path, operations in page["paths"].items():
        for method in operations:
            url = path.format(gallery="shop", person="anna", image=examples.IMAGE)
            answer = http.request(method, url, params={"limt": "5"})
            if path in NOT_ASKED:
                assert answer.is_success
            else:
                assert refused(answer).startswith("There is no query parameter 'limt'; "), (method, path)
                assert "422" in operations[method]["responses"], (method, path)
    asked = http.get("/v1/galleries/shop/images?persn=anna&limit=5")
    assert refused(asked).endswith(
        "known are 'camera', 'client_id', 'cursor', 'limit', 'pending', 'person', 'time_from', 'time_to'."
    )
    assert refused(http.get("/v1/model?a=1")).endswith("this call takes none.")
    assert refused(http.get("/v1/galleries?limit=1&limit=2")) == "The query parameter 'limit' was sent twice."
    assert len(http.get("/v1/galleries?limit=1").json()["items"]) == 1


def test_names_that_nothing_can_have_are_answered_alike_by_every_database(
    catalog_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        serving(handmade_settings(tmp_path, catalog_url=catalog_url)) as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        client.post("/v1/galleries", json={"name": "shop"}).raise_for_status()
        files, change = {"files": PICTURE}, {"name": "ben"}
        for method, path, slug, sent in (
            ("GET", "/v1/galleries/%00", "gallery", {}),
            ("GET", "/v1/galleries/Shop/images", "gallery", {}),
            ("PATCH", "/v1/galleries/%00", "gallery", {"json": {"prior": 0.5}}),
            ("DELETE", "/v1/galleries/%00", "gallery", {}),
            ("POST", "/v1/galleries/a%00/query", "gallery", {"files": files}),
            ("POST", "/v1/galleries/a%00/images", "gallery", {"files": files, "data": {"items": "[]"}}),
            ("GET", "/v1/galleries/shop/images/%00", "image", {}),
            ("GET", "/v1/galleries/shop/images/%00/file", "image", {}),
            ("DELETE", f"/v1/galleries/shop/images/{'A' * 27}", "image", {}),
            ("GET", "/v1/galleries/shop/people/%00", "person", {}),
            ("GET", f"/v1/galleries/shop/people/{'a' * 257}", "person", {}),
            ("PATCH", "/v1/galleries/shop/people/a%09b", "person", {"json": change}),
            ("DELETE", "/v1/galleries/shop/people/a%00b/c", "person", {}),
        ):
            answer = client.request(method, path, **sent)
            about = (method, path, answer.text)
            assert answer.status_code == 404, about
            assert answer.json()["type"].endswith(f"/unknown-{slug}"), about
        for question in ("person=%00", "camera=a%00", "cursor=AA"):
            answer = client.get(f"/v1/galleries/shop/images?{question}")
            assert refused(answer).split(":")[0] in (
                question.split("=")[0],
                "the cursor is none that a page gave",
            )
        for path in ("/v1/galleries", "/v1/galleries/shop/people"):
            assert "cursor" in refused(client.get(f"{path}?cursor=AA"))
    assert [line.getMessage() for line in caplog.records if line.levelno >= logging.ERROR] == []


def test_metrics_say_how_they_are_refused(http: httpx.Client) -> None:
    described = http.get("/openapi.json").json()["paths"]["/metrics"]["get"]["responses"]
    assert {"200", "401", "403", "429"} <= set(described)
