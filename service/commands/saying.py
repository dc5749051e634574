"""How commands say what came out, and what is wrong."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any, NoReturn

import typer

__all__ = ["fail", "plain", "print_json"]


def fail(message: str, code: int = 1) -> NoReturn:
    """Say on standard error what is wrong, and end."""
    from service.terminal import messages

    messages().print(f"[bold red]penumbra:[/] {plain(message)}", soft_wrap=True)
    raise typer.Exit(code)


def plain(text: str) -> str:
    """Text that rich prints as it is."""
    from rich.markup import escape

    return escape(text)


def print_json(document: Any) -> None:
    """Print what is for programs to read; moments in ISO 8601."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False, default=_moment)
    sys.stdout.write("\n")


def _moment(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
