"""The report's maps: attention, activation averaged over the queries, sensitivity to a sliding mask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.bundle import fit_picture
from training.data.records import Picture, Protocol
from training.evaluation.features import Advance, Embedder, read_pixels
from training.evaluation.occluders import read_picture
from training.evaluation.report.album import Album, heat, overlay
from training.evaluation.report.inside import Inside
from training.evaluation.report.sensitivity import Prototypes, sensitivity

__all__ = ["MapRow", "ModelMaps", "classifier_maps", "model_maps", "queries_to_show"]

SHOWN = 8
"""Queries whose maps are shown."""

AVERAGED = 512
"""Queries averaged over, evenly chosen where there are more."""

_SIZE = (128, 256)


@dataclass(frozen=True, slots=True)
class MapRow:
    """Pictures in a row: (address, caption) each."""

    title: str
    pictures: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ModelMaps:
    """What one model shows.

    Attributes:
        attention, sensitivity: a picture and what is seen over it, in turn; None where there is none.
        averages: mean maps over the queries.
        notes: what cannot be shown, and why.
    """

    model: str
    attention: MapRow | None
    sensitivity: MapRow | None
    averages: MapRow
    notes: list[str]


def queries_to_show(protocol: Protocol, number: int = SHOWN) -> list[int]:
    """Some queries, evenly over the protocol."""
    places = np.linspace(0, len(protocol.query) - 1, min(number, len(protocol.query)))
    return [int(place) for place in np.unique(places.astype(int))]


def model_maps(
    path: Path, embedder: Embedder, protocol: Protocol, album: Album, advance: Advance | None = None
) -> ModelMaps:
    """All maps of one bundle or checkpoint.

    Raises:
        ValueError, OSError: a picture or the model cannot be read.
    """
    inside = Inside.open(path)
    shown = [protocol.query[place] for place in queries_to_show(protocol)]
    notes = []
    attention = None
    if inside.has_attention:
        maps = inside.attention(read_pixels(shown, inside.height, inside.width), advance)
        pairs = [
            pair
            for picture, values in zip(shown, maps, strict=True)
            for pair in _over(picture, values, album)
        ]
        attention = MapRow(embedder.name, pairs)
    else:
        notes.append("has no spatial attention")
    everyone = [protocol.query[place] for place in queries_to_show(protocol, AVERAGED)]
    pixels = read_pixels(everyone, inside.height, inside.width)
    averages = [
        (album.add(Image.fromarray(pixels.mean(axis=0).astype(np.uint8)).resize(_SIZE)), "mean picture")
    ]
    if inside.has_feature_map:
        mean = inside.activation(pixels, advance).mean(axis=0)
        caption = "mean activation"
        averages.append(
            (album.add(heat(mean, _SIZE, low=float(mean.min()), high=float(mean.max()))), caption)
        )
    else:
        notes.append("pools over no feature map, so that no activation can be shown")
    if inside.has_attention:
        mean = inside.attention(pixels, advance).mean(axis=0)
        caption = f"mean attention, {mean.min():.2f} to {mean.max():.2f}"
        averages.append((album.add(heat(mean, _SIZE)), caption))
    classes = Prototypes(embedder, protocol, advance)
    pairs = []
    for picture in shown:
        try:
            probability = classes.probability(picture)
        except ValueError:
            continue  # a query without a match has no true person to be sensitive about
        fitted = fit_picture(read_picture(picture), embedder.height, embedder.width)
        pairs += _beside(picture, sensitivity(fitted, probability), album)
    return ModelMaps(
        embedder.name,
        attention,
        MapRow(embedder.name, pairs) if pairs else None,
        MapRow(f"{embedder.name}, over {len(everyone)} queries", averages),
        notes,
    )


def classifier_maps(
    name: str, path: Path, root: Path, album: Album, *, acknowledge_withdrawn: bool, number: int = SHOWN
) -> MapRow:
    """Sensitivity of a checkpoint's classifier on pictures that it was trained on, as AOS fig. 3 has it.

    Raises:
        ValueError, OSError: there is no classifier to ask, or its training pictures are not under ``root``.
    """
    from training.evaluation.report.classifier import TrainedPeople

    trained = TrainedPeople(path, root, acknowledge_withdrawn=acknowledge_withdrawn)
    places = np.linspace(0, len(trained.pictures) - 1, min(number, len(trained.pictures))).astype(int)
    pairs = []
    for place in places.tolist():
        picture = trained.pictures[place]
        fitted = fit_picture(read_picture(picture), trained.height, trained.width)
        pairs += _beside(picture, sensitivity(fitted, trained.probability(picture)), album)
    return MapRow(f"{name}, its classifier on people of {trained.protocol} that it was trained on", pairs)


def _over(picture: Picture, values: npt.NDArray[np.floating], album: Album) -> list[tuple[str, str]]:
    shown = read_picture(picture).resize(_SIZE)
    caption = f"{values.min():.2f} to {values.max():.2f}"
    return [
        (album.add(shown), f"camera {picture.camera}"),
        (album.add(overlay(shown, heat(values, _SIZE))), caption),
    ]


def _beside(picture: Picture, values: npt.NDArray[np.floating], album: Album) -> list[tuple[str, str]]:
    shown = read_picture(picture).resize(_SIZE)
    return [
        (album.add(shown), f"camera {picture.camera}"),
        (album.add(heat(values, _SIZE)), f"{values.min():.2f} to {values.max():.2f}"),
    ]
