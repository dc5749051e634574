"""Galleries on a real catalog, index and picture store; the embedder works features out from text."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from models.bundle import BundleMetadata, Training
from models.calibration import Calibration
from service.embedding.box import Box
from service.embedding.features import PictureFeatures, StageTimes
from service.gallery import EnrolItem, EnrolOutcome, Galleries, QueryOptions
from service.gallery.parts import Parts
from service.index.local import LocalIndex
from service.index.options import FLAT, IndexOptions
from service.problems import (
    NotAPicture,
)
from service.storage.cache import SharedCache
from service.storage.catalog import Catalog
from service.storage.pictures import PictureStore

DIMENSION = 16


MODEL, NEXT_MODEL = "a" * 64, "b" * 64


@dataclass
class FakeEmbedder:
    """A picture is the text ``person/occlusion code/number``; same person, near vectors.

    ``asked`` records what was embedded, ``remembered`` of what something may be cached; ``before_answer``
    lets a test act while a picture is embedded.
    """

    fingerprint: str = MODEL
    asked: list[tuple[bytes, tuple[int, ...]]] = field(default_factory=list)
    remembered: list[bytes] = field(default_factory=list)
    before_answer: asyncio.Event | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    forgotten: set[tuple[str, str]] = field(default_factory=set)

    @property
    def metadata(self) -> BundleMetadata:
        return BundleMetadata(
            name="fake",
            system="fake",
            backbone="fake",
            height=128,
            width=64,
            dimension=DIMENSION,
            has_grader=True,
            has_attention=False,
            training=Training(data=[], recipe=""),
            opset=17,
            licence="Apache-2.0",
            terms="none",
        )

    async def embed(
        self, content: bytes, codes: Sequence[int], box: Box | None = None, *, remember: bool = True
    ) -> PictureFeatures:
        if remember:
            self.remembered.append(content)
        self.asked.append((content, tuple(codes)))
        self.reached.set()
        await asyncio.sleep(0)
        if self.before_answer is not None:
            await self.before_answer.wait()
        if content.count(b"/") != 2:
            raise NotAPicture("not a picture")
        code = int(content.split(b"/")[1])
        return PictureFeatures(
            digest=hashlib.sha256(content).hexdigest(),
            occlusion=code,
            scores=np.full(4, code / 10, np.float32),
            embeddings={u: vector(content, u) for u in codes},
            times=StageTimes(0.001, 0.002, 0.003),
        )

    async def forget(self, seen: Collection[tuple[str, str]]) -> bool:
        self.forgotten |= set(seen)
        return True


def vector(content: bytes, code: int) -> npt.NDArray[np.float32]:
    person, _, _ = content.split(b"/")
    common = np.random.default_rng(list(person)).normal(size=DIMENSION)
    own = np.random.default_rng([*content, code]).normal(size=DIMENSION)
    both = common + 0.4 * own
    return (both / np.linalg.norm(both)).astype(np.float32)


def picture(person: str, code: int, number: int) -> bytes:
    return f"{person}/{code}/{number}".encode()


def item(content: bytes, client_id: str | None = None) -> EnrolItem:
    return EnrolItem(content, person=content.split(b"/")[0].decode(), client_id=client_id)


CROWD = [
    picture(f"p{person}", code, number)
    for person in range(6)
    for number, code in enumerate((0, 0, 4, 7, person % 9))
]
"""Thirty pictures of six people, in several parts."""


class NothingLater:
    """In place of what clears the files of rests in the background, which would be owed at any moment."""

    owed = False

    def note(self) -> None:
        pass

    def go_on(self) -> None:
        pass

    def close(self) -> None:
        pass


class House:
    """A service's storage in one folder, that can be left and entered again."""

    def __init__(self, folder: Path, options: IndexOptions = FLAT) -> None:
        self.folder = folder
        self.options = options
        self.embedder = FakeEmbedder()
        self.calibration: Calibration | None = None
        self.shared_cache: SharedCache | None = None

    async def enter(self) -> Galleries:
        self.catalog = Catalog(f"sqlite:///{self.folder / 'catalog.sqlite3'}")
        self.catalog.database._later = NothingLater()  # type: ignore[assignment]
        self.index = LocalIndex(DIMENSION, self.options)
        self.pictures = PictureStore((self.folder / "pictures").as_uri(), self.catalog.id, self.catalog.about)
        parts = Parts(
            self.catalog,
            self.index,
            self.embedder,
            self.pictures,
            self.calibration,
            shared_cache=self.shared_cache,
        )
        self.galleries = Galleries(parts)
        await self.galleries.start()
        return self.galleries

    def fall(self) -> None:
        """End as with kill -9: nothing is finished, only what the kernel gives back is given back."""
        assert self.catalog._claim is not None
        self.catalog._claim.close()

    async def leave(self) -> None:
        await self.galleries.close()
        self.catalog.close()

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*.picture*") if path.is_file())


def fail_once(monkeypatch: pytest.MonkeyPatch, part: object, call: str) -> None:
    """The call's next time there is no memory for it."""
    original = getattr(part, call)

    def failing(*_: object) -> None:
        monkeypatch.setattr(part, call, original)
        raise MemoryError

    monkeypatch.setattr(part, call, failing)


async def enrol(house: House, *contents: bytes, gallery: str = "shop") -> tuple[EnrolOutcome, ...]:
    return await house.galleries.enrolment.enrol(gallery, [item(content) for content in contents])


async def found(house: House, query: bytes, gallery: str = "shop", top_k: int = 100) -> list[str]:
    answer = await house.galleries.queries.answer(gallery, [query], QueryOptions(top_k=top_k, by="image"))
    return [match.image for match in answer.results]
