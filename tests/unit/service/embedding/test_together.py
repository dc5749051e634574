"""Several pictures of one request: one fault is the request's, is told by its place, and leaves no work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from service.embedding.box import Box
from service.embedding.features import Embedder, PictureFeatures
from service.embedding.together import embed_together
from service.problems import NotAPicture, Overloaded


class Slow:
    """Fails on b"bad" and b"full"; is busy with b"long" until it is cancelled; knows who is in work."""

    def __init__(self) -> None:
        self.in_work = 0

    async def embed(self, content: bytes, codes: Sequence[int], box: Box | None = None) -> PictureFeatures:
        self.in_work += 1
        try:
            await asyncio.sleep(3600 if content == b"long" else 0)
            if content == b"bad":
                raise NotAPicture("no picture")
            if content == b"full":
                raise Overloaded("full", retry_after_s=7)
            return cast(PictureFeatures, SimpleNamespace(digest=content.decode(), box=box))
        finally:
            self.in_work -= 1


async def together(embedder: Slow, *contents: bytes) -> tuple[PictureFeatures, ...]:
    return await embed_together(cast(Embedder, embedder), contents, (0,), ())


async def test_features_come_in_the_order_sent() -> None:
    assert [features.digest for features in await together(Slow(), b"a", b"b", b"c")] == ["a", "b", "c"]


async def test_fault_among_several_is_told_by_its_place() -> None:
    with pytest.raises(NotAPicture, match=r"^files\[1\]: no picture$"):
        await together(Slow(), b"a", b"bad")


async def test_fault_of_one_picture_alone_is_told_as_it_is() -> None:
    with pytest.raises(NotAPicture, match=r"^no picture$"):
        await together(Slow(), b"bad")


async def test_refused_request_leaves_no_work_behind() -> None:
    embedder = Slow()
    with pytest.raises(Overloaded) as refused:
        await together(embedder, b"long", b"full", b"long")
    assert refused.value.retry_after_s == 7
    assert embedder.in_work == 0
