"""The people: whom the pictures show; renaming, merging and erasing them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from service.problems import PersonExists
from service.storage.catalog.erased import note_features
from service.storage.catalog.rows import REMOVED, key_in, unknown_person
from service.storage.database import Database
from service.storage.records import GalleryKey, PersonRecord, Reassigned, RemovedImage
from service.storage.tables import ImageRow, PersonRow

__all__ = ["PeopleCatalog"]


class PeopleCatalog:
    """The people of a catalog. See :class:`service.storage.catalog.Catalog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, gallery: int) -> int:
        """How many people a gallery has, pending pictures' included."""
        with self._database.engine.connect() as connection:
            return connection.execute(_PEOPLE_COUNT, {"gallery": gallery}).scalar_one()

    def page(self, gallery: int, limit: int, after: str = "") -> list[PersonRecord]:
        """Up to ``limit`` persons in the order of their names, those after the name ``after``."""
        statement = _PEOPLE.where(PersonRow.gallery == gallery, PersonRow.name > after)
        with self._database.engine.connect() as connection:
            rows = connection.execute(statement.order_by(PersonRow.name).limit(limit))
            return [PersonRecord(*row) for row in rows]

    def get(self, gallery: int, person: str) -> PersonRecord:
        """A person by name.

        Raises:
            UnknownPerson: there is none.
        """
        with self._database.engine.connect() as connection:
            row = connection.execute(
                _PEOPLE.where(PersonRow.gallery == gallery, PersonRow.name == person)
            ).one_or_none()
        if row is None:
            raise unknown_person(person)
        return PersonRecord(*row)

    def delete(self, name: str, person: str) -> tuple[GalleryKey, list[RemovedImage]]:
        """Delete a person with all their pictures.

        Raises:
            UnknownGallery, UnknownPerson: there is none.
        """

        def work(session: Session) -> tuple[GalleryKey, list[RemovedImage]]:
            key = key_in(session, name)
            number = _person(session, key, person)
            removed = [
                RemovedImage(*row) for row in session.execute(REMOVED.where(ImageRow.person == number))
            ]
            note_features(session, ImageRow.person == number)
            session.execute(delete(ImageRow).where(ImageRow.person == number))
            session.execute(delete(PersonRow).where(PersonRow.number == number))
            return key, removed

        answer = self._database.transact(work)
        self._database.forget()
        return answer

    def rename(self, name: str, person: str, to: str, merge: bool) -> tuple[GalleryKey, Reassigned]:
        """Give a person another name; with ``merge``, it may be another person's, who then has all pictures.

        Raises:
            UnknownGallery, UnknownPerson: there is none.
            PersonExists: another person has the name, and ``merge`` is false.
        """

        def work(session: Session) -> tuple[GalleryKey, Reassigned]:
            key = key_in(session, name)
            number = _person(session, key, person)
            other = session.scalar(_PERSON, {"gallery": key.number, "name": to})
            if other == number:
                return key, Reassigned([], number)
            if other is None:
                session.execute(update(PersonRow).where(PersonRow.number == number).values(name=to))
                return key, Reassigned([], number)
            if not merge:
                raise PersonExists(f"there is a person {to!r} already; merge=true makes the two one")
            moved = session.scalars(select(ImageRow.number).where(ImageRow.person == number)).all()
            session.execute(update(ImageRow).where(ImageRow.person == number).values(person=other))
            session.execute(delete(PersonRow).where(PersonRow.number == number))
            return key, Reassigned(moved, other)

        answer = self._database.transact(work)
        self._database.forget()
        return answer


def _person(session: Session, key: GalleryKey, person: str) -> int:
    number = session.scalar(_PERSON, {"gallery": key.number, "name": person})
    if number is None:
        raise unknown_person(person)
    return number


# Made once: building a statement costs more than SQLite takes to answer it.
_PEOPLE_COUNT: Final = select(func.count()).where(PersonRow.gallery == bindparam("gallery"))
_PERSON: Final = select(PersonRow.number).where(
    PersonRow.gallery == bindparam("gallery"), PersonRow.name == bindparam("name")
)
_PEOPLE: Final = select(
    PersonRow.name, select(func.count()).where(ImageRow.person == PersonRow.number).scalar_subquery()
)
