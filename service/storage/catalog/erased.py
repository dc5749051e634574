"""What was erased and may still be in the feature cache: noted with the erasure, struck out when it is gone.

The cache may be away when somebody is erased, and the process may end before it was told. So what it has to
forget is written in the very transaction that erases, and stays written until the cache has confirmed it.
What that is of a picture, :func:`note_features` alone says: names under which features of it were cached, by
the model of its row and by the one before, for which something may lie beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import ColumnElement, delete, insert, select
from sqlalchemy.orm import Session

from service.storage.catalog.rows import CHUNK
from service.storage.database import Database
from service.storage.records import ErasedFeatures
from service.storage.tables import ErasedRow, ImageRow, PreviousRow

__all__ = ["ErasedCatalog", "note_features"]

_NOTED: Final = ["fingerprint", "digest"]


def note_features(
    session: Session, pictures: ColumnElement[bool], row: bool = True, before: bool = True
) -> None:
    """Note the features of some pictures as erased, before they are, in the erasing transaction.

    Args:
        pictures: a condition on :class:`ImageRow`.
        row: those of the pictures' rows.
        before: those that lie beside them, of the model before.
    """
    if row:
        mine = select(ImageRow.fingerprint, ImageRow.digest).where(pictures)
        session.execute(insert(ErasedRow).from_select(_NOTED, mine))
    if before:
        beside = select(PreviousRow.fingerprint, ImageRow.digest).where(
            PreviousRow.image == ImageRow.number, pictures
        )
        session.execute(insert(ErasedRow).from_select(_NOTED, beside))


class ErasedCatalog:
    """The notes of a catalog. See :class:`service.storage.catalog.Catalog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, seen: Collection[tuple[str, str]]) -> None:
        """Note (model's fingerprint, picture's digest) of what is to be forgotten without an erasure."""
        rows = [{"fingerprint": fingerprint, "digest": digest} for fingerprint, digest in seen]
        if rows:
            self._database.transact(lambda session: session.execute(insert(ErasedRow), rows))

    def noted(self, limit: int, after: int = 0) -> list[ErasedFeatures]:
        """Up to ``limit`` notes, the oldest first, those after the number ``after``."""
        statement = select(ErasedRow.number, ErasedRow.fingerprint, ErasedRow.digest)
        with self._database.engine.connect() as connection:
            rows = connection.execute(
                statement.where(ErasedRow.number > after).order_by(ErasedRow.number).limit(limit)
            )
            return [ErasedFeatures(*row) for row in rows]

    def strike_out(self, numbers: Sequence[int]) -> None:
        """Delete notes: the cache has forgotten what they name."""

        def work(session: Session) -> None:
            for start in range(0, len(numbers), CHUNK):
                session.execute(delete(ErasedRow).where(ErasedRow.number.in_(numbers[start : start + CHUNK])))

        self._database.transact(work)
        self._database.forget()
