"""Pictures of one gallery with the same content: bytes that were enrolled before, whoever they show."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import Executable, bindparam, func, select
from sqlalchemy.orm import Session, aliased

from service.storage.catalog.rows import CHUNK
from service.storage.database import Database
from service.storage.records import DuplicateRecord
from service.storage.tables import ImageRow, PersonRow

__all__ = ["DuplicateCatalog", "first_of_content"]


def first_of_content(session: Session, gallery: int, digests: Collection[str]) -> dict[str, str]:
    """The public id of the first picture of each digest that the gallery has; at most 5,000 digests."""
    assert len(digests) <= CHUNK
    numbers = (
        select(func.min(ImageRow.number))
        .where(ImageRow.gallery == gallery, ImageRow.digest.in_(digests))
        .group_by(ImageRow.digest)
    )
    rows = session.execute(select(ImageRow.digest, ImageRow.id).where(ImageRow.number.in_(numbers)))
    return {row.digest: row.id for row in rows}


class DuplicateCatalog:
    """The duplicates of a catalog. See :class:`service.storage.catalog.Catalog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, gallery: int, limit: int, after: int = 0) -> list[DuplicateRecord]:
        """Up to ``limit`` pictures whose content an earlier one has, those after the number ``after``.

        In the order of enrolment; the first picture of each content is not among them.
        """
        wanted = {"gallery": gallery, "after": after, "limit": limit}
        with self._database.engine.connect() as connection:
            return [DuplicateRecord(*row) for row in connection.execute(_DUPLICATES, wanted)]


def _duplicates() -> Executable:
    several = (
        select(ImageRow.digest, func.min(ImageRow.number).label("first"))
        .where(ImageRow.gallery == bindparam("gallery"))
        .group_by(ImageRow.digest)
        .having(func.count() > 1)
        .subquery()
    )
    first, first_person = aliased(ImageRow), aliased(PersonRow)
    return (
        select(ImageRow.number, ImageRow.id, PersonRow.name, ImageRow.client_id, first.id, first_person.name)
        .join(several, several.c.digest == ImageRow.digest)
        .join(PersonRow, PersonRow.number == ImageRow.person)
        .join(first, first.number == several.c.first)
        .join(first_person, first_person.number == first.person)
        .where(
            ImageRow.gallery == bindparam("gallery"),
            ImageRow.number > several.c.first,
            ImageRow.number > bindparam("after"),
        )
        .order_by(ImageRow.number)
        .limit(bindparam("limit"))
    )


_DUPLICATES: Final = _duplicates()
