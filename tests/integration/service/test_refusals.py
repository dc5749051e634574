"""Who is not let in is told to wait before long and cannot fill the trail; what the trail has of faults."""

from __future__ import annotations

import asyncio
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from service.api import audit, gatekeeper
from service.api.gatekeeper import network_of
from service.client import Client
from service.storage.audit import AuditTrail, Event
from service.storage.keys import KeyRecord, Keys
from tests.serving import Serving, handmade_settings, serving

if TYPE_CHECKING:
    from tests.servers import PostgreSQLServer

REFUSALS = 5


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Serving]:
    with serving(handmade_settings(tmp_path, refusal_limit=f"{REFUSALS}/hour")) as running:
        yield running


def keys(service: Serving) -> Keys:
    return Keys(service.app.state.assembly.galleries._parts.catalog.database)


def get(service: Serving, token: str | None, path: str = "/v1/galleries") -> httpx.Response:
    headers = {"X-Request-ID": "chosen", **({} if token is None else {"Authorization": f"Bearer {token}"})}
    return httpx.get(service.url + path, headers=headers, timeout=60)


def events(service: Serving, until: Callable[[list[Event]], bool]) -> list[Event]:
    """The trail, once it has what is waited for: what changed nothing is written a moment later."""
    trail = AuditTrail(service.app.state.assembly.galleries._parts.catalog.database)
    ends = time.monotonic() + 30
    while not until(found := trail.events(1000)) and time.monotonic() < ends:
        time.sleep(0.05)
    return found


def test_an_address_that_is_refused_too_often_is_told_to_wait_and_good_keys_of_it_are_not(
    service: Serving,
) -> None:
    good, new = (keys(service).create("good", "admin").token for _ in range(2))
    assert get(service, good).status_code == 200
    wrong = [good[:-1] + "~", good[:-8] + "A" * 8, None, "pen_", good[:-8] + "B" * 8]
    assert len(wrong) == REFUSALS
    time.sleep(1.1)  # what was known of the keys is taken for granted for a second
    assert [get(service, token).status_code for token in wrong] == [401] * REFUSALS

    for token in (*wrong, good[:-8] + "C" * 8):
        answer = get(service, token)
        assert answer.status_code == 429
        assert "more refused requests than" in answer.json()["detail"]
        assert 1 <= int(answer.headers["Retry-After"]) <= 3600
    assert get(service, new).status_code == 200
    time.sleep(1.1)
    assert get(service, good).status_code == 200


def test_few_keys_at_a_time_are_looked_up_for_an_address_that_is_refused_too_often(
    service: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = keys(service).create("good", "admin").token
    assert [get(service, None).status_code for _ in range(REFUSALS)] == [401] * REFUSALS

    find, lock, looking, most = Keys.find, threading.Lock(), 0, 0

    def slow(self: Keys, token: str) -> KeyRecord | None:
        nonlocal looking, most
        with lock:
            looking += 1
            most = max(most, looking)
        time.sleep(0.1)
        found = find(self, token)
        with lock:
            looking -= 1
        return found

    monkeypatch.setattr(Keys, "find", slow)
    wrong = [f"{good[:-2]}~{number}" for number in range(10, 26)]
    with ThreadPoolExecutor(len(wrong) + 1) as callers:
        answers = callers.map(lambda token: get(service, token).status_code, [*wrong, good])
    assert list(answers) == [429] * len(wrong) + [200]
    assert 1 <= most <= gatekeeper._AT_A_TIME


def test_a_key_that_was_revoked_is_an_unknown_one(service: Serving) -> None:
    operator, former = keys(service).create("operator", "admin"), keys(service).create("former", "query")
    assert get(service, former.token).status_code == 200
    keys(service).revoke(former.record.id)
    time.sleep(1.1)
    asked = [get(service, former.token).status_code for _ in range(REFUSALS + 1)]
    assert asked == [401] * REFUSALS + [429]
    assert former.token not in service.app.state.assembly.gatekeeper._found
    assert get(service, operator.token).status_code == 200


def test_a_key_that_does_not_permit_what_is_asked_is_told_to_wait_and_may_do_what_it_permits(
    service: Serving,
) -> None:
    keys(service).create("operator", "admin")
    bound = keys(service).create("bound", "query", ["g"]).token
    asked = [get(service, bound, "/v1/galleries/other").status_code for _ in range(REFUSALS + 2)]
    assert asked == [403] * REFUSALS + [429] * 2
    assert get(service, bound).status_code == 200


def test_strangers_get_one_line_a_minute_and_none_of_their_words(service: Serving) -> None:
    good = keys(service).create("good", "admin").token
    assert get(service, good).status_code == 200
    for number in range(40):
        get(service, None, f"/v1/galleries/g{number}/people/somebody")
    assert get(service, good, "/v1/galleries/g/people/somebody").status_code == 404
    found = events(service, lambda found: any(event.action == "get_person" and event.key for event in found))
    strangers = [event for event in found if event.key is None]
    assert 1 <= len(strangers) <= 2  # a minute may have ended meanwhile
    assert {(event.status, event.gallery, event.subject, event.request_id) for event in strangers} <= {
        (401, None, None, "-"),
        (429, None, None, "-"),
    }


def test_strangers_from_many_addresses_are_bounded_too() -> None:
    trail = audit.Audit(app=None)  # type: ignore[arg-type]
    written = sum(trail._first_in_minute(f"10.0.{number}.1", None) for number in range(200))
    assert audit._STRANGERS <= written <= 2 * audit._STRANGERS
    assert trail._first_in_minute("10.0.0.1", "of a key"), "strangers do not crowd out those with a key"


def test_what_is_turned_away_because_the_service_is_full_is_in_the_trail_and_does_not_fill_it(
    tmp_path: Path,
) -> None:
    with serving(handmade_settings(tmp_path, requests_limit=1, body_deadline_s=3600)) as running:
        admitted = http.client.HTTPConnection(running.url.removeprefix("http://"), timeout=60)
        begun = {"Content-Length": "9", "Content-Type": "application/json", "Expect": "100-continue"}
        admitted.request("POST", "/v1/galleries", headers=begun)
        assert admitted.sock.recv(12) == b"HTTP/1.1 100"  # it is in, and its body is waited for
        for number in range(20):
            assert get(running, None, f"/v1/galleries/g{number}/people/somebody/else").status_code == 429
        time.sleep(1)
        found = events(running, lambda found: len(found) > 0)
        admitted.close()
    assert 1 <= len(found) <= 2  # a minute may have ended meanwhile
    assert {(event.action, event.status, event.key, event.gallery, event.subject) for event in found} == {
        ("get_person", 429, None, None, None)
    }


def test_a_key_that_asks_too_often_has_one_line_a_minute_for_it(tmp_path: Path) -> None:
    with serving(handmade_settings(tmp_path, rate_limit="2/hour", refusal_limit="2/hour")) as running:
        often, bound = keys(running).create("often", "admin"), keys(running).create("bound", "query", ["g"])
        asked = [get(running, often.token).status_code for _ in range(12)]
        assert asked == [200] * 2 + [429] * 10
        asked = [get(running, bound.token, "/v1/galleries/h").status_code for _ in range(12)]
        assert asked == [403] * 2 + [429] * 10
        time.sleep(1)
        found = events(running, lambda found: len(found) >= 6)
    for key, status in ((often, 200), (bound, 403)):
        statuses = sorted(event.status for event in found if event.key == key.record.id)
        assert statuses[:2] == [status] * 2
        assert statuses[2:] in ([429], [429] * 2)  # a minute may have ended meanwhile


def test_a_body_that_is_announced_too_long_is_refused_after_the_key_and_in_the_trail(tmp_path: Path) -> None:
    with serving(handmade_settings(tmp_path, max_body_bytes=1000)) as running:
        operator = keys(running).create("operator", "admin")
        headers = {"Content-Length": "1001", "Content-Type": "multipart/form-data; boundary=x"}
        for key, status in ((None, 401), (operator.token, 413)):
            caller = http.client.HTTPConnection(running.url.removeprefix("http://"), timeout=60)
            authorised = {} if key is None else {"Authorization": f"Bearer {key}"}
            caller.request("POST", "/v1/galleries/g/images", headers={**headers, **authorised})
            assert caller.getresponse().status == status
            caller.close()
        found = events(running, lambda found: len(found) >= 2)
    assert {(event.action, event.status, event.key, event.gallery) for event in found} == {
        ("enrol", 401, None, None),
        ("enrol", 413, operator.record.id, "g"),
    }


def test_a_gallery_name_that_no_gallery_can_have_does_not_stop_the_trail(
    tmp_path: Path, postgresql_server: PostgreSQLServer
) -> None:
    """PostgreSQL refuses texts that are too long for a column, and those with a NUL."""
    settings = handmade_settings(tmp_path, catalog_url=postgresql_server.empty_database())
    with serving(settings) as running, Client(running.url) as client:
        for name in ("x" * 300, "a%00b", "%F0%9F%A6%8A"):
            assert get(running, None, f"/v1/galleries/{name}").status_code in (404, 422)
        client.create_gallery("g")
        found = events(running, lambda found: len(found) >= 4)
    assert [event.gallery for event in found if event.action == "get_gallery"] == [None] * 3
    assert [event.status for event in found if event.action == "create_gallery"] == [201]


def test_a_fault_of_the_service_is_in_the_trail(service: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    with Client(service.url) as client:
        client.create_gallery("g")

    def fail(*_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(service.app.state.assembly.galleries, "get", fail)
    assert get(service, None, "/v1/galleries/g").status_code == 500
    found = events(service, lambda found: any(event.action == "get_gallery" for event in found))
    assert [(event.gallery, event.status) for event in found if event.action == "get_gallery"] == [("g", 500)]


def test_what_was_given_up_is_in_the_trail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(handmade_settings(tmp_path, deadline_s=0.2, body_deadline_s=0.2)) as running:
        monkeypatch.setattr(running.app.state.assembly.galleries, "get", lambda _: asyncio.sleep(60))
        assert get(running, None, "/v1/galleries/g").status_code == 504
        begun = {"Content-Length": "9", "Content-Type": "application/json"}
        caller = http.client.HTTPConnection(running.url.removeprefix("http://"), timeout=60)
        caller.request("POST", "/v1/galleries", headers=begun)
        assert caller.getresponse().status == 408
        caller.close()
        found = events(running, lambda found: len(found) >= 2)
    assert sorted((event.action, event.status) for event in found) == [
        ("create_gallery", 408),
        ("get_gallery", 504),
    ]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::9", "2001:db8:1:2::/64"),
        ("unknown", "unknown"),
    ],
)
def test_addresses_of_one_caller_are_counted_as_one(address: str, network: str) -> None:
    assert network_of(address) == network
