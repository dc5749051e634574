"""What no call takes is refused, and the answer says what was wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.drawings import encoded, person
from tests.serving import handmade_settings, serving

PICTURE = encoded(person(1))


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
