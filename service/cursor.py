"""Cursors of pages: where the page before ended, opaque to callers."""

from __future__ import annotations

import base64
import binascii

from service.problems import BadRequest


def cursor_after(last: str) -> str:
    """The cursor of the page that goes on after ``last``."""
    return base64.urlsafe_b64encode(last.encode()).decode().rstrip("=")


def last_before(cursor: str) -> str:
    """What :func:`cursor_after` was given.

    Raises:
        BadRequest: no page gave this cursor.
    """
    try:
        last = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise _foreign() from error
    if "\0" in last:  # PostgreSQL cannot even look for it
        raise _foreign()
    return last


def number_before(cursor: str) -> int:
    """The number that :func:`cursor_after` was given as text.

    Raises:
        BadRequest: no page gave this cursor.
    """
    number = last_before(cursor)
    if not number.isascii() or not number.isdigit() or len(number) > 18:
        raise _foreign()
    return int(number)


def _foreign() -> BadRequest:
    return BadRequest("the cursor is none that a page gave")
