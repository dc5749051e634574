"""Kept files that are lost, damaged or unreadable, and a picture store that is away."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from service.client import Client, NewPicture, ProblemError, Reindexing, Retries
from service.storage.pictures import KeptFileLost, PictureStore, PictureStoreAway
from service.storage.ulid import new_ulid
from tests.drawings import encoded, person
from tests.handmade_bundle import write_handmade_bundle
from tests.serving import handmade_settings, serving


def pictures(*people: int) -> list[NewPicture]:
    return [NewPicture(encoded(person(who)), f"p{who}", client_id=f"{who}") for who in people]


def file_of(folder: Path, id: str | None) -> Path:
    (found,) = (folder / "data" / "pictures").rglob(f"{id}.picture")
    return found


def lose(file: Path) -> None:
    """With its thumbnail."""
    file.unlink()
    file.with_suffix(".thumbnail").unlink()


def make_unreadable(file: Path) -> None:
    """For root too, whom no permission keeps from reading a file."""
    lose(file)
    file.mkdir()


def cut_off(file: Path) -> None:
    content = file.read_bytes()
    lose(file)
    file.write_bytes(content[:20])


def refusal(client: Client, kind: str, id: str) -> tuple[int, str]:
    with pytest.raises(ProblemError) as refused:
        getattr(client, kind)("g", id)
    assert "/data" not in refused.value.detail
    return refused.value.status, refused.value.slug


def test_a_lost_file_is_told_so_and_disturbs_nobody_else_until_the_store_is_away(tmp_path: Path) -> None:
    bundle = write_handmade_bundle(tmp_path / "attentive.onnx", attention=True)
    settings = handmade_settings(tmp_path, bundle=bundle)
    with serving(settings) as running, Client(running.url, retries=Retries(attempts=1)) as client:
        client.create_gallery("g", keep_pictures=True)
        client.enrol("g", pictures(*range(4)))
        *spoilt, whole = (image.id for image in client.images("g"))
        for spoil, id in zip((lose, make_unreadable, cut_off), spoilt, strict=True):
            spoil(file_of(tmp_path, id))
        for who, id in enumerate(spoilt):
            assert refusal(client, "file", id) == (404, "picture-lost")
            assert refusal(client, "thumbnail", id) == (404, "picture-lost")
            answer = client.query("g", [encoded(person(who, 1))], overlays=True, by="image")
            assert answer.results[0].image.id == id
            drawn = {result.image.id: result.overlay for result in answer.results if result.overlay}
            assert [drawn[image].gallery is None for image in (*spoilt, whole)] == [True, True, True, False]
        assert client.file("g", whole) == encoded(person(3))
        assert client.statistics("g").images == 4
        client.delete_image("g", spoilt[0])
        assert refusal(client, "file", spoilt[0]) == (404, "unknown-image")

        store, aside = tmp_path / "data" / "pictures", tmp_path / "data" / "elsewhere"
        store.rename(aside)
        assert refusal(client, "file", whole) == (503, "unavailable")
        assert refusal(client, "thumbnail", whole) == (503, "unavailable")
        assert client.query("g", [encoded(person(3, 1))], overlays=True).results[0].person == "p3"
        aside.rename(store)
        assert client.file("g", whole) == encoded(person(3))


def until_done(client: Client) -> Reindexing:
    while (found := client.reindexing("g")).running:
        time.sleep(0.02)
    return found


def test_a_reindex_sets_lost_files_aside_and_takes_them_up_when_they_are_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = write_handmade_bundle(tmp_path / "handmade.onnx")
    present = write_handmade_bundle(tmp_path / "present.onnx", dimension=50)
    with serving(handmade_settings(tmp_path)) as running, Client(running.url) as client:
        client.create_gallery("g", keep_pictures=True)
        client.enrol("g", pictures(*range(8)))
        ids = [image.id for image in client.images("g")]
    unreadable, lost, damaged = ids[0], ids[3], ids[5]
    kept = {id: file_of(tmp_path, id).read_bytes() for id in (unreadable, lost)}
    make_unreadable(file_of(tmp_path, unreadable))
    lose(file_of(tmp_path, lost))
    cut_off(file_of(tmp_path, damaged))

    settings = handmade_settings(tmp_path, bundle=present, previous_bundle=before)
    with (
        caplog.at_level(logging.WARNING),
        serving(settings) as running,
        Client(running.url) as client,
    ):
        fingerprint = client.model().fingerprint
        client.reindex("g")
        found = until_done(client)
        assert (found.done, found.waiting, found.failed) == (5, 0, 3)
        assert "goes on answering" in (found.problem or "")
        assert set(found.failed_images) == {unreadable, lost, damaged}
        assert all(id in caplog.text for id in found.failed_images)
        # The present model has nothing of them, so the one before answers, with the features that it made.
        assert {image.id for image in client.images("g") if image.pending} == {unreadable, lost, damaged}
        index = running.app.state.assembly.galleries._parts.index
        assert sum(index.parts(1).values()) == 5
        assert found.answers != fingerprint
        everybody = client.query("g", [encoded(person(0, 1))], by="image", top_k=100)
        assert {result.image.id for result in everybody.results} == set(ids)
        client.delete_image("g", damaged)
        found = client.reindexing("g")
        assert (found.failed, damaged in found.failed_images) == (2, False)
        # One file is back: the next reindex takes it up.
        file_of(tmp_path, unreadable).rmdir()
        put_back(tmp_path, unreadable, kept[unreadable])
        client.reindex("g")
        found = until_done(client)
        assert (found.done, found.failed, found.failed_images) == (6, 1, (lost,))

    put_back(tmp_path, lost, kept[lost])
    with serving(settings) as running, Client(running.url) as client:  # and so does the next start
        found = until_done(client)
        assert (found.done, found.failed, found.problem) == (7, 0, None)
        assert found.answers == fingerprint
        assert client.gallery("g").pending == 0
        assert client.query("g", [encoded(person(3, 1))]).results[0].person == "p3"


def put_back(folder: Path, id: str, content: bytes) -> None:
    (gallery,) = {path.parent for path in (folder / "data" / "pictures").rglob("*.picture")}
    (gallery / f"{id}.picture").write_bytes(content)


def test_a_store_tells_a_lost_file_from_a_folder_that_is_not_mounted(tmp_path: Path) -> None:
    store, one, other = PictureStore((tmp_path / "kept").as_uri(), "catalog"), new_ulid(), new_ulid()
    store.write(1, one, b"bytes")
    with pytest.raises(KeptFileLost):
        store.read(1, other)
    (tmp_path / "kept").rename(tmp_path / "aside")
    (tmp_path / "kept").mkdir()
    with pytest.raises(PictureStoreAway):
        store.read(1, one)


def test_whatever_a_stores_driver_raises_is_a_store_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class DriversOwn(Exception):
        pass

    def fail(*_: object, **__: object) -> None:
        raise DriversOwn("403, 500, a broken line, or whatever it is")

    store, id = PictureStore(f"memory://{tmp_path.name}", "catalog"), new_ulid()
    store.write(1, id, b"bytes")
    for name in ("cat_file", "pipe_file", "rm_file", "rm", "find", "exists"):
        monkeypatch.setattr(store._files, name, fail)
    for ask in (
        lambda: store.read(1, id),
        lambda: store.write(1, id, b"bytes"),
        lambda: store.remove(1, id),
        lambda: store.drop(1),
        lambda: store.sizes(1),
        lambda: store.sweep(set),
    ):
        with pytest.raises(PictureStoreAway):
            ask()
    assert store.read_thumbnail(1, id) is None
