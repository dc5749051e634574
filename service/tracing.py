"""Stage times of the request in hand, for whoever traces it. Nothing of OpenTelemetry is imported here."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

__all__ = ["RECORDER", "Recorder", "stage"]

Recorder = Callable[[str, float, float], None]
"""Takes a stage's name, and when it began and ended by ``time.perf_counter()``, seconds."""

RECORDER: Final[ContextVar[Recorder | None]] = ContextVar("recorder", default=None)
"""Of the request in hand; None where nobody traces."""


def stage(name: str, began: float, ended: float) -> None:
    """Say when a stage of the request was, in ``time.perf_counter()``'s seconds."""
    recorder = RECORDER.get()
    if recorder is not None:
        recorder(name, began, ended)
