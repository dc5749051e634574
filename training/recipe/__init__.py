"""Recipes: TOML files that say how a model is made, checked whole before anything starts.

A recipe may name another as its ``base`` (a path relative to its own file) and then only says what
differs; tables are merged key by key. Unknown keys are errors. Each system has a table of its own, in
the file of its name here.
"""

from training.recipe.reading import RecipeError, dump_recipe, load_recipe
from training.recipe.recipe import STAGES, Recipe, StageTable
from training.recipe.tables import Losses, Optimiser, RealData, SyntheticData

__all__ = [
    "STAGES",
    "Losses",
    "Optimiser",
    "RealData",
    "Recipe",
    "RecipeError",
    "StageTable",
    "SyntheticData",
    "dump_recipe",
    "load_recipe",
]
