"""Groups of commands: how their help is set, and what they suggest to who mistyped."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import sys
from typing import Any, Final

from typer.core import TyperGroup

__all__ = ["IRREVERSIBLE", "CommandGroup", "set_to_any_width"]

IRREVERSIBLE: Final = frozenset({"delete", "erase", "revoke"})


class CommandGroup(TyperGroup):
    """Commands whose help fits any terminal; who mistypes one is not led to what cannot be undone."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        for command in self.commands.values():
            command.help = set_to_any_width(command.help)

    def main(self, *args: Any, **given: Any) -> Any:
        """As the base class's; what the machine refuses, such as a full disk, is told in one line."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # names that a terminal's letters do not have
        try:
            try:
                return super().main(*args, **given)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()  # at the program's end nobody could tell
        except OSError as error:
            _let_go_of_output()
            if not isinstance(error, BrokenPipeError):  # whose reader has enough
                print(f"penumbra: {error}", file=sys.stderr)
            sys.exit(1)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As the base class's, which suggests what is written alike among ``commands`` as they are then."""
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        every = self.commands
        self.commands = {name: one for name, one in every.items() if name not in IRREVERSIBLE}
        try:
            return super().resolve_command(ctx, args)
        finally:
            self.commands = every


def _let_go_of_output() -> None:
    """What is not written stays so: Python would try again at its end, and tell of it."""
    with contextlib.suppress(OSError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def set_to_any_width(told: str | None) -> str | None:
    """A docstring as typer shows it well, which breaks lines where the source does and drops indents.

    A paragraph becomes one line, for the terminal to break; an example keeps its lines and their indent.
    """
    if told is None:
        return None
    paragraphs = inspect.cleandoc(told).split("\n\n")
    return "\n\n".join(
        "\n".join(f"[dim]  [/]{line[2:]}" for line in paragraph.split("\n"))
        if paragraph.startswith("  ")
        else " ".join(paragraph.split("\n"))
        for paragraph in paragraphs
    )
