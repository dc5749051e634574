"""Enrolling: embed, write pictures (if kept), commit to the catalog, add to the index, answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from sqlalchemy.exc import SQLAlchemyError

from models import occlusion
from service.embedding.box import Box, cut_file
from service.embedding.features import PictureFeatures
from service.gallery.doubts import Doubt
from service.gallery.grade import Grade
from service.gallery.parts import Parts
from service.gallery.thumbnails import keep_thumbnail
from service.index.protocol import Entries
from service.problems import ClientIdConflict, NotFollowed, Problem, UnknownGallery
from service.storage.database import CommitInDoubt
from service.storage.records import Enrolled, MadeBefore, NewImage, Said
from service.storage.ulid import new_ulid

__all__ = ["EnrolItem", "EnrolOutcome", "Enrolment", "halves"]


_log = logging.getLogger(__name__)

_LONGEST_PAUSE_S: Final = 1.0
"""Of an enrolment where the index is far behind: the index takes it all the same, and memory for it."""

_LOOK_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class EnrolItem:
    """A picture to be enrolled, as the caller gave it.

    Attributes:
        content: the picture file's bytes.
        person: name within the gallery.
        camera, time: where and when it was taken; ``time`` is aware.
        client_id: the caller's own id, unique in the gallery: sending it again changes nothing.
        metadata: the caller's own, a JSON object.
        box: where in the picture the person is; the whole picture unless given.
    """

    content: bytes
    person: str
    camera: str | None = None
    time: datetime | None = None
    client_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class EnrolOutcome:
    """What became of one item.

    Attributes:
        status: ``enrolled``; ``exists``, this client id was enrolled before with the same bytes, and the
            answer is about that picture; ``failed``, then ``problem`` says why and nothing was stored.
        id: public id of the picture; None if failed.
        client_id: the item's.
        grade: None if failed.
        problem: None unless failed.
        person: under whose name it is stored; None if failed.
        duplicate_of: public id of the gallery's first picture with the same content, if that is another one.
        differs: of one that exists, what the item says otherwise than it is stored, which stays.
    """

    status: Literal["enrolled", "exists", "failed"]
    id: str | None
    client_id: str | None
    grade: Grade | None
    problem: Problem | None = None
    person: str | None = None
    duplicate_of: str | None = None
    differs: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class _Made:
    """What the present model made of a picture, and what the previous one did where that still answers."""

    features: PictureFeatures
    before: MadeBefore | None = None


class Enrolment:
    """Takes pictures into galleries."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def enrol(self, gallery: str, items: Sequence[EnrolItem]) -> tuple[EnrolOutcome, ...]:
        """Enrol pictures. When this returns, those enrolled are durable and found by every later query.

        A picture that fails, fails alone: its outcome carries the problem.

        Raises:
            UnknownGallery: there is none, or it was deleted meanwhile; then nothing was stored.
            DeadlineExceeded, IndexBehind, NotFollowed: see :meth:`service.gallery.parts.Parts.step`.
        """
        key = await self._parts.key(gallery)
        embedded = await asyncio.gather(*(self._embed_alone(key.number, item) for item in items))
        good = [
            (item, result)
            for item, result in zip(items, embedded, strict=True)
            if not isinstance(result, Problem)
        ]
        if good:
            await self._let_catch_up(key.number)
        stored: Sequence[Enrolled] = ()
        try:
            if good:
                stored = await self._parts.write(lambda: self._store(key.number, key.keep_pictures, good))
        except UnknownGallery:  # it was deleted
            await self._forget([made for _, made in good])
            raise
        if refused := [made for (_, made), one in zip(good, stored, strict=True) if one.status == "conflict"]:
            await self._forget(refused)
        answers = iter(stored)
        return tuple(
            EnrolOutcome("failed", None, item.client_id, None, result)
            if isinstance(result, Problem)
            else _outcome(item, next(answers))
            for item, result in zip(items, embedded, strict=True)
        )

    async def _forget(self, embedded: Sequence[_Made]) -> None:
        """Pictures that got no row: their features are in the cache, and no erasure would find them there."""
        try:
            async with asyncio.timeout(self._parts.deadline_s):
                await self._parts.forgetting.forget_unstored({made.features.digest for made in embedded})
        except (SQLAlchemyError, TimeoutError) as error:
            _log.warning("the catalog does not answer; the cache keeps what was not enrolled: %s", error)

    async def _embed_alone(self, gallery: int, item: EnrolItem) -> _Made | Problem:
        """A picture that cannot be embedded is a result here: its neighbours go on."""
        answering = self._parts.answering(gallery)
        codes = tuple(range(occlusion.COUNT))
        try:
            made = await self._parts.embedder.embed(item.content, codes, item.box)
            if answering is self._parts.present:
                return _Made(made)
            before = await answering.embedder.embed(item.content, codes, item.box)
        except Problem as problem:
            return problem
        return _Made(made, _before(answering.embedder.fingerprint, before))

    def _store(
        self, gallery: int, keep: bool, pictures: Sequence[tuple[EnrolItem, _Made]]
    ) -> Sequence[Enrolled]:
        new = [
            NewImage(
                id=new_ulid(),
                digest=made.features.digest,
                person=item.person,
                camera=item.camera,
                time=item.time,
                client_id=item.client_id,
                metadata=item.metadata,
                kept=keep,
                occlusion=made.features.occlusion,
                scores=made.features.scores,
                features=halves(made.features),
                before=made.before,
            )
            for item, made in pictures
        ]
        if keep:
            self._write_pictures(
                gallery, [(image.id, _kept(item)) for image, (item, _) in zip(new, pictures, strict=True)]
            )
        files = [image.id for image in new if keep]
        try:
            with self._parts.step(
                lambda done: Doubt(gallery, [one.number for one in done], files)
            ) as committed:
                if self._parts.answering(gallery) is self._parts.present:
                    new = [replace(image, before=None) for image in new]
                stored = self._parts.catalog.pictures.enrol(gallery, self._parts.embedder.fingerprint, new)
                committed(stored)
                added = [(one, image) for one, image in zip(stored, new, strict=True) if one.indexable]
                if added:
                    self._parts.index.add(gallery, _entries(added))
                    if (before := _entries_before(added)) is not None:
                        self._parts.answering(gallery).index.add(gallery, before)
                    if self._parts.snapshots is not None:
                        self._parts.snapshots.note(gallery, [one.number for one, _ in added])
        except (CommitInDoubt, NotFollowed):
            raise
        except (Problem, SQLAlchemyError):  # nothing was stored
            self._parts.remove_pictures(gallery, files)
            raise
        except BaseException:  # of this program, or of its memory: the catalog is asked what was stored
            self._parts.owe(Doubt(gallery, files=files))
            raise
        if any(one.status == "exists" for one, _ in added):
            self._parts.forgetting.owed = True  # what another model made of it, the mender sees to that
        if keep:
            used = {answer.id for answer in stored}
            self._parts.remove_pictures(gallery, [image.id for image in new if image.id not in used])
        return stored

    async def _let_catch_up(self, gallery: int) -> None:
        """Give an index that is far behind a moment, while no thread or lock is held."""
        ends = time.monotonic() + _LONGEST_PAUSE_S
        while self._parts.index.behind(gallery) and time.monotonic() < ends:
            await asyncio.sleep(_LOOK_S)

    def _write_pictures(self, gallery: int, pictures: Sequence[tuple[str, bytes]]) -> None:
        self._parts.pictures.look()  # where it is away, nothing is begun that would have to be removed
        begun: list[str] = []
        try:
            for id, content in pictures:
                begun.append(id)
                self._parts.pictures.write(gallery, id, content)
                keep_thumbnail(self._parts.pictures, gallery, id, content)
        except BaseException as error:  # whatever it was, nobody else knows of these files
            self._parts.remove_pictures(gallery, begun)
            if isinstance(error, OSError):
                # UnknownGallery if its folder was deleted under our hands
                self._parts.catalog.pictures.shown(gallery, ())
            raise


def halves(features: PictureFeatures) -> npt.NDArray[np.float16]:
    """Under all codes, [9, D], as catalog and index hold them."""
    return np.stack([features.embeddings[code] for code in range(occlusion.COUNT)], dtype=np.float16)


def _entries(pairs: Sequence[tuple[Enrolled, NewImage]]) -> Entries:
    return Entries(
        ids=np.array([answer.number for answer, _ in pairs], dtype=np.int64),
        people=np.array([answer.person for answer, _ in pairs], dtype=np.int64),
        occlusions=np.array([answer.occlusion for answer, _ in pairs], dtype=np.int64),
        features=np.stack([image.features for _, image in pairs]),
    )


def _entries_before(pairs: Sequence[tuple[Enrolled, NewImage]]) -> Entries | None:
    made = [(answer, image.before) for answer, image in pairs if image.before is not None]
    if not made:
        return None
    return Entries(
        ids=np.array([answer.number for answer, _ in made], dtype=np.int64),
        people=np.array([answer.person for answer, _ in made], dtype=np.int64),
        occlusions=np.array([before.occlusion for _, before in made], dtype=np.int64),
        features=np.stack([before.features for _, before in made]),
    )


def _before(fingerprint: str, features: PictureFeatures) -> MadeBefore:
    return MadeBefore(fingerprint, features.occlusion, features.scores, halves(features))


def _kept(item: EnrolItem) -> bytes:
    return item.content if item.box is None else cut_file(item.content, item.box)


def _outcome(item: EnrolItem, stored: Enrolled) -> EnrolOutcome:
    if stored.status == "conflict":
        problem = ClientIdConflict(f"client_id {item.client_id!r} was used for another picture")
        return EnrolOutcome("failed", None, item.client_id, None, problem)
    grade = Grade(stored.occlusion, stored.scores)
    return EnrolOutcome(
        stored.status,
        stored.id,
        item.client_id,
        grade,
        person=stored.person_name,
        duplicate_of=stored.duplicate_of,
        differs=stored.differs,
    )
