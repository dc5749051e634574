"""What the client promises about requests, answers, faults and trying again; no service behind it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.client import (
    AsyncClient,
    Client,
    NewPicture,
    ProblemError,
    Retries,
    ServiceUnreachable,
    UnexpectedAnswer,
)

GALLERY = {
    "name": "shop",
    "images": 3,
    "people": 2,
    "keep_pictures": False,
    "created_at": "2026-11-20T12:00:00Z",
}
ANSWER = {
    "query": {
        "occlusion": {"type": "bottom_half", "scores": {"top": 0.1, "bottom": 0.9, "left": 0, "right": 0}}
    },
    "results": [
        {
            "rank": 1,
            "person": "anna",
            "score": 0.93,
            "probability": None,
            "decision": None,
            "image": {
                "id": "i1",
                "camera": "c1",
                "time": None,
                "occlusion": {"type": "none", "scores": None},
            },
            "compared": "bottom_half",
        }
    ],
    "model": "f" * 64,
    "timings": {"decode": 0.5, "total": 9.0},
}
QUICK = Retries(attempts=4, first_wait_s=0.001, longest_wait_s=0.002)


class Service:
    """Answers in turn, and remembers what was asked."""

    def __init__(
        self, *answers: httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]
    ) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):  # a fresh one each time: a response is read once
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return answer(request)

    def client(self, retries: Retries = QUICK) -> Client:
        return Client("http://service", transport=httpx.MockTransport(self), retries=retries)


def problem(status: int, slug: str, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
    document = {
        "type": f"https://penumbra.invalid/problems/{slug}",
        "title": slug.replace("-", " "),
        "status": status,
        "detail": f"about {slug}",
        "request_id": "r-1",
        **more,
    }
    return httpx.Response(
        status,
        content=json.dumps(document),
        headers={"content-type": "application/problem+json", **(headers or {})},
    )


def items_of(request: httpx.Request) -> list[dict[str, Any]]:
    """The form field ``items`` of a multipart request."""
    boundary = request.headers["content-type"].split("boundary=")[1].encode()
    for part in request.content.split(b"--" + boundary):
        head, _, body = part.partition(b"\r\n\r\n")
        if b'name="items"' in head:
            found: list[dict[str, Any]] = json.loads(body)
            return found
    raise AssertionError("no field items")


def enrol_each(request: httpx.Request) -> httpx.Response:
    items = [
        {"id": f"id-{item['client_id']}", "client_id": item["client_id"], "status": "enrolled"}
        for item in items_of(request)
    ]
    return httpx.Response(201, json={"items": items})


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


def test_enrolment_goes_out_in_calls_of_64_and_comes_back_in_order(tmp_path: Path) -> None:
    file = tmp_path / "picture.jpg"
    file.write_bytes(b"bytes of a file")
    pictures = [NewPicture(file, "anna", client_id=str(number)) for number in range(130)]
    service, told = Service(enrol_each), []
    with service.client() as client:
        outcomes = client.enrol("shop", pictures, on_answer=lambda answered: told.append(len(answered)))
    assert [outcome.id for outcome in outcomes] == [f"id-{number}" for number in range(130)]
    assert [len(items_of(request)) for request in service.asked] == told == [64, 64, 2]
    assert all(b"bytes of a file" in request.content for request in service.asked)


def test_enrolment_is_cut_before_a_call_grows_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.client.calls.enrolment.BYTES_PER_CALL", 100)
    sizes = [60, 30, 20, 200, 1]
    pictures = [NewPicture(b"x" * size, "anna", client_id=str(size)) for size in sizes]
    service = Service(enrol_each)
    with service.client() as client:
        client.enrol("shop", pictures)
    sent = [[int(item["client_id"]) for item in items_of(request)] for request in service.asked]
    assert sent == [[60, 30], [20], [200], [1]]


def test_enrolment_sends_what_is_known_of_a_picture_and_nothing_else() -> None:
    moment = datetime(2026, 11, 20, 12, tzinfo=UTC)
    full = NewPicture(
        b"x", "Ann-Åsa", camera="c1", time=moment, client_id="a/1", metadata={"shelf": [1, None]}
    )
    taken = [{"id": "1", "status": "enrolled"}, {"id": "2", "status": "enrolled"}]
    service = Service(httpx.Response(201, json={"items": taken}))
    with service.client() as client:
        client.enrol("shop", [full, NewPicture(b"y", "bo")])
    assert items_of(service.asked[0]) == [
        {
            "person": "Ann-Åsa",
            "camera": "c1",
            "time": "2026-11-20T12:00:00+00:00",
            "client_id": "a/1",
            "metadata": {"shelf": [1, None]},
        },
        {"person": "bo"},
    ]


def test_time_without_a_zone_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        NewPicture(b"x", "anna", time=datetime(2026, 11, 20))


def test_pictures_that_all_failed_are_told_one_by_one() -> None:
    items = [
        {"id": None, "client_id": "a", "status": "failed", "problem": {"status": 422, "detail": "no picture"}}
    ]
    with Service(problem(422, "bad-picture", items=items * 2)).client() as client:
        outcomes = client.enrol("shop", [NewPicture(b"x", "anna"), NewPicture(b"y", "anna")])
    assert [outcome.status for outcome in outcomes] == ["failed", "failed"]
    assert outcomes[0].problem is not None
    assert outcomes[0].problem.detail == "no picture"


@pytest.mark.parametrize(("status", "slug"), [(422, "not-a-picture"), (413, "picture-too-large")])
def test_bad_picture_left_alone_in_its_call_fails_alone(status: int, slug: str) -> None:
    service = Service(enrol_each, problem(status, slug))
    pictures = [NewPicture(b"x", "anna", client_id=str(number)) for number in range(65)]
    with service.client() as client:
        outcomes = client.enrol("shop", pictures)
    assert [outcome.status for outcome in outcomes] == ["enrolled"] * 64 + ["failed"]
    assert outcomes[-1].client_id == "64"
    assert outcomes[-1].problem is not None
    assert (outcomes[-1].problem.status, outcomes[-1].problem.detail) == (status, f"about {slug}")


def busy(taken: int) -> Callable[[httpx.Request], httpx.Response]:
    """Takes so many pictures of a call, and turns the others away."""

    def answer(request: httpx.Request) -> httpx.Response:
        items: list[dict[str, Any]] = []
        for number, item in enumerate(items_of(request)):
            client_id = item.get("client_id")
            fault = {"status": (504, 429, 503)[number % 3], "detail": "busy"}
            items.append(
                {"id": f"id-{client_id}", "client_id": client_id, "status": "enrolled"}
                if number < taken
                else {"id": None, "client_id": client_id, "status": "failed", "problem": fault}
            )
        return httpx.Response(201, json={"items": items})

    return answer


def test_pictures_that_a_busy_service_turned_away_are_sent_again_in_their_place() -> None:
    service, told = Service(busy(30)), []
    pictures = [NewPicture(b"x", "anna", client_id=str(number)) for number in range(100)]
    with service.client() as client:
        outcomes = client.enrol("shop", pictures, on_answer=lambda answered: told.extend(answered))
    assert [outcome.id for outcome in outcomes] == [f"id-{number}" for number in range(100)]
    assert len(told) == 100
    assert [len(items_of(request)) for request in service.asked] == [64, 64, 40, 10]


def test_service_that_takes_nothing_is_not_asked_for_ever() -> None:
    service = Service(busy(0))
    pictures = [NewPicture(b"x", "anna", client_id=str(number)) for number in range(3)]
    with service.client() as client:
        assert [outcome.status for outcome in client.enrol("shop", pictures)] == ["failed"] * 3
    assert len(service.asked) == 1


def test_picture_without_client_id_that_was_turned_away_is_not_sent_again() -> None:
    service = Service(busy(1))
    with service.client() as client:
        outcomes = client.enrol("shop", [NewPicture(b"x", "anna"), NewPicture(b"y", "bo")])
    assert [outcome.status for outcome in outcomes] == ["enrolled", "failed"]
    assert len(service.asked) == 1


def test_answer_about_another_number_of_pictures_is_told() -> None:
    short = httpx.Response(201, json={"items": [{"id": "1", "status": "enrolled"}]})
    with Service(short).client() as client, pytest.raises(UnexpectedAnswer, match="2 pictures"):
        client.enrol("shop", [NewPicture(b"x", "anna"), NewPicture(b"y", "bo")])


def test_fault_of_the_whole_enrolment_is_raised() -> None:
    with Service(problem(404, "unknown-gallery")).client() as client, pytest.raises(ProblemError):
        client.enrol("shop", [NewPicture(b"x", "anna")])


def test_ready_is_false_while_the_service_starts() -> None:
    with Service(problem(503, "unavailable"), httpx.Response(200, json={})).client() as client:
        assert client.ready() is False
        assert client.ready() is True


OVERLOADED = problem(429, "overloaded", headers={"retry-after": "0"})
REFUSED = httpx.ConnectError("connection refused")


@pytest.mark.parametrize("fault", [OVERLOADED, REFUSED], ids=["429", "refused"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.query("shop", [b"x"]),
        lambda client: client.enrol("shop", [NewPicture(b"x", "anna", client_id="1")]),
    ],
    ids=["query", "enrol with client ids"],
)
def test_repeatable_call_is_sent_again_until_it_is_taken(
    fault: httpx.Response | Exception, ask: Callable[[Client], object]
) -> None:
    def take(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=ANSWER) if request.url.path.endswith("query") else enrol_each(request)

    service = Service(fault, fault, take)
    with service.client() as client:
        ask(client)
    assert len(service.asked) == 3
    assert len({len(request.content) for request in service.asked}) == 1


@pytest.mark.parametrize("fault", [OVERLOADED, REFUSED], ids=["429", "refused"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.create_gallery("shop"),
        lambda client: client.enrol("shop", [NewPicture(b"x", "a", client_id="1"), NewPicture(b"y", "b")]),
    ],
    ids=["create", "enrol without client ids"],
)
def test_call_that_could_do_harm_twice_is_sent_once(
    fault: httpx.Response | Exception, ask: Callable[[Client], object]
) -> None:
    service = Service(fault)
    with service.client() as client, pytest.raises((ProblemError, ServiceUnreachable)):
        ask(client)
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "fault", [problem(500, "internal-error"), problem(504, "deadline-exceeded"), httpx.ReadTimeout("slow")]
)
def test_other_faults_are_not_tried_again(fault: httpx.Response | Exception) -> None:
    service = Service(fault)
    with service.client() as client, pytest.raises((ProblemError, ServiceUnreachable)):
        client.model()
    assert len(service.asked) == 1


def test_patience_ends_and_the_last_fault_is_told() -> None:
    service = Service(OVERLOADED)
    with service.client() as client, pytest.raises(ProblemError) as raised:
        client.model()
    assert raised.value.status == 429
    assert len(service.asked) == QUICK.attempts

    service = Service(REFUSED)
    with service.client() as client, pytest.raises(ServiceUnreachable, match="refused"):
        client.model()
    assert len(service.asked) == QUICK.attempts


def waits(retry_after: str | None, retries: Retries, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long a client waits that is refused until its patience ends."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    headers = {} if retry_after is None else {"retry-after": retry_after}
    with (
        Service(problem(429, "overloaded", headers=headers)).client(retries) as client,
        pytest.raises(ProblemError),
    ):
        client.model()
    return slept


def test_waits_double_up_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    retries = Retries(attempts=6, first_wait_s=0.5, longest_wait_s=3.0)
    assert waits(None, retries, monkeypatch) == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_retry_after_is_waited_for_but_not_longer_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    retries = Retries(attempts=3, first_wait_s=0.5, longest_wait_s=10.0)
    assert waits("4", retries, monkeypatch) == [4.0, 4.0]
    assert waits("3600", retries, monkeypatch) == [10.0, 10.0]
    assert waits("soon", retries, monkeypatch) == [0.5, 1.0]
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=6), usegmt=True)
    assert all(3.0 < wait <= 6.0 for wait in waits(date, retries, monkeypatch))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_proxy_named_by_the_environment_is_not_asked_for_a_service_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    asked: list[httpx.HTTPTransport] = []

    def answer(transport: httpx.HTTPTransport, _: httpx.Request) -> httpx.Response:
        asked.append(transport)
        return httpx.Response(200, json=GALLERY)

    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    proxied: list[bool] = []
    for name in (host, "service.example"):
        with Client(f"http://{name}:8321") as client:
            client.gallery("shop")
        proxied.append("Proxy" in type(asked[-1]._pool).__name__)
    assert proxied == [False, True]


async def test_async_client_answers_as_the_sync_one(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        path = request.url.path
        if path.endswith("/query"):
            return httpx.Response(200, json=ANSWER)
        if path.endswith("/images"):
            return enrol_each(request)
        if path == "/v1/galleries" and request.method == "GET":
            last = "cursor" in request.url.params
            return httpx.Response(200, json={"items": [GALLERY], "next_cursor": None if last else "c"})
        if path == "/v1/galleries/none":
            return problem(404, "unknown-gallery")
        return httpx.Response(200, json=GALLERY)

    pictures = [NewPicture(b"x", "anna", client_id=str(number)) for number in range(70)]
    transport = httpx.MockTransport(answer)
    with Client("http://service", transport=transport) as sync_client:
        async with AsyncClient("http://service", transport=transport) as client:
            assert await client.create_gallery("shop") == sync_client.create_gallery("shop")
            assert await client.gallery("shop") == sync_client.gallery("shop")
            assert [one async for one in client.galleries()] == list(sync_client.galleries())
            assert await client.enrol("shop", pictures) == sync_client.enrol("shop", pictures)
            assert await client.query("shop", [b"x"]) == sync_client.query("shop", [b"x"])
            assert await client.ready() is sync_client.ready() is True
            with pytest.raises(ProblemError):
                await client.gallery("none")


async def test_async_client_tries_again_by_the_same_rules() -> None:
    service = Service(OVERLOADED, REFUSED, httpx.Response(200, json=GALLERY))
    async with AsyncClient("http://service", transport=httpx.MockTransport(service), retries=QUICK) as client:
        assert (await client.gallery("shop")).name == "shop"
    service = Service(REFUSED)
    async with AsyncClient("http://service", transport=httpx.MockTransport(service), retries=QUICK) as client:
        with pytest.raises(ServiceUnreachable):
            await client.create_gallery("shop")
    assert len(service.asked) == 1
