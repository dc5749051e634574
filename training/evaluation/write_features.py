"""`penumbra-train features`: a model's features of a protocol as a folder that `evaluate` reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console

from models import occlusion
from training.data.records import Picture
from training.evaluation import protocols
from training.evaluation.command import progress_bar
from training.evaluation.feature_folder import About, FeatureSide, SideName, write
from training.evaluation.features import Advance, Embedder, embed, read_pixels
from training.evaluation.results import labels, open_model

__all__ = ["command", "embed_side"]


def command(
    model: Path,
    out: Path,
    dataset: str,
    root: Path,
    *,
    every_code: bool,
    train: bool,
    device: str,
    quiet: bool,
    acknowledge_withdrawn: bool = False,
) -> None:
    """Embed a protocol and write the folder.

    Args:
        every_code: features under all nine codes, [n, 9, D], so that unification can be evaluated.
        train: the training half too, so that XQDA and KISSME can be fitted.

    Raises:
        ValueError, OSError: model or data set cannot be read, or the folder holds features already.
    """
    protocol = protocols.load(dataset, root, acknowledge_withdrawn=acknowledge_withdrawn)
    if train and not protocol.train:
        raise ValueError(f"{dataset} has no training half")
    if (out / "query.npy").exists():
        raise FileExistsError(f"{out} holds features already")
    embedder = open_model(model, device)
    sides: dict[SideName, FeatureSide] = {}
    with progress_bar(f"{embedder.name} on {dataset}", quiet=quiet) as advance:
        sides["query"] = embed_side(embedder, protocol.query, every_code=every_code, advance=advance)
        sides["gallery"] = embed_side(embedder, protocol.gallery, every_code=every_code, advance=advance)
        if train:
            sides["train"] = embed_side(embedder, protocol.train, every_code=False, advance=advance)
    quarter, half = embedder.thresholds
    about = About(
        name=embedder.name,
        fingerprint=embedder.fingerprint,
        dataset=protocol.name,
        camera_rule=protocol.camera_rule,
        note=protocol.note,
        quarter_threshold=quarter,
        half_threshold=half,
    )
    write(out, about, sides)
    if not quiet:
        Console(stderr=True).print(f"features: {out}", soft_wrap=True)


def embed_side(
    embedder: Embedder, pictures: Sequence[Picture], *, every_code: bool, advance: Advance | None = None
) -> FeatureSide:
    """Features of some pictures, float32 [n, D] or [n, 9, D], with their labels and grades."""
    pixels = read_pixels(pictures, embedder.height, embedder.width)
    count = occlusion.COUNT if every_code else 1
    source = np.repeat(np.arange(len(pixels)), count)
    codes = np.tile(np.arange(count), len(pixels))
    found = embed(embedder, pixels, source, codes, advance)
    stored: npt.NDArray[np.float32] = found.embeddings
    if every_code:
        stored = stored.reshape(len(pixels), count, embedder.dimension)
    # The grade is that of the picture as it is: code 0 comes first of each.
    grades = None if found.grades is None else found.grades[::count]
    return FeatureSide(stored, *labels(pictures), grades)
