"""What the previous model made of pictures, kept as long as it answers for their gallery.

A picture's row has the features of one model. Where it was brought to the present model, or enrolled since,
those of the previous one lie in a table beside it until the whole gallery was brought there. So what the
previous model made is found in two places: in the rows that still wait, and beside those that do not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, delete, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from service.storage.catalog.erased import note_features
from service.storage.catalog.features import graded_rows, scores_of, stored_features
from service.storage.catalog.made import COLUMNS, Made
from service.storage.database import Database
from service.storage.records import StoredFeatures
from service.storage.tables import FeaturesRow, ImageRow, PreviousRow

__all__ = ["PreviousCatalog", "keep_before"]

_BATCH: Final = 1024


def keep_before(session: Session, image: int, made: Made) -> None:
    """Lay what the previous model made of a picture beside its row, in a caller's transaction."""
    session.execute(delete(PreviousRow).where(PreviousRow.image == image))
    session.execute(insert(PreviousRow).values(image=image, features=made.features, **made.columns))


class PreviousCatalog:
    """What the previous model made. See :class:`service.storage.catalog.Catalog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def answerable(self, fingerprint: str, present: str) -> set[int]:
        """Numbers of the galleries that the previous model answers for.

        It made features of a picture there, and none is of the present model alone.
        """
        beside = exists().where(PreviousRow.image == ImageRow.number, PreviousRow.fingerprint == fingerprint)
        known = select(ImageRow.gallery).where(or_(ImageRow.fingerprint == fingerprint, beside))
        unknown = select(ImageRow.gallery).where(ImageRow.fingerprint == present, ~beside)
        with self._database.engine.connect() as connection:
            return set(connection.execute(known.distinct()).scalars()) - set(
                connection.execute(unknown.distinct()).scalars()
            )

    def restore(self, present: str) -> None:
        """Whoever goes back to a model while its features still lie beside has them back in the rows."""
        if self._empty():
            return
        mine = (ImageRow.number == PreviousRow.image, PreviousRow.fingerprint == present)

        def work(session: Session) -> None:
            returning = select(PreviousRow.image).where(PreviousRow.fingerprint == present)
            note_features(session, ImageRow.number.in_(returning), before=False)
            columns = {column: getattr(PreviousRow, column) for column in COLUMNS}
            features = update(FeaturesRow).where(FeaturesRow.image == PreviousRow.image)
            for back in (
                update(ImageRow).where(*mine).values(columns),
                features.where(PreviousRow.fingerprint == present).values(features=PreviousRow.features),
            ):
                session.execute(back, execution_options={"synchronize_session": False})
            session.execute(delete(PreviousRow).where(PreviousRow.fingerprint == present))

        self._database.transact(work)

    def drop(self, gallery: int) -> None:
        """Erase what lies beside a gallery's pictures; the feature cache is to forget it too."""
        self._drop(ImageRow.gallery == gallery)

    def keep_only(self, galleries: Collection[int]) -> None:
        """Erase what lies beside the pictures of all other galleries."""
        self._drop(ImageRow.gallery.not_in(galleries))

    def batches(self, galleries: Collection[int], fingerprint: str) -> Iterator[StoredFeatures]:
        """All features that the previous model made in these galleries."""
        beside = exists().where(PreviousRow.image == ImageRow.number, PreviousRow.fingerprint == fingerprint)
        numbers = select(ImageRow.number).where(or_(ImageRow.fingerprint == fingerprint, beside))
        for gallery in sorted(galleries):
            after = 0
            while True:
                wanted = numbers.where(ImageRow.gallery == gallery, ImageRow.number > after)
                with self._database.engine.connect() as connection:
                    some = connection.execute(wanted.order_by(ImageRow.number).limit(_BATCH)).scalars().all()
                if not some:
                    break
                after = some[-1]
                yield self.graded(gallery, some, fingerprint)[0]

    def graded(
        self, gallery: int, numbers: Sequence[int], fingerprint: str
    ) -> tuple[StoredFeatures, npt.NDArray[np.float32] | None]:
        """As :meth:`service.storage.catalog.features.FeatureCatalog.graded`, of the previous model."""
        rows: list[Any] = []
        with self._database.engine.connect() as connection:
            for made, lying in ((ImageRow, FeaturesRow), (PreviousRow, PreviousRow)):
                rows += graded_rows(connection, made, lying, gallery, numbers, fingerprint)
        rows.sort(key=lambda row: int(row.number))
        return stored_features(gallery, rows), scores_of(rows)

    def unmade(self, gallery: int, fingerprint: str) -> int:
        """How many pictures of a gallery the previous model made no features of."""
        beside = exists().where(PreviousRow.image == ImageRow.number, PreviousRow.fingerprint == fingerprint)
        others = or_(ImageRow.fingerprint < fingerprint, ImageRow.fingerprint > fingerprint)
        statement = select(func.count()).where(ImageRow.gallery == gallery, others, ~beside)
        with self._database.engine.connect() as connection:
            return connection.execute(statement).scalar_one()

    def _empty(self) -> bool:
        with self._database.engine.connect() as connection:
            return connection.execute(select(PreviousRow.image).limit(1)).first() is None

    def _drop(self, pictures: ColumnElement[bool]) -> None:
        if self._empty():
            return
        mine = select(ImageRow.number).where(pictures)

        def work(session: Session) -> None:
            note_features(session, pictures, row=False)
            session.execute(delete(PreviousRow).where(PreviousRow.image.in_(mine)))

        self._database.transact(work)
        self._database.forget()
