"""A recipe's pictures in memory, and batches of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from training.data.part_prior import draw_prior
from training.data.records import Picture
from training.data.sampler import IdentitySampler
from training.data.store import Decoded, PictureStore, decode_pictures, draw_pictures, read_part_labels
from training.data.transforms import augment_labelled
from training.evaluation import protocols
from training.recipe import RealData, Recipe, SyntheticData
from training.systems import build_stages
from training.systems.stage import Batch, Stage

__all__ = ["assemble_batch", "check", "load_training_data", "sampler_of"]


def load_training_data(
    recipe: Recipe, root: Path | None, *, quiet: bool = False, acknowledge_withdrawn: bool = False
) -> tuple[PictureStore, list[str]]:
    """All of a recipe's pictures in memory, and a line on each data set.

    Raises:
        ValueError: the recipe names real data and no root is given, or a body-part label map is missing, has
            another size than its picture or an unknown label.
        OSError: a folder or file is missing.
    """
    sets: list[Decoded] = []
    lines = []
    height, width = recipe.model.height, recipe.model.width
    for entry in recipe.data:
        if isinstance(entry, SyntheticData):
            decoded = draw_pictures(
                entry.people,
                entry.cameras,
                entry.per_camera,
                seed=entry.seed,
                occluded=entry.occluded,
                height=height,
                width=width,
                parts=recipe.needs_parts,
                quiet=quiet,
            )
            what = f"synthetic pedestrians, seed {entry.seed}"
        else:
            if root is None:
                raise ValueError(
                    f"the recipe trains on {entry.protocol}: say where the data lies with --root"
                )
            protocol = protocols.load(entry.protocol, root, acknowledge_withdrawn=acknowledge_withdrawn)
            parts = _parts(entry, protocol.train, root, recipe, quiet) if recipe.needs_parts else None
            decoded = decode_pictures(protocol.train, height, width, quiet=quiet)._replace(parts=parts)
            what = f"{entry.protocol}, training half"
        sets.append(decoded)
        people = len(np.unique(decoded.persons))
        lines.append(f"{what}: {len(decoded.pictures)} pictures of {people} people")
    return PictureStore.of(sets), lines


def _parts(
    entry: RealData, pictures: tuple[Picture, ...], root: Path, recipe: Recipe, quiet: bool
) -> npt.NDArray[np.uint8]:
    """Body-part labels of real pictures, from where the recipe says: uint8 [N, H, W]."""
    height, width = recipe.model.height, recipe.model.width
    assert entry.parts is not None  # the recipe was checked
    if entry.parts == "prior":
        return np.broadcast_to(draw_prior(height, width), (len(pictures), height, width))
    maps = entry.parts
    return read_part_labels(pictures, root, Path(maps.folder), maps.labels, height, width, quiet=quiet)


def check(recipe: Recipe, root: Path | None, *, acknowledge_withdrawn: bool = False) -> list[str]:
    """Load a recipe's data and make its batches without training; a line on each data set and stage.

    Raises:
        ValueError, OSError: as ``fit`` would.
    """
    build_stages(recipe)
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
    store: PictureStore, rows: torch.Tensor, recipe: Recipe, stage: Stage, step: int = 0
) -> Batch:
    """Gather, cover as the stage wants, and augment the batch of a step on the store's device.

    Random numbers come from the default generator.
    """
    how = recipe.augmentation
    covered = stage.cover(store.pictures[rows], rows)
    labels = None if store.parts is None else store.parts[rows]
    shown, labels = augment_labelled(covered, labels, how.flip, how.pad, how.partial, how.colour)
    others = torch.randint(0, len(store.pictures), (len(rows),), device=rows.device)
    return Batch(shown, store.identities[rows], store.pictures[others], rows, labels, step)
