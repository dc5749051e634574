"""What the client promises about requests, answers and faults; no service behind it."""

from __future__ import annotations

import httpx
import pytest

from service.client import (
    ProblemError,
    UnexpectedAnswer,
)
from tests.played_service import (
    ANSWER,
    GALLERY,
    Service,
    problem,
)


def test_problem_document_becomes_error_with_all_its_members() -> None:
    with (
        Service(problem(404, "unknown-gallery", extra=7)).client() as client,
        pytest.raises(ProblemError) as raised,
    ):
        client.gallery("nowhere")
    assert (raised.value.status, raised.value.slug) == (404, "unknown-gallery")
    assert (raised.value.title, raised.value.detail) == ("unknown gallery", "about unknown-gallery")
    assert raised.value.request_id == "r-1"
    assert raised.value.document["extra"] == 7
    assert "about unknown-gallery" in str(raised.value)
    assert "r-1" in str(raised.value)


def test_html_page_of_a_proxy_becomes_a_problem_too() -> None:
    page = httpx.Response(502, html="<h1>Bad gateway</h1>", headers={"x-request-id": "proxy-9"})
    with Service(page).client() as client, pytest.raises(ProblemError) as raised:
        client.model()
    assert (raised.value.status, raised.value.title, raised.value.request_id) == (
        502,
        "Bad Gateway",
        "proxy-9",
    )


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"{}", b'{"name": 3}'])
def test_success_that_is_no_penumbra_answer_is_told_as_such(body: bytes) -> None:
    with Service(httpx.Response(200, content=body)).client() as client, pytest.raises(UnexpectedAnswer):
        client.gallery("shop")


def test_members_added_by_a_newer_service_are_tolerated() -> None:
    newer = {**ANSWER, "novel": 1, "query": {**ANSWER["query"], "novel": 2}}  # type: ignore[dict-item]
    with Service(httpx.Response(200, json=newer)).client() as client:
        answer = client.query("shop", [b"picture"])
    assert answer.results[0].person == "anna"
    assert answer.results[0].image.occlusion is not None
    assert answer.query.occlusion.type == "bottom_half"


def test_nothing_is_asked_about_no_picture() -> None:
    service = Service(httpx.Response(200, json=ANSWER))
    with service.client() as client, pytest.raises(ValueError, match="at least one picture"):
        client.query("shop", [])
    assert service.asked == []


def test_query_sends_pictures_and_options_as_a_form() -> None:
    service = Service(httpx.Response(200, json=ANSWER))
    with service.client() as client:
        client.query("shop", [b"first", b"second"], top_k=3, by="image", unify="left_half")
    request = service.asked[0]
    assert (request.method, request.url.path) == ("POST", "/v1/galleries/shop/query")
    assert request.content.count(b'name="files"') == 2
    for field, value in (("top_k", "3"), ("by", "image"), ("unify", "left_half")):
        assert f'name="{field}"\r\n\r\n{value}\r\n'.encode() in request.content


def test_gallery_name_cannot_escape_its_place_in_the_address() -> None:
    service = Service(httpx.Response(204))
    with service.client() as client:
        client.delete_gallery("../model?x=/")
    assert service.asked[0].url.raw_path == b"/v1/galleries/..%2Fmodel%3Fx%3D%2F"


def test_galleries_follows_cursors_to_the_end() -> None:
    service = Service(
        httpx.Response(200, json={"items": [GALLERY], "next_cursor": "abc"}),
        httpx.Response(200, json={"items": [{**GALLERY, "name": "yard"}], "next_cursor": None}),
    )
    with service.client() as client:
        assert [gallery.name for gallery in client.galleries(page_size=1)] == ["shop", "yard"]
    assert [dict(request.url.params) for request in service.asked] == [
        {"limit": "1"},
        {"limit": "1", "cursor": "abc"},
    ]


def test_ready_is_false_while_the_service_starts() -> None:
    with Service(problem(503, "unavailable"), httpx.Response(200, json={})).client() as client:
        assert client.ready() is False
        assert client.ready() is True
