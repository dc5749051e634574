"""When a call is tried again, and how long to wait before."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from service.client.call import Call

__all__ = ["Retries"]


@dataclass(frozen=True, slots=True)
class Retries:
    """How patiently a repeatable call is tried again.

    Attributes:
        attempts: in all, the first included.
        first_wait_s: before the second attempt; doubles from there, and each wait is shortened at random
            by up to a half so that clients that were refused together do not come back together.
        longest_wait_s: no single wait is longer, whatever ``Retry-After`` asks for.
    """

    attempts: int = 6
    first_wait_s: float = 0.25
    longest_wait_s: float = 15.0

    def wait(
        self, call: Call[Any], tries: int, outcome: httpx.Response | httpx.TransportError
    ) -> float | None:
        """Seconds to wait before the next attempt, or None if there is to be none.

        Args:
            call: what was sent.
            tries: how often already, from 1.
            outcome: what came of the last time.
        """
        if not call.repeatable or tries >= self.attempts:
            return None
        backoff = min(self.first_wait_s * 2.0 ** (tries - 1), self.longest_wait_s) * random.uniform(0.5, 1.0)
        if isinstance(outcome, httpx.TransportError):
            return backoff if isinstance(outcome, httpx.ConnectError) else None
        if outcome.status_code != httpx.codes.TOO_MANY_REQUESTS:
            return None
        asked = _retry_after(outcome.headers.get("retry-after"))
        return backoff if asked is None else min(max(asked, backoff), self.longest_wait_s)


def _retry_after(value: str | None) -> float | None:
    """Seconds in a ``Retry-After`` header, which gives seconds or a date; None where it gives neither."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (until.astimezone(UTC) - datetime.now(UTC)).total_seconds())
