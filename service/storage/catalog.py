"""The catalog: the truth about galleries, people and pictures, in any database SQLAlchemy speaks.

SQLite by default (write-ahead log, ``synchronous=FULL``: a commit that returned survives a power cut;
``secure_delete``: what is erased is overwritten), PostgreSQL by URL. The calls are synchronous and safe
from several threads; the service makes them from worker threads.

A picture's row carries the fingerprint of the model that made its features. Rows of another fingerprint
are *pending*: counted, listed, deletable, but not to be compared with features of the present model.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final, Literal

import numpy as np
import numpy.typing as npt
from sqlalchemy import Select, bindparam, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from models import occlusion
from service.matching.decision import NO_WISHES, Rule
from service.problems import (
    BadRequest,
    GalleryExists,
    PersonExists,
    Problem,
    UnknownGallery,
    UnknownImage,
    UnknownPerson,
)
from service.storage.database import CatalogError, Database
from service.storage.filters import Filters
from service.storage.records import (
    ComparablePictures,
    Enrolled,
    GalleryKey,
    GalleryRecord,
    GalleryStatistics,
    ImageRecord,
    NewImage,
    PendingPicture,
    PendingPictures,
    PersonRecord,
    PictureRecord,
    Reassigned,
    RemovedImage,
    StoredFeatures,
)
from service.storage.snapshot_file import Records
from service.storage.tables import GalleryRow, ImageRow, PersonRow

__all__ = ["Catalog"]

_CHUNK: Final = 5000  # bound parameters in one statement; SQLite takes 32,766, PostgreSQL 65,535


class Catalog:
    """Open the catalog at a SQLAlchemy URL; its schema is made, or brought up to this version's.

    Raises:
        CatalogError: the database was written by a later version of the program.
        sqlalchemy.exc.SQLAlchemyError: the database cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self.database: Final = Database(url)
        self._engine = self.database.engine
        self._claim: IO[bytes] | None = None
        self._naming = threading.Lock()
        self._keys: dict[str, GalleryKey] | None = None  # None: ask the database
        self.id: Final = self.database.id
        """Made with the catalog, 26 characters; names what belongs to it elsewhere."""

    def claim(self) -> None:
        """Claim a SQLite catalog for the index of this process, until :meth:`close` or the process's end.

        An index follows what its own process writes, so two services on one catalog would each miss the
        other's pictures. Other databases are not claimed.

        Raises:
            CatalogError: another service has claimed it.
        """
        if not self.database.is_sqlite:
            return
        database = str(self._engine.url.database)
        claim = Path(f"{database}.owner").open("ab")  # noqa: SIM115 - held as long as the catalog is open
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            claim.close()
            raise CatalogError(
                f"another service is running on {database}; stop it, or give this one its own data_dir"
            ) from None
        self._claim = claim
        # from here on nobody else makes or deletes galleries: their names are kept at hand
        with self._naming, self._engine.connect() as connection:
            self._keys = {
                name: _key_of(number, keep_pictures, *rule)
                for name, number, keep_pictures, *rule in connection.execute(_KEYS)
            }

    def close(self) -> None:
        """Close all connections and give up the claim."""
        self._keys = None
        self.database.close()
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    # Galleries

    def create_gallery(
        self,
        name: str,
        keep_pictures: bool,
        rule: Rule = NO_WISHES,
        retention_days: int | None = None,
    ) -> GalleryRecord:
        """Make an empty gallery.

        Raises:
            GalleryExists: the name is taken.
        """
        created_at = datetime.now(UTC)

        def work(session: Session) -> GalleryKey:
            if session.scalar(select(GalleryRow.number).where(GalleryRow.name == name)) is not None:
                raise GalleryExists(f"there is a gallery {name!r} already")
            row = GalleryRow(
                name=name,
                keep_pictures=keep_pictures,
                created_at=created_at,
                retention_days=retention_days,
                **asdict(rule),
            )
            session.add(row)
            session.flush()
            return GalleryKey(row.number, keep_pictures, rule)

        with self._renamed() as keys:
            keys[name] = self.database.transact(work)
        return GalleryRecord(name, 0, 0, 0, keep_pictures, created_at, retention_days, rule)

    def change_gallery(self, name: str, changes: Mapping[str, bool | float | None]) -> None:
        """Change a gallery's settings.

        Args:
            changes: new values of ``keep_pictures``, ``retention_days``, ``match_rate``,
                ``uncertain_rate`` and ``prior``, of those that change.

        Raises:
            UnknownGallery: there is none.
            BadRequest: the gallery's rates would contradict each other.
        """

        def work(session: Session) -> GalleryKey:
            before = _key(session, name)
            if changes:
                session.execute(
                    update(GalleryRow).where(GalleryRow.number == before.number).values(**changes)
                )
            after = _key(session, name)
            if after.rule.fault is not None:
                raise BadRequest(after.rule.fault)
            return after

        with self._renamed() as keys:
            keys[name] = self.database.transact(work)

    def key_at_hand(self, name: str) -> GalleryKey | None:
        """What a name stands for, without asking the database; None where only :meth:`key` can tell.

        Raises:
            UnknownGallery: no gallery has it.
        """
        keys = self._keys
        if keys is None:
            return None
        key = keys.get(name)
        if key is None and self._keys is keys:
            raise _unknown(name)
        return key

    def key(self, name: str) -> GalleryKey:
        """What a name stands for at this moment.

        Raises:
            UnknownGallery: no gallery has it.
        """
        with self._engine.connect() as connection:
            row = connection.execute(_KEY, {"name": name}).one_or_none()
        if row is None:
            raise _unknown(name)
        return _key_of(*row)

    def gallery(self, name: str, fingerprint: str) -> GalleryRecord:
        """A gallery with its counts; ``pending`` counts what is not of this fingerprint.

        Raises:
            UnknownGallery: there is none.
        """
        with self._engine.connect() as connection:
            row = connection.execute(_GALLERY, {"name": name, "fingerprint": fingerprint}).one_or_none()
        if row is None:
            raise _unknown(name)
        return _record_of(*row)

    def galleries(self, fingerprint: str, limit: int, after: str = "") -> list[GalleryRecord]:
        """Up to ``limit`` galleries in the order of their names, those after the name ``after``."""
        wanted = {"fingerprint": fingerprint, "after": after, "limit": limit}
        with self._engine.connect() as connection:
            return [_record_of(*row) for row in connection.execute(_GALLERIES, wanted)]

    def statistics(self, name: str, fingerprint: str) -> GalleryStatistics:
        """What is in a gallery; reads every row of it but the features.

        Raises:
            UnknownGallery: there is none.
        """
        record = self.gallery(name, fingerprint)
        mine = ImageRow.gallery == select(GalleryRow.number).where(GalleryRow.name == name).scalar_subquery()
        totals = select(
            func.coalesce(func.sum(func.length(ImageRow.features)), 0),
            func.min(ImageRow.enrolled_at),
            func.max(ImageRow.enrolled_at),
        ).where(mine)
        graded = select(ImageRow.occlusion, func.count()).where(mine).group_by(ImageRow.occlusion)
        with self._engine.connect() as connection:
            size, first, last = connection.execute(totals).one()
            codes = {row[0]: row[1] for row in connection.execute(graded)}
        return GalleryStatistics(record.images, record.people, record.pending, codes, int(size), first, last)

    def expired(self, now: datetime) -> list[tuple[str, str]]:
        """(gallery name, image id) of every picture that its gallery's retention has ended for."""
        kept = select(GalleryRow.name, GalleryRow.number, GalleryRow.retention_days).where(
            GalleryRow.retention_days.is_not(None)
        )
        with self._engine.connect() as connection:
            return [
                (name, id)
                for name, number, days in connection.execute(kept).all()
                for id in connection.execute(
                    select(ImageRow.id).where(
                        ImageRow.gallery == number, ImageRow.enrolled_at < now - timedelta(days=days or 0)
                    )
                ).scalars()
            ]

    def delete_gallery(self, name: str) -> GalleryKey:
        """Delete a gallery with all that is stored of it; answers what it was.

        Raises:
            UnknownGallery: there is none.
        """

        def work(session: Session) -> GalleryKey:
            key = _key(session, name)
            session.execute(delete(ImageRow).where(ImageRow.gallery == key.number))
            session.execute(delete(PersonRow).where(PersonRow.gallery == key.number))
            session.execute(delete(GalleryRow).where(GalleryRow.number == key.number))
            return key

        with self._renamed() as keys:
            key = self.database.transact(work)
            keys.pop(name, None)
        self.database.forget()
        return key

    # Pictures

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
        return self.database.transact(lambda session: _enrol(session, gallery, fingerprint, images))

    def delete_image(self, name: str, id: str) -> tuple[GalleryKey, RemovedImage]:
        """Delete a picture, and its person if it was their last.

        Raises:
            UnknownGallery, UnknownImage: there is none.
        """

        def work(session: Session) -> tuple[GalleryKey, RemovedImage]:
            key = _key(session, name)
            row = session.execute(
                _REMOVED.add_columns(ImageRow.person).where(ImageRow.gallery == key.number, ImageRow.id == id)
            ).one_or_none()
            if row is None:
                raise _unknown_image(name, id)
            *removed, person = row
            session.execute(delete(ImageRow).where(ImageRow.number == row.number))
            session.execute(
                delete(PersonRow).where(
                    PersonRow.number == person, ~exists().where(ImageRow.person == person)
                )
            )
            return key, RemovedImage(*removed)

        answer = self.database.transact(work)
        self.database.forget()
        return answer

    def removable(self, gallery: int) -> list[RemovedImage]:
        """Every picture of a gallery, as deleting it would tell."""
        with self._engine.connect() as connection:
            rows = connection.execute(_REMOVED.where(ImageRow.gallery == gallery))
            return [RemovedImage(*row) for row in rows]

    def pictures(
        self, gallery: int, limit: int, after: int = 0, person: str | None = None, camera: str | None = None
    ) -> list[PictureRecord]:
        """Up to ``limit`` pictures in the order of enrolment, those after the number ``after``."""
        statement = _PICTURES.where(ImageRow.gallery == gallery, ImageRow.number > after)
        if person is not None:
            statement = statement.where(PersonRow.name == person)
        if camera is not None:
            statement = statement.where(ImageRow.camera == camera)
        with self._engine.connect() as connection:
            rows = connection.execute(statement.order_by(ImageRow.number).limit(limit))
            return [_picture(row) for row in rows]

    def picture(self, name: str, id: str) -> tuple[GalleryKey, PictureRecord]:
        """A picture by its public id.

        Raises:
            UnknownGallery, UnknownImage: there is none.
        """
        key = self.key(name)
        with self._engine.connect() as connection:
            row = connection.execute(
                _PICTURES.where(ImageRow.gallery == key.number, ImageRow.id == id)
            ).one_or_none()
        if row is None:
            raise _unknown_image(name, id)
        return key, _picture(row)

    def matching(self, gallery: int, filters: Filters) -> tuple[npt.NDArray[np.int64], int]:
        """The gallery's pictures that meet all conditions.

        Returns:
            Their numbers, ascending, int64 [n]; and how many people they show.
        """
        statement = select(ImageRow.number, ImageRow.person).where(ImageRow.gallery == gallery)
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
        with self._engine.connect() as connection:
            rows = connection.execute(statement.order_by(ImageRow.number)).all()
        return np.array([row.number for row in rows], dtype=np.int64), len({row.person for row in rows})

    # People

    def people_count(self, gallery: int) -> int:
        """How many people a gallery has, pending pictures' included."""
        with self._engine.connect() as connection:
            return connection.execute(_PEOPLE_COUNT, {"gallery": gallery}).scalar_one()

    def people(self, gallery: int, limit: int, after: str = "") -> list[PersonRecord]:
        """Up to ``limit`` persons in the order of their names, those after the name ``after``."""
        statement = _PEOPLE.where(PersonRow.gallery == gallery, PersonRow.name > after)
        with self._engine.connect() as connection:
            rows = connection.execute(statement.order_by(PersonRow.name).limit(limit))
            return [PersonRecord(*row) for row in rows]

    def person(self, gallery: int, person: str) -> PersonRecord:
        """A person by name.

        Raises:
            UnknownPerson: there is none.
        """
        with self._engine.connect() as connection:
            row = connection.execute(
                _PEOPLE.where(PersonRow.gallery == gallery, PersonRow.name == person)
            ).one_or_none()
        if row is None:
            raise _unknown_person(person)
        return PersonRecord(*row)

    def delete_person(self, name: str, person: str) -> tuple[GalleryKey, list[RemovedImage]]:
        """Delete a person with all their pictures.

        Raises:
            UnknownGallery, UnknownPerson: there is none.
        """

        def work(session: Session) -> tuple[GalleryKey, list[RemovedImage]]:
            key = _key(session, name)
            number = _person(session, key, person)
            removed = [
                RemovedImage(*row) for row in session.execute(_REMOVED.where(ImageRow.person == number))
            ]
            session.execute(delete(ImageRow).where(ImageRow.person == number))
            session.execute(delete(PersonRow).where(PersonRow.number == number))
            return key, removed

        answer = self.database.transact(work)
        self.database.forget()
        return answer

    def rename_person(self, name: str, person: str, to: str, merge: bool) -> tuple[GalleryKey, Reassigned]:
        """Give a person another name; with ``merge``, it may be another person's, who then has all pictures.

        Raises:
            UnknownGallery, UnknownPerson: there is none.
            PersonExists: another person has the name, and ``merge`` is false.
        """

        def work(session: Session) -> tuple[GalleryKey, Reassigned]:
            key = _key(session, name)
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

        answer = self.database.transact(work)
        self.database.forget()
        return answer

    def images(self, gallery: int, numbers: Sequence[int]) -> dict[int, ImageRecord]:
        """Pictures of a gallery by number, read at one moment; those deleted meanwhile are left out.

        Raises:
            UnknownGallery: the gallery was deleted meanwhile.
        """
        found: dict[int, ImageRecord] = {}
        with self._engine.connect() as connection:
            for start in range(0, len(numbers), _CHUNK):
                wanted = {"gallery": gallery, "numbers": numbers[start : start + _CHUNK]}
                for number, id, person, camera, time, code, scores in connection.execute(_IMAGES, wanted):
                    found[number] = ImageRecord(id, person, camera, time, code, _read_scores(scores))
            # a picture that is there says that its gallery is
            if not found and connection.execute(_GALLERY_THERE, {"gallery": gallery}).first() is None:
                raise UnknownGallery("the gallery was deleted while it was asked")
        return found

    def features(self, fingerprint: str, batch: int = 1024) -> Iterator[StoredFeatures]:
        """All features of one model, gallery by gallery, in batches of at most ``batch`` pictures."""
        with Session(self._engine) as session:
            numbers = session.scalars(select(GalleryRow.number).order_by(GalleryRow.number)).all()
        for gallery in numbers:
            after = 0
            while True:
                statement = (
                    select(ImageRow.number, ImageRow.person, ImageRow.occlusion, ImageRow.features)
                    .where(
                        ImageRow.gallery == gallery,
                        ImageRow.fingerprint == fingerprint,
                        ImageRow.number > after,
                    )
                    .order_by(ImageRow.number)
                    .limit(batch)
                )
                with Session(self._engine) as session:
                    rows = session.execute(statement).all()
                if not rows:
                    break
                after = rows[-1].number
                yield _stored_features(gallery, rows)

    def graded_features(
        self, gallery: int, numbers: Sequence[int], fingerprint: str
    ) -> tuple[StoredFeatures, npt.NDArray[np.float32] | None]:
        """One model's features of at most some hundred pictures, and the grader's scores of each.

        Pictures that have none of that model are left out. The scores: float32 [N, 4], None without a grader.
        """
        statement = select(
            ImageRow.number, ImageRow.person, ImageRow.occlusion, ImageRow.scores, ImageRow.features
        ).where(
            ImageRow.gallery == gallery,
            ImageRow.fingerprint == fingerprint,
            ImageRow.number.in_(numbers),
        )
        with Session(self._engine) as session:
            rows = session.execute(statement.order_by(ImageRow.number)).all()
        grades = [scores for row in rows if (scores := _read_scores(row.scores)) is not None]
        return _stored_features(gallery, rows), np.stack(grades) if grades else None

    def gallery_numbers(self) -> list[int]:
        """The numbers of all galleries, ascending."""
        with self._engine.connect() as connection:
            return list(connection.execute(select(GalleryRow.number).order_by(GalleryRow.number)).scalars())

    def comparable(self, gallery: int, fingerprint: str) -> ComparablePictures:
        """A gallery's pictures whose features are of one model, without the features."""
        statement = (
            select(ImageRow.number, ImageRow.id, ImageRow.person, ImageRow.occlusion)
            .where(ImageRow.gallery == gallery, ImageRow.fingerprint == fingerprint)
            .order_by(ImageRow.number)
        )
        none = np.empty(0, np.int64)
        chunks = [ComparablePictures(none, np.empty(0, "S26"), none, none)]
        with self._engine.connect() as connection:
            for rows in connection.execute(statement).partitions(_CHUNK):
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

    def records_of(self, gallery: int, fingerprint: str, numbers: Sequence[int]) -> Records:
        """Features of some of a gallery's pictures, of those that are there and of this model.

        Args:
            numbers: at most 5,000.
        """
        statement = (
            select(ImageRow.number, ImageRow.id, ImageRow.features)
            .where(
                ImageRow.gallery == gallery,
                ImageRow.fingerprint == fingerprint,
                ImageRow.number.in_(numbers),
            )
            .order_by(ImageRow.number)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(statement).all()
        features = np.frombuffer(b"".join(row.features for row in rows), dtype="<f2")
        return Records(
            np.array([row.number for row in rows], np.int64),
            np.array([row.id for row in rows], "S26"),
            features.reshape(len(rows), occlusion.COUNT, -1 if rows else 0),
        )

    def kept_pictures(self) -> set[tuple[int, str]]:
        """(gallery number, image id) of every picture whose bytes are kept."""
        with Session(self._engine) as session:
            rows = session.execute(select(ImageRow.gallery, ImageRow.id).where(ImageRow.kept))
            return {(gallery, id) for gallery, id in rows}

    # Pictures of another model

    def set_reindexing(self, name: str, fingerprint: str | None) -> None:
        """Note durably to which model a gallery's pictures are being brought; None: to none.

        Raises:
            UnknownGallery: there is none.
        """

        def work(session: Session) -> None:
            number = _key(session, name).number
            session.execute(
                update(GalleryRow).where(GalleryRow.number == number).values(reindexed_to=fingerprint)
            )

        self.database.transact(work)

    def reindexing(self, fingerprint: str) -> list[str]:
        """Names of the galleries whose pictures are being brought to this model."""
        statement = select(GalleryRow.name).where(GalleryRow.reindexed_to == fingerprint)
        with self._engine.connect() as connection:
            return list(connection.execute(statement.order_by(GalleryRow.name)).scalars())

    def pending_counts(self, gallery: int, fingerprint: str) -> PendingPictures:
        """How many pictures a gallery has, and how many are not of this model."""
        mine = select(func.count()).where(ImageRow.gallery == gallery)
        pending = mine.where(ImageRow.fingerprint != fingerprint)
        counts = select(
            mine.scalar_subquery(),
            pending.where(ImageRow.kept).scalar_subquery(),
            pending.where(~ImageRow.kept).scalar_subquery(),
        )
        with self._engine.connect() as connection:
            return PendingPictures(*connection.execute(counts).one())

    def pending_kept(self, gallery: int, fingerprint: str, limit: int, after: int) -> list[PendingPicture]:
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
        with self._engine.connect() as connection:
            return [PendingPicture(*row) for row in connection.execute(statement)]

    def renew(
        self,
        picture: PendingPicture,
        fingerprint: str,
        code: int,
        scores: npt.NDArray[np.float32] | None,
        features: npt.NDArray[np.float16],
    ) -> int | None:
        """Give a pending picture the features of another model.

        Args:
            code, scores, features: as in :class:`NewImage`.

        Returns:
            The number of its person; None where it was erased or is pending no longer, and nothing was done.
        """

        def work(session: Session) -> int | None:
            row = session.get(ImageRow, picture.number)
            if row is None or (row.id, row.fingerprint) != (picture.id, picture.fingerprint):
                return None
            for column, value in _made_by(fingerprint, code, scores, features).items():
                setattr(row, column, value)
            return row.person

        return self.database.transact(work)

    # Names at hand

    @contextmanager
    def _renamed(self) -> Iterator[dict[str, GalleryKey]]:
        """Change which galleries there are: the names at hand, to be changed as the database was.

        Meanwhile, and for good if nobody knows how the change ended, the database is asked.
        """
        with self._naming:
            keys, self._keys = self._keys, None
            changed = {} if keys is None else dict(keys)
            try:
                yield changed
            except Problem:  # nothing was changed
                self._keys = keys
                raise
            if keys is not None:
                self._keys = changed


def _stored_features(gallery: int, rows: Sequence[Any]) -> StoredFeatures:
    blobs = np.frombuffer(b"".join(row.features for row in rows), dtype="<f2")
    return StoredFeatures(
        gallery=gallery,
        ids=np.array([row.number for row in rows], dtype=np.int64),
        people=np.array([row.person for row in rows], dtype=np.int64),
        occlusions=np.array([row.occlusion for row in rows], dtype=np.int64),
        features=blobs.reshape(len(rows), occlusion.COUNT, -1 if rows else 0),
    )


def _unknown(name: str) -> UnknownGallery:
    return UnknownGallery(f"there is no gallery {name!r}")


def _key(session: Session, name: str) -> GalleryKey:
    row = session.execute(_KEY, {"name": name}).one_or_none()
    if row is None:
        raise _unknown(name)
    return _key_of(*row)


def _key_of(number: int, keep_pictures: bool, *rule: float | None) -> GalleryKey:
    """A row of :data:`_KEY`."""
    return GalleryKey(number, keep_pictures, Rule(*rule))


def _record_of(
    name: str,
    images: int,
    people: int,
    pending: int,
    keep_pictures: bool,
    created_at: datetime,
    retention_days: int | None,
    *rule: float | None,
) -> GalleryRecord:
    """A row of :func:`_counted`."""
    return GalleryRecord(
        name, images, people, pending, keep_pictures, created_at, retention_days, Rule(*rule)
    )


def _counted() -> Select[Any]:
    """Galleries in the order of :class:`GalleryRecord`'s fields, the rule's last."""
    images = select(func.count()).where(ImageRow.gallery == GalleryRow.number)
    people = select(func.count()).where(PersonRow.gallery == GalleryRow.number)
    return select(
        GalleryRow.name,
        images.scalar_subquery(),
        people.scalar_subquery(),
        images.where(ImageRow.fingerprint != bindparam("fingerprint")).scalar_subquery(),
        GalleryRow.keep_pictures,
        GalleryRow.created_at,
        GalleryRow.retention_days,
        *_RULE,
    )


def _unknown_image(gallery: str, id: str) -> UnknownImage:
    return UnknownImage(f"gallery {gallery!r} has no image {id!r}")


def _unknown_person(person: str) -> UnknownPerson:
    return UnknownPerson(f"there is no person {person!r} in this gallery")


def _person(session: Session, key: GalleryKey, person: str) -> int:
    number = session.scalar(_PERSON, {"gallery": key.number, "name": person})
    if number is None:
        raise _unknown_person(person)
    return number


def _picture(row: Any) -> PictureRecord:
    """A row of :data:`_PICTURES`."""
    return PictureRecord(**{**row._asdict(), "scores": _read_scores(row.scores)})


# Made once: building a statement costs more than SQLite takes to answer it.
_RULE: Final = tuple(getattr(GalleryRow, rule.name) for rule in fields(Rule))
_KEYS: Final = select(GalleryRow.name, GalleryRow.number, GalleryRow.keep_pictures, *_RULE)
_KEY: Final = select(GalleryRow.number, GalleryRow.keep_pictures, *_RULE).where(
    GalleryRow.name == bindparam("name")
)
_PEOPLE_COUNT: Final = select(func.count()).where(PersonRow.gallery == bindparam("gallery"))
_GALLERY: Final = _counted().where(GalleryRow.name == bindparam("name"))
_GALLERIES: Final = (
    _counted().where(GalleryRow.name > bindparam("after")).order_by(GalleryRow.name).limit(bindparam("limit"))
)
_GALLERY_THERE: Final = select(GalleryRow.number).where(GalleryRow.number == bindparam("gallery"))
_PERSON: Final = select(PersonRow.number).where(
    PersonRow.gallery == bindparam("gallery"), PersonRow.name == bindparam("name")
)
_PEOPLE: Final = select(
    PersonRow.name, select(func.count()).where(ImageRow.person == PersonRow.number).scalar_subquery()
)
_REMOVED: Final = select(ImageRow.number, ImageRow.id, ImageRow.kept, ImageRow.digest, ImageRow.fingerprint)
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
    )
    .join(PersonRow, PersonRow.number == ImageRow.person)
    .where(
        ImageRow.gallery == bindparam("gallery"), ImageRow.number.in_(bindparam("numbers", expanding=True))
    )
)


def _enrol(session: Session, gallery: int, fingerprint: str, images: Sequence[NewImage]) -> list[Enrolled]:
    if session.get(GalleryRow, gallery) is None:
        raise UnknownGallery("the gallery was deleted while pictures were being enrolled")
    client_ids = {image.client_id for image in images if image.client_id is not None}
    known: dict[str | None, ImageRow] = {
        row.client_id: row
        for row in session.scalars(
            select(ImageRow).where(ImageRow.gallery == gallery, ImageRow.client_id.in_(client_ids))
        )
    }
    names = {image.person for image in images}
    people = {
        row.name: row
        for row in session.scalars(
            select(PersonRow).where(PersonRow.gallery == gallery, PersonRow.name.in_(names))
        )
    }
    answers = []
    now = datetime.now(UTC)
    for image in images:
        row = known.get(image.client_id) if image.client_id is not None else None
        if row is not None:
            answers.append(_meet_again(session, row, image, fingerprint))
            continue
        person = people.get(image.person)
        if person is None:
            person = people[image.person] = PersonRow(gallery=gallery, name=image.person)
            session.add(person)
            session.flush()
        row = ImageRow(
            id=image.id,
            gallery=gallery,
            person=person.number,
            digest=image.digest,
            camera=image.camera,
            time=image.time,
            client_id=image.client_id,
            own_metadata=dict(image.metadata),
            kept=image.kept,
            enrolled_at=now,
            **_model_columns(image, fingerprint),
        )
        session.add(row)
        session.flush()
        if image.client_id is not None:
            known[image.client_id] = row
        answers.append(_answer("enrolled", row, indexable=True))
    return answers


def _meet_again(session: Session, row: ImageRow, image: NewImage, fingerprint: str) -> Enrolled:
    """A client id that is known: the same picture again, or another one under its id."""
    if row.digest != image.digest:
        return _answer("conflict", row, indexable=False)
    pending = row.fingerprint != fingerprint
    if pending:
        for column, value in _model_columns(image, fingerprint).items():
            setattr(row, column, value)
        session.flush()
    return _answer("exists", row, indexable=pending)


def _model_columns(image: NewImage, fingerprint: str) -> dict[str, Any]:
    return _made_by(fingerprint, image.occlusion, image.scores, image.features)


def _made_by(
    fingerprint: str,
    code: int,
    scores: npt.NDArray[np.float32] | None,
    features: npt.NDArray[np.float16],
) -> dict[str, Any]:
    """The columns that depend on the model."""
    return {
        "fingerprint": fingerprint,
        "occlusion": code,
        "scores": None if scores is None else scores.astype("<f4").tobytes(),
        "features": features.astype("<f2").tobytes(),
    }


def _answer(status: Literal["enrolled", "exists", "conflict"], row: ImageRow, indexable: bool) -> Enrolled:
    return Enrolled(
        status, row.id, row.number, row.person, row.occlusion, _read_scores(row.scores), indexable
    )


def _read_scores(blob: bytes | None) -> npt.NDArray[np.float32] | None:
    return None if blob is None else np.frombuffer(blob, dtype="<f4")
