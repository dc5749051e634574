"""Erasing a person where everything is on that keeps anything: a search of every byte finds nothing of them.

The same search finds another person's traces, all of them, so it would find what was left.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select

from service.api.logs import JsonLines
from service.client import Client, NewPicture
from service.settings import Settings
from service.storage.facts import facts_of
from service.storage.redis import RedisCache
from service.storage.tables import FeaturesRow, ImageRow, PersonRow, PreviousRow
from tests.drawings import encoded, person
from tests.handmade_bundle import write_handmade_bundle
from tests.reading import content_of
from tests.servers import PostgreSQLServer, RedisServer
from tests.serving import Serving, handmade_settings, serving

ERASED, OTHER = "Anna Unforgettable", "Ben In Particular"
DIMENSION, BEFORE = 40, 50  # few, so that a row of PostgreSQL's takes nine features as they are
_HEAD_BYTES = 8  # of a value in Redis, see service/storage/redis.py

Traces = dict[str, list[bytes]]


def pictures(name: str, who: int, which: tuple[int, ...]) -> list[NewPicture]:
    """Of four of a person: a small one, one that is too long for memory, a part of a frame, another."""
    noise = np.random.default_rng(who).integers(0, 30, (1100, 550, 3), dtype=np.uint8)
    large = Image.fromarray(np.asarray(person(who, 2).resize((550, 1100))) // 2 + noise)
    contents = [encoded(person(who, 1)), encoded(large), encoded(person(who, 3)), encoded(person(who, 4))]
    assert len(contents[1]) > 1024 * 1024
    return [
        NewPicture(
            contents[one],
            name,
            client_id=f"{one} of {name}",
            metadata={"told": f"metadata {one} of {name}"},
            box=(2, 4, 60, 120) if one == 2 else None,
        )
        for one in which
    ]


def crowd(people: int) -> list[NewPicture]:
    return [NewPicture(encoded(person(100 + who)), f"p{who}", client_id=f"{who}") for who in range(people)]


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, redis_server: RedisServer) -> Settings:
    more: dict[str, Any] = {}
    if request.param == "postgresql":
        more["catalog_url"] = request.getfixturevalue("postgresql_server").empty_database()
    return handmade_settings(
        tmp_path,
        bundle=write_handmade_bundle(tmp_path / "present.onnx", dimension=DIMENSION),
        previous_bundle=write_handmade_bundle(tmp_path / "before.onnx", dimension=BEFORE),
        redis_url=redis_server.url,
        snapshots=True,
        index_flat_up_to=10,
        audit=True,
        **more,
    )


def test_nothing_of_an_erased_person_is_found_anywhere(
    settings: Settings,
    tmp_path: Path,
    redis_server: RedisServer,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "uploads").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "uploads"))
    monkeypatch.setattr("service.storage.owed_work._SHARE", 1.0)  # no pause between two runs
    monkeypatch.setattr("service.api.assembly.RedisCache", partial(RedisCache, timeout_s=30.0))
    before = settings.model_copy(update={"bundle": settings.previous_bundle, "previous_bundle": None})
    with logged(tmp_path / "log.txt"):
        with serving(before) as running, Client(running.url) as client:
            client.create_gallery("g", keep_pictures=True)
            client.enrol("g", crowd(30))
            for name, who in ((ERASED, 1), (OTHER, 2)):
                client.enrol("g", pictures(name, who, (0, 1, 2)))
        # The model is replaced. What is enrolled from here on has features of both, the rest of the old one.
        with serving(settings) as running, Client(running.url) as client:
            client.enrol("g", crowd(15))
            for name, who in ((ERASED, 1), (OTHER, 2)):
                client.enrol("g", pictures(name, who, (0, 3)))
        # By now there are snapshots of the model that the service is on its way to.
        with serving(settings) as running, Client(running.url) as client:
            for who in (1, 2):
                assert client.query("g", [encoded(person(who, 4))]).results
            erased, other = (traces(running, redis_server, name) for name in (ERASED, OTHER))

            def found(of: Traces) -> dict[str, set[str]]:
                everything = held(settings, tmp_path, redis_server, running, request)
                return {
                    kind: {
                        place for trace in some for place, content in everything.items() if trace in content
                    }
                    for kind, some in of.items()
                }

            everywhere = {
                "name": {"catalog"},
                "client id": {"catalog"},
                "metadata": {"catalog"},
                "id": {"catalog", "pictures", "snapshots"},
                "picture": {"pictures"},
                "thumbnail": {"pictures"},
                "digest": {"catalog", "redis"},
                "features": {"catalog", "snapshots"},
                "features of the model before": {"catalog"},
                "features in the cache": {"redis"},
                "features in the index": {"index"},
                "features in the index of the model before": {"index"},
            }
            assert found(erased) == found(other) == everywhere

            client.delete_person("g", ERASED)
            parts = running.app.state.assembly.galleries._parts
            database = parts.catalog.database
            give_up = time.monotonic() + 120
            while database.unforgotten or parts.forgetting.owed:  # at once, but for PostgreSQL
                assert time.monotonic() < give_up
                database.forget_owed()
                time.sleep(0.05)
            nowhere = {key: set[str]() for key in everywhere}
            assert found(erased) == nowhere
            assert found(other) == everywhere
        assert found(erased) == nowhere  # nor in what it writes when it stops
        assert found(other) == everywhere
    assert "/v1/galleries/{gallery}/people/{person} 204" in (tmp_path / "log.txt").read_text()


@contextmanager
def logged(file: Path) -> Iterator[None]:
    """What the service and its libraries log; this process is a client too, and that one's is left out."""
    handler = logging.FileHandler(file)
    handler.setFormatter(JsonLines())
    handler.addFilter(lambda record: not record.name.startswith(("httpx", "httpcore")))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()


def traces(running: Serving, redis: RedisServer, name: str) -> Traces:
    """All by which somebody could be told, in the very bytes that are stored."""
    parts = running.app.state.assembly.galleries._parts
    indexes = {
        "features in the index": parts.index._first,
        "features in the index of the model before": parts.previous.index,
    }
    with parts.catalog.database.engine.connect() as connection:
        rows = connection.execute(
            select(ImageRow.number, ImageRow.id, ImageRow.digest, ImageRow.client_id, ImageRow.own_metadata)
            .add_columns(FeaturesRow.features)
            .where(FeaturesRow.image == ImageRow.number)
            .where(ImageRow.person == PersonRow.number, PersonRow.name == name)
        ).all()
        older = connection.execute(
            select(PreviousRow.features).where(PreviousRow.image.in_([row.number for row in rows]))
        ).all()
    assert (len(rows), len(older)) == (4, 2)
    base = f"{running.url}/v1/galleries/g/images"
    files = [httpx.get(f"{base}/{row.id}/file", trust_env=False).content for row in rows]
    thumbnails = [httpx.get(f"{base}/{row.id}/thumbnail", trust_env=False).content for row in rows]
    with redis.client() as cache:
        cached = [
            value[_HEAD_BYTES:]
            for row in rows
            for key in cache.keys(f"*{row.digest}")
            for value in cache.hvals(key)
        ]
    metadata = [row.metadata["told"].encode() for row in rows]
    facts = [fact.encode() for row in rows for fact in facts_of(1, row.metadata)]
    return {
        "name": [name.encode()],
        "client id": [row.client_id.encode() for row in rows],
        "metadata": metadata + facts,
        "id": [row.id.encode() for row in rows],
        "picture": [middle(content) for content in files],
        "thumbnail": [middle(content) for content in thumbnails],
        "digest": [row.digest.encode() for row in rows],
        "features": [one for row in rows for one in nine(row.features)],
        "features of the model before": [one for row in older for one in nine(row.features)],
        "features in the cache": cached,
        **{kind: codes(index, [row.number for row in rows]) for kind, index in indexes.items()},
    }


def middle(content: bytes) -> bytes:
    """A piece of a file that no other file of its kind begins or ends with."""
    return content[len(content) // 2 :][:64]


def nine(features: bytes) -> list[bytes]:
    """A row's features, one for each occlusion code."""
    each = len(features) // 9
    return [features[start : start + each] for start in range(0, len(features), each)]


def segments(index: Any) -> list[Any]:
    """Of the only gallery, when nothing is left to be rewritten."""
    index.settle()
    return [
        segment
        for held in index._galleries.values()
        for part in held._versions.present.values()
        for segment in part
    ]


def codes(index: Any, numbers: list[int]) -> list[bytes]:
    """What an index holds of some pictures: 16 bits a component, or 8 where it is clustered."""
    assert any(segment.lists is not None and segment.codec.bits == 8 for segment in segments(index))
    return [
        code[row].tobytes()
        for segment in segments(index)
        for row in segment.rows_of(np.array(sorted(numbers)))
        for code in segment.codes
    ]


def held(
    settings: Settings, folder: Path, redis: RedisServer, running: Serving, request: pytest.FixtureRequest
) -> dict[str, bytes]:
    """Every byte there is, by place. Files' names count too."""
    everything = {"log": (folder / "log.txt").read_bytes(), "uploads": contents(folder / "uploads")}
    for path in settings.data_dir.iterdir():
        place = "catalog" if path.name.startswith("catalog") else path.name
        everything[place] = everything.get(place, b"") + contents(path)
    if not settings.catalog_url.startswith("sqlite"):
        server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
        everything["catalog"] = server.held(settings.catalog_url)
    everything["redis"] = redis.dump()
    parts = running.app.state.assembly.galleries._parts
    everything["index"] = b"".join(
        segment.codes.tobytes()
        for index in (parts.index._first, parts.previous.index)
        for segment in segments(index)
    )
    return everything


def contents(path: Path) -> bytes:
    """A file's bytes, or those of all files in a folder, each after its name."""
    files = [path, *sorted(path.rglob("*"))]
    return b"".join(bytes(one) + (content_of(one) if one.is_file() else b"") for one in files)
