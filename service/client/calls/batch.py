"""Asking any number of queries, in calls of up to 64."""

from __future__ import annotations

from collections.abc import Iterable
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

RESULTS_PER_CALL: Final = 16_000
"""Results, each picture of their evidence counted, that those may ask for together: some 5 MB, which the
service puts aside."""

_OVERLAYS: Final = 2500
"""As many results as the overlays of a query are as large as."""


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

    def next_call(self) -> Call[list[BatchAnswer]] | None:
        """What to send now, or None at the end."""
        self._sent, lines, results = [], bytearray(), 0
        while True:
            if self._next is None:
                query = next(self._coming, None)
                if query is None:
                    break
                self._next = (query, query.line())
            query, line = self._next
            results += query.top_k * query.evidence + (_OVERLAYS if query.overlays else 0)
            if self._sent and (
                len(self._sent) == QUERIES_PER_CALL
                or len(lines) + len(line) > BYTES_PER_CALL
                or results > RESULTS_PER_CALL
            ):
                break
            self._sent.append(query)
            lines += line
            self._next = None
        if not self._sent:
            return None
        sent = len(self._sent)

        def read(response: httpx.Response) -> list[BatchAnswer]:
            answers = [BatchAnswer.model_validate_json(line) for line in response.content.splitlines()]
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
