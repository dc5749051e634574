"""The connection breaks while the catalog commits: who comes back gets the truth; nothing is half there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.storage.database import CommitInDoubt
from tests.drawings import encoded, person
from tests.serving import Serving, handmade_settings, serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Serving]:
    with serving(handmade_settings(folder)) as running:
        yield running


@pytest.fixture
def http(service: Serving) -> Iterator[httpx.Client]:
    """With a gallery ``g`` that keeps pictures, and somebody in it."""
    with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as made:
        made.post("/v1/galleries", json={"name": "g", "keep_pictures": True})
        enrol(made, 1)
        yield made
        made.delete("/v1/galleries/g")


def enrol(http: httpx.Client, who: int) -> httpx.Response:
    return http.post(
        "/v1/galleries/g/images",
        files=[("files", ("0", encoded(person(who))))],
        data={"items": json.dumps([{"person": f"p{who}", "client_id": f"p{who}"}])},
    )


def found(http: httpx.Client, who: int) -> list[str]:
    files = [("files", ("0", encoded(person(who))))]
    return [result["person"] for result in http.post("/v1/galleries/g/query", files=files).json()["results"]]


def files(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*.picture*"))


def until(holds: Callable[[], bool]) -> None:
    for _ in range(200):
        if holds():
            return
        time.sleep(0.1)
    pytest.fail("it was not mended")


def break_off_after(monkeypatch: pytest.MonkeyPatch, part: object, call: str) -> None:
    """The call is committed, and nobody hears of it; once."""
    original = getattr(part, call)

    def committed_and_broken_off(*arguments: Any) -> Any:
        monkeypatch.setattr(part, call, original)
        raise CommitInDoubt(original(*arguments))

    monkeypatch.setattr(part, call, committed_and_broken_off)


def assert_come_back(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert "done or it was not" in answer.json()["detail"]


def test_a_picture_whose_commit_was_done_in_silence_is_there_for_whoever_comes_back(
    service: Serving, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = service.app.state.assembly.galleries._parts.catalog
    break_off_after(monkeypatch, catalog.pictures, "enrol")
    assert_come_back(enrol(http, 2))
    again = enrol(http, 2)
    assert (again.status_code, again.json()["items"][0]["status"]) == (201, "exists")
    assert found(http, 2)[0] == "p2"
    kept = http.get(f"/v1/galleries/g/images/{again.json()['items'][0]['id']}/file")
    assert kept.content == encoded(person(2))


def test_a_picture_whose_commit_was_not_done_leaves_nothing(
    service: Serving, http: httpx.Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = service.app.state.assembly.galleries._parts.catalog
    enrolling, deleting = catalog.pictures.enrol, catalog.people.delete

    def undone(*arguments: Any) -> Any:
        monkeypatch.setattr(catalog.pictures, "enrol", enrolling)
        stored = enrolling(*arguments)
        deleting("g", "p3")  # as if it had been rolled back
        raise CommitInDoubt(stored)

    monkeypatch.setattr(catalog.pictures, "enrol", undone)
    before = files(folder)
    assert_come_back(enrol(http, 3))
    until(lambda: files(folder) == before)
    assert found(http, 3) == ["p1"]
    assert enrol(http, 3).json()["items"][0]["status"] == "enrolled"
    assert found(http, 3)[0] == "p3"


def test_an_erasure_done_in_silence_leaves_nothing_though_nobody_comes_back(
    service: Serving, http: httpx.Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assembly = service.app.state.assembly
    before = files(folder)
    enrol(http, 4)
    break_off_after(monkeypatch, assembly.galleries._parts.catalog.people, "delete")
    assert_come_back(http.delete("/v1/galleries/g/people/p4"))
    until(lambda: files(folder) == before)
    until(lambda: not assembly.galleries._parts.forgetting.owed)
    misses = assembly.metrics.cache_lookups.labels("miss")
    asked = misses._value.get()
    assert found(http, 4) == ["p1"]
    assert misses._value.get() > asked, "the feature cache forgot them too"


def test_a_merge_done_in_silence_is_seen_by_queries(
    service: Serving, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(http, 5)
    break_off_after(monkeypatch, service.app.state.assembly.galleries._parts.catalog.people, "rename")
    assert_come_back(http.patch("/v1/galleries/g/people/p5", json={"name": "p1", "merge": True}))
    until(lambda: found(http, 5) == ["p1"])


def test_an_index_that_cannot_follow_refuses_changes_until_it_can(
    service: Serving, http: httpx.Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = service.app.state.assembly.galleries._parts.index
    before = files(folder)
    with monkeypatch.context() as patched:

        def no_memory(*_: object) -> None:
            raise MemoryError

        patched.setattr(index, "add", no_memory)
        stored = enrol(http, 6)
        assert (stored.status_code, stored.json()["type"].rsplit("/", 1)[-1]) == (503, "unavailable")
        assert "has stored this" in stored.json()["detail"]
        for answer in (
            stored,
            enrol(http, 7),
            enrol(http, 6),
            http.post("/v1/galleries", json={"name": "h"}),
            http.patch("/v1/galleries/g", json={"retention_days": 9}),
            http.patch("/v1/galleries/g/people/p1", json={"name": "p8"}),
            http.delete("/v1/galleries/g/people/p1"),
            http.delete("/v1/galleries/g"),
        ):
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["Retry-After"]) > 0
            if answer is not stored:
                assert "Nothing of this request was stored" in answer.json()["detail"]
        ready = http.get("/readyz")
        assert (ready.status_code, ready.json()["parts"]["index"]) == (503, False)
        assert found(http, 1) == ["p1"], "queries are answered"
        people = [one["name"] for one in http.get("/v1/galleries/g/people").json()["items"]]
        assert people == ["p1", "p6"]
        assert http.get("/v1/galleries/h").status_code == 404
    until(lambda: http.get("/readyz").status_code == 200)
    assert enrol(http, 6).json()["items"][0]["status"] == "exists"
    assert enrol(http, 7).json()["items"][0]["status"] == "enrolled"
    assert (found(http, 6)[0], found(http, 7)[0]) == ("p6", "p7")
    assert files(folder) == before + 2


def test_what_cannot_be_settled_keeps_nothing_else_from_being_forgotten(
    service: Serving, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = service.app.state.assembly.galleries._parts
    with monkeypatch.context() as patched:

        def no_memory(*_: object) -> None:
            raise MemoryError

        patched.setattr(parts.index, "add", no_memory)
        assert enrol(http, 6).status_code == 503
        parts.forgetting.owed = True
        until(lambda: not parts.forgetting.owed)
        assert parts.behind
    until(lambda: not parts.behind)
