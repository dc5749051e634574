"""A person's place in a full frame, and what of the frame is kept of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

from service.problems import BoxOutside


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of an upright frame, in whole pixels from its upper left corner.

    Attributes:
        x, y: upper left corner of the rectangle, at least 0.
        width, height: at least 1.
    """

    x: int
    y: int
    width: int
    height: int

    def cut(self, frame: Image.Image) -> Image.Image:
        """The rectangle as a picture of its own.

        Raises:
            BoxOutside: it is not wholly within the frame.
        """
        right, bottom = self.x + self.width, self.y + self.height
        if min(self.x, self.y) < 0 or min(self.width, self.height) < 1:
            raise BoxOutside(f"The box {self} needs a corner at 0 or more and a size of 1 or more.")
        if right > frame.width or bottom > frame.height:
            raise BoxOutside(
                f"The box {self} ends at {right} x {bottom}, outside of the upright picture, which is "
                f"{frame.width} x {frame.height} pixels."
            )
        return frame.crop((self.x, self.y, right, bottom))

    def digest(self, frame_digest: str) -> str:
        """Names what is seen through the box: SHA-256 of the frame's own digest and the four numbers."""
        return hashlib.sha256(f"{frame_digest} {self}".encode()).hexdigest()

    def __str__(self) -> str:
        return f"[{self.x}, {self.y}, {self.width}, {self.height}]"


def cut_file(content: bytes, box: Box) -> bytes:
    """The box's part of a picture's file, as a PNG: of a frame that is kept, nobody else in it is kept.

    Raises:
        BoxOutside: see :meth:`Box.cut`. The picture itself is one that was decoded before.
    """
    with Image.open(BytesIO(content)) as frame:
        part = box.cut(ImageOps.exif_transpose(frame))
        if part.mode.startswith("I;16"):
            # as PNG has them; Pillow would make RGB of big-endian ones, and all of it white
            part = Image.fromarray(np.asarray(part).astype(np.uint16))
        elif part.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
            part = part.convert("RGB")  # what else PNG cannot hold
        file = BytesIO()
        part.save(file, "PNG", icc_profile=None)
        return file.getvalue()
