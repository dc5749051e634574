"""The OpenAPI page's examples are sent as they stand, and answered with a success."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.drawings import encoded, person
from tests.serving import handmade_settings, serving


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        serving(handmade_settings(tmp_path_factory.mktemp("service"))) as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        yield client


def examples(page: dict[str, Any], described: dict[str, Any]) -> list[Any]:
    """What a media type, or else its schema, shows as an example."""
    if "example" in described:
        return [described["example"]]
    name = described["schema"].get("$ref", "").rsplit("/", 1)[-1]
    schema = page["components"]["schemas"].get(name, {})
    return [schema["example"]] if "example" in schema else []


def test_every_body_on_the_page_has_an_example_that_runs(http: httpx.Client) -> None:
    page = http.get("/openapi.json").json()
    sent = 0
    for path, operations in page["paths"].items():
        for method, operation in operations.items():
            body = operation.get("requestBody")
            if body is None:
                continue
            for kind, described in body["content"].items():
                shown = examples(page, described)
                assert shown, f"{method} {path} shows no example of {kind}"
                for example in shown:
                    _fresh(http)
                    answer = _send(http, method, path, kind, example)
                    assert answer.is_success, (method, path, example, answer.text)
                    for line in answer.text.splitlines() if kind.endswith("ndjson") else ():
                        assert json.loads(line)["problem"] is None, line
                    sent += 1
    assert sent >= 8


def _fresh(http: httpx.Client) -> None:
    """One gallery, of another name than examples give to what they make."""
    for gallery in http.get("/v1/galleries").json()["items"]:
        http.delete(f"/v1/galleries/{gallery['name']}")
    http.post("/v1/galleries", json={"name": "other"})
    for who in ("shop-assistant", "anna", "ben"):
        http.post(
            "/v1/galleries/other/images",
            files=[("files", ("1", encoded(person(len(who)))))],
            data={"items": json.dumps([{"person": who}])},
        )


def _send(http: httpx.Client, method: str, path: str, kind: str, example: Any) -> httpx.Response:
    url = path.format(gallery="other", person="shop-assistant", image="")
    if kind == "application/json":
        return http.request(method, url, json=example)
    if kind.endswith("ndjson"):
        return http.request(method, url, content=example, headers={"Content-Type": kind})
    pictures = [("files", (f"{n}", encoded(person(n + 4)))) for n, _ in enumerate(example["files"])]
    form = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in example.items()
        if name != "files"
    }
    return http.request(method, url, files=pictures, data=form)
