"""Pictures beside the page: each file once, however often the page shows it."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Final

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["COLOURS", "Album", "colour_bar", "heat", "overlay"]

COLOURS: Final = "viridis"
"""matplotlib's map of values to colours; its lightness rises evenly, also in grey print."""

_HEIGHT: Final = 256
"""Pictures are scaled down to this height, never up."""


class Album:
    """The folder ``pictures`` beside the page."""

    def __init__(self, folder: Path):
        """Open it under the page's own folder; nothing is created before the first picture comes."""
        self._folder = folder / "pictures"

    def add(self, picture: Image.Image) -> str:
        """Keep a picture, and tell its address relative to the page."""
        if picture.height > _HEIGHT:
            width = max(1, round(picture.width * _HEIGHT / picture.height))
            picture = picture.resize((width, _HEIGHT), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        picture.convert("RGB").save(file, "JPEG", quality=90)
        name = f"{hashlib.sha256(file.getvalue()).hexdigest()[:16]}.jpg"
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / name).write_bytes(file.getvalue())
        return f"{self._folder.name}/{name}"


def heat(
    values: npt.NDArray[np.floating], size: tuple[int, int], *, low: float = 0.0, high: float = 1.0
) -> Image.Image:
    """Values [h, w] as colours, from ``low`` to ``high``, scaled bilinearly to ``size`` (width, height)."""
    scaled = np.clip((values - low) / max(high - low, 1e-12), 0, 1).astype(np.float32)
    grey = np.asarray(Image.fromarray(scaled).resize(size, Image.Resampling.BILINEAR))
    return Image.fromarray((matplotlib.colormaps[COLOURS](grey)[:, :, :3] * 255).astype(np.uint8))


def overlay(picture: Image.Image, heat_map: Image.Image, strength: float = 0.55) -> Image.Image:
    """The heat map over the picture in grey, both of one size."""
    return Image.blend(picture.convert("L").convert("RGB"), heat_map, strength)


def colour_bar() -> Image.Image:
    """The map's colours from low, left, to high, right."""
    return heat(np.linspace(0, 1, 128, dtype=np.float32)[None], (256, 12))
