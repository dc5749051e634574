"""The systems: one file per method, each with its stages."""

from __future__ import annotations

from training.recipe import Recipe
from training.systems.aaa_net import AdversarialStage, AssignmentStage
from training.systems.aos import AOSBaselineStage, AOSRetrainStage
from training.systems.baseline import BaselineStage
from training.systems.grader import GraderStage
from training.systems.magnifiernet import MagnifierNetStage
from training.systems.oamn import OAMNStage
from training.systems.single_scale import SingleScaleStage
from training.systems.stage import Stage

__all__ = ["Stage", "build_stage", "build_stages"]


def build_stages(recipe: Recipe) -> tuple[Stage, ...]:
    """The stages that a run by this recipe goes through, in order."""
    return tuple(build_stage(recipe, name) for name in recipe.stage_names)


def build_stage(recipe: Recipe, name: str) -> Stage:
    """One stage by its name.

    Raises:
        ValueError: the recipe has no such stage.
    """
    if name not in recipe.stage_names:
        raise ValueError(
            f"the recipe {recipe.name} has no stage {name!r}, but {', '.join(recipe.stage_names)}"
        )
    here = recipe.at(name)
    if name == "grader":
        return GraderStage(here, build_stage(recipe, recipe.stage_names[-2]))
    match recipe.system:
        case "baseline":
            return BaselineStage(here)
        case "oamn":
            return OAMNStage(here)
        case "aos" if name == "baseline":
            return AOSBaselineStage(here)
        case "aos":
            return AOSRetrainStage(here)
        case "aaa-net" if name == "baseline":
            return BaselineStage(here)
        case "aaa-net" if name == "assignment":
            return AssignmentStage(here)
        case "aaa-net":
            return AdversarialStage(here)
        case "magnifiernet":
            return MagnifierNetStage(here, name)
        case "single-scale":
            return SingleScaleStage(here)
        case other:
            raise ValueError(f"the system {other} is not built yet")
