"""The client and the commands against a real service: `penumbra serve` with a bundle made by hand."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from service.background import BackgroundService, ServiceDied, start_service
from service.cli import app
from service.client import AsyncClient, Client, NewPicture, ProblemError
from tests.handmade_bundle import write_handmade_bundle


def drawing(person: int, *, hidden: str | None = None) -> bytes:
    """A PNG of coloured fields, the same for the same person; the lower half black if ``hidden``."""
    fields = np.random.default_rng(person).integers(60, 256, (8, 4, 3), dtype=np.uint8)
    pixels = np.kron(fields, np.ones((16, 16, 1), dtype=np.uint8))
    if hidden == "bottom_half":
        pixels[64:] = 0
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_handmade_bundle(tmp_path_factory.mktemp("bundle") / "handmade.onnx")


@pytest.fixture(scope="module")
def service(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundService]:
    place = tmp_path_factory.mktemp("service")
    running = start_service(place / "data", place / "service.log", bundle=bundle)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture
def client(service: BackgroundService) -> Iterator[Client]:
    with Client(service.url) as client:
        yield client
        for gallery in list(client.galleries()):
            client.delete_gallery(gallery.name)


def test_a_gallery_s_index_is_chosen_shown_and_changed(service: BackgroundService, client: Client) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["galleries", *arguments, "--url", service.url])
        return done.exit_code, done.output

    assert client.create_gallery("shop").index == "auto"
    assert client.create_gallery("exact", index="flat").index == "flat"
    assert client.change_gallery("exact", index="clustered").index == "clustered"
    assert client.change_gallery("exact", retention_days=3).index == "clustered"
    assert json.loads(run("create", "yard", "--index", "flat", "--json")[1])["index"] == "flat"
    status, told = run("change", "shop", "--index", "clustered")
    assert (status, ["index", "clustered"] in [line.split() for line in told.splitlines()]) == (0, True)
    assert {gallery.name: gallery.index for gallery in client.galleries()} == {
        "exact": "clustered",
        "shop": "clustered",
        "yard": "flat",
    }
    assert run("change", "shop", "--index", "tree")[0] == 2
    for wrong in ("tree", None):
        with pytest.raises(ProblemError) as refused:
            client.change_gallery("shop", index=wrong)
        assert (refused.value.status, refused.value.slug) == (422, "invalid-request")


def test_enrolled_person_is_found_behind_an_occluder(client: Client) -> None:
    client.create_gallery("shop")
    moment = datetime(2026, 11, 20, 12, tzinfo=UTC)
    enrolled = client.enrol(
        "shop",
        [
            NewPicture(
                drawing(n), f"person-{n}", camera="c1", time=moment, client_id=str(n), metadata={"n": n}
            )
            for n in range(70)
        ],
    )
    assert {picture.status for picture in enrolled} == {"enrolled"}
    gallery = client.gallery("shop")
    assert (gallery.images, gallery.people, gallery.keep_pictures) == (70, 70, False)
    answer = client.query("shop", [drawing(42, hidden="bottom_half")], top_k=3)
    assert answer.query.occlusion.type == "bottom_half"
    assert [result.rank for result in answer.results] == [1, 2, 3]
    first = answer.results[0]
    assert (first.person, first.image.id, first.compared) == ("person-42", enrolled[42].id, "bottom_half")
    assert (first.image.camera, first.image.time) == ("c1", moment)
    assert 1.0 >= first.score > answer.results[1].score >= answer.results[2].score
    assert answer.timings["total"] > 0
    assert answer.model == client.model().fingerprint


def test_stated_occlusion_and_several_pictures_are_taken(client: Client) -> None:
    client.create_gallery("shop")
    client.enrol("shop", [NewPicture(drawing(n), str(n)) for n in range(5)])
    answer = client.query("shop", [drawing(3), drawing(3)], by="image", unify="top_half")
    assert answer.results[0].person == "3"
    assert answer.results[0].compared == "top_half"
    assert len(answer.query.pictures) == 2


def test_enrolling_again_enrols_nothing_twice(client: Client) -> None:
    client.create_gallery("shop")
    pictures = [NewPicture(drawing(n), str(n), client_id=f"picture-{n}") for n in range(5)]
    first, again = client.enrol("shop", pictures), client.enrol("shop", pictures)
    assert [picture.status for picture in again] == ["exists"] * 5
    assert [picture.id for picture in again] == [picture.id for picture in first]
    assert client.gallery("shop").images == 5


def test_bad_picture_fails_alone_in_company_among_its_like_and_by_itself(client: Client) -> None:
    client.create_gallery("shop")
    good = NewPicture(drawing(1), "anna", client_id="good")
    bad = NewPicture(b"no picture at all", "anna", client_id="bad")
    for pictures, statuses in (
        ([bad, good], ["failed", "enrolled"]),
        ([bad, bad], ["failed", "failed"]),
        ([bad], ["failed"]),
    ):
        outcomes = client.enrol("shop", pictures)
        assert [outcome.status for outcome in outcomes] == statuses
        assert outcomes[0].problem is not None
        assert outcomes[0].problem.type.endswith("not-a-picture")
    assert client.gallery("shop").images == 1


def test_erased_picture_is_not_found_again(client: Client) -> None:
    client.create_gallery("shop")
    first, _ = client.enrol("shop", [NewPicture(drawing(n), str(n)) for n in (1, 2)])
    assert first.id is not None
    client.delete_image("shop", first.id)
    assert [result.person for result in client.query("shop", [drawing(1)]).results] == ["2"]
    with pytest.raises(ProblemError) as raised:
        client.delete_image("shop", first.id)
    assert raised.value.slug == "unknown-image"


def test_galleries_are_paged_through(client: Client) -> None:
    names = [f"gallery-{n}" for n in range(5)]
    for name in names:
        client.create_gallery(name, keep_pictures=True)
    assert [gallery.name for gallery in client.galleries(page_size=2)] == names


@pytest.mark.parametrize(
    ("ask", "status", "slug"),
    [
        (lambda client: client.gallery("nowhere"), 404, "unknown-gallery"),
        (lambda client: client.query("nowhere", [drawing(1)]), 404, "unknown-gallery"),
        (lambda client: client.create_gallery("NOT A NAME"), 422, "invalid-request"),
        (lambda client: client.create_gallery("there"), 409, "gallery-exists"),
        (lambda client: client.query("there", [b"text"]), 422, "not-a-picture"),
        (lambda client: client.query("there", [drawing(1)], unify="sideways"), 422, "invalid-request"),
        (lambda client: client.query("there", [drawing(1)] * 17), 422, "invalid-request"),
    ],
)
def test_refusals_are_problems_with_a_reason_and_a_request_id(
    client: Client, ask: object, status: int, slug: str
) -> None:
    client.create_gallery("there")
    with pytest.raises(ProblemError) as raised:
        ask(client)  # type: ignore[operator]
    assert (raised.value.status, raised.value.slug) == (status, slug)
    assert raised.value.detail
    assert raised.value.request_id


async def test_async_client_does_the_same(service: BackgroundService, client: Client) -> None:
    async with AsyncClient(service.url) as other:
        assert await other.ready()
        await other.create_gallery("shop")
        pictures = [NewPicture(drawing(n), str(n)) for n in range(3)]
        assert len(await other.enrol("shop", pictures)) == 3
        assert (await other.query("shop", [drawing(2)])).results[0].person == "2"
        assert [gallery.name async for gallery in other.galleries()] == ["shop"]
        assert await other.model() == client.model()
        await other.delete_gallery("shop")
    assert list(client.galleries()) == []


def test_commands_enrol_a_folder_and_find_who_is_in_it(
    service: BackgroundService, client: Client, tmp_path: Path
) -> None:
    for person in range(3):
        folder = tmp_path / "people" / f"person-{person}"
        folder.mkdir(parents=True)
        (folder / "whole.png").write_bytes(drawing(person))
    (tmp_path / "people" / "person-1" / "broken.jpg").write_bytes(b"\xff\xd8\xff cut off")
    (tmp_path / "who.png").write_bytes(drawing(2, hidden="bottom_half"))

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, [*map(str, arguments), "--url", service.url])
        return done.exit_code, done.stdout, done.stderr

    code, printed, told = run("enrol", tmp_path / "people", "-g", "shop", "--create")
    assert code == 1
    assert "3 enrolled, 0 were there already, 1 failed" in printed
    assert "person-1/broken.jpg: " in told
    code, printed, _ = run("enrol", tmp_path / "people", "-g", "shop", "--json")
    assert (code, json.loads(printed)["exists"]) == (1, 3)
    code, printed, _ = run("query", tmp_path / "who.png", "-g", "shop", "--json")
    assert code == 0
    assert json.loads(printed)["results"][0]["person"] == "person-2"
    code, printed, _ = run("query", tmp_path / "who.png", "-g", "shop")
    assert code == 0
    assert "bottom_half" in printed
    assert json.loads(run("galleries", "list", "--json")[1])[0]["images"] == 3


def test_service_that_cannot_start_tells_why(tmp_path: Path) -> None:
    not_a_bundle = tmp_path / "model.onnx"
    not_a_bundle.write_bytes(b"nothing of the kind")
    running = start_service(tmp_path / "data", tmp_path / "log", bundle=not_a_bundle)
    try:
        with pytest.raises(ServiceDied, match=r"model\.onnx"):
            running.wait_until_ready()
    finally:
        running.stop()
    assert running.process.returncode != 0
