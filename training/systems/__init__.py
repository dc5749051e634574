"""The systems: one file per method, each with its network and its training step."""

from __future__ import annotations

from training.recipe import Recipe
from training.systems.baseline import BaselineSystem
from training.systems.oamn import OAMNSystem
from training.systems.step import System

__all__ = ["System", "build_system"]


def build_system(recipe: Recipe) -> System:
    """The system that a recipe names."""
    return OAMNSystem(recipe) if recipe.system == "oamn" else BaselineSystem(recipe)
