"""Cursors of pages: where the page before ended, for nobody to read, and for that list alone.

A place is a number of the catalog, which tells how many pictures all galleries have had, or a name. So it
is encrypted, and tied to the list, the gallery and the filter: one of another list would begin anywhere.
The encryption is deterministic (a synthetic initialisation vector, as RFC 5297 has it): the tag over the
place begins the key stream. HMAC-SHA-256 is both, under a key for each list, derived from a secret of the
catalog's, so that a cursor outlives the service.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Final

from service.problems import BadRequest

__all__ = ["Cursors", "ListCursors"]

_TAG_BYTES: Final = 16
_BLOCK: Final = 32

_LONGEST: Final = 2000
"""Characters; a place is a name, of at most 256 characters, or a number."""


class Cursors:
    """The cursors of one catalog, by its secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def of(self, name: str, *about: object) -> ListCursors:
        """Those of one list.

        Args:
            about: what else makes it this list, e.g. gallery and filter; told apart by ``repr``.
        """
        return ListCursors(_hmac(self._secret, repr((name, *about)).encode()))


class ListCursors:
    """The cursors of one list."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def after(self, last: str | int) -> str:
        """The cursor of the page that goes on after this name or number."""
        # all numbers of one length: it would say how large they are
        place = (f"{last:019d}" if isinstance(last, int) else last).encode()
        tag = self._tag(place)
        return base64.urlsafe_b64encode(tag + self._masked(place, tag)).decode().rstrip("=")

    def name_before(self, cursor: str | None) -> str:
        """The name that :meth:`after` was given; without a cursor one before all names.

        Raises:
            BadRequest: no page of this list gave this cursor.
        """
        return "" if cursor is None else self._place(cursor).decode()

    def number_before(self, cursor: str | None) -> int:
        """The number that :meth:`after` was given; without a cursor one before all numbers.

        Raises:
            BadRequest: no page of this list gave this cursor.
        """
        return 0 if cursor is None else int(self._place(cursor))

    def _place(self, cursor: str) -> bytes:
        try:
            sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            sealed = b""
        tag = sealed[:_TAG_BYTES]
        if len(tag) == _TAG_BYTES and len(cursor) <= _LONGEST:
            place = self._masked(sealed[_TAG_BYTES:], tag)
            if hmac.compare_digest(tag, self._tag(place)):
                return place
        raise BadRequest("the cursor is none that a page gave: of this list, gallery and filter")

    def _tag(self, place: bytes) -> bytes:
        return _hmac(self._key, b"tag\0" + place)[:_TAG_BYTES]

    def _masked(self, content: bytes, tag: bytes) -> bytes:
        blocks = range(-(-len(content) // _BLOCK))
        stream = b"".join(_hmac(self._key, b"stream\0" + tag + block.to_bytes(4)) for block in blocks)
        return bytes(one ^ other for one, other in zip(content, stream, strict=False))


def _hmac(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")
