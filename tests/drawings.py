"""Pictures that tests draw: people as fields of colour, and files that are meant ill."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

from models import occlusion


def person(number: int, view: int = 0, hidden: int = 0) -> Image.Image:
    """A person as 8 × 4 fields of colour, 128 × 64 pixels.

    Args:
        number: who.
        view: which picture of them; views differ by noise.
        hidden: occlusion code of what is painted black.
    """
    fields = np.random.default_rng(number).integers(70, 246, (8, 4, 3))
    pixels = fields.repeat(16, axis=0).repeat(16, axis=1)
    pixels = pixels + np.random.default_rng((number, view)).integers(-10, 10, pixels.shape)
    top, left, bottom, right = occlusion.rectangle(hidden, 128, 64)
    pixels[top:bottom, left:right] = 0
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """A picture's file."""
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def png_of_zeros(width: int, height: int) -> bytes:
    """A real, complete PNG of one colour: 1 bit a pixel and well compressed, however large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = zlib.compress(bytes((1 + (width + 7) // 8) * height), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def truncated_jpeg() -> bytes:
    """The first half of a JPEG."""
    content = encoded(person(1), "JPEG", quality=95)
    return content[: len(content) // 2]
