"""What a PNG of ours promises: the same pixels back, and bytes that no library's version changes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data.synthetic.png import write_png


@pytest.mark.parametrize("shape", [(5, 7), (128, 64), (300, 257)])
@pytest.mark.parametrize("kind", ["colour", "grey", "black and white"])
def test_pixels_come_back_as_written(tmp_path: Path, shape: tuple[int, int], kind: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    if kind != "colour":
        pixels = pixels[:, :, 0] if kind == "grey" else pixels[:, :, 0] > 127
    write_png(tmp_path / "x.png", pixels)
    with Image.open(tmp_path / "x.png") as image:
        image.verify()  # checks the checksums
    with Image.open(tmp_path / "x.png") as image:
        assert image.mode == {"colour": "RGB", "grey": "L", "black and white": "1"}[kind]
        assert np.array_equal(np.asarray(image), pixels)


def test_bytes_are_pinned(tmp_path: Path) -> None:
    write_png(tmp_path / "x.png", np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3))
    digest = hashlib.sha256((tmp_path / "x.png").read_bytes()).hexdigest()
    assert digest == "ca13b214d1b09bd432ccee0a81712c58e362ca29cd5076917e4217325f53a37a"


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8)]
)
def test_what_is_no_picture_is_refused(tmp_path: Path, pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8 or bool"):
        write_png(tmp_path / "x.png", pixels)
