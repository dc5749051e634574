"""Bodies that do not come: nobody without a key is waited for, and nobody for long."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from service.api import linger
from service.storage.keys import Keys
from tests.drawings import encoded, person
from tests.serving import Serving, handmade_settings, serving

JSON_CALLS = [
    ("POST", "/v1/galleries"),
    ("PATCH", "/v1/galleries/g"),
    ("PATCH", "/v1/galleries/g/people/anna"),
]

FORM = "multipart/form-data; boundary=x"
FORM_BEGUN = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'


@contextmanager
def begun(
    service: Serving,
    method: str,
    path: str,
    kind: str,
    sent: bytes = b"",
    key: str | None = None,
    drops: int = 0,
) -> Iterator[HTTPResponse]:
    """A request of whose body more is announced than comes, the end of it by drops; and what is answered."""
    address = urlsplit(service.url)
    head = [f"{method} {path} HTTP/1.1", f"Host: {address.netloc}", f"Content-Type: {kind}"]
    head += [f"Content-Length: {len(sent) + 10}", *([] if key is None else [f"Authorization: Bearer {key}"])]
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode() + sent)
        for _ in range(drops):
            time.sleep(0.1)
            connection.sendall(b" ")
        answer = HTTPResponse(connection, method=method)
        yield answer
        answer.close()


def problem(answer: HTTPResponse) -> tuple[int, str]:
    answer.begin()
    return answer.status, json.loads(answer.read())["type"].rsplit("/", 1)[-1]


def keys(service: Serving) -> Keys:
    return Keys(service.app.state.assembly.galleries._parts.catalog.database)


@pytest.mark.parametrize(("method", "path"), JSON_CALLS)
def test_nobody_without_the_right_key_is_waited_for(tmp_path: Path, method: str, path: str) -> None:
    with serving(handmade_settings(tmp_path, requests_limit=1, body_deadline_s=3600)) as service:
        admin = keys(service).create("admin", "admin").token
        reader = keys(service).create("reader", "query").token
        for key, expected in (
            (None, (401, "unauthorised")),
            (admin[:-1] + "~", (401, "unauthorised")),
            (reader, (403, "forbidden")),
        ):
            with begun(service, method, path, "application/json", key=key) as answer:
                assert problem(answer) == expected
                headers = {"Authorization": f"Bearer {admin}"}
                assert httpx.get(f"{service.url}/v1/model", headers=headers).status_code == 200


def test_asking_before_the_body_counts_a_call_once(tmp_path: Path) -> None:
    with serving(handmade_settings(tmp_path, rate_limit="2/hour")) as service:
        headers = {"Authorization": f"Bearer {keys(service).create('admin', 'admin').token}"}
        statuses = [
            httpx.post(f"{service.url}/v1/galleries", json={"name": name}, headers=headers).status_code
            for name in ("a", "b", "c")
        ]
    assert statuses == [201, 201, 429]


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """With the gallery ``g``, made where there was time for it."""
    folder = tmp_path_factory.mktemp("service")
    with serving(handmade_settings(folder)) as patient:
        httpx.post(f"{patient.url}/v1/galleries", json={"name": "g"}).raise_for_status()
    with serving(handmade_settings(folder, body_deadline_s=0.3, requests_limit=1)) as running:
        yield running


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(handmade_settings(tmp_path_factory.mktemp("service"), requests_limit=1)) as running:
        yield running


@pytest.mark.parametrize(
    ("method", "path", "kind", "sent"),
    [
        *((method, path, "application/json", b'{"na') for method, path in JSON_CALLS),
        ("POST", "/v1/embed", FORM, FORM_BEGUN),
        ("POST", "/v1/galleries/g/query", FORM, b""),
    ],
)
def test_a_body_that_does_not_go_on_is_given_up(
    hasty: Serving, method: str, path: str, kind: str, sent: bytes
) -> None:
    with begun(hasty, method, path, kind, sent) as answer:
        assert problem(answer) == (408, "body-stalled")
        assert answer.getheader("Connection") == "close"
        assert httpx.get(f"{hasty.url}/v1/galleries").status_code == 200


@pytest.mark.parametrize(
    ("path", "kind", "sent"),
    [("/v1/galleries", "application/json", b""), ("/v1/embed", FORM, FORM_BEGUN)],
)
def test_a_body_that_comes_by_drops_is_given_up_and_makes_room(
    hasty: Serving, monkeypatch: pytest.MonkeyPatch, path: str, kind: str, sent: bytes
) -> None:
    monkeypatch.setattr(linger, "_SECONDS", 60.0)  # however slowly the drops fall
    with begun(hasty, "POST", path, kind, sent, drops=9) as answer:
        assert problem(answer) == (408, "body-stalled")
        assert httpx.get(f"{hasty.url}/v1/galleries").status_code == 200


def test_a_stream_of_queries_that_does_not_go_on_ends_with_its_answers(hasty: Serving) -> None:
    picture = base64.b64encode(encoded(person(0))).decode()
    sent = json.dumps({"pictures": [picture]}).encode() + b'\n{"pic'
    with begun(hasty, "POST", "/v1/galleries/g/query/batch", "application/x-ndjson", sent) as answer:
        answer.begin()
        found: list[dict[str, Any]] = [json.loads(line) for line in answer.read().splitlines()]
    assert [one["line"] for one in found] == [1, 2]
    assert found[0]["answer"]["results"] == []
    assert found[1]["problem"]["type"].endswith("/body-stalled")


@pytest.mark.parametrize(("method", "path"), JSON_CALLS)
def test_a_body_without_pictures_may_not_be_long(patient: Serving, method: str, path: str) -> None:
    long = b" " * 65_537
    for content in (long, iter([long])):
        answer = httpx.request(
            method, patient.url + path, content=content, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 413
        assert answer.json()["type"].endswith("/body-too-large")
        assert "65536" in answer.json()["detail"]


def test_bodies_of_json_are_described(patient: Serving) -> None:
    paths = httpx.get(f"{patient.url}/openapi.json").json()["paths"]
    described = {
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]
        for path in paths.values()
        for operation in path.values()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    }
    assert described == {"GalleryCreate", "GalleryChange", "PersonChange"}
