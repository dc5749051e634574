"""What time it is: the wall clock, without its jumps until they have lasted.

A wall clock jumps when somebody sets it, when a battery was dead, when a hypervisor resumes a machine. What
is stamped or ended by such a clock ends too early or too late: a day forward would end retention and keys, a
day back would stamp pictures as a day older than they are. So the service goes on by the clock that counts
since boot, follows the wall clock's small corrections, and believes a jump only when it has lasted an hour. A
service that starts while the clock is wrong has nothing to hold it against, and believes it.

Deadlines, pauses and the circuit breaker have nothing to do with it: they count on the monotonic clock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

__all__ = ["SteadyClock", "jumps", "now", "seconds_until"]

_log = logging.getLogger(__name__)

_BELIEVED_AFTER_S: Final = 3600.0
_SMALL_S: Final = 60.0


def _since_boot() -> float:
    """Seconds, counting on while the machine sleeps where the system can tell."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class SteadyClock:
    """The wall clock without jumps. Safe to call from several threads.

    Args:
        wall: seconds since 1970.
        steady: seconds since any moment; never set.
        believed_after_s: how long a jump must have lasted since it was noticed.
        small_s: corrections up to this are followed at once, seconds.

    Attributes:
        jumps: how many were noticed, those back to where the clock was included.
    """

    def __init__(
        self,
        wall: Callable[[], float] = lambda: time.time(),
        steady: Callable[[], float] = _since_boot,
        believed_after_s: float = _BELIEVED_AFTER_S,
        small_s: float = _SMALL_S,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._believed_after_s = believed_after_s
        self._small_s = small_s
        self._lock = threading.Lock()
        self._offset = wall() - steady()
        self._seen = self._offset
        self._jumped_at: float | None = None  # when the jump was noticed that is not believed yet
        self.jumps = 0

    def now(self) -> datetime:
        """This moment; aware, UTC."""
        with self._lock:
            steady = self._steady()
            self._follow(steady, self._wall() - steady)
            return datetime.fromtimestamp(steady + self._offset, UTC)

    def _follow(self, steady: float, offset: float) -> None:
        if abs(offset - self._seen) > self._small_s:
            self.jumps += 1
            self._jumped_at = steady
            _log.warning(
                "the clock jumped by %+.0f s; that is believed when it has lasted for %.0f s",
                offset - self._seen,
                self._believed_after_s,
            )
        self._seen = offset
        if abs(offset - self._offset) <= self._small_s:
            self._offset, self._jumped_at = offset, None
        elif self._jumped_at is not None and steady - self._jumped_at >= self._believed_after_s:
            _log.warning("the clock is believed to be %+.0f s from what it was", offset - self._offset)
            self._offset, self._jumped_at = offset, None


_CLOCK: Final = SteadyClock()


def now() -> datetime:
    """This moment, by the clock of this process; aware, UTC."""
    return _CLOCK.now()


def jumps() -> int:
    """How often the wall clock has jumped since the process started."""
    _CLOCK.now()
    return _CLOCK.jumps


def seconds_until(moment: float) -> float:
    """How long until a moment that a library read from the wall clock itself, in seconds since 1970."""
    return moment - time.time()
