"""A service that tests play: it answers the client in turn, and remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from service.client import Client, Retries

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


OVERLOADED = problem(429, "overloaded", headers={"retry-after": "0"})


REFUSED = httpx.ConnectError("connection refused")
