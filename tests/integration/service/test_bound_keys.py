"""What a key that is bound to galleries gets to know of the others: nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import httpx
import pytest

from service.client import Client, NewPicture
from service.storage.keys import Keys
from tests.drawings import encoded, person
from tests.serving import Serving, handmade_settings, serving

NAMES = ("aa-foreign", "b-own", "c-foreign", "d-foreign", "e-own", "f-foreign")
REFUSALS = 5


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    settings = handmade_settings(tmp_path_factory.mktemp("service"), refusal_limit=f"{REFUSALS}/hour")
    with serving(settings) as running:
        with Client(running.url) as client:
            for name in NAMES:
                client.create_gallery(name)
            client.enrol("b-own", [NewPicture(encoded(person(1)), "anna")])
            client.enrol("c-foreign", [NewPicture(encoded(person(who)), f"p{who}") for who in range(3)])
        yield running


def with_key(service: Serving, galleries: list[str] | None) -> httpx.Client:
    keys = Keys(service.app.state.assembly.catalog.database)
    token = keys.create("a key", "query", galleries).token
    return httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {token}"}, timeout=60)


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        (["e-own", "b-own"], [["b-own"], ["e-own"]]),
        (["c-foreign", "not-there", "d-foreign", "e-own"], [["c-foreign"], ["d-foreign"], ["e-own"]]),
        (["not-there"], [[]]),
        (None, [[name] for name in NAMES]),
    ],
)
def test_pages_and_cursors_are_of_the_galleries_that_the_key_is_bound_to(
    service: Serving, bound: list[str] | None, expected: list[list[str]]
) -> None:
    pages, cursor = [], None
    with with_key(service, bound) as http:
        while True:
            asked = {"limit": 1} if cursor is None else {"limit": 1, "cursor": cursor}
            page = http.get("/v1/galleries", params=asked).raise_for_status().json()
            pages.append([gallery["name"] for gallery in page["items"]])
            cursor = page["next_cursor"]
            if cursor is None:
                break
            assert not any(name.encode() in base64.urlsafe_b64decode(cursor + "==") for name in NAMES)
    assert pages == expected


def test_metrics_count_the_galleries_that_the_key_is_bound_to(service: Serving) -> None:
    with with_key(service, ["b-own"]) as bound, with_key(service, None) as unbound:
        everything = unbound.get("/metrics").text
        own = bound.get("/metrics").text
        again = unbound.get("/metrics").text
    assert 'penumbra_gallery_images{gallery="b-own"} 1.0' in own
    assert "penumbra_requests_total" in own
    assert "foreign" not in own
    for text in (everything, again):
        assert 'penumbra_gallery_images{gallery="c-foreign"} 3.0' in text


def test_comparing_with_people_of_other_galleries_is_counted_among_refusals(service: Serving) -> None:
    with with_key(service, ["b-own"]) as bound:
        files = {"files": encoded(person(1))}

        def verify(gallery: str) -> int:
            about = {"gallery": gallery, "person": "anna"}
            return bound.post("/v1/verify", files=files, data=about).status_code

        asked = [verify("c-foreign") for _ in range(REFUSALS + 2)]
        assert asked == [403] * REFUSALS + [429] * 2
        assert verify("b-own") == 200
