"""Texts that nobody should send: databases differ in what they make of them, the service does not."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
import pytest

from service.client import Client, NewPicture
from tests.drawings import encoded, person
from tests.serving import handmade_settings, serving

if TYPE_CHECKING:
    from tests.servers import PostgreSQLServer

Services: TypeAlias = tuple[httpx.Client, httpx.Client]

_PICTURE = encoded(person(1))

RAW = {
    "a NUL": "a%00b",
    "a lone surrogate": "%ED%A0%80",
    "no UTF-8": "%FF%FE",
    "beyond Unicode": "%F4%90%80%80",
    "control characters": "%01%1F%7F%C2%85",
    "a non-character": "%EF%BF%BF",
    "long": "x" * 20_000,
    "long and wide": "%F0%9F%A6%8A" * 1500,
    "a number": "99999999999999999999",
}
"""Percent-encoded."""


def _cursor(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


CURSORS = {
    name: _cursor(content)
    for name, content in {
        "a NUL": b"a\0b",
        "a lone surrogate": b"\xed\xa0\x80",
        "no UTF-8": b"\xff",
        "long": b"x" * 20_000,
        "a large number": b"9" * 18,
        "a larger number": b"9" * 30,
        "other digits": "٣".encode(),
        "below zero": b"-1",
        "nothing": b"",
    }.items()
}


@pytest.fixture(scope="module")
def services(
    tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgreSQLServer
) -> Iterator[Services]:
    """On SQLite, and on PostgreSQL, with the same in them."""
    folders: list[Path] = [tmp_path_factory.mktemp(name) for name in ("sqlite", "postgresql")]
    on_postgresql = handmade_settings(folders[1], catalog_url=postgresql_server.empty_database())
    with serving(handmade_settings(folders[0])) as one, serving(on_postgresql) as other:
        for running in (one, other):
            with Client(running.url) as client:
                client.create_gallery("g", keep_pictures=True)
                client.enrol("g", [NewPicture(encoded(person(who)), f"p{who}") for who in range(3)])
        with (
            httpx.Client(base_url=one.url, timeout=60) as asks_one,
            httpx.Client(base_url=other.url, timeout=60) as asks_other,
        ):
            yield asks_one, asks_other


def both(
    services: Services,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    **request: Any,
) -> httpx.Response:
    """The answer of both, which must be alike, without a fault in the log."""
    with caplog.at_level(logging.WARNING):
        one, other = (service.request(method, path, **request) for service in services)
    about = (method, path[:200], one.text[:300], other.text[:300])
    assert one.status_code == other.status_code, about
    assert one.status_code < 500, about
    if one.status_code >= 400:
        described, again = one.json(), other.json()
        assert (described["type"], described["detail"]) == (again["type"], again["detail"])
        assert "catalog" not in described["detail"], about
    assert [entry.getMessage() for entry in caplog.records if entry.levelno >= logging.ERROR] == []
    return one


@pytest.mark.parametrize("name", RAW)
def test_looking_for_odd_texts(services: Services, caplog: pytest.LogCaptureFixture, name: str) -> None:
    text = RAW[name]
    page = services[0].get("/openapi.json").json()["paths"]
    asked = 0
    for path, operations in page.items():
        if "get" not in operations:
            continue
        parameters = operations["get"].get("parameters", [])
        usual = path.replace("{gallery}", "g").replace("{image}", "01KAFQ7V0Z9D4S2XW8TB3M6HNC")
        usual = usual.replace("{person}", "p1")
        for parameter in parameters:
            if parameter["in"] == "path":
                odd = path.replace("{" + parameter["name"] + "}", text)
                for other in ("gallery", "image", "person"):
                    odd = odd.replace("{" + other + "}", {"gallery": "g"}.get(other, "p1"))
            else:
                odd = f"{usual}?{parameter['name']}={text}"
            both(services, caplog, "GET", odd)
            asked += 1
    assert asked >= 20


@pytest.mark.parametrize("name", CURSORS)
def test_going_on_after_odd_cursors(services: Services, caplog: pytest.LogCaptureFixture, name: str) -> None:
    for path in (
        "/v1/galleries",
        "/v1/galleries/g/images",
        "/v1/galleries/g/people",
        "/v1/galleries/g/duplicates",
    ):
        both(services, caplog, "GET", f"{path}?cursor={CURSORS[name]}")


ODD = ["", "a\0b", "\ud800", "\uffff", "x" * 20_000, "🦊" * 5000]


@pytest.mark.parametrize("text", ODD, ids=ascii)
def test_telling_and_asking_by_odd_texts(
    services: Services, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    def send(method: str, path: str, body: Any) -> None:
        content = json.dumps(body).encode()
        both(services, caplog, method, path, content=content, headers={"Content-Type": "application/json"})

    def form(path: str, **fields: Any) -> None:
        data = {
            name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()
        }
        sent = {name: value.encode(errors="surrogatepass") for name, value in data.items()}
        both(services, caplog, "POST", path, files=[("files", ("a", _PICTURE))], data=sent)

    send("POST", "/v1/galleries", {"name": text})
    send("PATCH", "/v1/galleries/g", {"index": text})
    send("PATCH", "/v1/galleries/g/people/p0", {"name": "p0", text: text})
    for item in (
        {"person": text},
        {"person": "p2", "camera": text},
        {"person": "p2", "client_id": text},
        {"person": "p2", "metadata": {"k": text}},
        {"person": "p2", "metadata": {text: "v"}},
        {"person": "p2", "metadata": {"nested": {text: [text]}}},
        {"person": "p2", "time": text},
    ):
        form("/v1/galleries/g/images", items=[item])
    for filter in ("cameras", "people", "exclude_cameras", "exclude_people"):
        form("/v1/galleries/g/query", **{filter: [text]})
    for metadata in ({"k": text}, {text: "v"}):
        form("/v1/galleries/g/query", metadata=metadata)
    for option in ("unify", "by", "time_from", "top_k", "overlays"):
        form("/v1/galleries/g/query", **{option: text})
    form("/v1/verify", gallery="g", person=text)
    form("/v1/verify", gallery=text, person="p0")
    form("/v1/embed", **{"occlusions": text})
