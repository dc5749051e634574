"""Snapshots of the index, seen from outside: after every restart the answers are those of the catalog."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from service.api.app import create_app
from service.client import Client, NewPicture
from service.settings import Settings
from service.storage.catalog import Catalog
from service.storage.schema import CatalogError
from tests.drawings import encoded, person
from tests.handmade_bundle import write_handmade_bundle
from tests.reading import contents_of
from tests.serving import handmade_settings, serving

PEOPLE = 12
Answers = list[list[tuple[str, float]]]


def enrol(client: Client, *people: int) -> None:
    client.enrol("g", [NewPicture(encoded(person(who, hidden=who % 3)), f"p{who}") for who in people])


def answers(client: Client) -> Answers:
    """What the service finds for every person, all pictures ranked."""
    return [
        [
            (result.image.id, round(result.score, 4))
            for result in client.query("g", [encoded(person(who, 1))], top_k=100, by="image").results
        ]
        for who in range(0, PEOPLE, 3)
    ]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """The folder of a service that enrolled twelve people and was stopped: there is a snapshot."""
    with serving(handmade_settings(tmp_path, snapshots=True)) as running, Client(running.url) as client:
        client.create_gallery("g")
        enrol(client, *range(PEOPLE))
    assert snapshot(tmp_path).stat().st_size > 4096
    return tmp_path


def snapshot(folder: Path) -> Path:
    return folder / "data" / "snapshots" / "1.snapshot"


def restart(
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    act: Callable[[Client], None] | None = None,
    **changed: object,
) -> tuple[Answers, str]:
    """Start the service, do something there, and stop it: its answers before that, and its log."""
    caplog.clear()
    with (
        caplog.at_level(logging.INFO),
        serving(handmade_settings(folder, **{"snapshots": True, **changed})) as running,
        Client(running.url) as client,
    ):
        found = answers(client)
        if act is not None:
            act(client)
    return found, caplog.text


def test_a_restart_reads_the_snapshot_and_answers_as_the_catalog_does(
    house: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found, log = restart(house, caplog)
    assert "12 from snapshots, 0 from the catalog" in log
    shutil.rmtree(house / "data" / "snapshots")
    expected, log = restart(house, caplog)
    assert "0 from snapshots, 12 from the catalog" in log
    assert found == expected
    assert len(found[0]) == PEOPLE


def test_what_changed_after_the_snapshot_is_caught_up_from_the_catalog(
    house: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def change(client: Client) -> None:
        enrol(client, 20, 21)
        client.delete_person("g", "p1")
        client.rename_person("g", "p2", "p3", merge=True)

    older = snapshot(house).read_bytes()
    restart(house, caplog, change)
    snapshot(house).write_bytes(older)  # as if nothing had been written since
    found, log = restart(house, caplog)
    assert "11 from snapshots, 2 from the catalog" in log
    shutil.rmtree(house / "data" / "snapshots")
    assert found == restart(house, caplog)[0]
    assert len(found[0]) == PEOPLE + 1


def test_a_damaged_snapshot_is_mended_from_the_catalog(house: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected, _ = restart(house, caplog)
    content = bytearray(snapshot(house).read_bytes())
    size = (len(content) - 4096) // PEOPLE
    for record in (2, 7):
        content[4096 + record * size + random.Random(record).randrange(size)] ^= 0xFF
    snapshot(house).write_bytes(content)
    found, log = restart(house, caplog)
    assert "2 damaged pictures are read from the catalog" in log
    assert "10 from snapshots, 2 from the catalog" in log
    assert found == expected
    content[0] ^= 1  # in the header: nothing of the file is believed
    snapshot(house).write_bytes(content)
    found, log = restart(house, caplog)
    assert "its header is damaged" in log
    assert found == expected
    assert "12 from snapshots, 0 from the catalog" in restart(house, caplog)[1]


def test_a_snapshot_of_another_model_is_not_compared_with(
    house: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = write_handmade_bundle(house / "other.onnx", attention=True)
    found, log = restart(house, caplog, lambda client: enrol(client, 30), bundle=other)
    assert "it is of another model" in log
    assert found == [[], [], [], []]
    found, log = restart(house, caplog, bundle=other)
    assert "1 from snapshots, 0 from the catalog" in log
    assert [len(ranked) for ranked in found] == [1, 1, 1, 1]


def test_features_of_an_erased_person_are_in_no_file_once_that_is_answered(
    house: Path, caplog: pytest.LogCaptureFixture
) -> None:
    catalog = Catalog(f"sqlite:///{house / 'data' / 'catalog.sqlite3'}")
    (stored,) = catalog.features.batches(next(iter(fingerprints(catalog))))
    catalog.close()
    features = [np.ascontiguousarray(view).tobytes() for view in stored.features[4]]  # the fifth: p4

    def held() -> set[str]:
        contents = contents_of(house / "data").items()
        return {path.name for path, content in contents if any(view in content for view in features)}

    assert held() == {"catalog.sqlite3", "1.snapshot"}

    def erase(client: Client) -> None:
        client.delete_person("g", "p4")
        assert held() == set()

    restart(house, caplog, erase, audit=False)  # nobody writes at the moment when the log is emptied
    assert held() == set()


def fingerprints(catalog: Catalog) -> set[str]:
    return {picture.fingerprint for picture in catalog.pictures.page(1, 100)}


def test_without_snapshots_none_is_written_or_left(house: Path, caplog: pytest.LogCaptureFixture) -> None:
    found, _ = restart(house, caplog)
    assert restart(house, caplog, lambda client: client.delete_person("g", "p4"), snapshots=False)[0] == found
    assert not snapshot(house).exists()


def test_a_deleted_gallery_takes_its_snapshot_along(house: Path, caplog: pytest.LogCaptureFixture) -> None:
    def delete(client: Client) -> None:
        client.delete_gallery("g")
        assert not snapshot(house).exists()

    restart(house, caplog, delete)


@pytest.mark.parametrize("other", [False, True])
def test_a_second_start_leaves_the_snapshots_of_a_running_service(
    house: Path, tmp_path_factory: pytest.TempPathFactory, other: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """On its catalog the second does not start; on another one it does, and says what it leaves alone."""
    changed: dict[str, object] = {"snapshots": False}
    if other:
        changed["catalog_url"] = f"sqlite:///{tmp_path_factory.mktemp('other') / 'catalog.sqlite3'}"
    with serving(handmade_settings(house, snapshots=True)) as running, Client(running.url) as client:
        refused = contextlib.nullcontext() if other else pytest.raises(CatalogError, match="another service")
        with caplog.at_level(logging.WARNING), refused:
            asyncio.run(started_and_stopped(handmade_settings(house, **changed)))
        assert ("another service keeps them" in caplog.text) == other
        assert snapshot(house).exists()
        before = answers(client)
    found, log = restart(house, caplog)
    assert "12 from snapshots, 0 from the catalog" in log
    assert found == before


async def started_and_stopped(settings: Settings) -> None:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        pass
