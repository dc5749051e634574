"""More than the service can do: deadlines through every stage, and 429 where too many wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.client import Client, NewPicture
from tests.drawings import encoded, person
from tests.serving import Serving, handmade_settings, serving

_FILES = [("files", ("a", encoded(person(1))))]


@contextmanager
def held(monkeypatch: pytest.MonkeyPatch, on: Any, method: str) -> Iterator[threading.Semaphore]:
    """Calls of a method wait until the context ends; the semaphore counts those that have begun."""
    go_on, begun = threading.Event(), threading.Semaphore(0)
    real = getattr(on, method)

    def slow(*args: Any, **options: Any) -> Any:
        begun.release()
        assert go_on.wait(60)
        return real(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(on, method, slow)
        try:
            yield begun
        finally:
            go_on.set()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Serving]:
    with (
        serving(handmade_settings(tmp_path, deadline_s=1.0, requests_limit=3)) as running,
        Client(running.url) as client,
    ):
        client.create_gallery("g")
        client.enrol("g", [NewPicture(encoded(person(who)), str(who)) for who in range(3)])
        yield running


def ask(service: Serving, method: str, path: str) -> httpx.Response:
    sent: dict[str, Any] = {"files": _FILES} if method == "POST" else {}
    if path == "/v1/verify":
        sent["data"] = {"gallery": "g", "person": "1"}
    return httpx.request(method, service.url + path, timeout=60, **sent)


@pytest.mark.parametrize(
    ("part", "call", "asked"),
    [
        ("index", "search", ("POST", "/v1/galleries/g/query")),
        ("index", "search", ("POST", "/v1/verify")),
        ("pictures", "page", ("GET", "/v1/galleries/g/images")),
        ("people", "page", ("GET", "/v1/galleries/g/people")),
        ("galleries", "get", ("GET", "/v1/galleries/g")),
    ],
)
def test_a_deadline_holds_while_index_or_catalog_is_slow(
    service: Serving, monkeypatch: pytest.MonkeyPatch, part: str, call: str, asked: tuple[str, str]
) -> None:
    parts = service.app.state.assembly.galleries._parts
    on = parts.index if part == "index" else getattr(parts.catalog, part)
    with held(monkeypatch, on, call):
        late = ask(service, *asked)
    assert (late.status_code, late.json()["type"].rsplit("/", 1)[-1]) == (504, "deadline-exceeded")
    assert ask(service, *asked).status_code == 200


def test_requests_beyond_the_limit_are_told_to_come_back_and_none_is_lost(
    service: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = service.app.state.assembly.galleries._parts.catalog
    with ThreadPoolExecutor(3) as threads:
        with held(monkeypatch, catalog.galleries, "create") as begun:
            making: list[Future[httpx.Response]] = [
                threads.submit(httpx.post, f"{service.url}/v1/galleries", json={"name": f"g{n}"}, timeout=60)
                for n in range(3)
            ]
            assert begun.acquire(timeout=60)
            until = time.monotonic() + 60
            while (refused := ask(service, "POST", "/v1/galleries/g/query")).status_code == 200:
                assert time.monotonic() < until  # the others have not all come in yet
            assert (refused.status_code, refused.json()["type"].rsplit("/", 1)[-1]) == (429, "overloaded")
            assert int(refused.headers["Retry-After"]) >= 1
            assert httpx.get(f"{service.url}/readyz").status_code == 200
            time.sleep(1.5)  # longer than the deadline
        answers = {f"g{n}": answer.result() for n, answer in enumerate(making)}
    # what has begun is ended and answered, whatever the deadline says; what waits for its turn never begins
    assert sorted(answer.status_code for answer in answers.values()) == [201, 504, 504]
    made = {name for name, answer in answers.items() if answer.status_code == 201}
    for name, answer in answers.items():
        if name not in made:
            assert answer.json()["type"].endswith("/deadline-exceeded")
            assert "Nothing was changed" in answer.json()["detail"]
        assert (httpx.get(f"{service.url}/v1/galleries/{name}").status_code == 200) == (name in made)
    assert ask(service, "POST", "/v1/galleries/g/query").status_code == 200


def test_a_request_that_waits_for_a_thread_past_its_deadline_is_never_begun(
    service: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = service.app.state.assembly.galleries._parts
    readers: ThreadPoolExecutor = parts._readers
    busy, go_on = threading.Barrier(readers._max_workers + 1), threading.Event()

    def block() -> None:
        busy.wait(60)
        go_on.wait(60)

    with held(monkeypatch, parts.catalog.pictures, "page") as begun:
        for _ in range(readers._max_workers):
            readers.submit(block)
        busy.wait(60)
        assert ask(service, "GET", "/v1/galleries/g/images").status_code == 504
        go_on.set()
        readers.submit(int).result(60)  # behind whatever was left in the queue
        assert not begun.acquire(blocking=False)
    assert ask(service, "GET", "/v1/galleries/g/images").status_code == 200


def test_a_change_that_waits_for_a_thread_past_its_deadline_is_never_begun(
    service: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = service.app.state.assembly.galleries._parts
    writers: ThreadPoolExecutor = parts._writers
    busy, go_on = threading.Barrier(writers._max_workers + 1), threading.Event()

    def block() -> None:
        busy.wait(60)
        go_on.wait(60)

    for _ in range(writers._max_workers):
        writers.submit(block)
    busy.wait(60)
    late = httpx.delete(f"{service.url}/v1/galleries/g", timeout=60)
    assert (late.status_code, late.json()["type"].rsplit("/", 1)[-1]) == (504, "deadline-exceeded")
    go_on.set()
    writers.submit(int).result(60)  # behind whatever was left in the queue
    assert httpx.get(f"{service.url}/v1/galleries/g").status_code == 200
    assert httpx.delete(f"{service.url}/v1/galleries/g", timeout=60).status_code == 204
