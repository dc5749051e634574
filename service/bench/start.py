"""`penumbra bench start`: how long after its start a service with a large gallery takes work.

A catalog is filled with random features, and the real service started on it as a process of its own: from
before the interpreter is there until ``/readyz`` says so, model, catalog and index included. Beside it, in
the same run, what no start can do without: numpy reads the same number of bytes from one file.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import insert
from sqlalchemy.orm import Session

from models import occlusion
from models.bundle import read_bundle
from service.background import start_service
from service.bench.accuracy import BenchError
from service.storage.catalog import Catalog
from service.storage.catalog.made import made_by
from service.storage.tables import FeaturesRow, ImageRow, PersonRow
from service.storage.ulid import new_ulid

__all__ = ["StartTime", "measure_starts"]

_GALLERY: Final = "bench-start"
_AT_ONCE: Final = 1024
_PICTURES_A_PERSON: Final = 10
_LIMIT_S: Final = 1800.0


@dataclass(frozen=True, slots=True)
class StartTime:
    """One start.

    Attributes:
        catalog: ``sqlite`` or ``postgresql``.
        snapshots: whether the features lay in snapshots too.
        pictures, dimension: of the gallery.
        seconds: from the start of the process until it was ready.
        numpy_seconds: in which numpy read as many bytes.
    """

    catalog: str
    snapshots: bool
    pictures: int
    dimension: int
    seconds: float
    numpy_seconds: float

    @property
    def ratio(self) -> float:
        """How many times as long as numpy it took."""
        return self.seconds / self.numpy_seconds


def measure_starts(
    bundle: Path,
    pictures: int,
    folder: Path,
    postgresql: str | None = None,
    advance: Callable[[int], object] | None = None,
) -> Iterator[StartTime]:
    """Fill catalogs and start services on them.

    Args:
        bundle: the model; the features are said to be its own.
        pictures: in the one gallery that there is.
        folder: where everything is put; 18 bytes for each picture and dimension.
        postgresql: SQLAlchemy URL of a database without galleries, to be measured too, with snapshots and
            without. What was put there is removed again.
        advance: told how many pictures more are in a catalog.

    Raises:
        BenchError: the database has galleries.
        ServiceDied: a service did not start; its log is in the message.
        CatalogError, sqlalchemy.exc.SQLAlchemyError: a database cannot be used.
    """
    model = read_bundle(bundle)
    dimension, fingerprint = model.metadata.dimension, model.fingerprint
    numpy_seconds = _numpy_seconds(folder, pictures, dimension)
    ways: list[tuple[str, str, tuple[bool, ...]]] = [
        ("sqlite", f"sqlite:///{folder / 'catalog.sqlite3'}", (False,))
    ]
    if postgresql is not None:
        ways.append(("postgresql", postgresql, (False, True)))
    for name, url, snapshots in ways:
        catalog = Catalog(url)
        try:
            if catalog.galleries.numbers():
                raise BenchError(f"{name} has galleries already: name a database that nothing else uses")
            catalog.galleries.create(_GALLERY, keep_pictures=False)
            try:
                _fill(catalog, fingerprint, pictures, dimension, advance)
                for kept in snapshots:
                    data = folder / f"{name}-{kept}"
                    if kept:  # the first start writes them, and they are whole when it has ended
                        _seconds_to_ready(bundle, data, url, kept)
                    seconds = _seconds_to_ready(bundle, data, url, kept)
                    yield StartTime(name, kept, pictures, dimension, seconds, numpy_seconds)
            finally:
                catalog.galleries.delete(_GALLERY)
        finally:
            catalog.close()


def _seconds_to_ready(bundle: Path, data: Path, url: str, snapshots: bool) -> float:
    data.mkdir(parents=True, exist_ok=True)
    settings = {"PENUMBRA_CATALOG_URL": url, "PENUMBRA_SNAPSHOTS": str(snapshots).lower()}
    began = time.perf_counter()
    service = start_service(data, data / "log.txt", bundle=bundle, environment=settings)
    try:
        service.wait_until_ready(_LIMIT_S)
        return time.perf_counter() - began
    finally:
        service.stop(_LIMIT_S)


def _fill(
    catalog: Catalog,
    fingerprint: str,
    pictures: int,
    dimension: int,
    advance: Callable[[int], object] | None,
) -> None:
    """Past the service, which would have to embed: rows as it would have written them."""
    gallery = catalog.galleries.key(_GALLERY).number
    random = np.random.default_rng(0)
    for start in range(0, pictures, _AT_ONCE):
        features = _features(random, min(_AT_ONCE, pictures - start), dimension)
        codes = random.integers(0, occlusion.COUNT, len(features))
        catalog.database.transact(partial(_insert, gallery, fingerprint, start, codes, features))
        if advance is not None:
            advance(len(features))


def _insert(
    gallery: int,
    fingerprint: str,
    first: int,
    codes: npt.NDArray[np.int64],
    features: npt.NDArray[np.float16],
    session: Session,
) -> None:
    people = [
        PersonRow(gallery=gallery, name=f"{first}-{number}")
        for number in range(1 + (len(features) - 1) // _PICTURES_A_PERSON)
    ]
    session.add_all(people)
    session.flush()
    now = datetime.now(UTC)
    made = [made_by(fingerprint, int(code), None, one) for code, one in zip(codes, features, strict=True)]
    rows = [
        {
            "id": new_ulid(),
            "gallery": gallery,
            "person": people[place // _PICTURES_A_PERSON].number,
            "digest": f"{first + place:064x}",
            "own_metadata": {},
            "kept": False,
            "enrolled_at": now,
            **made[place].columns,
        }
        for place in range(len(features))
    ]
    in_order = insert(ImageRow).returning(ImageRow.number, sort_by_parameter_order=True)
    numbers = session.scalars(in_order, rows)
    session.execute(
        insert(FeaturesRow),
        [{"image": number, "features": one.features} for number, one in zip(numbers, made, strict=True)],
    )


def _features(random: np.random.Generator, count: int, dimension: int) -> npt.NDArray[np.float16]:
    drawn = random.standard_normal((count, occlusion.COUNT, dimension), dtype=np.float32)
    drawn /= np.linalg.norm(drawn, axis=2, keepdims=True)
    return drawn.astype(np.float16)


def _numpy_seconds(folder: Path, pictures: int, dimension: int) -> float:
    """Of the best of three readings; the file was just written, as the catalogs are."""
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".npy") as file:
        np.save(file, np.ones((pictures, occlusion.COUNT, dimension), dtype=np.float16))
        file.flush()
        took = []
        for _ in range(3):
            began = time.perf_counter()
            np.load(file.name)
            took.append(time.perf_counter() - began)
    return min(took)
