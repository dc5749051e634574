"""How commands say what came out, and what is wrong."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from service.client import Occlusion

__all__ = ["as_written", "fail", "plain", "print_json", "said_compared", "said_grade", "said_moment"]


def fail(message: str, code: int = 1) -> NoReturn:
    """Say on standard error what is wrong, and end."""
    from service.terminal import messages

    messages().print(f"[bold red]penumbra:[/] {plain(message)}", soft_wrap=True)
    raise typer.Exit(code)


def plain(text: str) -> str:
    """Text that rich prints as it is."""
    from rich.markup import escape

    return escape(text)


def said_compared(compared: str) -> str:
    """What of two pictures was compared."""
    return "whole pictures" if compared == "none" else f"without {compared}"


def said_grade(occlusion: Occlusion) -> str:
    """What the grader finds hidden in a picture, and its scores where it has any."""
    if not occlusion.scores:  # the model has no grader; the caller may have said a type
        return "not graded" if occlusion.type == "none" else occlusion.type
    scores = ", ".join(f"{place} {score:.2f}" for place, score in occlusion.scores.items())
    return f"{occlusion.type} ({scores})"


def said_moment(moment: datetime | None) -> str:
    """A moment to the minute, by this machine's clock."""
    return "-" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M}"


def as_written(document: str) -> str:
    """JSON for standard output: where that is not in UTF-8, with what is not ASCII in JSON's own escapes."""
    if (sys.stdout.encoding or "").lower().replace("-", "") == "utf8":
        return document
    return "".join(one if one.isascii() else json.dumps(one)[1:-1] for one in document)


def print_json(document: Any) -> None:
    """Print what is for programs to read; moments in ISO 8601."""
    told = json.dumps(document, indent=2, ensure_ascii=False, default=_moment)
    sys.stdout.write(as_written(told) + "\n")


def _moment(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
