"""The report's maps: attention, activation averaged over the queries, sensitivity to a sliding mask."""

from __future__ import annotations

from collections.abc import Sequence
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
from training.evaluation.report.sensitivity import Probability, Prototypes, sensitivity

__all__ = ["MapRow", "ModelMaps", "Shown", "classifier_maps", "evenly", "model_maps"]

SHOWN = 8
"""Queries whose maps are shown."""

AVERAGED = 512
"""Queries averaged over, evenly chosen where there are more."""

_SIZE = (128, 256)


@dataclass(frozen=True, slots=True)
class Shown:
    """A map, with the picture that it is of; addresses relative to the page.

    Attributes:
        picture: None where the map stands alone.
        caption: least and greatest value, or what it is.
    """

    picture: str | None
    map: str
    caption: str


@dataclass(frozen=True, slots=True)
class MapRow:
    """Maps in a row."""

    title: str
    shown: list[Shown]


@dataclass(frozen=True, slots=True)
class ModelMaps:
    """What one model shows.

    Attributes:
        averages: mean maps over the queries.
        attention, sensitivity: of single queries; None where there is none.
        notes: what cannot be shown, and why.
    """

    model: str
    averages: MapRow
    attention: MapRow | None
    sensitivity: MapRow | None
    notes: list[str]


def evenly(things: Sequence[Picture], number: int) -> list[Picture]:
    """At most ``number`` of them, evenly chosen."""
    places = np.linspace(0, len(things) - 1, min(number, len(things))).astype(int)
    return [things[place] for place in places.tolist()]


def model_maps(
    path: Path,
    embedder: Embedder,
    protocol: Protocol,
    found: Sequence[Picture],
    album: Album,
    advance: Advance | None = None,
) -> ModelMaps:
    """All maps of one bundle or checkpoint.

    Args:
        found: queries whose sensitivity is shown; a query that is not found has nothing to lose.

    Raises:
        ValueError, OSError: a picture or the model cannot be read.
    """
    inside = Inside.open(path)
    notes = []
    attention = None
    if inside.has_attention:
        shown = evenly(protocol.query, SHOWN)
        maps = inside.attention(read_pixels(shown, inside.height, inside.width), advance)
        over = [_over(picture, values, album) for picture, values in zip(shown, maps, strict=True)]
        attention = MapRow(f"{embedder.name}: attention", over)
    else:
        notes.append("has no spatial attention")
    everyone = evenly(protocol.query, AVERAGED)
    averages = _averages(inside, read_pixels(everyone, inside.height, inside.width), album, advance)
    if not inside.has_feature_map:
        notes.append("pools over no feature map, so that no activation can be shown")
    classes = Prototypes(embedder, protocol, advance)
    beside = [
        _beside(picture, classes.probability(picture), embedder.height, embedder.width, album)
        for picture in evenly(found, SHOWN)
    ]
    return ModelMaps(
        embedder.name,
        MapRow(f"{embedder.name}: mean over {len(everyone)} queries", averages),
        attention,
        MapRow(embedder.name, beside) if beside else None,
        notes,
    )


def classifier_maps(
    name: str, path: Path, root: Path, album: Album, *, acknowledge_withdrawn: bool
) -> MapRow:
    """Sensitivity of a checkpoint's classifier on pictures that it was trained on, as AOS fig. 3 has it.

    Raises:
        ValueError, OSError: there is no classifier to ask, or its training pictures are not under ``root``.
    """
    from training.evaluation.report.classifier import TrainedPeople

    trained = TrainedPeople(path, root, acknowledge_withdrawn=acknowledge_withdrawn)
    beside = [
        _beside(picture, trained.probability(picture), trained.height, trained.width, album)
        for picture in evenly(trained.pictures, SHOWN)
    ]
    return MapRow(f"{name}, its classifier on people of {trained.protocol} that it was trained on", beside)


def _averages(
    inside: Inside, pixels: npt.NDArray[np.uint8], album: Album, advance: Advance | None
) -> list[Shown]:
    picture = Image.fromarray(pixels.mean(axis=0).astype(np.uint8)).resize(_SIZE)
    averages = [Shown(None, album.add(picture), "mean picture")]
    if inside.has_feature_map:
        maps = inside.activation(pixels, advance)
        for values, caption in zip(maps, ("mean activation", "its deviation between pictures"), strict=True):
            stretched = heat(values, _SIZE, low=float(values.min()), high=float(values.max()))
            averages.append(Shown(None, album.add(stretched), f"{caption}, {_range(values)}"))
    if inside.has_attention:
        mean = inside.attention(pixels, advance).mean(axis=0)
        averages.append(Shown(None, album.add(heat(mean, _SIZE)), f"mean attention, {_range(mean)}"))
    return averages


def _over(picture: Picture, values: npt.NDArray[np.floating], album: Album) -> Shown:
    """A map over the picture in grey, the picture beside it."""
    shown = read_picture(picture).resize(_SIZE)
    return Shown(album.add(shown), album.add(overlay(shown, heat(values, _SIZE))), _range(values))


def _beside(picture: Picture, probability: Probability, height: int, width: int, album: Album) -> Shown:
    """A picture and its sensitivity."""
    read = read_picture(picture)
    values = sensitivity(fit_picture(read, height, width), probability)
    return Shown(album.add(read.resize(_SIZE)), album.add(heat(values, _SIZE)), _range(values))


def _range(values: npt.NDArray[np.floating]) -> str:
    return f"{values.min():.2f} to {values.max():.2f}"
