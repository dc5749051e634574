"""The model is replaced: kept pictures are embedded again, and each is found as soon as it is."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.bundle import read_bundle
from service.background import BackgroundService, start_service
from service.cli import app
from service.client import Client, NewPicture, ProblemError
from service.storage.catalog import Catalog
from tests.drawings import encoded, person
from tests.handmade_bundle import write_handmade_bundle
from tests.serving import handmade_settings, serving
from tests.stuck_file import stuck
from tests.waiting import until


def pictures(*people: int) -> list[NewPicture]:
    return [NewPicture(encoded(person(who, hidden=who % 9)), f"p{who}", client_id=f"{who}") for who in people]


def first(client: Client, gallery: str, who: int) -> str | None:
    results = client.query(gallery, [encoded(person(who, 1))]).results
    return results[0].person if results else None


def test_kept_pictures_are_brought_to_the_present_model_and_the_others_are_named(tmp_path: Path) -> None:
    other = write_handmade_bundle(tmp_path / "other.onnx", dimension=50)
    with serving(handmade_settings(tmp_path)) as running, Client(running.url) as client:
        client.create_gallery("g")
        client.enrol("g", pictures(1, 2))
        client.change_gallery("g", keep_pictures=True)
        client.enrol("g", pictures(3, 4, 5))
        client.enrol("g", [NewPicture(encoded(person(6)), "p6", box=(4, 4, 50, 100))])
        missing = next(client.images("g", person="p5"))
        assert client.reindexing("g").done == 6
    (file,) = (tmp_path / "data" / "pictures").rglob(f"{missing.id}.picture")
    file.unlink()
    with serving(handmade_settings(tmp_path, bundle=other)) as running, Client(running.url) as client:
        found = client.reindexing("g")
        assert (found.running, found.images, found.done, found.waiting, found.not_kept) == (False, 6, 0, 4, 2)
        assert first(client, "g", 3) is None
        done = CliRunner().invoke(app, ["galleries", "reindex", "g", "--json", "--url", running.url])
        assert done.exit_code == 1  # of one picture the file is gone
        shown = json.loads(done.stdout)
        assert (shown["running"], shown["done"], shown["waiting"]) == (False, 3, 0)
        assert (shown["not_kept"], shown["failed"]) == (2, 1)
        assert missing.id in shown["problem"]
        assert [first(client, "g", who) for who in (3, 4, 6)] == ["p3", "p4", "p6"]
        assert {p.person for p in client.images("g") if p.pending and not p.kept} == {"p1", "p2"}
        assert client.gallery("g").pending == 3
        client.enrol("g", pictures(1, 2))
        assert client.reindexing("g").not_kept == 0
        # An erasure forgets what the catalog names, and no other name may be in the cache.
        for who in range(1, 7):
            client.delete_person("g", f"p{who}")
        cached = running.app.state.assembly.embedder._cache._entries
        queried = {hashlib.sha256(encoded(person(who, 1))).hexdigest() for who in (3, 4, 6)}
        assert {digest for _, digest in cached} == queried
        with pytest.raises(ProblemError):
            client.reindex("nowhere")


def test_a_reindexing_that_was_killed_goes_on_by_itself(tmp_path: Path) -> None:
    bundles = [
        write_handmade_bundle(tmp_path / "a.onnx"),
        write_handmade_bundle(tmp_path / "b.onnx", dimension=50),
    ]
    people = range(60)

    def start(number: int) -> BackgroundService:
        service = start_service(tmp_path / "data", tmp_path / "log.txt", bundle=bundles[number])
        service.wait_until_ready()
        return service

    service = start(0)
    with Client(service.url) as client:
        client.create_gallery("g", keep_pictures=True)
        *_, last = client.enrol("g", pictures(*people))
    service.stop()

    (file,) = (tmp_path / "data" / "pictures").rglob(f"{last.id}.picture")
    with stuck(file):  # so that the kill comes before the end, however late it comes
        service = start(1)
        with Client(service.url) as client:
            client.reindex("g")
            while client.reindexing("g").done == 0:
                time.sleep(0.001)
        service.process.send_signal(signal.SIGKILL)
        service.process.wait()
    catalog = Catalog(f"sqlite:///{tmp_path / 'data' / 'catalog.sqlite3'}")
    left = catalog.pending.counts(1, read_bundle(bundles[1]).fingerprint).kept
    catalog.close()
    assert 0 < left < len(people)

    service = start(1)
    with Client(service.url) as client:
        until(lambda: not client.reindexing("g").running)
        found = client.reindexing("g")
        assert (found.done, found.waiting, found.failed) == (len(people), 0, 0)
        assert [first(client, "g", who) for who in (0, 30, 59)] == ["p0", "p30", "p59"]
    service.stop()
