"""``/v1/embed`` and boxes, from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from PIL import Image

from service.client import Client, NewPicture, ProblemError
from tests.drawings import encoded, person
from tests.serving import Serving, handmade_settings, serving

BOX = (100, 50, 64, 128)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(handmade_settings(tmp_path_factory.mktemp("service"))) as running:
        yield running


@pytest.fixture
def client(service: Serving) -> Iterator[Client]:
    with Client(service.url) as made:
        yield made


def frame(number: int, *, noise: int = 0) -> bytes:
    """A person somewhere in a frame of other colours."""
    picture = Image.new("RGB", (320, 240), (30 + noise, 200, 90))
    picture.paste(person(number), BOX[:2])
    return encoded(picture)


def test_vectors_are_of_unit_length_and_the_same_for_the_same_picture(client: Client) -> None:
    wanted = ("none", "bottom_half")
    answer = client.embed([encoded(person(1)), encoded(person(2, hidden=4))], occlusions=wanted)
    assert [item.occlusion.type for item in answer.items] == ["none", "bottom_half"]
    vectors = np.array([[item.embeddings[name] for name in wanted] for item in answer.items])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=2), 1, atol=1e-5)
    assert answer.model == client.model().fingerprint
    assert (
        client.embed([encoded(person(1))]).items[0].embeddings["none"] == answer.items[0].embeddings["none"]
    )


def test_a_box_gives_the_vector_of_what_it_shows(client: Client) -> None:
    # the same frame without and with the box: the feature cache must not take one for the other
    whole, boxed = client.embed([frame(5), frame(5)], boxes=[None, BOX]).items
    (cut,) = client.embed([encoded(person(5))]).items
    np.testing.assert_allclose(boxed.embeddings["none"], cut.embeddings["none"], atol=1e-6)
    assert np.dot(whole.embeddings["none"], cut.embeddings["none"]) < 0.99
    assert client.embed([frame(5)], boxes=[BOX]).items == [boxed]


def test_people_are_enrolled_and_found_by_boxes(client: Client, service: Serving) -> None:
    client.create_gallery("frames", keep_pictures=True)
    people = [NewPicture(frame(n), f"p{n}", client_id=f"{n}", box=BOX) for n in range(5)]
    assert {outcome.status for outcome in client.enrol("frames", people)} == {"enrolled"}
    assert client.query("frames", [frame(3, noise=90)], boxes=[BOX]).results[0].person == "p3"
    assert client.query("frames", [encoded(person(3, view=7))]).results[0].person == "p3"
    moved = NewPicture(frame(3), "p3", client_id="3", box=(90, 50, 64, 128))
    (outcome,) = client.enrol("frames", [moved])
    assert outcome.problem is not None
    assert outcome.problem.type.endswith("client-id-conflict")
    client.delete_gallery("frames")


@pytest.mark.parametrize(
    ("form", "slug", "word"),
    [
        ({"boxes": "[[300, 0, 64, 128]]"}, "box-outside", "300"),
        ({"boxes": "[null, null]"}, "invalid-request", "boxes"),
        ({"boxes": "[[0, 0, 0, 1]]"}, "invalid-request", "boxes"),
        ({"boxes": "nonsense"}, "invalid-request", "boxes"),
        ({"occlusions": '["middle"]'}, "invalid-request", "occlusions"),
        ({"occlusions": "[]"}, "invalid-request", "occlusions"),
    ],
)
def test_what_does_not_validate_is_named(
    service: Serving, form: dict[str, str], slug: str, word: str
) -> None:
    answer = httpx.post(
        f"{service.url}/v1/embed", data=form, files=[("files", ("a", frame(1)))], trust_env=False
    )
    assert (answer.status_code, answer.json()["type"].rsplit("/")[-1]) == (422, slug)
    assert word in answer.json()["detail"]


def test_one_bad_picture_is_the_call_s_fault(client: Client) -> None:
    with pytest.raises(ProblemError) as refused:
        client.embed([encoded(person(1)), b"no picture"])
    assert refused.value.slug == "not-a-picture"


def test_forms_are_described_with_their_options(service: Serving) -> None:
    schema = httpx.get(f"{service.url}/openapi.json", trust_env=False).json()
    for path in ("/v1/embed", "/v1/galleries/{gallery}/query"):
        form = schema["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert "boxes" in form["properties"]
        assert "#/$defs" not in json.dumps(form)
