"""What a query may ask for beyond the ranking: another order, and more of a person's pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.client import BatchQuery, Client, NewPicture, ProblemError
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


@pytest.mark.parametrize("unify", ["auto", "fuse"])
def test_evidence_is_each_persons_next_best_pictures(client: Client, unify: str) -> None:
    asked = [encoded(person(5, 8))]
    pictures = client.query("people", asked, top_k=130, by="image", unify=unify).results
    plain = client.query("people", asked, top_k=3, unify=unify).results
    shown = client.query("people", asked, top_k=3, unify=unify, evidence=3).results
    assert [result.model_copy(update={"evidence": []}) for result in shown] == plain
    for result in shown[:1]:
        theirs = [one for one in pictures if one.person == result.person][1:3]
        assert [(one.image, one.score, one.compared) for one in result.evidence] == [
            (one.image, one.score, one.compared) for one in theirs
        ]
    (answer,) = client.query_batch("people", [BatchQuery(asked, top_k=1, unify=unify, evidence=2)])
    assert answer.answer is not None
    assert answer.answer.results[0].evidence == shown[0].evidence[:1]


def test_evidence_is_of_people(client: Client) -> None:
    with pytest.raises(ProblemError, match="evidence"):
        client.query("people", [encoded(person(5, 8))], by="image", evidence=2)


def test_evidence_is_shown_in_the_shell(service: Serving, tmp_path: Path) -> None:
    (tmp_path / "who.png").write_bytes(encoded(person(5, 8)))
    asked = ["query", str(tmp_path / "who.png"), "-g", "people", "-k", "1", "--evidence", "2"]
    done = CliRunner().invoke(app, [*asked, "--json", "--url", service.url])
    (result,) = json.loads(done.stdout)["results"]
    (other,) = result["evidence"]
    shown = CliRunner().invoke(app, [*asked, "--url", service.url], env={"COLUMNS": "200"})
    assert result["image"]["id"] in shown.stdout
    assert other["image"]["id"] in shown.stdout
