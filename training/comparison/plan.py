"""A comparison as a file: which runs, by which recipes, from which start, held against which baseline.

::

    recipes = "../../recipes/light"       # relative to the plan
    start = "pretrain"                    # trained first; every run starts from its weights

    [[runs]]
    recipe = "baseline"

    [[runs]]
    recipe = "aos"
    baseline = "baseline"
    stages_from = "baseline"              # the stages before start_at are that run's
    start_at = "retrain"

    [[runs]]
    name = "aos-random"
    recipe = "aos"
    variant = "masks at random positions"
    baseline = "baseline"
    changes = ["aos.strategy=random"]
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from training.recipe import Recipe, load_recipe
from training.recipe.tables import Table

__all__ = ["Plan", "PlannedRun", "load_plan"]


class PlannedRun(Table):
    """One run of a plan.

    Attributes:
        recipe: file name without its ending, in the plan's folder of recipes.
        name: in the plan, and of the model; left out: the recipe's file name.
        baseline: name of the run that it is held against; empty for a baseline.
        variant: what differs from the system as its paper has it, for the table.
        changes: of the recipe, as ``--set`` takes them.
        stages_from, start_at: stages before ``start_at`` are taken over from that run.
        seeds: a run for each; left out: the plan's.
    """

    recipe: str
    name: str = ""
    baseline: str = ""
    variant: str = ""
    changes: tuple[str, ...] = ()
    stages_from: str = ""
    start_at: str | None = None
    seeds: tuple[int, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        if isinstance(values, dict) and "name" not in values and "recipe" in values:
            return {**values, "name": values["recipe"]}
        return values

    @model_validator(mode="after")
    def _stages_and_where(self) -> Self:
        if bool(self.stages_from) != (self.start_at is not None):
            raise ValueError(f"{self.name}: stages_from and start_at go together")
        return self


class Plan(Table):
    """A comparison.

    Attributes:
        recipes: folder of the recipes; :func:`load_plan` makes it absolute.
        suffix: of every model's name, so that records of several plans can stand in one folder.
        start: recipe of the run whose weights all others start from; empty: they start as their recipes do.
        seeds: each run is made once for each; all but the first get ``-seedN`` behind their names.
        runs: in their order; what a run refers to stands before it.
    """

    recipes: Path
    suffix: str = ""
    start: str = ""
    seeds: tuple[int, ...] = Field(default=(1,), min_length=1)
    runs: tuple[PlannedRun, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        seen: set[str] = set()
        for run in self.runs:
            if run.name in seen:
                raise ValueError(f"two runs are called {run.name}")
            for other in (run.baseline, run.stages_from):
                if other and other not in seen:
                    raise ValueError(f"{run.name} refers to {other}, which is not before it")
            seen.add(run.name)
        return self

    def seeds_of(self, run: PlannedRun) -> tuple[int, ...]:
        """The seeds that a run is made with."""
        return run.seeds or self.seeds

    def model(self, name: str, seed: int) -> str:
        """The model's name of the run of that name: also its folder's and its record's."""
        return f"{name}{self.suffix}" + (f"-seed{seed}" if seed != self.seeds[0] else "")

    def recipe(self, run: PlannedRun, seed: int) -> Recipe:
        """The recipe of a run, under the model's name.

        Raises:
            RecipeError: it is not there, or does not validate.
        """
        name = self.model(run.name, seed)
        return load_recipe(self.recipes / f"{run.recipe}.toml", run.changes, name=name, seed=seed)

    def starting(self) -> Recipe | None:
        """The recipe that all others start from, if there is one."""
        if not self.start:
            return None
        return load_recipe(self.recipes / f"{self.start}.toml")


def load_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        ValueError: it is no TOML, a key is unknown, or a run refers to one that is not before it.
        OSError: the file cannot be read.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        plan = Plan.model_validate(values)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        raise ValueError(f"{path} is no plan: {error}") from error
    return plan.model_copy(update={"recipes": (path.resolve().parent / plan.recipes).resolve()})
