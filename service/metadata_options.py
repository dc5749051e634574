"""Own metadata as the commands take it: ``--metadata shift=night --metadata gate:=4``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

__all__ = ["MetadataError", "read_metadata"]


class MetadataError(ValueError):
    """An option is no member of metadata. The message says what was expected."""


def read_metadata(options: Iterable[str]) -> dict[str, str | int | float | bool]:
    """The members that options state: ``key=text``, or ``key:=value`` for a number, ``true`` or ``false``.

    Raises:
        MetadataError: one of them states none, or a key comes twice.
    """
    told: dict[str, str | int | float | bool] = {}
    for option in options:
        key, equals, text = option.partition("=")
        value: object = text
        if key.endswith(":"):
            key = key[:-1]
            try:
                value = json.loads(text)
            except json.JSONDecodeError:
                value = None
        unknown = isinstance(value, float) and not math.isfinite(value)  # JSON has no such numbers
        if not key or not equals or unknown or not isinstance(value, str | int | float):
            raise MetadataError(f"--metadata is key=text or key:=number, not {option!r}")
        if key in told:
            raise MetadataError(f"--metadata says {key!r} twice")
        told[key] = value
    return told
