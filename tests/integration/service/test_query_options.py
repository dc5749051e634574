"""What a query may ask for beyond the ranking: another order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.client import Client, NewPicture
from tests.drawings import encoded, person
from tests.serving import Serving, handmade_settings, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """With a gallery of 130 pictures of 26 people."""
    with serving(handmade_settings(tmp_path_factory.mktemp("service"))) as running:
        with Client(running.url) as client:
            client.create_gallery("people")
            client.enrol(
                "people",
                [
                    NewPicture(encoded(person(who, view, hidden)), str(who))
                    for who in range(26)
                    for view, hidden in enumerate((0, 0, 0, 4, 7))
                ],
            )
        yield running


@pytest.fixture
def client(service: Serving) -> Iterator[Client]:
    with Client(service.url) as client:
        yield client


@pytest.mark.parametrize("unify", ["auto", "off", "fuse", "bottom_half"])
def test_reranked_results_are_in_the_order_of_their_distances(client: Client, unify: str) -> None:
    asked = [encoded(person(3, 9, 4))]
    plain = client.query("people", asked, top_k=130, by="image", unify=unify).results
    found = client.query("people", asked, top_k=130, by="image", unify=unify, rerank=True).results
    assert {result.distance for result in plain} == {None}
    assert [result.distance for result in found[100:]] == [None] * 30
    distances = [result.distance for result in found[:100]]
    assert distances == sorted(distances)
    assert all(distance is not None and 0 <= distance <= 1 for distance in distances)
    assert found[0].person == "3"
    scores = {result.image.id: result.score for result in plain}
    assert {result.image.id: result.score for result in found} == scores
    assert [result.image.id for result in found[100:]] == [result.image.id for result in plain[100:]]
    assert [result.image.id for result in found] != [result.image.id for result in plain]


def test_people_are_ranked_by_their_best_reranked_picture(client: Client) -> None:
    asked = [encoded(person(5, 8)), encoded(person(5, 9))]
    pictures = client.query("people", asked, top_k=100, by="image", rerank=True).results
    people = client.query("people", asked, top_k=3, rerank=True).results
    first = {result.person: result for result in reversed(pictures)}
    best = sorted(first.values(), key=lambda result: result.rank)[:3]
    assert [result.image.id for result in people] == [result.image.id for result in best]
