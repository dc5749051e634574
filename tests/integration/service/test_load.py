"""More than the service can do: deadlines through every stage, and 429 where too many wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
    with serving(handmade_settings(tmp_path)) as patient, Client(patient.url) as client:
        client.create_gallery("g")
        client.enrol("g", [NewPicture(encoded(person(who)), str(who)) for who in range(3)])
    with serving(handmade_settings(tmp_path, deadline_s=1.0, requests_limit=3)) as running:
        yield running


def ask(service: Serving, method: str, path: str) -> httpx.Response:
    sent: dict[str, Any] = {"files": _FILES} if method == "POST" else {}
    if path == "/v1/verify":
        sent["data"] = {"gallery": "g", "person": "1"}
    return httpx.request(method, service.url + path, timeout=60, **sent)


def answer(service: Serving, method: str, path: str) -> int:
    """The status once nothing is held up; asked again where the machine is as slow as the deadline."""
    give_up = time.monotonic() + 60
    while (status := ask(service, method, path).status_code) == 504:
        assert time.monotonic() < give_up
    return status


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
    assert answer(service, *asked) == 200


def test_requests_beyond_the_limit_are_told_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        serving(handmade_settings(tmp_path, deadline_s=120.0, requests_limit=3)) as service,
        ThreadPoolExecutor(3) as threads,
        Client(service.url) as client,
    ):
        client.create_gallery("g")
        catalog = service.app.state.assembly.galleries._parts.catalog
        with held(monkeypatch, catalog.galleries, "get") as begun:
            looking = [threads.submit(ask, service, "GET", "/v1/galleries/g") for _ in range(3)]
            for _ in looking:
                assert begun.acquire(timeout=60)
            refused = ask(service, "POST", "/v1/galleries/g/query")
            assert (refused.status_code, refused.json()["type"].rsplit("/", 1)[-1]) == (429, "overloaded")
            assert int(refused.headers["Retry-After"]) >= 1
            assert httpx.get(f"{service.url}/readyz").status_code == 200
        assert [answer.result().status_code for answer in looking] == [200, 200, 200]
        assert ask(service, "POST", "/v1/galleries/g/query").status_code == 200


def test_a_change_that_has_begun_is_answered_and_what_waits_behind_it_never_begins(
    service: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = service.app.state.assembly.galleries._parts.catalog

    def make(name: str) -> httpx.Response:
        return httpx.post(f"{service.url}/v1/galleries", json={"name": name}, timeout=60)

    with ThreadPoolExecutor(1) as threads:
        with held(monkeypatch, catalog.galleries, "create") as begun:
            first = threads.submit(make, "begun")
            while not begun.acquire(timeout=0.1):
                if first.done():  # the machine was as slow as the deadline
                    assert first.result().status_code == 504
                    first = threads.submit(make, "begun")
            late = make("behind")  # is answered when its own deadline is past, and so is the first's
            assert (late.status_code, late.json()["type"].rsplit("/", 1)[-1]) == (504, "deadline-exceeded")
            assert "Nothing was changed" in late.json()["detail"]
        assert first.result().status_code == 201
    assert answer(service, "GET", "/v1/galleries/begun") == 200
    assert answer(service, "GET", "/v1/galleries/behind") == 404


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
    assert answer(service, "GET", "/v1/galleries/g/images") == 200


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
    assert answer(service, "GET", "/v1/galleries/g") == 200
    assert answer(service, "DELETE", "/v1/galleries/g") == 204
