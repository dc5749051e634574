"""A small copy of a picture, for lists and pages that show many."""

from __future__ import annotations

import sys
from io import BytesIO
from typing import Final

from PIL import Image

from service.embedding.decode import read_picture

__all__ = ["THUMBNAIL_SIZE", "THUMBNAIL_TYPE", "make_thumbnail"]

THUMBNAIL_SIZE: Final = (128, 256)
"""Most width and height, pixels: a person upright, with twice the sides of Market-1501's pictures."""

THUMBNAIL_TYPE: Final = "image/jpeg"

_QUALITY: Final = 85


def make_thumbnail(content: bytes) -> bytes:
    """A JPEG of a picture that was enrolled, in its proportions and upright; a small picture keeps its size.

    Nothing else of the file comes along: no place, camera or preview that a camera wrote into it.

    Raises:
        PictureError: it cannot be read, see :func:`service.embedding.decode.read_picture`.
    """
    picture = read_picture(content, sys.maxsize)  # its size was looked at when it was enrolled
    picture.thumbnail(THUMBNAIL_SIZE, Image.Resampling.LANCZOS)
    file = BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY, exif=b"", icc_profile=None)
    return file.getvalue()
