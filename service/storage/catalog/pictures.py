"""The pictures: storing, listing, finding by filters, erasing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import bindparam, delete, exists, or_, select
from sqlalchemy.orm import Session

from service.problems import UnknownGallery
from service.storage.catalog.enrolling import enrol_in
from service.storage.catalog.erased import note_features
from service.storage.catalog.rows import CHUNK, REMOVED, key_in, read_scores, unknown_image
from service.storage.database import Database
from service.storage.facts import facts_of
from service.storage.filters import ALL, Filters, Listed
from service.storage.records import (
    Enrolled,
    GalleryKey,
    ImageRecord,
    NewImage,
    PictureRecord,
    RemovedImage,
)
from service.storage.tables import FactRow, GalleryRow, ImageRow, PersonRow, PreviousRow

__all__ = ["PictureCatalog"]


class PictureCatalog:
    """The pictures of a catalog. See :class:`service.storage.catalog.Catalog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enrol(self, gallery: int, fingerprint: str, images: Sequence[NewImage]) -> list[Enrolled]:
        """Store pictures in one transaction: when this returns, all of them are durable.

        Args:
            gallery: gallery number.
            fingerprint: of the model that made the features.

        Returns:
            One for each picture, in order.

        Raises:
            UnknownGallery: it was deleted meanwhile; nothing was stored.
        """
        return self._database.transact(lambda session: enrol_in(session, gallery, fingerprint, images))

    def delete(self, name: str, id: str) -> tuple[GalleryKey, RemovedImage]:
        """Delete a picture, and its person if it was their last.

        Raises:
            UnknownGallery, UnknownImage: there is none.
        """

        key, removed = self.delete_some(name, [id])
        if not removed:
            raise unknown_image(name, id)
        return key, removed[0]

    def delete_some(self, name: str, ids: Sequence[str]) -> tuple[GalleryKey, list[RemovedImage]]:
        """Delete the pictures of these ids, at most 5,000, that are there, and people who have none left.

        In one transaction: one by one each would wait for the disk, and SQLite's log be emptied after each.

        Raises:
            UnknownGallery: there is none.
        """

        def work(session: Session) -> tuple[GalleryKey, list[RemovedImage]]:
            key = key_in(session, name)
            rows = session.execute(
                REMOVED.add_columns(ImageRow.person).where(
                    ImageRow.gallery == key.number, ImageRow.id.in_(ids)
                )
            ).all()
            removed = [RemovedImage(*image) for *image, _ in rows]
            mine = ImageRow.number.in_([image.number for image in removed])
            note_features(session, mine)
            session.execute(delete(ImageRow).where(mine))
            session.execute(
                delete(PersonRow).where(
                    PersonRow.number.in_(sorted({row.person for row in rows})),
                    ~exists().where(ImageRow.person == PersonRow.number),
                )
            )
            return key, removed

        answer = self._database.transact(work)
        if answer[1]:
            self._database.forget()
        return answer

    def among(self, gallery: int, ids: Sequence[str]) -> set[str]:
        """Which of these public ids, at most 5,000, the gallery has."""
        statement = select(ImageRow.id).where(ImageRow.gallery == gallery, ImageRow.id.in_(ids))
        with self._database.engine.connect() as connection:
            return set(connection.execute(statement).scalars())

    def page(
        self, gallery: int, limit: int, after: int = 0, listed: Listed = ALL, present: str = ""
    ) -> list[PictureRecord]:
        """Up to ``limit`` pictures in the order of enrolment, those after the number ``after``.

        Args:
            present: fingerprint of the present model, whose pictures are not pending.
        """
        statement = _PICTURES.where(ImageRow.gallery == gallery, ImageRow.number > after)
        if listed.person is not None:
            statement = statement.where(PersonRow.name == listed.person)
        if listed.camera is not None:
            statement = statement.where(ImageRow.camera == listed.camera)
        if listed.time_from is not None:
            statement = statement.where(ImageRow.time >= listed.time_from)
        if listed.time_to is not None:
            statement = statement.where(ImageRow.time < listed.time_to)
        if listed.pending is not None:
            # in this form, which an index answers: most galleries have none that is pending
            others = or_(ImageRow.fingerprint < present, ImageRow.fingerprint > present)
            statement = statement.where(others if listed.pending else ImageRow.fingerprint == present)
        if listed.client_id is not None:
            # one at most: ordered and limited, PostgreSQL would go through all pictures in their order
            statement = statement.where(ImageRow.client_id == listed.client_id)
        else:
            statement = statement.order_by(ImageRow.number).limit(limit)
        with self._database.engine.connect() as connection:
            return [_picture(row) for row in connection.execute(statement)]

    def get(self, name: str, id: str) -> tuple[GalleryKey, PictureRecord]:
        """A picture by its public id.

        Raises:
            UnknownGallery, UnknownImage: there is none.
        """
        with Session(self._database.engine) as connection:
            key = key_in(connection, name)
            row = connection.execute(
                _PICTURES.where(ImageRow.gallery == key.number, ImageRow.id == id)
            ).one_or_none()
        if row is None:
            raise unknown_image(name, id)
        return key, _picture(row)

    def shown(self, gallery: int, numbers: Sequence[int]) -> dict[int, ImageRecord]:
        """Pictures of a gallery by number, read at one moment; those deleted meanwhile are left out.

        Raises:
            UnknownGallery: the gallery was deleted meanwhile.
        """
        found: dict[int, ImageRecord] = {}
        with self._database.engine.connect() as connection:
            for start in range(0, len(numbers), CHUNK):
                wanted = {"gallery": gallery, "numbers": numbers[start : start + CHUNK]}
                for number, id, person, camera, time, code, scores, *own in connection.execute(
                    _IMAGES, wanted
                ):
                    found[number] = ImageRecord(id, person, camera, time, code, read_scores(scores), *own)
            # a picture that is there says that its gallery is
            if not found and connection.execute(_GALLERY_THERE, {"gallery": gallery}).first() is None:
                raise UnknownGallery("the gallery was deleted while it was asked")
        return found

    def matching(
        self, gallery: int, filters: Filters, model: str | None = None
    ) -> tuple[npt.NDArray[np.int64], int]:
        """The gallery's pictures that meet all conditions.

        Args:
            model: fingerprint of a model, the present or the previous one, that must have made features of
                them; None: asks nothing.

        Returns:
            Their numbers, ascending, int64 [n]; and how many people they show.
        """
        statement = select(ImageRow.number, ImageRow.person).where(ImageRow.gallery == gallery)
        if model is not None:
            beside = select(PreviousRow.image).where(PreviousRow.fingerprint == model)
            statement = statement.where(or_(ImageRow.fingerprint == model, ImageRow.number.in_(beside)))
        if filters.people or filters.exclude_people:
            statement = statement.join(PersonRow, PersonRow.number == ImageRow.person)
        if filters.people:
            statement = statement.where(PersonRow.name.in_(filters.people))
        if filters.exclude_people:
            statement = statement.where(PersonRow.name.not_in(filters.exclude_people))
        if filters.cameras:
            statement = statement.where(ImageRow.camera.in_(filters.cameras))
        if filters.exclude_cameras:
            statement = statement.where(
                or_(ImageRow.camera.is_(None), ImageRow.camera.not_in(filters.exclude_cameras))
            )
        if filters.time_from is not None:
            statement = statement.where(ImageRow.time >= filters.time_from)
        if filters.time_to is not None:
            statement = statement.where(ImageRow.time < filters.time_to)
        for fact in facts_of(gallery, filters.metadata):
            having = select(FactRow.image).where(FactRow.fact == fact)
            statement = statement.where(ImageRow.number.in_(having))
        with self._database.engine.connect() as connection:
            rows = connection.execute(statement.order_by(ImageRow.number)).all()
        return np.array([row.number for row in rows], dtype=np.int64), len({row.person for row in rows})

    def expired(self, now: datetime) -> list[tuple[str, str]]:
        """(gallery name, image id) of every picture that its gallery's retention has ended for."""
        kept = select(GalleryRow.name, GalleryRow.number, GalleryRow.retention_days).where(
            GalleryRow.retention_days.is_not(None)
        )
        with self._database.engine.connect() as connection:
            return [
                (name, id)
                for name, number, days in connection.execute(kept).all()
                for id in connection.execute(
                    select(ImageRow.id).where(
                        ImageRow.gallery == number, ImageRow.enrolled_at < now - timedelta(days=days or 0)
                    )
                ).scalars()
            ]

    def kept(self) -> set[tuple[int, str]]:
        """(gallery number, image id) of every picture whose bytes are kept."""
        with Session(self._database.engine) as session:
            rows = session.execute(select(ImageRow.gallery, ImageRow.id).where(ImageRow.kept))
            return {(gallery, id) for gallery, id in rows}


def _picture(row: Any) -> PictureRecord:
    """A row of :data:`_PICTURES`."""
    return PictureRecord(**{**row._asdict(), "scores": read_scores(row.scores)})


# Made once: building a statement costs more than SQLite takes to answer it.
_GALLERY_THERE: Final = select(GalleryRow.number).where(GalleryRow.number == bindparam("gallery"))
_PICTURES: Final = select(
    ImageRow.id,
    PersonRow.name.label("person"),
    ImageRow.camera,
    ImageRow.time,
    ImageRow.occlusion,
    ImageRow.scores,
    ImageRow.number,
    ImageRow.client_id,
    ImageRow.own_metadata.label("metadata"),
    ImageRow.kept,
    ImageRow.enrolled_at,
    ImageRow.fingerprint,
).join(PersonRow, PersonRow.number == ImageRow.person)
_IMAGES: Final = (
    select(
        ImageRow.number,
        ImageRow.id,
        PersonRow.name,
        ImageRow.camera,
        ImageRow.time,
        ImageRow.occlusion,
        ImageRow.scores,
        ImageRow.client_id,
        ImageRow.own_metadata,
    )
    .join(PersonRow, PersonRow.number == ImageRow.person)
    .where(
        ImageRow.gallery == bindparam("gallery"), ImageRow.number.in_(bindparam("numbers", expanding=True))
    )
)
