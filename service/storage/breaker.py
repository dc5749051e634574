"""A circuit breaker: what failed is left alone for a while, so that a dead part costs no waiting."""

from __future__ import annotations

import time
from collections.abc import Callable


class CircuitBreaker:
    """Closed while all is well. A fault opens it; after a pause one trial is let through.

    Args:
        pause_s: after the first fault; doubled by each failed trial.
        longest_s: the pause never grows beyond this.
        clock: seconds, monotonic.
    """

    def __init__(
        self, pause_s: float = 0.5, longest_s: float = 15.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._first_pause_s = pause_s
        self._longest_s = longest_s
        self._clock = clock
        self._pause_s = pause_s
        self._closed_until_fault = True
        self._trial_at = 0.0

    @property
    def open(self) -> bool:
        """Whether a fault was told and no success since."""
        return not self._closed_until_fault

    def allows(self) -> bool:
        """Whether to try now. While open, true once per pause: that caller makes the trial."""
        if self._closed_until_fault:
            return True
        if self._clock() < self._trial_at:
            return False
        self._trial_at = self._clock() + self._pause_s  # nobody else tries until this one has told
        return True

    def succeeded(self) -> bool:
        """Tell of a success. True if that closed the breaker."""
        closes = not self._closed_until_fault
        self._closed_until_fault = True
        self._pause_s = self._first_pause_s
        return closes

    def failed(self) -> bool:
        """Tell of a fault. True if that opened the breaker."""
        opens = self._closed_until_fault
        if not opens:
            self._pause_s = min(2 * self._pause_s, self._longest_s)
        self._closed_until_fault = False
        self._trial_at = self._clock() + self._pause_s
        return opens
