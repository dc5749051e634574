"""Checkpoints: everything a run needs to go on, and a network to be evaluated or exported."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from training.recipe import Recipe

__all__ = ["Checkpoint", "load_checkpoint", "load_network", "save_checkpoint", "start_from"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A run's state after a number of steps.

    Attributes:
        recipe: whole, after inheritance.
        identities: training identities of the network's classifier.
        stage: the stage of the recipe that was being trained.
        step: optimiser steps of that stage done.
        network, optimiser: state dicts.
        record: the run record so far (data, durations, losses), JSON-like.
    """

    recipe: Recipe
    identities: int
    stage: str
    step: int
    network: dict[str, Any]
    optimiser: dict[str, Any]
    record: dict[str, Any]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the file is whole or the old one, whenever the process dies."""
    content = {
        "recipe": checkpoint.recipe.model_dump(mode="json"),
        "identities": checkpoint.identities,
        "stage": checkpoint.stage,
        "step": checkpoint.step,
        "network": checkpoint.network,
        "optimiser": checkpoint.optimiser,
        "record": checkpoint.record,
    }
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint onto the CPU.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is no checkpoint of this program.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return Checkpoint(
            Recipe.model_validate(content["recipe"]),
            content["identities"],
            content["stage"],
            content["step"],
            content["network"],
            content["optimiser"],
            content["record"],
        )
    except FileNotFoundError:
        raise
    except Exception as error:  # torch.load raises many undocumented types for a bad file
        raise ValueError(f"{path} is not a checkpoint written by `penumbra-train fit`: {error}") from error


def load_network(path: Path) -> tuple[nn.Module, Checkpoint]:
    """The trained network of a checkpoint, in evaluation mode on the CPU, and the checkpoint."""
    from training.systems import build_stage

    checkpoint = load_checkpoint(path)
    network = build_stage(checkpoint.recipe, checkpoint.stage).network(checkpoint.identities)
    network.load_state_dict(checkpoint.network)
    return network.eval(), checkpoint


def start_from(network: nn.Module, path: Path) -> list[str]:
    """Take over from another run's checkpoint every weight of the same name and shape.

    The classifier is not taken over, even where it fits: its rows mean other identities.

    Returns:
        Names of the network's own weights that start fresh.

    Raises:
        ValueError: the backbones do not fit, or the file is no checkpoint.
    """
    loaded = load_checkpoint(path).network
    own = network.state_dict()
    taken = {
        name: value
        for name, value in loaded.items()
        if name in own and own[name].shape == value.shape and "classifier" not in name
    }
    missing = [name for name in own if name.startswith("backbone.") and name not in taken]
    if missing:
        raise ValueError(f"{path} has another backbone: {missing[0]} and {len(missing) - 1} more do not fit")
    network.load_state_dict({**own, **taken})
    return [name for name in own if name not in taken]
