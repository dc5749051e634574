"""Small drawn data sets laid out like the real ones: each person is a pair of colours with noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def draw(
    path: Path, person: int, seed: int, *, black: str | None = None, size: tuple[int, int] = (64, 128)
) -> Path:
    """One picture: a body in the person's two colours over a grey ground.

    Args:
        black: ``"bottom"`` or ``"left"``: that half is black.
        size: width and height, pixels.
    """
    colours = np.random.default_rng(1000 + person).integers(60, 256, (2, 3))
    width, height = size
    pixels = np.full((height, width, 3), 128.0)
    pixels[height // 8 : height // 2, width // 4 : -width // 4] = colours[0]
    pixels[height // 2 :, width // 4 : -width // 4] = colours[1]
    pixels += np.random.default_rng(seed).normal(0, 12, pixels.shape)
    if black == "bottom":
        pixels[height // 2 :] = 0
    elif black == "left":
        pixels[:, : width // 2] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return path


def draw_market1501(root: Path, people: int = 10, cameras: int = 2, per_camera: int = 2) -> Path:
    """``root/Market-1501-v15.09.15/bounding_box_train`` under the original names. Returns ``root``."""
    folder = root / "Market-1501-v15.09.15" / "bounding_box_train"
    for person in range(2, 2 + people):
        for camera in range(1, 1 + cameras):
            for shot in range(per_camera):
                name = f"{person:04d}_c{camera}s1_{shot:06d}_01.jpg"
                draw(folder / name, person, person * 100 + camera * 10 + shot)
    return root


def draw_partial_ilids(root: Path, people: int = 6) -> Path:
    """``root/Partial_iLIDS`` with every second probe black in its bottom half. Returns ``root``."""
    folder = root / "Partial_iLIDS"
    for person in range(1, 1 + people):
        black = "bottom" if person % 2 else None
        draw(folder / "Gallery" / f"{person}.jpg", person, person)
        draw(folder / "Probe" / f"{person}.jpg", person, 100 + person, black=black)
        draw(folder / "partial_iLIDS_Probe_nocrop" / f"{person:03d}.jpg", person, 200 + person, black=black)
    return root
