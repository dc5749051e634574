"""Groups of commands that lead nobody who mistyped to what cannot be undone."""

from __future__ import annotations

from typing import Any, Final

from typer.core import TyperGroup

__all__ = ["IRREVERSIBLE", "CarefulGroup"]

IRREVERSIBLE: Final = frozenset({"delete", "erase", "revoke"})


class CarefulGroup(TyperGroup):
    """Suggests for an unknown command what is written alike, but nothing that erases."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As the base class's: it compares with whatever is in ``commands`` then."""
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        every = self.commands
        self.commands = {name: one for name, one in every.items() if name not in IRREVERSIBLE}
        try:
            return super().resolve_command(ctx, args)
        finally:
            self.commands = every
