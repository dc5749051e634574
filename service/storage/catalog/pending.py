"""Pictures of another model than the present one: what is left to be brought to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from service.storage.catalog.erased import note_features
from service.storage.catalog.made import made_by, made_of, write_made
from service.storage.catalog.previous import keep_before
from service.storage.catalog.rows import CHUNK, key_in
from service.storage.database import STORES, Database
from service.storage.records import PendingPicture, PendingPictures
from service.storage.tables import GalleryRow, ImageRow

__all__ = ["PendingCatalog"]


class PendingCatalog:
    """The pending pictures of a catalog. See :class:`service.storage.catalog.Catalog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def bring_to(self, name: str, fingerprint: str | None) -> None:
        """Note durably to which model a gallery's pictures are being brought; None: to none.

        Raises:
            UnknownGallery: there is none.
        """

        def work(session: Session) -> None:
            number = key_in(session, name).number
            session.execute(
                update(GalleryRow).where(GalleryRow.number == number).values(reindexed_to=fingerprint)
            )

        self._database.transact(work)

    def being_brought_to(self, fingerprint: str) -> list[str]:
        """Names of the galleries whose pictures are being brought to this model."""
        statement = select(GalleryRow.name).where(GalleryRow.reindexed_to == fingerprint)
        with self._database.engine.connect() as connection:
            return list(connection.execute(statement.order_by(GalleryRow.name)).scalars())

    def counts(self, gallery: int, fingerprint: str) -> PendingPictures:
        """How many pictures a gallery has, and how many are not of this model."""
        mine = select(func.count()).where(ImageRow.gallery == gallery)
        pending = mine.where(ImageRow.fingerprint != fingerprint)
        counts = select(
            mine.scalar_subquery(),
            pending.where(ImageRow.kept).scalar_subquery(),
            pending.where(~ImageRow.kept).scalar_subquery(),
        )
        with self._database.engine.connect() as connection:
            return PendingPictures(*connection.execute(counts).one())

    def count(self, gallery: int, fingerprint: str) -> int:
        """How many pictures of a gallery are not of this model; the fewer, the quicker."""
        with self._database.engine.connect() as connection:
            wanted = {"gallery": gallery, "fingerprint": fingerprint}
            return int(connection.execute(_COUNT, wanted).scalar_one())

    def by_gallery(self, fingerprint: str) -> list[tuple[int, str, int]]:
        """Number and name of each gallery with pictures that are not of this model, and how many."""
        statement = (
            select(GalleryRow.number, GalleryRow.name, func.count())
            .join(ImageRow, ImageRow.gallery == GalleryRow.number)
            .where(ImageRow.fingerprint != fingerprint)
            .group_by(GalleryRow.number, GalleryRow.name)
            .order_by(GalleryRow.name)
        )
        with self._database.engine.connect() as connection:
            return [(number, name, count) for number, name, count in connection.execute(statement)]

    def kept(self, gallery: int, fingerprint: str, limit: int, after: int) -> list[PendingPicture]:
        """Up to ``limit`` kept pictures that are not of this model, those after the number ``after``."""
        statement = (
            select(ImageRow.number, ImageRow.id, ImageRow.digest, ImageRow.fingerprint)
            .where(
                ImageRow.gallery == gallery,
                ImageRow.fingerprint != fingerprint,
                ImageRow.kept,
                ImageRow.number > after,
            )
            .order_by(ImageRow.number)
            .limit(limit)
        )
        with self._database.engine.connect() as connection:
            return [PendingPicture(*row) for row in connection.execute(statement)]

    def kept_among(self, gallery: int, fingerprint: str, numbers: Sequence[int]) -> dict[int, str]:
        """Which of these kept pictures are still not of this model: number -> public id."""
        found: dict[int, str] = {}
        with self._database.engine.connect() as connection:
            for start in range(0, len(numbers), CHUNK):
                statement = select(ImageRow.number, ImageRow.id).where(
                    ImageRow.gallery == gallery,
                    ImageRow.fingerprint != fingerprint,
                    ImageRow.kept,
                    ImageRow.number.in_(numbers[start : start + CHUNK]),
                )
                found.update((number, id) for number, id in connection.execute(statement))
        return found

    def renew(
        self,
        picture: PendingPicture,
        fingerprint: str,
        code: int,
        scores: npt.NDArray[np.float32] | None,
        features: npt.NDArray[np.float16],
        keep: bool = False,
    ) -> int | None:
        """Give a pending picture the features of another model; those it had are noted as erased.

        Args:
            code, scores, features: as in :class:`NewImage`.
            keep: lay what it had beside the row, for the model that made it still answers.

        Returns:
            The number of its person; None where it was erased or is pending no longer, and nothing was done.
        """

        def work(session: Session) -> int | None:
            row = session.get(ImageRow, picture.number)
            if row is None or (row.id, row.fingerprint) != (picture.id, picture.fingerprint):
                return None
            session.info[STORES] = True
            note_features(session, ImageRow.number == row.number)
            if keep:
                keep_before(session, row.number, made_of(session, row))
            write_made(session, row, made_by(fingerprint, code, scores, features))
            return row.person

        return self._database.transact(work)


_MINE: Final = select(func.count()).where(ImageRow.gallery == bindparam("gallery"))
# Made once: building a statement costs more than SQLite takes to answer it. Two ranges of the index: with
# "!=", or with both in one condition, the gallery's every entry is read.
_COUNT: Final = select(
    _MINE.where(ImageRow.fingerprint < bindparam("fingerprint")).scalar_subquery()
    + _MINE.where(ImageRow.fingerprint > bindparam("fingerprint")).scalar_subquery()
)
