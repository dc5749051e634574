"""Draws the overlays of one answer: over the query's first picture, and over the gallery's best."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from models import occlusion
from models.bundle import fit_picture
from service.embedding.box import Box
from service.embedding.decode import read_picture
from service.gallery import Match, QueryAnswer
from service.matching import unification
from service.overlays.drawing import draw_attention, draw_hidden, to_png
from service.problems import (
    DeadlineExceeded,
    PictureError,
    PictureLost,
    PictureNotKept,
    PicturesAway,
    UnknownGallery,
    UnknownImage,
)

__all__ = ["MOST_RESULTS", "Looks", "Overlays", "QueryOverlay", "QueryOverlays", "ResultOverlay"]

_log = logging.getLogger(__name__)

MOST_RESULTS: Final = 5
"""Results that get overlays, the best first."""


class Looks(Protocol):
    """Tells where the model looks."""

    @property
    def fingerprint(self) -> str:
        """Which model it is."""
        ...

    @property
    def picture_size(self) -> tuple[int, int]:
        """Height and width of what it takes, pixels."""
        ...

    def attention(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32] | None:
        """From uint8 [B, H, W, 3] to float32 [B, h, w], 0 to 1; None where the model exports none."""
        ...


class Files(Protocol):
    """Gives the bytes of kept pictures."""

    async def file(self, gallery: str, id: str) -> bytes:
        """See :meth:`service.gallery.pictures.Pictures.file`."""
        ...


@dataclass(frozen=True, slots=True)
class QueryOverlay:
    """Over the query's first picture, each a PNG.

    Attributes:
        hidden: what was taken as hidden in it.
        attention: where the model looked; None where the bundle does not say, or the previous model answered.
    """

    hidden: bytes
    attention: bytes | None


@dataclass(frozen=True, slots=True)
class ResultOverlay:
    """Of one result, each a PNG.

    Attributes:
        query: the query's first picture without what was hidden on both sides.
        gallery: the gallery picture without it; None where it was not kept, or its file cannot be read.
        attention: where the model looked in the gallery picture; None also for the reasons above.
    """

    query: bytes
    gallery: bytes | None
    attention: bytes | None


@dataclass(frozen=True, slots=True)
class QueryOverlays:
    """All of one answer; ``results`` has the first :data:`MOST_RESULTS` of the answer's, in order."""

    query: QueryOverlay
    results: tuple[ResultOverlay, ...]


class Overlays:
    """Draws overlays, one answer at a time: they must not take the cores from those who only ask.

    Args:
        looks: the model.
        files: the galleries' pictures.
        max_pixels: most pixels of a query picture.
        deadline_s: from the call to the answer.
    """

    def __init__(self, looks: Looks, files: Files, max_pixels: int, deadline_s: float) -> None:
        self._looks = looks
        self._files = files
        self._max_pixels = max_pixels
        self._deadline_s = deadline_s
        self._turn = asyncio.Semaphore(1)

    async def draw(
        self, gallery: str, content: bytes, box: Box | None, unify: str, answer: QueryAnswer
    ) -> QueryOverlays:
        """The overlays of an answer.

        Args:
            gallery: that was asked.
            content, box: the query's first picture.
            unify: how it was asked.
            answer: what came out.

        Raises:
            DeadlineExceeded: too many others wait for theirs.
        """
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._turn.acquire()
                try:
                    shown = answer.results[:MOST_RESULTS]
                    kept = [await self._kept(gallery, match.image) for match in shown]
                except BaseException:
                    self._turn.release()
                    raise
                drawing = asyncio.create_task(
                    asyncio.to_thread(self._draw, content, box, unify, answer, shown, kept)
                )
                drawing.add_done_callback(self._drawn)
                # whoever gives up leaves the thread at work: the turn is over when that is
                return await asyncio.shield(drawing)
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"The overlays were not drawn within {self._deadline_s:g} s. Try again later, or ask without."
            ) from error

    def _drawn(self, drawing: asyncio.Task[QueryOverlays]) -> None:
        self._turn.release()
        if not drawing.cancelled():
            drawing.exception()  # nobody else may ask, and asyncio would say so

    async def _kept(self, gallery: str, image: str) -> bytes | None:
        try:
            return await self._files.file(gallery, image)
        except (PictureNotKept, PictureLost, UnknownImage, UnknownGallery):
            return None  # it was not kept, or erased since it was found, or its file is lost
        except PicturesAway as problem:
            _log.warning("no overlay of image %s: %s", image, problem.detail)
            return None  # what was found stands without

    def _draw(
        self,
        content: bytes,
        box: Box | None,
        unify: str,
        answer: QueryAnswer,
        shown: Sequence[Match],
        kept: Sequence[bytes | None],
    ) -> QueryOverlays:
        query = read_picture(content, self._max_pixels, box)
        pictures = [None if file is None else _read_kept(file) for file in kept]
        maps = self._attention([query, *pictures], answer.fingerprint)
        graded = answer.pictures[0].occlusion
        taken = graded if unify == unification.FUSE else unification.query_occlusion(unify, graded)
        hidden = [_codes(match.compared) for match in shown]
        over_query = {codes: to_png(draw_hidden(query, codes)) for codes in {(taken,), *hidden}}
        return QueryOverlays(
            QueryOverlay(over_query[taken,], _attended(query, maps[0])),
            tuple(
                ResultOverlay(
                    query=over_query[codes],
                    gallery=None if picture is None else to_png(draw_hidden(picture, codes)),
                    attention=_attended(picture, attention),
                )
                for codes, picture, attention in zip(hidden, pictures, maps[1:], strict=True)
            ),
        )

    def _attention(
        self, pictures: Sequence[Image.Image | None], answered_by: str
    ) -> list[npt.NDArray[np.float32] | None]:
        """The attention to each whole picture; None where there is no picture, or no attention.

        Nor where another model answered: where this one looks explains nothing of it.
        """
        nothing: list[npt.NDArray[np.float32] | None] = [None] * len(pictures)
        if answered_by != self._looks.fingerprint:
            return nothing
        there = [picture for picture in pictures if picture is not None]
        found = self._looks.attention(
            np.stack([fit_picture(picture, *self._looks.picture_size) for picture in there])
        )
        if found is None:
            return nothing
        maps = iter(found)
        return [None if picture is None else next(maps) for picture in pictures]


def _read_kept(content: bytes) -> Image.Image | None:
    """A kept picture; None where its file is damaged, which is no fault of the query's pictures."""
    try:
        return read_picture(content, sys.maxsize)  # its size was looked at when it was enrolled
    except PictureError as problem:
        _log.warning("no overlay of a kept picture, whose file is damaged: %s", problem.detail)
        return None


def _attended(picture: Image.Image | None, attention: npt.NDArray[np.float32] | None) -> bytes | None:
    return None if picture is None or attention is None else to_png(draw_attention(picture, attention))


def _codes(compared: str) -> tuple[int, ...]:
    """The codes in ``"bottom_half+left_quarter"``, or ``"none"``."""
    return tuple(occlusion.code_of(name) for name in compared.split("+"))
