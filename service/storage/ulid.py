"""Public ids: ULIDs, 26 characters, sortable by the time they were made."""

from __future__ import annotations

import re
import secrets
from typing import Final

from service.clock import now

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32

PATTERN: Final = re.compile(f"[0-7][{_ALPHABET}]{{25}}")


def new_ulid() -> str:
    """A new id: 48 bits of milliseconds since 1970, 80 random bits."""
    value = max(0, int(1000 * now().timestamp())) << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))
