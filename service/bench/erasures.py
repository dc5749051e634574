"""`penumbra bench erasures`: how long those who read a catalog wait while people are erased from it.

In PostgreSQL the parts of the tables that somebody was erased from are written anew, and who wants to read
one of them waits meanwhile (:mod:`service.storage.vacuum`). What a query reads of a catalog, the records of
ten pictures, is read all the time by one thread; another one erases people, and waits each time until nothing
of them is in the catalog's files.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from sqlalchemy import make_url

from service.bench.accuracy import BenchError
from service.bench.filled import fill
from service.storage.catalog import Catalog

__all__ = ["ErasureFigures", "Reads", "measure_erasures"]

_GALLERY: Final = "bench-erasures"
_FINGERPRINT: Final = "0" * 64
_LOOK_UP: Final = 10
_READS_ALONE: Final = 500
_LIMIT_S: Final = 1800.0


@dataclass(frozen=True, slots=True)
class Reads:
    """Milliseconds that look-ups of ten pictures took: the middle one, and the longest."""

    median_ms: float
    longest_ms: float


@dataclass(frozen=True, slots=True)
class ErasureFigures:
    """What was measured.

    Attributes:
        catalog: ``sqlite`` or ``postgresql``.
        pictures, dimension: of the gallery, ten pictures of each person.
        erased: people.
        alone, beside: reads without erasures, and while people are erased.
        reads: how many there were beside erasures.
        gone_s: seconds from an erasure's call until nothing of the person was in the files, median.
    """

    catalog: str
    pictures: int
    dimension: int
    erased: int
    alone: Reads
    beside: Reads
    reads: int
    gone_s: float


def measure_erasures(
    url: str,
    pictures: int,
    dimension: int,
    people: int,
    rewritten_up_to: int,
    advance: Callable[[int], object] | None = None,
) -> ErasureFigures:
    """Fill a catalog, read it, and read it again while people are erased from it.

    Args:
        url: SQLAlchemy URL of a database without galleries; what was put there is removed again.
        people: to erase, fewer than a tenth of the pictures.
        rewritten_up_to: see :class:`service.storage.vacuum.Vacuum`.
        advance: told how many pictures more are in the catalog.

    Raises:
        BenchError: the database has galleries, or cannot forget.
        CatalogError, sqlalchemy.exc.SQLAlchemyError: it cannot be used.
    """
    catalog = Catalog(url, rewritten_up_to)
    try:
        if catalog.galleries.numbers():
            raise BenchError("the database has galleries already: name one that nothing else uses")
        catalog.galleries.create(_GALLERY, keep_pictures=False)
        try:
            fill(catalog, _GALLERY, _FINGERPRINT, pictures, dimension, advance)
            _until_forgotten(catalog)
            return _measure(catalog, make_url(url).get_backend_name(), pictures, dimension, people)
        finally:
            catalog.galleries.delete(_GALLERY)
    finally:
        catalog.close()


def _measure(catalog: Catalog, name: str, pictures: int, dimension: int, people: int) -> ErasureFigures:
    numbers = catalog.features.comparable(catalog.galleries.key(_GALLERY).number, _FINGERPRINT).numbers
    alone = _Reader(catalog, numbers)
    for _ in range(_READS_ALONE):
        alone.read()
    beside = _Reader(catalog, numbers)
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set() or not beside.took:
            beside.read()

    thread = threading.Thread(target=read, name="reader")
    thread.start()
    took = []
    try:
        gallery = catalog.galleries.key(_GALLERY).number
        for person in catalog.people.page(gallery, people):
            began = time.monotonic()
            catalog.people.delete(_GALLERY, person.name)
            _until_forgotten(catalog)
            took.append(time.monotonic() - began)
    finally:
        ended.set()
        thread.join()
    return ErasureFigures(
        catalog=name,
        pictures=pictures,
        dimension=dimension,
        erased=len(took),
        alone=alone.figures(),
        beside=beside.figures(),
        reads=len(beside.took),
        gone_s=float(np.median(took)),
    )


class _Reader:
    def __init__(self, catalog: Catalog, numbers: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        self._catalog = catalog
        self._gallery = catalog.galleries.key(_GALLERY).number
        self._numbers = numbers
        self._random = np.random.default_rng(0)
        self.took: list[float] = []

    def read(self) -> None:
        some = self._random.choice(self._numbers, _LOOK_UP).tolist()
        began = time.perf_counter()
        self._catalog.pictures.shown(self._gallery, some)
        self.took.append(time.perf_counter() - began)

    def figures(self) -> Reads:
        return Reads(1000 * float(np.median(self.took)), 1000 * max(self.took))


def _until_forgotten(catalog: Catalog) -> None:
    give_up = time.monotonic() + _LIMIT_S
    while catalog.database.unforgotten:
        if time.monotonic() > give_up:
            raise BenchError(
                "somebody else reads the database all the time; what was erased cannot be taken away"
            )
        catalog.database.forget_owed()
        time.sleep(0.01)
