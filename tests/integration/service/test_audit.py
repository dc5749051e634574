"""Every call of the OpenAPI page has its line in the trail, and says there what it was about."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from service.api import audit
from service.client import BatchQuery, Client, Filters, NewPicture
from service.storage.audit import AuditTrail, Event
from tests.drawings import encoded, person
from tests.serving import Serving, handmade_settings, serving

_PICTURE = encoded(person(1))
_LINE = json.dumps({"pictures": [base64.b64encode(_PICTURE).decode()]}).encode()
_FILES = {"files": [("files", ("a", _PICTURE))]}


@dataclass(frozen=True)
class Asked:
    """A request, and what its lines must say.

    Attributes:
        request: as httpx takes it.
        gallery: in the lines.
        about: names in the lines, one each.
        pictures: how many were sent.
    """

    method: str
    path: str
    request: dict[str, Any] = field(default_factory=dict)
    gallery: str | None = None
    about: tuple[str, ...] = ()
    pictures: int | None = None


def table(image: str) -> dict[str, Asked]:
    """A request for every operation, in an order in which they all succeed."""
    g = "/v1/galleries/g"
    return {
        "create_gallery": Asked("POST", "/v1/galleries", {"json": {"name": "made"}}, "made"),
        "list_galleries": Asked("GET", "/v1/galleries"),
        "get_gallery": Asked("GET", g, {}, "g"),
        "get_statistics": Asked("GET", f"{g}/statistics", {}, "g"),
        "change_gallery": Asked("PATCH", g, {"json": {"retention_days": 9}}, "g"),
        "reindex_gallery": Asked("POST", f"{g}/reindex", {}, "g"),
        "get_reindexing": Asked("GET", f"{g}/reindex", {}, "g"),
        "enrol": Asked(
            "POST", f"{g}/images", {**_FILES, "data": {"items": '[{"person": "ben"}]'}}, "g", ("ben",), 1
        ),
        "list_images": Asked("GET", f"{g}/images", {"params": {"person": "anna"}}, "g", ("anna",)),
        "get_image": Asked("GET", f"{g}/images/{image}", {}, "g", (image,)),
        "get_file": Asked("GET", f"{g}/images/{image}/file", {}, "g", (image,)),
        "get_thumbnail": Asked("GET", f"{g}/images/{image}/thumbnail", {}, "g", (image,)),
        "list_duplicates": Asked("GET", f"{g}/duplicates", {}, "g"),
        "list_people": Asked("GET", f"{g}/people", {}, "g"),
        "get_person": Asked("GET", f"{g}/people/anna", {}, "g", ("anna",)),
        "query": Asked(
            "POST",
            f"{g}/query",
            {**_FILES, "data": {"people": '["anna"]', "overlays": "true"}},
            "g",
            ("anna", image),
            1,
        ),
        "query_batch": Asked(
            "POST",
            f"{g}/query/batch",
            {"content": _LINE, "headers": {"Content-Type": "application/x-ndjson"}},
            "g",
            (),
            1,
        ),
        "verify": Asked(
            "POST", "/v1/verify", {**_FILES, "data": {"gallery": "g", "person": "anna"}}, "g", ("anna",), 1
        ),
        "embed": Asked("POST", "/v1/embed", _FILES, None, (), 1),
        "get_model": Asked("GET", "/v1/model"),
        "change_person": Asked(
            "PATCH", f"{g}/people/ben", {"json": {"name": "bernd"}}, "g", ("ben", "bernd")
        ),
        "delete_image": Asked("DELETE", f"{g}/images/{image}", {}, "g", (image,)),
        "delete_person": Asked("DELETE", f"{g}/people/bernd", {}, "g", ("bernd",)),
        "delete_gallery": Asked("DELETE", g, {}, "g"),
    }


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Serving]:
    with serving(handmade_settings(tmp_path)) as running:
        yield running


def written(trail: AuditTrail, request_id: str) -> list[Event]:
    """The lines of a request; those of reading come a moment after the answer."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if found := [event for event in trail.events(1000) if event.request_id == request_id]:
            return found
        time.sleep(0.05)
    return []


def test_every_call_of_the_page_is_in_the_trail_with_what_it_was_about(service: Serving) -> None:
    trail: AuditTrail = service.app.state.assembly.audit
    with Client(service.url) as client, httpx.Client(base_url=service.url, timeout=60) as http:
        client.create_gallery("g", keep_pictures=True)
        (anna,) = client.enrol("g", [NewPicture(_PICTURE, "anna")])
        page = http.get("/openapi.json").json()["paths"]
        named = {
            operation["operationId"]
            for path, operations in page.items()
            for operation in operations.values()
            if path.startswith("/v1/")
        }
        asked = table(str(anna.id))
        assert named == set(asked)
        answers = {name: http.request(one.method, one.path, **one.request) for name, one in asked.items()}
    for name, answer in answers.items():
        assert answer.is_success, (name, answer.text)
        one, events = asked[name], written(trail, answer.headers["X-Request-ID"])
        assert {event.action for event in events} == {name}
        assert {(event.gallery, event.pictures, event.status) for event in events} == {
            (one.gallery, one.pictures, answer.status_code)
        }, name
        expected = {trail.pseudonym(str(one.gallery), who) for who in one.about} or {None}
        assert {event.subject for event in events} == expected, name
        assert len(events) == max(1, len(one.about)), name


def test_what_is_refused_says_what_it_was_about_too(service: Serving) -> None:
    trail: AuditTrail = service.app.state.assembly.audit
    with httpx.Client(base_url=service.url, timeout=60) as http:
        for answer in (
            http.post("/v1/verify", data={"gallery": "g", "person": "anna"}, **_FILES),
            http.patch("/v1/galleries/g/people/ben", json={"name": "anna"}),
            http.get("/v1/galleries/g/images", params={"person": "anna"}),
        ):
            assert answer.status_code == 404
            events = written(trail, answer.headers["X-Request-ID"])
            assert {event.gallery for event in events} == {"g"}
            assert trail.pseudonym("g", "anna") in {event.subject for event in events}


def lines(*pictures: int) -> Iterator[bytes]:
    """A batch of queries, with so many pictures each."""
    for count in pictures:
        yield json.dumps({"pictures": [base64.b64encode(_PICTURE).decode()] * count}).encode() + b"\n"


def test_a_stream_of_queries_has_its_pictures_in_the_trail_while_it_goes_on(
    service: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_STREAM_S", 0.0)
    trail: AuditTrail = service.app.state.assembly.audit
    ended = threading.Event()

    def stream() -> Iterator[bytes]:
        yield from lines(2, 3)
        ended.wait(60)
        yield from lines(1)

    with Client(service.url) as client, httpx.Client(base_url=service.url, timeout=60) as http:
        client.create_gallery("g")
        with ThreadPoolExecutor(1) as callers:
            answer = callers.submit(
                http.post,
                "/v1/galleries/g/query/batch",
                content=stream(),
                headers={"Content-Type": "application/x-ndjson", "X-Request-ID": "a-stream"},
            )
            until = time.monotonic() + 30
            while not (begun := of_stream(trail)) and time.monotonic() < until:
                time.sleep(0.05)
            ended.set()
            assert answer.result().status_code == 200
    assert begun, "a crash meanwhile would have lost all of it"
    while (found := of_stream(trail)) and sum(found) != 6 and time.monotonic() < until:
        time.sleep(0.05)
    assert sum(found) == 6


def test_a_stream_of_queries_says_whom_it_was_about(service: Serving) -> None:
    trail: AuditTrail = service.app.state.assembly.audit
    with Client(service.url) as client:
        client.create_gallery("g", keep_pictures=True)
        client.enrol("g", [NewPicture(_PICTURE, who) for who in ("anna", "ben")])
        (shown,) = client.images("g", person="ben")
        filters = [Filters(people=["anna"]), Filters(people=["anna", "ben"]), None]
        queries = [BatchQuery([_PICTURE], filters=one) for one in filters]
        queries.append(BatchQuery([_PICTURE], overlays=True, filters=Filters(people=["ben"])))
        assert all(answer.answer for answer in client.query_batch("g", queries))
    until = time.monotonic() + 30
    expected = sorted(["-", *(trail.pseudonym("g", name) for name in ("anna", "ben", shown.id))])
    while time.monotonic() < until:
        events = [event for event in trail.events(1000) if event.action == "query_batch"]
        if len(events) >= len(expected):
            break
        time.sleep(0.05)
    assert sorted(event.subject or "-" for event in events) == expected
    assert {event.pictures for event in events if event.subject is None} == {4}
    assert {event.pictures for event in events if event.subject is not None} == {None}


def of_stream(trail: AuditTrail) -> list[int]:
    return [event.pictures or 0 for event in trail.events(1000) if event.action == "query_batch"]


def test_a_stream_of_queries_that_is_broken_off_is_in_the_trail(service: Serving) -> None:
    trail: AuditTrail = service.app.state.assembly.audit
    (line,) = lines(4)
    with Client(service.url) as client:
        client.create_gallery("g")
    address = urlsplit(service.url)
    head = "POST /v1/galleries/g/query/batch HTTP/1.1", f"Host: {address.netloc}", "Content-Length: 9999999"
    with socket.create_connection((address.hostname, address.port), timeout=60) as caller:
        caller.sendall("\r\n".join([*head, "Content-Type: application/x-ndjson", "", ""]).encode() + line)
        while b"results" not in caller.recv(65536):
            pass
    until = time.monotonic() + 30
    while not (found := of_stream(trail)) and time.monotonic() < until:
        time.sleep(0.05)
    assert found == [4]
