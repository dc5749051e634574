"""Asking any number of queries, in calls of up to 64."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import httpx

from service.client.answers import BatchAnswer
from service.client.call import Call, gallery_path
from service.client.faults import ProblemError, UnexpectedAnswer
from service.client.requests import BatchQuery

__all__ = ["Batch", "query_batch"]

QUERIES_PER_CALL: Final = 64
"""The most queries of a batch that are sent before their answers are read."""

BYTES_PER_CALL: Final = 32 * 1024 * 1024
"""Bytes of pictures after which a call is cut even if it has fewer queries."""

ANSWER_BYTES_PER_CALL: Final = 5 * 1024 * 1024
"""Bytes that the answers to those may come to, by what answers before them took. The service puts three times
as much aside; a picture's own metadata make most of it, and differ."""

_UNKNOWN_BYTES: Final = 20 * 1024 / 3
"""Of a picture in an answer while none has come. With all that may be told of one it is three times that."""

_OVERLAYS_BYTES: Final = 800_000
"""Of the overlays of a query."""


def query_batch(gallery: str, queries: Iterable[BatchQuery]) -> Batch:
    """Any number of queries, read lazily and answered in order. One that fails does not raise.

    Raises:
        OSError: a picture's file cannot be read.
        ProblemError: the service ended the stream: it stops, say, or the key was revoked.
    """
    return Batch(gallery, queries)


class Batch:
    """Cuts a batch of queries into calls that are sent whole before their answers are read.

    The service may answer while it is sent to, but takes no more while too many answers lie unread; so a call
    has no more queries than whose answers it can put aside.
    """

    def __init__(self, gallery: str, queries: Iterable[BatchQuery]) -> None:
        self._gallery = gallery
        self._coming = iter(queries)
        self._next: tuple[BatchQuery, bytes] | None = None
        self._sent: list[BatchQuery] = []
        self._bytes_each: float | None = None  # of a picture in an answer, the most that was seen

    def next_call(self) -> Call[list[BatchAnswer]] | None:
        """What to send now, or None at the end."""
        self._sent, lines, answers = [], bytearray(), 0.0
        each = _UNKNOWN_BYTES if self._bytes_each is None else self._bytes_each
        while True:
            if self._next is None:
                query = next(self._coming, None)
                if query is None:
                    break
                self._next = (query, query.line())
            query, line = self._next
            answers += query.top_k * query.evidence * each + (_OVERLAYS_BYTES if query.overlays else 0)
            if self._sent and (
                len(self._sent) == QUERIES_PER_CALL
                or len(lines) + len(line) > BYTES_PER_CALL
                or answers > ANSWER_BYTES_PER_CALL
            ):
                break
            self._sent.append(query)
            lines += line
            self._next = None
        if not self._sent:
            return None
        sent = len(self._sent)

        def read(response: httpx.Response) -> list[BatchAnswer]:
            lines = response.content.splitlines()
            answers = [BatchAnswer.model_validate_json(line) for line in lines]
            self._measure(lines, answers)
            ended = answers[-1].problem if answers else None
            if len(answers) < sent and ended is not None:  # for all that came after, too
                raise ProblemError(ended.status, ended.title, ended.detail, type=ended.type)
            if len(answers) != sent:
                raise UnexpectedAnswer(f"{sent} queries were sent, {len(answers)} were answered")
            return answers

        path = f"{gallery_path(self._gallery, 'query')}/batch"
        return Call("POST", path, read, repeatable=True, lines=bytes(lines))

    def take(self, answers: list[BatchAnswer]) -> list[BatchAnswer]:
        """The answers of one call."""
        return answers

    def _measure(self, lines: Sequence[bytes], answers: Sequence[BatchAnswer]) -> None:
        """Learn from answers how much a picture in one takes."""
        for query, line, answered in zip(self._sent, lines, answers, strict=False):
            results = () if answered.answer is None or query.overlays else answered.answer.results
            if results:
                each = len(line) / sum(1 + len(result.evidence) for result in results)
                self._bytes_each = max(each, self._bytes_each or 0.0)
