"""Several pictures of one request, embedded at once: it answers for all of them or names the one at fault."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from service.embedding.box import Box
from service.embedding.features import Embedder, PictureFeatures
from service.problems import PictureError


async def embed_together(
    embedder: Embedder, contents: Sequence[bytes], codes: Sequence[int], boxes: Sequence[Box | None]
) -> tuple[PictureFeatures, ...]:
    """Embed a request's pictures.

    Args:
        embedder: the model.
        contents: the pictures' bytes, in the order sent.
        codes: occlusion codes that the features are to hold.
        boxes: where in each picture the person is; empty where no picture has a box.

    Returns:
        The features, in the order of ``contents``.

    Raises:
        PictureError: of the first picture found at fault; among several, its detail begins ``files[i]:``.
        Overloaded, DeadlineExceeded: from the embedder.

    Where one raises, no work is left over for the others: they give their places in the queue free.
    """

    async def embed(place: int, content: bytes, box: Box | None) -> PictureFeatures:
        try:
            return await embedder.embed(content, codes, box)
        except PictureError as fault:
            if len(contents) == 1:
                raise
            raise type(fault)(f"files[{place}]: {fault.detail}") from fault

    if len(contents) == 1:  # needs no task of its own
        return (await embed(0, contents[0], boxes[0] if boxes else None),)
    pictures = zip(contents, boxes or [None] * len(contents), strict=True)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(embed(place, content, box)) for place, (content, box) in enumerate(pictures)
            ]
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None  # a group says no more than its first fault
    return tuple(task.result() for task in tasks)
