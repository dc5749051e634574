"""Thumbnails of kept pictures, in a folder and in object storage, until nothing is left of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import fsspec
import httpx
import numpy as np
import pytest
from PIL import Image

from service.client import AsyncClient, Client, NewPicture, ProblemError, Retries
from service.embedding.box import Box, cut_file
from service.embedding.thumbnail import make_thumbnail
from service.storage.fence import ClaimLost
from service.storage.store_mark import NAME
from tests.drawings import encoded, person
from tests.serving import Serving, handmade_settings, serving

LARGE = (480, 960)


def large(number: int) -> bytes:
    """A picture that is much larger than its thumbnail."""
    return encoded(person(number).resize(LARGE, Image.Resampling.NEAREST), "JPEG", quality=90)


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where pictures are kept: local files, or fsspec's stand-in for object storage."""
    return (tmp_path / "kept").as_uri() if request.param == "folder" else f"memory://{tmp_path.name}"


@pytest.fixture
def service(store: str, tmp_path: Path) -> Iterator[Serving]:
    with serving(handmade_settings(tmp_path, pictures_url=store)) as running:
        yield running


@pytest.fixture
def client(service: Serving) -> Iterator[Client]:
    with Client(service.url) as client:
        client.create_gallery("g", keep_pictures=True)
        yield client


@pytest.fixture
def files(store: str) -> Callable[[], dict[str, bytes]]:
    """What is in the store of anybody at a moment, by the last part of its name."""
    system, root = fsspec.core.url_to_fs(store)
    return lambda: {
        path.rsplit("/", 1)[-1]: system.cat_file(path) for path in system.find(root) if NAME not in path
    }


def enrolled(client: Client, pictures: list[NewPicture]) -> list[str]:
    outcomes = client.enrol("g", pictures)
    assert {outcome.status for outcome in outcomes} == {"enrolled"}
    return [str(outcome.id) for outcome in outcomes]


def test_thumbnails_are_made_when_pictures_are_enrolled(
    client: Client, service: Serving, files: Callable[[], dict[str, bytes]]
) -> None:
    one, two = enrolled(client, [NewPicture(large(who), f"p{who}") for who in range(2)])
    stored = files()
    assert set(stored) == {f"{id}.{kind}" for id in (one, two) for kind in ("picture", "thumbnail")}
    for who, id in enumerate((one, two)):
        thumbnail = client.thumbnail("g", id)
        assert thumbnail == stored[f"{id}.thumbnail"]
        assert client.file("g", id) == large(who)
        picture = Image.open(BytesIO(thumbnail))
        assert (picture.format, picture.size) == ("JPEG", (128, 256))
        like = np.asarray(person(who).resize((128, 256))).astype(int)
        assert np.abs(np.asarray(picture).astype(int) - like).mean() < 12
    sizes = client.statistics("g")
    assert sizes.picture_bytes == sum(len(large(who)) for who in range(2))
    assert sizes.thumbnail_bytes == sum(len(stored[f"{id}.thumbnail"]) for id in (one, two))
    answer = httpx.get(f"{service.url}/v1/galleries/g/images/{one}/thumbnail")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "private, no-store"


def test_a_picture_from_before_thumbnails_gets_one_when_it_is_asked_for(
    client: Client, service: Serving, files: Callable[[], dict[str, bytes]]
) -> None:
    (id,) = enrolled(client, [NewPicture(large(0), "p0")])
    pictures = service.app.state.assembly.galleries._parts.pictures
    pictures.write_thumbnail(1, id, b"")  # as if there were none
    thumbnail = client.thumbnail("g", id)
    assert thumbnail == files()[f"{id}.thumbnail"] == make_thumbnail(large(0))


def test_of_a_frame_only_the_part_in_the_box_is_in_the_thumbnail(client: Client) -> None:
    frame = Image.new("RGB", (300, 300), "white")
    frame.paste(person(3), (100, 50))
    box = (100, 50, 64, 128)
    (id,) = enrolled(client, [NewPicture(encoded(frame), "p3", box=box)])
    assert client.thumbnail("g", id) == make_thumbnail(cut_file(encoded(frame), Box(*box)))


def test_what_is_erased_leaves_no_thumbnail(client: Client, files: Callable[[], dict[str, bytes]]) -> None:
    pictures = [NewPicture(large(who), f"p{who}") for who in range(4)]
    ids = enrolled(client, pictures)
    thumbnails = {id: client.thumbnail("g", id) for id in ids}

    def assert_gone(gone: list[str]) -> None:
        left = files()
        assert {name.split(".")[0] for name in left} == set(ids) - set(gone)
        for id in gone:
            assert not any(thumbnails[id][100:] in content for content in left.values())
            with pytest.raises(ProblemError) as refused:
                client.thumbnail("g", id)
            assert refused.value.status == 404

    client.delete_image("g", ids[0])
    assert_gone(ids[:1])
    client.delete_person("g", "p1")
    assert_gone(ids[:2])
    client.delete_gallery("g")
    assert_gone(ids)
    assert files() == {}


def test_an_erasure_while_a_thumbnail_is_made_leaves_none(
    client: Client,
    service: Serving,
    files: Callable[[], dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (id,) = enrolled(client, [NewPicture(large(0), "p0")])
    pictures = service.app.state.assembly.galleries._parts.pictures
    pictures.write_thumbnail(1, id, b"")
    write = pictures.write_thumbnail

    def after_an_erasure(gallery: int, image: str, content: bytes) -> None:
        client.delete_person("g", "p0")
        write(gallery, image, content)

    monkeypatch.setattr(pictures, "write_thumbnail", after_an_erasure)
    with Client(service.url) as other, pytest.raises(ProblemError) as refused:
        other.thumbnail("g", id)
    assert (refused.value.status, refused.value.slug) == (404, "unknown-image")
    assert files() == {}


def test_a_thumbnail_is_not_kept_where_nobody_can_say_whether_its_picture_was_erased(
    client: Client,
    service: Serving,
    files: Callable[[], dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (id,) = enrolled(client, [NewPicture(large(0), "p0")])
    parts = service.app.state.assembly.galleries._parts
    parts.pictures.remove_thumbnail(1, id)
    parts.pictures.remove_thumbnail(1, id)
    write = parts.pictures.write_thumbnail

    def away(*_: object) -> None:
        raise ClaimLost

    def before_the_catalog_is_away(gallery: int, image: str, content: bytes) -> None:
        write(gallery, image, content)
        monkeypatch.setattr(parts.catalog.pictures, "get", away)

    monkeypatch.setattr(parts.pictures, "write_thumbnail", before_the_catalog_is_away)
    with Client(service.url, retries=Retries(attempts=1)) as other, pytest.raises(ProblemError) as refused:
        other.thumbnail("g", id)
    assert refused.value.status == 503
    assert files() == {f"{id}.picture": large(0)}
    monkeypatch.undo()
    assert client.thumbnail("g", id) == make_thumbnail(large(0))


async def test_galleries_that_keep_no_pictures_have_no_thumbnails(client: Client, service: Serving) -> None:
    client.create_gallery("bare")
    (outcome,) = client.enrol("bare", [NewPicture(large(0), "p0")])
    async with AsyncClient(service.url) as asynchronous:
        with pytest.raises(ProblemError) as refused:
            await asynchronous.thumbnail("bare", str(outcome.id))
    assert (refused.value.status, refused.value.slug) == (404, "picture-not-kept")
    assert client.statistics("bare").thumbnail_bytes == 0


def test_a_store_that_takes_no_thumbnail_takes_the_picture(
    client: Client, service: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no room for anything that can be made again")

    monkeypatch.setattr(service.app.state.assembly.galleries._parts.pictures, "write_thumbnail", refuse)
    (id,) = enrolled(client, [NewPicture(large(0), "p0")])
    assert client.file("g", id) == large(0)
    assert client.thumbnail("g", id) == make_thumbnail(large(0))
