"""Recipes from and to TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError

from training.recipe.overlay import overlay
from training.recipe.recipe import Recipe

__all__ = ["RecipeError", "dump_recipe", "load_recipe"]


class RecipeError(ValueError):
    """A recipe cannot be used; the message names the file, the key and what is wrong with it."""


def load_recipe(path: Path, changes: Sequence[str] = (), **overrides: Any) -> Recipe:
    """Read a recipe with all that it inherits.

    Args:
        path: the TOML file.
        changes: ``"table.key=value"``, laid over the file, the value as in TOML (a word without quotes
            is a string).
        overrides: top-level keys that win over the file's (None: not given).

    Raises:
        RecipeError: the file or a base is missing, is not TOML, inherits in a circle, or does not
            validate.
    """
    values = _merged(path.resolve(), ())
    for change in changes:
        values = overlay(values, _parsed(change))
    values.update({key: value for key, value in overrides.items() if value is not None})
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        lines = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'recipe'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise RecipeError(f"{path}: {lines}") from error


def _parsed(change: str) -> dict[str, Any]:
    """``"optimiser.rate=0.1"`` as nested tables."""
    key, equals, value = change.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"a change is written table.key=value, not {change!r}")
    for text in (f"{key} = {value}", f'{key} = "{value}"'):
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            continue
    raise RecipeError(f"a change is written table.key=value, not {change!r}")


def _merged(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """A recipe's tables laid over those of its base."""
    if path in seen:
        raise RecipeError(f"{path} inherits from itself: {' -> '.join(p.name for p in (*seen, path))}")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"no recipe at {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not TOML: {error}") from error
    base = values.pop("base", None)
    if base is None:
        return values
    return overlay(_merged((path.parent / str(base)).resolve(), (*seen, path)), values)


def dump_recipe(recipe: Recipe) -> str:
    """The whole recipe as TOML, after inheritance, so that it stands on its own.

    Of other systems' tables only what was inherited with other values than the defaults is kept.
    """
    values = recipe.model_dump(mode="json", exclude_none=True)
    own = recipe.system.replace("-", "_")
    for name in ("oamn", "aos", "aaa_net", "single_scale", "magnifiernet"):
        table = getattr(recipe, name)
        if name != own and table == type(table)():
            del values[name]
    return tomli_w.dumps(values)
