"""Data that its authors took back: it opens only for who says so, and says why."""

from __future__ import annotations

from rich.console import Console

from training.data.records import DatasetError

__all__ = ["WHY", "acknowledge"]

WHY = (
    "it consists of DukeMTMC pictures: students and passers-by on Duke University's campus, filmed without "
    "their consent. The authors took DukeMTMC off the net in 2019. Use a lawfully held copy only to compare "
    "with figures published earlier, and say so where you show one"
)
"""The rest of a sentence that begins with the data set's name."""


def acknowledge(name: str, acknowledged: bool) -> None:
    """Let a withdrawn data set be opened, saying on standard error why it was withdrawn.

    Raises:
        DatasetError: it is not acknowledged.
    """
    if not acknowledged:
        raise DatasetError(
            f"{name} was withdrawn: {WHY}. To open it all the same, say --acknowledge-withdrawn "
            "(in Python: acknowledge_withdrawn=True)"
        )
    Console(stderr=True).print(f"{name} was withdrawn: {WHY}.", style="yellow", highlight=False)
