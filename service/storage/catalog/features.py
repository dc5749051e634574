"""The features: what the index is built from, and what re-ranking and snapshots read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Select, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from models import occlusion
from service.storage.catalog.rows import CHUNK, read_scores
from service.storage.database import Database
from service.storage.records import ComparablePictures, StoredFeatures
from service.storage.snapshot_file import Records
from service.storage.tables import FeaturesRow, ImageRow, PreviousRow

__all__ = ["FeatureCatalog", "graded_rows", "scores_of", "stored_features"]

_SPREAD: Final = 4
"""Numbers between the first and the last of those asked for, for each of them, up to which all are read."""


class FeatureCatalog:
    """The features in a catalog. See :class:`service.storage.catalog.Catalog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def batches(self, fingerprint: str, batch: int = 1024) -> Iterator[StoredFeatures]:
        """All features of one model in the order of enrolment, each time some of one gallery.

        Of at most ``batch`` pictures. All galleries in one pass: in PostgreSQL a pass for each would look at
        every part of the tables as often as there are galleries.
        """
        after = 0
        while True:
            statement = (
                select(
                    ImageRow.gallery,
                    ImageRow.number,
                    ImageRow.person,
                    ImageRow.occlusion,
                    FeaturesRow.features,
                )
                .join(FeaturesRow, FeaturesRow.image == ImageRow.number)
                .where(
                    ImageRow.fingerprint == fingerprint,
                    ImageRow.number > after,
                    FeaturesRow.image > after,  # which PostgreSQL does not conclude
                )
                .order_by(ImageRow.number)
                .limit(batch)
            )
            with Session(self._database.engine) as session:
                rows = session.execute(statement).all()
            if not rows:
                return
            after = rows[-1].number
            by_gallery: dict[int, list[Any]] = {}
            for row in rows:
                by_gallery.setdefault(row.gallery, []).append(row)
            for gallery, some in by_gallery.items():
                yield stored_features(gallery, some)

    def graded(
        self, gallery: int, numbers: Sequence[int], fingerprint: str
    ) -> tuple[StoredFeatures, npt.NDArray[np.float32] | None]:
        """One model's features of at most some hundred pictures, and the grader's scores of each.

        Pictures that have none of that model are left out. The scores: float32 [N, 4], None without a grader.
        """
        with self._database.engine.connect() as connection:
            rows = graded_rows(connection, ImageRow, FeaturesRow, gallery, numbers, fingerprint)
        return stored_features(gallery, rows), scores_of(rows)

    def comparable(self, gallery: int, fingerprint: str) -> ComparablePictures:
        """A gallery's pictures whose features are of one model, without the features."""
        statement = (
            select(ImageRow.number, ImageRow.id, ImageRow.person, ImageRow.occlusion)
            .where(ImageRow.gallery == gallery, ImageRow.fingerprint == fingerprint)
            .order_by(ImageRow.number)
        )
        none = np.empty(0, np.int64)
        chunks = [ComparablePictures(none, np.empty(0, "S26"), none, none)]
        with self._database.engine.connect() as connection:
            for rows in connection.execute(statement).partitions(CHUNK):
                numbers, ids, people, codes = zip(*rows, strict=True)
                chunks.append(
                    ComparablePictures(
                        np.array(numbers, np.int64),
                        np.array(ids, "S26"),
                        np.array(people, np.int64),
                        np.array(codes, np.int64),
                    )
                )
        return ComparablePictures(
            np.concatenate([chunk.numbers for chunk in chunks]),
            np.concatenate([chunk.ids for chunk in chunks]),
            np.concatenate([chunk.people for chunk in chunks]),
            np.concatenate([chunk.occlusions for chunk in chunks]),
        )

    def records(self, gallery: int, fingerprint: str, numbers: Sequence[int]) -> Records:
        """Features of some of a gallery's pictures, of those that are there and of this model.

        Args:
            numbers: at most 5,000.
        """
        statement = (
            select(ImageRow.number, ImageRow.id, FeaturesRow.features)
            .join(FeaturesRow, FeaturesRow.image == ImageRow.number)
            .where(ImageRow.gallery == gallery, ImageRow.fingerprint == fingerprint)
        )
        with self._database.engine.connect() as connection:
            rows = _among(connection, statement, numbers, ImageRow.number, FeaturesRow.image)
        features = np.frombuffer(b"".join(row.features for row in rows), dtype="<f2")
        return Records(
            np.array([row.number for row in rows], np.int64),
            np.array([row.id for row in rows], "S26"),
            features.reshape(len(rows), occlusion.COUNT, -1 if rows else 0),
        )


def graded_rows(
    connection: Connection,
    made: type[ImageRow | PreviousRow],
    lying: type[FeaturesRow | PreviousRow],
    gallery: int,
    numbers: Sequence[int],
    fingerprint: str,
) -> list[Any]:
    """What a model made of some of a gallery's pictures, in the order of their numbers.

    Args:
        made: has what depends on the model.
        lying: has the features.
    """
    statement = (
        select(ImageRow.number, ImageRow.person, made.occlusion, made.scores, lying.features)
        .join(lying, lying.image == ImageRow.number)
        .where(ImageRow.gallery == gallery, made.fingerprint == fingerprint)
    )
    return _among(connection, statement, numbers, ImageRow.number, lying.image)


def scores_of(rows: Sequence[Any]) -> npt.NDArray[np.float32] | None:
    """The grader's ``scores`` of rows, float32 [N, 4]; None without a grader."""
    scores = [read for row in rows if (read := read_scores(row.scores)) is not None]
    return np.stack(scores) if scores else None


def _among(
    connection: Connection,
    statement: Select[*tuple[Any, ...]],
    numbers: Sequence[int],
    *columns: InstrumentedAttribute[int],
) -> list[Any]:
    """Rows of a statement on pictures whose numbers, which all the columns are, are among these; in order."""
    wanted = set(numbers)
    first, last = min(wanted, default=0), max(wanted, default=0)
    statement = statement.where(*(column.between(first, last) for column in columns))
    if last - first >= _SPREAD * len(wanted):
        # PostgreSQL looks for each in every part of its tables: to read a few in vain costs less
        statement = statement.where(*(column.in_(wanted) for column in columns))
    return [row for row in connection.execute(statement.order_by(ImageRow.number)) if row.number in wanted]


def stored_features(gallery: int, rows: Sequence[Any]) -> StoredFeatures:
    """Rows with ``number``, ``person``, ``occlusion`` and ``features``."""
    blobs = np.frombuffer(b"".join(row.features for row in rows), dtype="<f2")
    return StoredFeatures(
        gallery=gallery,
        ids=np.array([row.number for row in rows], dtype=np.int64),
        people=np.array([row.person for row in rows], dtype=np.int64),
        occlusions=np.array([row.occlusion for row in rows], dtype=np.int64),
        features=blobs.reshape(len(rows), occlusion.COUNT, -1 if rows else 0),
    )
