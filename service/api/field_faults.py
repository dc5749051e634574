"""What validation found wrong with a request, field by field, in words for whoever sent it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, Field

from service.api.schemas.strict import GALLERY_NAME, WORDS

__all__ = ["FieldFault", "field_faults", "said", "told"]

_OURS: Final = {"value_error": "Value error, ", "assertion_error": "Assertion failed, "}
"""What pydantic writes before the words of this service's own checks, by its name for them."""

_PATTERNS: Final = {
    WORDS: "Must be 1 to 256 characters, none of them a control character",
    GALLERY_NAME: "Must be 1 to 64 lower-case letters, digits, '.', '_' or '-', the first a letter or digit",
}


_MOST_TOLD: Final = 1000
"""Of a list without a limit each item may be at fault."""


class FieldFault(BaseModel):
    """One field of a request that does not validate."""

    field: str = Field(description="Where, e.g. `items[3].person` or `top_k`.", examples=["items[0].person"])
    message: str = Field(description="What is wrong with it.", examples=["Field required"])


def field_faults(errors: Iterable[Mapping[str, Any]], within: tuple[int | str, ...] = ()) -> list[FieldFault]:
    """The faults that pydantic, or FastAPI in its form, found.

    Args:
        errors: as ``errors()`` of either's exception gives them.
        within: where the validated value itself lies in the request.
    """
    return [FieldFault(field=_name((*within, *error["loc"])), message=_message(error)) for error in errors]


def said(faults: Sequence[FieldFault], most: int | None = None) -> str:
    """Faults as one text; one of the whole has no field to name.

    Args:
        faults: at least one.
        most: how many are told one by one.
    """
    texts = [f"{fault.field}: {fault.message}" if fault.field else fault.message for fault in faults[:most]]
    more = len(faults) - len(texts)
    return "; ".join(texts) + (f" (and {more} more)" if more else "")


def told(faults: Sequence[FieldFault]) -> list[dict[str, str]]:
    """Faults as a problem's ``errors``, up to :data:`_MOST_TOLD`."""
    return [fault.model_dump() for fault in faults[:_MOST_TOLD]]


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
