"""PNG files whose bytes are the same on every machine.

What a deflate encoder makes of the same pixels differs between zlib, zlib-ng and their versions, so the
pixels are stored, not compressed: larger than Pillow's files, and quicker to write.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["write_png"]

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_LONGEST: Final = 65535  # bytes in a stored block of deflate
_GREY, _RGB = 0, 2


def write_png(path: Path, pixels: npt.NDArray[Any]) -> None:
    """Write pixels without loss.

    Args:
        path: the file.
        pixels: uint8 [H, W, 3] for a colour picture, uint8 [H, W] for grey values or codes, bool [H, W] for
            black (false) and white, one bit each.

    Raises:
        ValueError: pixels of another shape or type.
    """
    if pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8:
        depth, colour = 8, _RGB
    elif pixels.ndim == 2 and pixels.dtype == np.uint8:
        depth, colour = 8, _GREY
    elif pixels.ndim == 2 and pixels.dtype == np.bool_:
        depth, colour = 1, _GREY
    else:
        raise ValueError(f"pixels must be uint8 or bool, not {pixels.dtype} {list(pixels.shape)}")
    height, width = pixels.shape[:2]
    lines = (np.packbits(pixels, axis=1) if depth == 1 else pixels).reshape(height, -1)
    scanlines = np.zeros((height, 1 + lines.shape[1]), dtype=np.uint8)  # each begins with "no filter"
    scanlines[:, 1:] = lines
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    content = _chunk(b"IHDR", header) + _chunk(b"IDAT", _stored(scanlines.tobytes())) + _chunk(b"IEND", b"")
    path.write_bytes(_SIGNATURE + content)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _stored(data: bytes) -> bytes:
    """A zlib stream (RFC 1950) of stored blocks (RFC 1951, 3.2.4)."""
    blocks = [b"\x78\x01"]
    for start in range(0, len(data), _LONGEST):
        block = data[start : start + _LONGEST]
        last = start + _LONGEST >= len(data)
        blocks.append(struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block)
    return b"".join(blocks) + struct.pack(">I", zlib.adler32(data))
