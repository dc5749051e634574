"""What validation found wrong with a request, field by field, in words for whoever sent it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, Field

from service.api.schemas.strict import GALLERY_NAME, WORDS
from service.problems import BadRequest

__all__ = ["FieldFault", "refuse_crowds", "told"]

_OURS: Final = {"value_error": "Value error, ", "assertion_error": "Assertion failed, "}
"""What pydantic writes before the words of this service's own checks, by its name for them."""

_PATTERNS: Final = {
    WORDS: "Must be 1 to 256 characters, none of them a control character",
    GALLERY_NAME: "Must be 1 to 64 lower-case letters, digits, '.', '_' or '-', the first a letter or digit",
}


_MOST_SAID: Final = 10
_MOST_TOLD: Final = 1000

_SMALL: Final = 16 * 1024
_MOST_VALUES: Final = 10_000
_DEPTH: Final = 3
"""How deep values lie that may be at fault: `items[3].metadata.shift`; deeper is the caller's own."""


class FieldFault(BaseModel):
    """One field of a request that does not validate."""

    field: str = Field(description="Where, e.g. `items[3].person` or `top_k`.", examples=["items[0].person"])
    message: str = Field(description="What is wrong with it.", examples=["Field required"])


def told(
    errors: Sequence[Mapping[str, Any]], within: tuple[int | str, ...] = ()
) -> tuple[str, list[dict[str, str]]]:
    """What pydantic, or FastAPI in its form, found, as a problem's ``detail`` and ``errors``.

    Of many the first :data:`_MOST_SAID` are said in the one, and :data:`_MOST_TOLD` told in the other.

    Args:
        errors: as ``errors()`` of either's exception gives them; at least one.
        within: where the validated value itself lies in the request.
    """
    faults = [
        FieldFault(field=_name((*within, *error["loc"])), message=_message(error))
        for error in errors[:_MOST_TOLD]
    ]
    texts = [
        f"{fault.field}: {fault.message}" if fault.field else fault.message  # one of the whole has no field
        for fault in faults[:_MOST_SAID]
    ]
    more = len(errors) - len(texts)
    said = "; ".join(texts) + (f" (and {more} more)" if more else "")
    return said, [fault.model_dump() for fault in faults]


def refuse_crowds(text: str | bytes, where: str) -> None:
    """Refuse JSON of more values than anything here has, each of which may be at fault.

    pydantic finds all faults there are: of a list of a million numbers a million, a gigabyte of them.

    Args:
        text: JSON, or not, which is for others to say.
        where: what to call it.

    Raises:
        BadRequest: it has more than :data:`_MOST_VALUES` values.
    """
    if len(text) <= _SMALL:
        return
    try:
        level = [json.loads(text, object_pairs_hook=_values)]
    except (ValueError, RecursionError):
        return
    left = _MOST_VALUES
    for _ in range(_DEPTH):
        within = [value for value in level if isinstance(value, list)]
        left -= sum(map(len, within))
        if left < 0:
            raise BadRequest(f"{where} has more than {_MOST_VALUES} values.")
        level = [one for value in within for one in value]


def _values(members: list[tuple[str, Any]]) -> list[Any]:
    """Of an object, also those of a name that comes again."""
    return [value for _, value in members]


def _name(location: tuple[int | str, ...]) -> str:
    """``("items", 3, "person")`` as ``items[3].person``."""
    name = ""
    for part in location:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] == "string_pattern_mismatch" and error["ctx"]["pattern"] in _PATTERNS:
        return _PATTERNS[error["ctx"]["pattern"]]
    return str(error["msg"]).removeprefix(_OURS.get(error["type"], ""))
