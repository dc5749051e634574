"""A recipe's pictures in memory, and batches of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from training.data.sampler import IdentitySampler
from training.data.store import PictureStore, decode_pictures, draw_pictures
from training.data.transforms import augment
from training.evaluation import protocols
from training.recipe import Recipe, SyntheticData
from training.systems import build_stages
from training.systems.stage import Batch, Stage

__all__ = ["assemble_batch", "check", "load_training_data", "sampler_of"]


def load_training_data(
    recipe: Recipe, root: Path | None, *, quiet: bool = False, acknowledge_withdrawn: bool = False
) -> tuple[PictureStore, list[str]]:
    """All of a recipe's pictures in memory, and a line on each data set.

    Raises:
        ValueError: the recipe names real data and no root is given.
        OSError: a folder or file is missing.
    """
    parts, lines = [], []
    height, width = recipe.model.height, recipe.model.width
    for entry in recipe.data:
        if isinstance(entry, SyntheticData):
            part = draw_pictures(
                entry.people,
                entry.cameras,
                entry.per_camera,
                seed=entry.seed,
                occluded=entry.occluded,
                height=height,
                width=width,
                quiet=quiet,
            )
            what = f"synthetic pedestrians, seed {entry.seed}"
        else:
            if root is None:
                raise ValueError(
                    f"the recipe trains on {entry.protocol}: say where the data lies with --root"
                )
            protocol = protocols.load(entry.protocol, root, acknowledge_withdrawn=acknowledge_withdrawn)
            part = decode_pictures(protocol.train, height, width, quiet=quiet)
            what = f"{entry.protocol}, training half"
        parts.append(part)
        lines.append(f"{what}: {len(part[0])} pictures of {len(np.unique(part[1]))} people")
    return PictureStore.of(parts), lines


def check(recipe: Recipe, root: Path | None, *, acknowledge_withdrawn: bool = False) -> list[str]:
    """Load a recipe's data and make its batches without training; a line on each data set and stage.

    Raises:
        ValueError, OSError: as ``fit`` would.
    """
    store, lines = load_training_data(recipe, root, acknowledge_withdrawn=acknowledge_withdrawn)
    for name in recipe.stage_names:
        here = recipe.at(name)
        batches = len(sampler_of(here, store))
        size = f"{here.sampling.people} × {here.sampling.pictures}"
        lines.append(f"stage {name}: {here.epochs} epochs of {batches} batches of {size}")
    return lines


def sampler_of(recipe: Recipe, store: PictureStore) -> IdentitySampler:
    """The batches of a recipe (as it stands in a stage).

    Raises:
        ValueError: there are too few people, or one has a single picture.
    """
    sampling = recipe.sampling
    return IdentitySampler(store.identities.numpy(), sampling.people, sampling.pictures, recipe.seed)


def assemble_batch(
    build_stages(recipe)
    store: PictureStore, rows: torch.Tensor, recipe: Recipe, stage: Stage, step: int = 0
) -> Batch:
    """Gather, cover as the stage wants, and augment the batch of a step on the store's device.

    Random numbers come from the default generator.
    """
    how = recipe.augmentation
    covered = stage.cover(store.pictures[rows], rows)
    shown = augment(covered, how.flip, how.pad, how.partial, how.colour)
    others = torch.randint(0, len(store.pictures), (len(rows),), device=rows.device)
    return Batch(shown, store.identities[rows], store.pictures[others], rows, step=step)
