"""Galleries: enrol, query, erase. The one place that ties catalog, index, pictures and embedder together.

Order of things, so that an answer given is an answer kept:

* Enrolling: embed, write pictures (if kept), commit to the catalog, add to the index, answer. What was
  answered is in the catalog; the index is rebuilt from it at every start.
* Erasing: commit to the catalog, remove from the index, from its snapshot and from the pictures, answer.
* Commit and index update are one step under one lock, in a worker thread. So the index follows the
  catalog's order, and a caller who goes away half-way cannot part the two.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from models import occlusion
from models.calibration import Calibration
from service.cursor import cursor_after, last_before
from service.embedding.box import Box, cut_file
from service.embedding.features import Embedder, PictureFeatures
from service.embedding.together import embed_together
from service.index.protocol import Entries, Hits, VectorIndex
from service.matching import fused, unification
from service.matching.decision import NO_WISHES, Rule, Verdict, compared_codes, judge
from service.matching.reranking import CANDIDATES, reranked_distances, unified_scores
from service.problems import (
    BadRequest,
    ClientIdConflict,
    PictureNotKept,
    Problem,
    UnknownGallery,
    UnknownPerson,
)
from service.storage.catalog import Catalog
from service.storage.filters import EVERYTHING, Filters
from service.storage.pictures import PictureStore
from service.storage.records import (
    Enrolled,
    GalleryKey,
    GalleryRecord,
    GalleryStatistics,
    NewImage,
    PendingPicture,
    PersonRecord,
    PictureRecord,
    RemovedImage,
)
from service.storage.snapshots import Snapshots
from service.storage.ulid import new_ulid
from service.tracing import stage

_log = logging.getLogger(__name__)

Result = TypeVar("Result")

_WRITE_THREADS: Final = 4
_READ_THREADS: Final = 8
_FIRST_LOOK: Final = 4
"""Pictures first looked at per person asked for; more only if they show too few different people."""


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
class Grade:
    """What the grader says of a picture.

    Attributes:
        occlusion: graded code c(x), 0 to 8; 0 without a grader.
        scores: float32 [4], order top, bottom, left, right; None without a grader.
    """

    occlusion: int
    scores: npt.NDArray[np.float32] | None


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
    """

    status: Literal["enrolled", "exists", "failed"]
    id: str | None
    client_id: str | None
    grade: Grade | None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """How to query.

    Attributes:
        top_k: most results, at least 1.
        by: ``person``: each person once, with their best picture; ``image``: pictures.
        unify: ``auto``, ``off``, ``fuse``, or an occlusion type's name: the caller states the query's
            occlusion.
        filters: which pictures are looked at.
        boxes: where the person is, one for each query picture (None: the whole picture); empty: all whole.
        rule: how to decide, over the gallery's own.
        rerank: order the best pictures by their k-reciprocal distance (``service/matching/reranking.py``);
            scores and verdicts stay those of the search.
    """

    top_k: int = 10
    by: Literal["person", "image"] = "person"
    unify: str = unification.AUTO
    boxes: Sequence[Box | None] = ()
    filters: Filters = EVERYTHING
    rule: Rule = NO_WISHES
    rerank: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """One result.

    Attributes:
        rank: from 1.
        person: name.
        score: mean over the query pictures of score(q, i), -1 to 1: a cosine, with ``fuse`` the fused score.
        image: public id of the picture that matched.
        camera, time: of that picture.
        grade: of that picture.
        compared: what was hidden on both sides, e.g. ``bottom_half+left_quarter``, or ``none``. With ``fuse``
            everything is compared under every type: the one that added most to the score.
        verdict: what the score means; None where the model is not calibrated for this ``unify``.
        distance: k-reciprocal, 0 to 1, by which re-ranked results are ordered; else None.
    """

    rank: int
    person: str
    score: float
    image: str
    camera: str | None
    time: datetime | None
    grade: Grade
    compared: str
    verdict: Verdict | None = None
    distance: float | None = None


@dataclass(frozen=True, slots=True)
class Timings:
    """Where a query's time went, in milliseconds.

    Attributes:
        decode, queue, embed: of the slowest picture of each round of embedding, rounds added.
        search: index and catalog.
        total: from call to answer.
    """

    decode: float
    queue: float
    embed: float
    search: float
    total: float


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """The answer to a query.

    Attributes:
        pictures: grade of each query picture, in order.
        results: best first.
        fingerprint: of the model that compared.
        timings: in milliseconds.
    """

    pictures: tuple[Grade, ...]
    results: tuple[Match, ...]
    fingerprint: str
    timings: Timings


@dataclass(frozen=True, slots=True)
class GalleryPage:
    """Galleries in the order of their names, and the cursor of the next page (None: this was the last)."""

    items: tuple[GalleryRecord, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Verification:
    """How alike two pictures are, or a picture and a person.

    Attributes:
        score: cosine, -1 to 1.
        pictures: grade of each picture sent, in order.
        compared: what was hidden on both sides.
        image: the enrolled picture that matched best; None where two pictures were sent.
        fingerprint: of the model that compared.
        verdict: what the score means; None where the model is not calibrated for this ``unify``.
    """

    score: float
    pictures: tuple[Grade, ...]
    compared: str
    image: Match | None
    fingerprint: str
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class PicturePage:
    """Pictures in the order of enrolment, and the cursor of the next page (None: this was the last)."""

    items: tuple[PictureRecord, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """People in the order of their names, and the cursor of the next page (None: this was the last)."""

    items: tuple[PersonRecord, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class _Found:
    """One look into the index: what was found, and from (id, part) of a picture what was compared."""

    hits: Hits
    compared: Callable[[int, int], str]


_Look = Callable[[npt.NDArray[np.int64] | None, int], _Found]
"""From the ids that are looked at (None: all) and how many are wanted."""


class Galleries:
    """All galleries of one service. Call :meth:`start` before anything else, :meth:`close` at the end.

    Args:
        catalog: the truth.
        index: empty; filled by :meth:`start`.
        embedder: the present model.
        pictures: where galleries that keep pictures put them.
        calibration: what the present model's scores mean; None where nobody knows.
        snapshots: features for a quick start; None: the catalog's alone.
    """

    def __init__(
        self,
        catalog: Catalog,
        index: VectorIndex,
        embedder: Embedder,
        pictures: PictureStore,
        calibration: Calibration | None = None,
        snapshots: Snapshots | None = None,
    ) -> None:
        self._catalog = catalog
        self._index = index
        self._embedder = embedder
        self._pictures = pictures
        self._calibration = calibration
        self._snapshots = snapshots
        self._writes = threading.Lock()  # commit and index update are one step
        # queries have their own threads, so that they never wait behind commits
        self._writers = ThreadPoolExecutor(_WRITE_THREADS, "galleries-write")
        self._readers = ThreadPoolExecutor(_READ_THREADS, "galleries-read")

    async def start(self) -> None:
        """Build the index from catalog and snapshots; remove pictures that no catalog row speaks of.

        Raises:
            CatalogError: another service runs on the same catalog.
        """
        await self._write(self._rebuild)

    async def close(self) -> None:
        """Finish what was begun. Catalog, embedder and cache are closed by whoever made them."""
        await asyncio.to_thread(self._writers.shutdown)
        await asyncio.to_thread(self._readers.shutdown)

    # Galleries

    async def create(
        self,
        name: str,
        keep_pictures: bool = False,
        rule: Rule = NO_WISHES,
        retention_days: int | None = None,
    ) -> GalleryRecord:
        """Make an empty gallery.

        Raises:
            GalleryExists: the name is taken.
        """
        return await self._write(
            lambda: self._catalog.galleries.create(name, keep_pictures, rule, retention_days)
        )

    async def change(self, name: str, changes: Mapping[str, bool | float | None]) -> GalleryRecord:
        """Change a gallery's settings; ``keep_pictures`` counts for what is enrolled from then on.

        Raises:
            UnknownGallery: there is none.
            BadRequest: its rates would contradict each other.
        """
        await self._write(lambda: self._catalog.galleries.change(name, changes))
        return await self.get(name)

    async def get(self, name: str) -> GalleryRecord:
        """A gallery with its counts.

        Raises:
            UnknownGallery: there is none.
        """
        return await self._read(lambda: self._catalog.galleries.get(name, self._embedder.fingerprint))

    async def statistics(self, name: str) -> GalleryStatistics:
        """What is in a gallery.

        Raises:
            UnknownGallery: there is none.
        """
        return await self._read(lambda: self._catalog.galleries.statistics(name, self._embedder.fingerprint))

    async def list(self, limit: int = 100, cursor: str | None = None) -> GalleryPage:
        """Galleries in the order of their names, ``limit`` at a time.

        A page goes on after the last name of the one before: galleries made or deleted meanwhile never
        make another one appear twice or not at all.

        Raises:
            BadRequest: the cursor is none that a page gave.
        """
        after = "" if cursor is None else last_before(cursor)
        fingerprint = self._embedder.fingerprint
        records = await self._read(lambda: self._catalog.galleries.page(fingerprint, limit + 1, after))
        page = tuple(records[:limit])
        return GalleryPage(page, cursor_after(page[-1].name) if len(records) > limit else None)

    async def delete(self, name: str) -> None:
        """Delete a gallery with all that is stored of it.

        Raises:
            UnknownGallery: there is none.
        """
        await self._embedder.forget(await self._write(lambda: self._delete(name)))

    # Pictures

    async def enrol(self, gallery: str, items: Sequence[EnrolItem]) -> tuple[EnrolOutcome, ...]:
        """Enrol pictures. When this returns, those enrolled are durable and found by every later query.

        A picture that fails, fails alone: its outcome carries the problem.

        Raises:
            UnknownGallery: there is none, or it was deleted meanwhile; then nothing was stored.
        """
        key = await self._key(gallery)
        codes = tuple(range(occlusion.COUNT))
        embedded = await asyncio.gather(*(self._embed_alone(item, codes) for item in items))
        good = [
            (item, result)
            for item, result in zip(items, embedded, strict=True)
            if isinstance(result, PictureFeatures)
        ]
        stored = iter(
            await self._write(lambda: self._store(key.number, key.keep_pictures, good)) if good else ()
        )
        return tuple(
            EnrolOutcome("failed", None, item.client_id, None, result)
            if isinstance(result, Problem)
            else _outcome(item, next(stored))
            for item, result in zip(items, embedded, strict=True)
        )

    async def delete_image(self, gallery: str, id: str) -> None:
        """Delete a picture, and its person if it was their last. No later query finds it.

        Raises:
            UnknownGallery, UnknownImage: there is none.
        """
        await self._embedder.forget(await self._write(lambda: self._delete_image(gallery, id)))

    async def renew(self, gallery: int, picture: PendingPicture) -> None:
        """Bring a kept picture to the present model; later queries find it. One that is gone is passed over.

        Raises:
            PictureNotKept: its file is not there.
            PictureError, Overloaded, DeadlineExceeded: from the embedder.
        """
        try:
            content = await self._read(lambda: self._pictures.read(gallery, picture.id))
        except FileNotFoundError:
            raise PictureNotKept(f"the file of image {picture.id!r} is not there") from None
        features = await self._embedder.embed(content, tuple(range(occlusion.COUNT)))
        renewed = await self._write(lambda: self._renew(gallery, picture, features))
        # Of a frame its part in the box was kept, which has another digest. An erasure forgets what the
        # catalog names, so nothing may be cached under any other name.
        stale = {(picture.fingerprint, picture.digest)}
        if not renewed or features.digest != picture.digest:
            stale.add((self._embedder.fingerprint, features.digest))
        await self._embedder.forget(stale)

    async def images(
        self,
        gallery: str,
        limit: int = 100,
        cursor: str | None = None,
        person: str | None = None,
        camera: str | None = None,
    ) -> PicturePage:
        """Pictures in the order in which they were enrolled, ``limit`` at a time.

        A page goes on after the last picture of the one before, whatever is enrolled or erased meanwhile.

        Raises:
            UnknownGallery: there is none.
            BadRequest: the cursor is none that a page gave.
        """
        after = 0 if cursor is None else _number_in(cursor)
        key = await self._key(gallery)
        found = await self._read(
            lambda: self._catalog.pictures.page(key.number, limit + 1, after, person, camera)
        )
        page = tuple(found[:limit])
        return PicturePage(page, cursor_after(str(page[-1].number)) if len(found) > limit else None)

    async def image(self, gallery: str, id: str) -> PictureRecord:
        """A picture with all that was told of it.

        Raises:
            UnknownGallery, UnknownImage: there is none.
        """
        return (await self._read(lambda: self._catalog.pictures.get(gallery, id)))[1]

    async def file(self, gallery: str, id: str) -> bytes:
        """A kept picture's bytes.

        Raises:
            UnknownGallery, UnknownImage: there is none.
            PictureNotKept: its bytes were not kept.
        """
        return await self._read(lambda: self._file(gallery, id))

    # People

    async def people(self, gallery: str, limit: int = 100, cursor: str | None = None) -> PeoplePage:
        """People in the order of their names, ``limit`` at a time; as stable as :meth:`list`.

        Raises:
            UnknownGallery: there is none.
            BadRequest: the cursor is none that a page gave.
        """
        after = "" if cursor is None else last_before(cursor)
        key = await self._key(gallery)
        found = await self._read(lambda: self._catalog.people.page(key.number, limit + 1, after))
        page = tuple(found[:limit])
        return PeoplePage(page, cursor_after(page[-1].name) if len(found) > limit else None)

    async def person(self, gallery: str, person: str) -> PersonRecord:
        """A person, and how many pictures show them.

        Raises:
            UnknownGallery, UnknownPerson: there is none.
        """
        key = await self._key(gallery)
        return await self._read(lambda: self._catalog.people.get(key.number, person))

    async def rename_person(self, gallery: str, person: str, to: str, merge: bool = False) -> PersonRecord:
        """Give a person another name; with ``merge``, another person's, and the two are one from then on.

        Raises:
            UnknownGallery, UnknownPerson: there is none.
            PersonExists: another person has the name, and ``merge`` is false.
        """
        await self._write(lambda: self._rename_person(gallery, person, to, merge))
        return await self.person(gallery, to)

    async def delete_person(self, gallery: str, person: str) -> None:
        """Erase a person with all that is stored of them: catalog, index, pictures, cached features.

        Raises:
            UnknownGallery, UnknownPerson: there is none.
        """
        await self._embedder.forget(await self._write(lambda: self._delete_person(gallery, person)))

    async def query(self, gallery: str, contents: Sequence[bytes], options: QueryOptions) -> QueryAnswer:
        """Rank a gallery's people or pictures by likeness to the person in the query pictures.

        Args:
            gallery: name.
            contents: picture files of one person, at least one.
            options: how.

        Raises:
            UnknownGallery: there is none, or it was deleted meanwhile.
            PictureError, Overloaded, DeadlineExceeded: from the embedder, for any of the pictures.
            BadRequest: no picture, ``top_k`` below 1, or ``unify`` is not a choice.
        """
        began = time.perf_counter()
        if not contents:
            raise BadRequest("a query needs at least one picture")
        if options.top_k < 1:
            raise BadRequest(f"top_k must be at least 1, not {options.top_k}")
        if options.unify not in unification.CHOICES:
            raise BadRequest(f"unify must be one of {', '.join(unification.CHOICES)}, not {options.unify!r}")
        if options.boxes and len(options.boxes) != len(contents):
            raise BadRequest(f"there are {len(contents)} pictures but {len(options.boxes)} boxes")
        key = await self._key(gallery)
        fusing = options.unify == unification.FUSE
        first = fused.CODES if fusing else (occlusion.NONE,)
        rounds = [await embed_together(self._embedder, contents, first, options.boxes)]
        if fusing:
            look = self._fused_look(key.number, rounds[0])
        else:
            parts = tuple(self._index.parts(key.number))
            if more := set(unification.query_codes(options.unify, parts)) - {occlusion.NONE}:
                rounds.append(await embed_together(self._embedder, contents, sorted(more), options.boxes))
            look = self._unified_look(key.number, rounds, parts, options.unify)
        began_search = time.perf_counter()
        graded = [picture.occlusion for picture in rounds[0]]
        results = await self._read(lambda: self._search(key, look, graded, options))
        ended = time.perf_counter()
        stage("search", began_search, ended)
        return QueryAnswer(
            pictures=tuple(Grade(picture.occlusion, picture.scores) for picture in rounds[0]),
            results=results,
            fingerprint=self._embedder.fingerprint,
            timings=Timings(
                decode=_milliseconds(max(view.times.decode for view in views) for views in rounds),
                queue=_milliseconds(max(view.times.queue for view in views) for views in rounds),
                embed=_milliseconds(max(view.times.embed for view in views) for views in rounds),
                search=_milliseconds([ended - began_search]),
                total=_milliseconds([ended - began]),
            ),
        )

    async def verify(
        self,
        contents: Sequence[bytes],
        unify: str,
        boxes: Sequence[Box | None] = (),
        rule: Rule = NO_WISHES,
    ) -> Verification:
        """How alike two pictures are, each hidden where the other is (design §4).

        Args:
            contents: two picture files; ``unify`` may state the first one's occlusion.
            unify: as for a query.
            boxes: as for a query.
            rule: how to decide.

        Raises:
            PictureError, Overloaded, DeadlineExceeded: from the embedder, for either.
            BadRequest: not two pictures, or ``unify`` is not a choice.
        """
        if len(contents) != 2:
            raise BadRequest(f"two pictures are compared, not {len(contents)}")
        if unify == unification.FUSE:
            raise BadRequest(
                "unify=fuse holds scores against a gallery: send one picture with the fields 'gallery' and "
                "'person', or choose another unify for two pictures"
            )
        if unify not in unification.PAIR_CHOICES:
            raise BadRequest(f"unify must be one of {', '.join(unification.PAIR_CHOICES)}, not {unify!r}")
        views = await embed_together(self._embedder, contents, (occlusion.NONE,), boxes)
        code = unification.query_occlusion(unify, views[0].occlusion)
        part = occlusion.NONE if unify == unification.OFF else views[1].occlusion
        if {code, part} != {occlusion.NONE}:
            views = await embed_together(
                self._embedder, contents, sorted({code, part, occlusion.NONE}), boxes
            )
        first, second = views
        score = _cosine(float(first.embeddings[part] @ second.embeddings[code]))
        return Verification(
            score=score,
            pictures=tuple(Grade(view.occlusion, view.scores) for view in views),
            compared=unification.hidden_on_both_sides(unify, [code], part),
            image=None,
            fingerprint=self._embedder.fingerprint,
            verdict=judge(
                self._calibration,
                unify,
                rule,
                score,
                compared_codes(unify, [first.occlusion]),
                second.occlusion,
                comparisons=1,
                people=1,
            ),
        )

    async def verify_person(
        self,
        gallery: str,
        person: str,
        content: bytes,
        unify: str,
        boxes: Sequence[Box | None] = (),
        rule: Rule = NO_WISHES,
    ) -> Verification:
        """How alike a picture is to the best matching picture of an enrolled person.

        Raises:
            UnknownGallery, UnknownPerson: there is none, or no picture of theirs is of the present model.
            PictureError, Overloaded, DeadlineExceeded: from the embedder.
        """
        await self.person(gallery, person)
        options = QueryOptions(1, "image", unify, boxes, Filters(people=[person]), rule)
        answer = await self.query(gallery, [content], options)
        if not answer.results:
            raise UnknownPerson(f"no picture of {person!r} can be compared by the present model")
        (match,) = answer.results
        return Verification(
            match.score, answer.pictures, match.compared, match, answer.fingerprint, match.verdict
        )

    # In worker threads

    def _rebuild(self) -> None:
        began = time.perf_counter()
        self._catalog.claim()
        count = 0
        if self._snapshots is None:
            features = self._catalog.features.batches(self._embedder.fingerprint)
        else:
            features = self._snapshots.load()
        for stored in features:
            self._index.add(
                stored.gallery, Entries(stored.ids, stored.people, stored.occlusions, stored.features)
            )
            count += len(stored.ids)
        orphans = self._pictures.sweep(self._catalog.pictures.kept())
        _log.info(
            "index of %d pictures built in %.1f s, %d orphaned files removed",
            count,
            time.perf_counter() - began,
            orphans,
        )

    def _store(
        self, gallery: int, keep: bool, pictures: Sequence[tuple[EnrolItem, PictureFeatures]]
    ) -> Sequence[Enrolled]:
        new = [
            NewImage(
                id=new_ulid(),
                digest=features.digest,
                person=item.person,
                camera=item.camera,
                time=item.time,
                client_id=item.client_id,
                metadata=item.metadata,
                kept=keep,
                occlusion=features.occlusion,
                scores=features.scores,
                features=_halves(features),
            )
            for item, features in pictures
        ]
        if keep:
            self._write_pictures(
                gallery, [(image.id, _kept(item)) for image, (item, _) in zip(new, pictures, strict=True)]
            )
        with self._writes:
            try:
                stored = self._catalog.pictures.enrol(gallery, self._embedder.fingerprint, new)
            except UnknownGallery:
                self._remove_pictures(gallery, [image.id for image in new if keep])
                raise
            # any other fault leaves open whether the commit was done: the next start sweeps orphans away
            added = [(answer, image) for answer, image in zip(stored, new, strict=True) if answer.indexable]
            if added:
                self._index.add(gallery, _entries(added))
                if self._snapshots is not None:
                    self._snapshots.note(gallery, [answer.number for answer, _ in added])
        if keep:
            used = {answer.id for answer in stored}
            self._remove_pictures(gallery, [image.id for image in new if image.id not in used])
        return stored

    def _renew(self, gallery: int, picture: PendingPicture, features: PictureFeatures) -> bool:
        halves = _halves(features)
        with self._writes:
            person = self._catalog.pending.renew(
                picture, self._embedder.fingerprint, features.occlusion, features.scores, halves
            )
            if person is None:
                return False
            one = Entries(
                ids=np.array([picture.number], dtype=np.int64),
                people=np.array([person], dtype=np.int64),
                occlusions=np.array([features.occlusion], dtype=np.int64),
                features=halves[None],
            )
            self._index.add(gallery, one)
            if self._snapshots is not None:
                self._snapshots.note(gallery, [picture.number])
        return True

    def _write_pictures(self, gallery: int, pictures: Sequence[tuple[str, bytes]]) -> None:
        try:
            for id, content in pictures:
                self._pictures.write(gallery, id, content)
        except OSError:
            self._remove_pictures(gallery, [id for id, _ in pictures])
            # UnknownGallery if its folder was deleted under our hands
            self._catalog.pictures.shown(gallery, ())
            raise

    def _delete(self, name: str) -> set[tuple[str, str]]:
        with self._writes:
            gone = self._catalog.pictures.removable(self._catalog.galleries.key(name).number)
            key = self._catalog.galleries.delete(name)
            self._index.drop(key.number)
        if self._snapshots is not None:
            self._snapshots.drop(key.number)
        try:
            self._pictures.drop(key.number)  # also of a gallery that has stopped keeping them
        except OSError:
            _log.exception("pictures of gallery number %d stay until the next start", key.number)
        return self._seen(gone)

    def _delete_image(self, name: str, id: str) -> set[tuple[str, str]]:
        with self._writes:
            key, removed = self._catalog.pictures.delete(name, id)
            self._index.remove(key.number, [removed.number])
        return self._erased(key, [removed])

    def _delete_person(self, name: str, person: str) -> set[tuple[str, str]]:
        with self._writes:
            key, removed = self._catalog.people.delete(name, person)
            self._index.remove(key.number, [image.number for image in removed])
        return self._erased(key, removed)

    def _rename_person(self, name: str, person: str, to: str, merge: bool) -> None:
        with self._writes:
            key, moved = self._catalog.people.rename(name, person, to, merge)
            self._index.assign(key.number, moved.numbers, moved.person)

    def _erased(self, key: GalleryKey, removed: Sequence[RemovedImage]) -> set[tuple[str, str]]:
        if self._snapshots is not None:
            self._snapshots.erase(key.number, [image.number for image in removed])
        self._remove_pictures(key.number, [image.id for image in removed if image.kept])
        return self._seen(removed)

    def _seen(self, removed: Iterable[RemovedImage]) -> set[tuple[str, str]]:
        """What the feature cache may hold of them: of the model that enrolled them, and of the present."""
        present = self._embedder.fingerprint
        return {(model, image.digest) for image in removed for model in (image.fingerprint, present)}

    def _file(self, name: str, id: str) -> bytes:
        key, picture = self._catalog.pictures.get(name, id)
        if not picture.kept:
            raise PictureNotKept(f"the bytes of image {id!r} were not kept")
        try:
            return self._pictures.read(key.number, id)
        except FileNotFoundError:
            self._catalog.pictures.get(name, id)  # UnknownImage if it was erased meanwhile
            raise

    def _remove_pictures(self, gallery: int, ids: Iterable[str]) -> None:
        for id in ids:
            try:
                self._pictures.remove(gallery, id)
            except OSError:
                _log.exception("picture %s stays until the next start", id)

    def _unified_look(
        self, gallery: int, rounds: Sequence[Sequence[PictureFeatures]], parts: Sequence[int], unify: str
    ) -> _Look:
        """Look for a query's pictures, embedded in one or more rounds, each hidden where the other is."""
        queries = [
            unification.QueryPicture(
                unification.query_occlusion(unify, views[0].occlusion),
                {code: vector for view in views for code, vector in view.embeddings.items()},
            )
            for views in zip(*rounds, strict=True)
        ]
        codes = [query.occlusion for query in queries]

        def look(among: npt.NDArray[np.int64] | None, k: int) -> _Found:
            searches = unification.plan(unify, queries, parts, among)
            hits = unification.merge(self._index.search(gallery, searches, k), k)
            return _Found(hits, lambda _, part: unification.hidden_on_both_sides(unify, codes, part))

        return look

    def _fused_look(self, gallery: int, pictures: Sequence[PictureFeatures]) -> _Look:
        """Look for a query's pictures, embedded under all codes, by the fused score."""
        queries = [
            fused.FusedPicture(np.stack([view.embeddings[code] for code in fused.CODES]), view.scores)
            for view in pictures
        ]

        def look(among: npt.NDArray[np.int64] | None, k: int) -> _Found:
            found = fused.fused_search(self._index, gallery, queries, k, among)
            return _Found(found.hits, lambda id, _: found.compared(id))

        return look

    def _search(
        self, key: GalleryKey, look: _Look, graded: Sequence[int], options: QueryOptions
    ) -> tuple[Match, ...]:
        gallery = key.number
        among, people = self._looked_at(gallery, options.filters)
        look_at = options.top_k * (_FIRST_LOOK if options.by == "person" else 1)
        if options.rerank:
            look_at = max(look_at, CANDIDATES)
        deleted: set[int] = set()
        distances: dict[int, float] = {}
        while True:
            found = look(among, look_at)
            best = unification.without(found.hits, deleted)
            if options.rerank:
                best, distances = self._reranked(gallery, best, options.unify)
            if options.by == "person":
                best = unification.best_per_person(best)
            if len(best.ids) < options.top_k and len(found.hits.ids) == look_at:
                look_at *= _FIRST_LOOK
                continue
            best = unification.select(best, np.arange(min(options.top_k, len(best.ids))))
            records = self._catalog.pictures.shown(gallery, best.ids.tolist())
            missing = set(best.ids.tolist()) - records.keys()
            if not missing:
                break
            deleted |= missing  # between our look into the index and the catalog: the next best move up
        comparisons = sum(self._index.parts(gallery).values()) if among is None else len(among)
        rule, codes = options.rule.over(key.rule), compared_codes(options.unify, graded)
        return tuple(
            Match(
                rank=rank,
                person=record.person,
                score=_cosine(score),
                image=record.id,
                camera=record.camera,
                time=record.time,
                grade=Grade(record.occlusion, record.scores),
                compared=found.compared(id, part),
                verdict=judge(
                    self._calibration,
                    options.unify,
                    rule,
                    float(score),
                    codes,
                    record.occlusion,
                    comparisons=comparisons,
                    people=people,
                ),
                distance=distances.get(id),
            )
            for rank, (record, id, part, score) in enumerate(
                zip(
                    (records[id] for id in best.ids.tolist()),
                    best.ids.tolist(),
                    best.parts.tolist(),
                    best.scores,
                    strict=True,
                ),
                1,
            )
        )

    def _reranked(self, gallery: int, hits: Hits, unify: str) -> tuple[Hits, dict[int, float]]:
        """The best hits in the order of their k-reciprocal distances, the others behind; and those by id."""
        if not len(hits.ids):
            return hits, {}
        stored, grades = self._catalog.features.graded(
            gallery, hits.ids[:CANDIDATES].tolist(), self._embedder.fingerprint
        )
        scores = dict(zip(hits.ids.tolist(), hits.scores.tolist(), strict=True))
        with_query = np.array([scores[id] for id in stored.ids.tolist()])
        if unify == unification.FUSE:
            among = fused.pair_scores(stored.features, grades, self._index.cohort(gallery).mean())
        else:
            whole = np.full_like(stored.occlusions, occlusion.NONE)
            among = unified_scores(stored.features, whole if unify == unification.OFF else stored.occlusions)
        distances = dict(
            zip(stored.ids.tolist(), reranked_distances(with_query, among).tolist(), strict=True)
        )
        best = [row for row, id in enumerate(hits.ids[:CANDIDATES].tolist()) if id in distances]
        best.sort(key=lambda row: distances[int(hits.ids[row])])
        rows = np.array([*best, *range(CANDIDATES, len(hits.ids))], dtype=np.int64)
        return unification.select(hits, rows), distances

    def _looked_at(self, gallery: int, filters: Filters) -> tuple[npt.NDArray[np.int64] | None, int]:
        """Numbers of the pictures that a query looks at (None: all), and how many people they show."""
        if filters:
            return self._catalog.pictures.matching(gallery, filters)
        return None, 0 if self._calibration is None else self._catalog.people.count(gallery)

    # Between loop and threads

    async def _embed_alone(self, item: EnrolItem, codes: Sequence[int]) -> PictureFeatures | Problem:
        """A picture that cannot be embedded is a result here: its neighbours go on."""
        try:
            return await self._embedder.embed(item.content, codes, item.box)
        except Problem as problem:
            return problem

    async def _key(self, gallery: str) -> GalleryKey:
        key = self._catalog.galleries.key_at_hand(gallery)
        return await self._read(lambda: self._catalog.galleries.key(gallery)) if key is None else key

    async def _read(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def _write(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._writers, work)


def _entries(pairs: Sequence[tuple[Enrolled, NewImage]]) -> Entries:
    return Entries(
        ids=np.array([answer.number for answer, _ in pairs], dtype=np.int64),
        people=np.array([answer.person for answer, _ in pairs], dtype=np.int64),
        occlusions=np.array([answer.occlusion for answer, _ in pairs], dtype=np.int64),
        features=np.stack([image.features for _, image in pairs]),
    )


def _halves(features: PictureFeatures) -> npt.NDArray[np.float16]:
    """Under all codes, [9, D], as catalog and index hold them."""
    return np.stack([features.embeddings[code] for code in range(occlusion.COUNT)], dtype=np.float16)


def _kept(item: EnrolItem) -> bytes:
    return item.content if item.box is None else cut_file(item.content, item.box)


def _outcome(item: EnrolItem, stored: Enrolled) -> EnrolOutcome:
    if stored.status == "conflict":
        problem = ClientIdConflict(f"client_id {item.client_id!r} was used for another picture")
        return EnrolOutcome("failed", None, item.client_id, None, problem)
    return EnrolOutcome(stored.status, stored.id, item.client_id, Grade(stored.occlusion, stored.scores))


def _number_in(cursor: str) -> int:
    number = last_before(cursor)
    if not number.isascii() or not number.isdigit() or len(number) > 18:
        raise BadRequest("the cursor is none that a page gave")
    return int(number)


def _cosine(score: float) -> float:
    """A score within what a cosine can be: features stored in float16 are not quite of unit length."""
    return max(-1.0, min(1.0, float(score)))


def _milliseconds(seconds: Iterable[float]) -> float:
    return 1000.0 * sum(seconds)
