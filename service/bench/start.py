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
from pathlib import Path
from typing import Final

import numpy as np

from models import occlusion
from models.bundle import read_bundle
from service.background import start_service
from service.bench.accuracy import BenchError
from service.bench.filled import fill
from service.storage.catalog import Catalog

__all__ = ["StartTime", "measure_starts"]

_GALLERY: Final = "bench-start"
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
                fill(catalog, _GALLERY, fingerprint, pictures, dimension, advance)
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
