"""A model that kills its workers, who are not replaced before the test has looked at the service without."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from service.embedding.engine import Engine

__all__ = ["deadly"]


@contextmanager
def deadly(engine: Engine) -> Iterator[None]:
    """Workers die over every picture; the second, who tried it once more, is not replaced in this context."""
    reopen, opened, ended = engine.reopen, itertools.count(), threading.Event()

    def killed(*_: object) -> None:
        raise SystemExit("killed")

    def held() -> None:
        if next(opened):
            assert ended.wait(60)
        reopen()

    engine.__dict__ |= {"run": killed, "reopen": held}
    try:
        yield
    finally:
        del engine.__dict__["run"], engine.__dict__["reopen"]
        ended.set()
