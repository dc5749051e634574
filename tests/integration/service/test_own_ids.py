"""What callers told of a picture, they can find it by, and it comes back with whatever names the picture."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import httpx
import pytest

from service.client import Client, NewPicture
from tests.drawings import encoded, person
from tests.serving import handmade_settings, serving

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("service")
    with serving(handmade_settings(folder)) as running:
        with Client(running.url) as client:
            client.create_gallery("g")
            client.enrol(
                "g",
                [
                    NewPicture(
                        encoded(person(1, view)),
                        "anna",
                        time=NOON + timedelta(hours=view),
                        client_id=f"a-{view}",
                        metadata={"gate": view},
                    )
                    for view in range(3)
                ],
            )
            client.enrol("g", [NewPicture(encoded(person(2)), "ben", camera="yard")])
        yield running.url


def test_pictures_are_listed_by_what_was_told_of_them(url: str) -> None:
    with Client(url) as client:

        def ids(**conditions: object) -> list[str | None]:
            return [one.client_id for one in client.images("g", **conditions)]  # type: ignore[arg-type]

        assert ids() == ["a-0", "a-1", "a-2", None]
        assert (ids(client_id="a-1"), ids(client_id="b-1")) == (["a-1"], [])
        assert ids(time_from=NOON + timedelta(hours=1)) == ["a-1", "a-2"]
        assert ids(time_to=NOON + timedelta(hours=1)) == ["a-0"]
        elsewhere = timezone(timedelta(hours=-3))
        assert ids(time_from=NOON.astimezone(elsewhere), time_to=NOON + timedelta(hours=2)) == ["a-0", "a-1"]
        assert (ids(pending=True), ids(pending=False)) == ([], ids())
        assert ids(pending=False, page_size=1) == ids()
    wrong = {"time_from": "yesterday", "pending": "perhaps", "client_id": ""}
    for name, value in wrong.items():
        answer = httpx.get(f"{url}/v1/galleries/g/images", params={name: value})
        assert (answer.status_code, name in answer.json()["detail"]) == (422, True)


@pytest.mark.parametrize("unify", ["auto", "fuse"])
def test_what_matched_comes_with_what_its_caller_told(url: str, unify: str) -> None:
    with Client(url) as client:
        answer = client.query("g", [encoded(person(1, 50))], unify=unify, evidence=3)
        anna, ben = answer.results
        shown = [anna.image, *(one.image for one in anna.evidence)]
        assert sorted((str(one.client_id), one.metadata["gate"]) for one in shown) == [
            (f"a-{view}", view) for view in range(3)
        ]
        assert (ben.image.client_id, ben.image.metadata) == (None, {})
        verified = client.verify([encoded(person(1, 50))], gallery="g", person="anna").image
        assert verified is not None
        assert verified.client_id in {"a-0", "a-1", "a-2"}


def test_a_cursor_is_of_its_list_gallery_and_filter_alone(url: str) -> None:
    with httpx.Client(base_url=f"{url}/v1", timeout=60) as http:
        http.post("/galleries", json={"name": "h"}).raise_for_status()

        def cursor_of(path: str, **filters: str) -> str:
            cursor: str = http.get(path, params={"limit": 1, **filters}).json()["next_cursor"]
            return cursor

        window = {"time_from": "2026-01-31T12:00:00Z"}
        given = cursor_of("/galleries/g/images", **window)
        same = {"time_from": "2026-01-31T13:00:00+01:00"}
        page = http.get("/galleries/g/images", params={"cursor": given, **same, "limit": 7}).json()["items"]
        assert [one["client_id"] for one in page] == ["a-1", "a-2"]
        for path, filters in (
            ("/galleries/g/images", {}),
            ("/galleries/g/images", {**window, "person": "anna"}),
            ("/galleries/g/images", {"time_from": "2026-01-31T12:00:01Z"}),
            ("/galleries/h/images", window),
            ("/galleries/g/people", {}),
            ("/galleries/g/duplicates", {}),
            ("/galleries", {}),
        ):
            refused = http.get(path, params={"cursor": given, **filters})
            assert (refused.status_code, refused.json()["type"][-15:]) == (422, "invalid-request"), path
        names = cursor_of("/galleries/g/people")
        assert [
            one["name"] for one in http.get("/galleries/g/people", params={"cursor": names}).json()["items"]
        ] == ["ben"]
        assert http.get("/galleries/h/people", params={"cursor": names}).status_code == 422
