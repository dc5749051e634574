"""Bringing a kept picture to the present model; :mod:`service.reindexing` does it for whole galleries."""

from __future__ import annotations

import hashlib
import logging

import numpy as np

from models import occlusion
from service.embedding.features import PictureFeatures
from service.gallery.doubts import Doubt
from service.gallery.enrolment import halves
from service.gallery.generation import Previous
from service.gallery.kept import kept_bytes
from service.gallery.parts import Parts
from service.index.protocol import Entries
from service.storage.records import PendingPicture

__all__ = ["Renewal"]

_log = logging.getLogger(__name__)


class Renewal:
    """Embeds pictures of another model again."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def renew(self, gallery: int, picture: PendingPicture) -> None:
        """Bring a kept picture to the present model; later queries find it. One that is gone is passed over.

        Raises:
            PictureLost, PicturesAway: see :func:`service.gallery.kept.kept_bytes`.
            PictureError, Overloaded, DeadlineExceeded: from the embedder.
        """
        content, whole = await self._parts.read(lambda: self._read(gallery, picture))
        codes = tuple(range(occlusion.COUNT))
        if whole:
            features = await self._parts.embedder.embed(content, codes)
        else:
            # Of a frame its part in the box was kept, which has another digest. An erasure forgets what the
            # catalog names, so nothing may be cached under any other name, not even until this ends.
            features = await self._parts.embedder.embed(content, codes, remember=False)
        if not await self._parts.write(lambda: self._renew(gallery, picture, features)) and whole:
            await self._parts.forgetting.forget_unstored([features.digest])
        else:
            await self._parts.forgetting.forget()

    def _read(self, gallery: int, picture: PendingPicture) -> tuple[bytes, bool]:
        """A picture's file, and whether that is the very one that was enrolled."""
        content = kept_bytes(self._parts.pictures, gallery, picture.id)
        return content, hashlib.sha256(content).hexdigest() == picture.digest

    async def finish(self, gallery: int) -> None:
        """What could be brought to the present model is: from here on it answers, and no other."""
        previous = self._parts.previous
        if previous is not None and gallery in previous.galleries:
            await self._parts.write(lambda: self._finish(gallery, previous))
            await self._parts.forgetting.forget()

    def _finish(self, gallery: int, previous: Previous) -> None:
        with self._parts.step(lambda _: Doubt(gallery)):
            self._parts.catalog.previous.drop(gallery)
            previous.galleries.discard(gallery)  # first: a query that then finds nothing looks who answers
            previous.index.drop(gallery)
        if not previous.galleries:
            _log.info("the previous model answers for no gallery any more")

    def _renew(self, gallery: int, picture: PendingPicture, features: PictureFeatures) -> bool:
        stored = halves(features)
        with self._parts.step(lambda _: Doubt(gallery, [picture.number])) as committed:
            answering = self._parts.answering(gallery)
            keep = answering is not self._parts.present
            person = self._parts.catalog.pending.renew(
                picture,
                self._parts.embedder.fingerprint,
                features.occlusion,
                features.scores,
                stored,
                keep=keep and picture.fingerprint == answering.embedder.fingerprint,
            )
            if person is None:
                return False
            committed(person)
            one = Entries(
                ids=np.array([picture.number], dtype=np.int64),
                people=np.array([person], dtype=np.int64),
                occlusions=np.array([features.occlusion], dtype=np.int64),
                features=stored[None],
            )
            self._parts.index.add(gallery, one)
            if self._parts.snapshots is not None:
                self._parts.snapshots.note(gallery, [picture.number])
        return True
