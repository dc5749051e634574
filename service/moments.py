"""Moments as they are written outside: RFC 3339, with an offset from UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

__all__ = ["Moment", "read_moment", "read_window", "window_fault", "written"]

_FORM: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})", re.ASCII | re.IGNORECASE
)
"""RFC 3339, section 5.6. pydantic alone also takes numbers, and guesses whether they are milliseconds."""


def _of_the_form(said: object) -> object:
    if not isinstance(said, str) or _FORM.fullmatch(said) is None:
        raise ValueError(
            "not a date and time of RFC 3339 with an offset, such as '2026-01-31T12:00:00Z' or "
            "'2026-01-31T13:00:00+01:00'"
        )
    return said


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("in UTC, this is before the year 1 or after the year 9999") from error


Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_of_the_form), AfterValidator(_in_utc)]
"""Read from a text of RFC 3339's form alone; aware, UTC."""


def read_moment(text: str) -> datetime:
    """A moment as people write it: RFC 3339, or shorter, and without an offset on this machine's clock.

    ``2026-11-20`` is that day's beginning, ``2026-11-20 08:30`` that minute's.

    Raises:
        ValueError: it is none of these.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo is not None else moment.astimezone()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{text!r} is no date or time, such as 2026-01-31, '2026-01-31 13:00' (on this machine's clock) "
            "or 2026-01-31T13:00:00+01:00"
        ) from error


def read_window(time_from: str | None, time_to: str | None) -> tuple[datetime | None, datetime | None]:
    """From when until before when, each as :func:`read_moment` has it, or open.

    Raises:
        ValueError: one is no moment, or nothing can lie between them.
    """
    start = None if time_from is None else read_moment(time_from)
    end = None if time_to is None else read_moment(time_to)
    if (fault := window_fault(start, end)) is not None:
        raise ValueError(fault)
    return start, end


def written(moment: datetime) -> str:
    """An aware moment in RFC 3339's form, which has no offsets with seconds (local mean times have)."""
    offset = moment.utcoffset()
    if offset is not None and offset.total_seconds() % 60:
        moment = moment.astimezone(UTC)
    return moment.isoformat()


def window_fault(time_from: datetime | None, time_to: datetime | None) -> str | None:
    """What is wrong with asking for what is from then until then, or None."""
    if time_from is None or time_to is None or time_from < time_to:
        return None
    return f"time_from ({written(time_from)}) must be before time_to ({written(time_to)})"
