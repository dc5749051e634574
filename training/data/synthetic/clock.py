"""When a person passes a camera: everybody walks through the place once, within the same hour.

All cameras record the whole hour. A person reaches each of them within two minutes, in an order of their own,
and may be in view of two at once; pictures of one passage follow each other by about a second. Times are
whole frames of a clock that all cameras share, so that the gait of one moment is the same in every camera.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from training.data.synthetic.dice import Dice, Subject

__all__ = ["FRAMES_PER_SECOND", "moment", "timestamp"]

FRAMES_PER_SECOND: Final = 25
_START: Final = datetime(2026, 3, 2, 8, tzinfo=UTC)
_HOUR: Final = 3600 * FRAMES_PER_SECOND
_VISIT: Final = 120 * FRAMES_PER_SECOND


def moment(seed: int, person: int, camera: int, index: int) -> int:
    """When picture number ``index`` of a person in a camera is taken, in frames from the start."""
    arrival = Dice(seed, Subject.VISIT, person).integer(0, _HOUR)
    passage = Dice(seed, Subject.PASSAGE, person, camera)
    entry = passage.integer(0, _VISIT)
    return arrival + entry + index * passage.integer(FRAMES_PER_SECOND // 2, 3 * FRAMES_PER_SECOND // 2)


def timestamp(frame: int) -> str:
    """A frame's time in ISO 8601, UTC, to the millisecond."""
    when = _START + timedelta(milliseconds=frame * 1000 // FRAMES_PER_SECOND)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
