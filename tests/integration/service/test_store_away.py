"""The picture store goes and comes back, as a caller and whoever watches over the service see it."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from service.client import Client, NewPicture, ProblemError, Retries
from tests.drawings import encoded, person
from tests.serving import Serving, handmade_settings, serving


def pictures(*people: int) -> list[NewPicture]:
    return [NewPicture(encoded(person(who)), f"p{who}", client_id=f"{who}") for who in people]


def not_ready(running: Serving) -> list[str]:
    answer = httpx.get(f"{running.url}/readyz", trust_env=False)
    assert answer.status_code == 200  # queries are answered
    return [name for name, ready in answer.json()["parts"].items() if not ready]


def until_ready(running: Serving) -> None:
    give_up = time.monotonic() + 60
    while not_ready(running):
        assert time.monotonic() < give_up
        time.sleep(0.05)


def refused(client: Client, who: int) -> bool:
    with pytest.raises(ProblemError) as problem:
        client.enrol("g", pictures(who))
    return (problem.value.status, problem.value.slug) == (503, "unavailable")


def test_an_erasure_without_the_store_stands_and_readyz_says_that_files_are_owed(tmp_path: Path) -> None:
    store, aside = tmp_path / "data" / "pictures", tmp_path / "data" / "elsewhere"
    settings = handmade_settings(tmp_path)
    with serving(settings) as running, Client(running.url, retries=Retries(attempts=1)) as client:
        client.create_gallery("g", keep_pictures=True)
        client.enrol("g", pictures(1, 2))
        kept = {path.name for path in store.rglob(f"{next(iter(client.images('g'))).id}.*")}
        assert len(kept) == 2
        store.rename(aside)
        client.delete_person("g", "p1")
        assert [one.name for one in client.people("g")] == ["p2"]
        assert not_ready(running) == ["pictures"]
        assert refused(client, 3)
        assert not store.exists()
    with serving(settings) as running, Client(running.url, retries=Retries(attempts=1)) as client:
        assert not_ready(running) == ["pictures"]
        assert refused(client, 3)
        assert client.query("g", [encoded(person(2, 1))]).results[0].person == "p2"
        aside.rename(store)
        until_ready(running)
        assert not kept & {path.name for path in store.rglob("*")}
        assert client.enrol("g", pictures(3))[0].status == "enrolled"
    assert not aside.exists()
