"""Which pictures are being embedded now: what is forgotten meanwhile must not be remembered afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Run", "UnderWay"]


@dataclass(slots=True, eq=False)
class Run:
    """One picture on its way through the embedder.

    Attributes:
        forgotten: whether what comes of it may be given to its caller alone, and kept nowhere.
    """

    forgotten: bool = False


class UnderWay:
    """The runs of one embedder, by the digest of what is seen. For use on one event loop."""

    def __init__(self) -> None:
        self._runs: dict[str, set[Run]] = {}

    @contextmanager
    def run(self, digest: str) -> Iterator[Run]:
        """A run, from here to the end of the context."""
        run = Run()
        self._runs.setdefault(digest, set()).add(run)
        try:
            yield run
        finally:
            runs = self._runs[digest]
            runs.discard(run)
            if not runs:
                del self._runs[digest]

    def forget(self, digest: str) -> None:
        """Let what is under way with this digest be kept nowhere."""
        for run in self._runs.get(digest, ()):
            run.forgotten = True
