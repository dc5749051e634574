"""What own metadata says, member by member, in a form that any database compares alike.

A *fact* is a hash of gallery, key and value. So a query's ``metadata`` is a look-up in an index, whatever
JSON functions the database has, of values as long as they like; 5 and 5.0 are one number, true and 1 are two
values. Only a member that is a string, a number or a boolean is a fact: what is nested is kept, and cannot be
asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

__all__ = ["Scalar", "facts_of"]

Scalar: TypeAlias = str | int | float | bool
"""A value that can be asked for. A float is finite."""

_SCALARS: Final = (str, int, float)  # a bool is an int


def facts_of(gallery: int, metadata: Mapping[str, Any]) -> list[str]:
    """A fact, 64 hex digits, for each member that can be asked for; none twice.

    Args:
        gallery: number; equal members of two galleries are different facts.
        metadata: as JSON holds it.
    """
    return [
        hashlib.sha256(json.dumps([gallery, key, _plain(value)]).encode()).hexdigest()
        for key, value in metadata.items()
        if isinstance(value, _SCALARS)
    ]


def _plain(value: Scalar) -> Scalar:
    return int(value) if isinstance(value, float) and value.is_integer() else value
