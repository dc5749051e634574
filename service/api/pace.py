"""How long a body is waited for: so long for its next bytes, and no longer in all than its bytes allow."""

from __future__ import annotations

from service.problems import BodyStalled

__all__ = ["Pace"]


class Pace:
    """Patience with one body, as that of Apache's ``mod_reqtimeout`` (``body=30,MinRate=16384``).

    A limit for the next bytes alone would let who sends one byte at a time hold a place for ever; one for the
    whole body would have to let the largest come over a slow line, and be as long for those of whom hardly
    anything comes. So the wait in all may be ``deadline_s``, and a second more for each ``bytes_per_s`` that
    came. Only what the service waited counts, not the time in which it did not read.

    Args:
        deadline_s: longest wait for the next bytes, and for all before the first of them count.
        bytes_per_s: how fast they must come on the whole.
    """

    def __init__(self, deadline_s: float, bytes_per_s: float) -> None:
        self._deadline_s = deadline_s
        self._bytes_per_s = bytes_per_s
        self._came = 0
        self._waited_s = 0.0

    @property
    def patience_s(self) -> float:
        """How long the next bytes may be waited for; never negative."""
        left = self._deadline_s + self._came / self._bytes_per_s - self._waited_s
        return max(0.0, min(self._deadline_s, left))

    def came(self, count: int, waited_s: float) -> None:
        """So many bytes came after so long a wait."""
        self._came += count
        self._waited_s += waited_s

    def start_over(self) -> None:
        """What comes from here on is counted alone: another line of a stream."""
        self._came, self._waited_s = 0, 0.0

    def stalled(self) -> BodyStalled:
        """The problem of a body whose next bytes did not come in time."""
        if self.patience_s >= self._deadline_s:
            return BodyStalled(f"Nothing more of the request's body came within {self._deadline_s:g} s")
        return BodyStalled(
            f"The request's body came too slowly, {self._came} bytes in {self._waited_s:.3g} s and then no "
            f"more within {self.patience_s:.3g} s; at least {self._bytes_per_s:g} a second are waited for"
        )
