"""From a picture file's bytes to the pixels the model takes, with every fault named.

Nothing here trusts the sender: the size is read from the header before a pixel is decoded, only the
decoders of the accepted formats are ever tried, and whatever those raise on a damaged file becomes a
:class:`~service.problems.PictureError`.
"""

from __future__ import annotations

import sys
import warnings
from io import BytesIO
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from models.bundle import fit_picture
from service.embedding.box import Box
from service.problems import (
    BoxOutside,
    BrokenPicture,
    EmptyPicture,
    NotAPicture,
    PictureTooLarge,
    UnsupportedFormat,
)

FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
"""Accepted, by Pillow's names. Of animations and pages, the first is taken."""

UNSEEN_COLOUR: Final = (124, 116, 104)
"""What shows through transparent pixels: the mean colour of ImageNet, which normalises to about zero,
the value that the models know as hidden."""

_TWELVE_OR_SIXTEEN_BITS: Final = ("I;16", "I;16L", "I;16B", "I;16N")
_EIGHT_BITS: Final = ("1", "L", "P", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LA", "PA", "La", "RGBa")

# Pictures that people do send in other formats: how the file begins, from which byte on.
_OTHER_FORMATS: Final = (
    ("GIF", 0, b"GIF8"),
    ("HEIC", 4, b"ftyphei"),
    ("HEIC", 4, b"ftyphev"),
    ("HEIF", 4, b"ftypmif1"),
    ("AVIF", 4, b"ftypavi"),
    ("JPEG 2000", 0, b"\x00\x00\x00\x0cjP  "),
    ("JPEG 2000", 0, b"\xff\x4f\xff\x51"),
    ("JPEG XL", 0, b"\xff\x0a"),
    ("JPEG XL", 0, b"\x00\x00\x00\x0cJXL "),
    ("Photoshop", 0, b"8BPS"),
    ("icon", 0, b"\x00\x00\x01\x00"),
    ("PDF", 0, b"%PDF"),
    ("PostScript", 0, b"%!PS"),
    ("video", 4, b"ftyp"),
)

_SVG_WITHIN: Final = 1024
"""Bytes: an XML declaration, a document type and remarks may come before the drawing itself."""

# The limit below is stricter than the size at which Pillow only warns.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def decode(
    content: bytes, height: int, width: int, max_pixels: int, box: Box | None = None
) -> npt.NDArray[np.uint8]:
    """The picture as ``images`` of the bundle takes it.

    Args:
        height, width: what to resize to, pixels.
        content, max_pixels, box: as for :func:`read_picture`, which also says what is raised.

    Returns:
        uint8 [height, width, 3], RGB.
    """
    return fit_picture(read_picture(content, max_pixels, box), height, width)


def read_picture(content: bytes, max_pixels: int, box: Box | None = None) -> Image.Image:
    """The picture in RGB, turned upright by its EXIF orientation, of its own size.

    Args:
        content: the file's bytes.
        max_pixels: most pixels the picture itself may have.
        box: which part of the upright picture is meant; the whole unless given.

    Raises:
        EmptyPicture: no bytes.
        NotAPicture: no picture format known here.
        UnsupportedFormat: a picture, but of a format or pixel type that is not accepted.
        PictureTooLarge: more pixels than ``max_pixels``; found in the header, nothing is decoded.
        BrokenPicture: truncated or damaged.
        BoxOutside: the box is not wholly within the picture.
    """
    with _opened(content, max_pixels) as picture:
        if picture.width * picture.height > max_pixels:
            raise PictureTooLarge(
                f"The picture is {picture.width} x {picture.height} = {picture.width * picture.height} "
                f"pixels; at most {max_pixels} are accepted. Send it smaller, or cut the person out."
            )
        if picture.mode not in _EIGHT_BITS and picture.mode not in _TWELVE_OR_SIXTEEN_BITS:
            raise UnsupportedFormat(
                f"The {picture.format} picture has pixels of type {picture.mode}; accepted are 8 or 16 bits "
                "a channel in grey, RGB, CMYK or a palette."
            )
        kind = picture.format
        try:
            picture.load()
            upright = ImageOps.exif_transpose(picture)
            if box is not None:
                upright = box.cut(upright)
            return _without_alpha(_eight_bits(upright)).convert("RGB")
        except (MemoryError, BoxOutside):
            raise
        except Exception as error:  # as above, now for damaged pixels
            raise BrokenPicture(f"The {kind} picture is truncated or damaged: {error}") from error


def _opened(content: bytes, max_pixels: int) -> Image.Image:
    """The picture's header read, and no pixel decoded; to be closed."""
    if not content:
        raise EmptyPicture("The picture has no bytes: send the file's content.")
    try:
        return Image.open(BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise PictureTooLarge(
            f"The picture's header announces more pixels than any picture may have here; "
            f"at most {max_pixels} are accepted. ({error})"
        ) from error
    except UnidentifiedImageError as error:
        raise _unidentified(content) from error
    except MemoryError:
        raise
    except Exception as error:  # each of Pillow's formats raises types of its own on a damaged header
        raise BrokenPicture(f"The picture's header is damaged: {error}") from error


def media_type(content: bytes) -> str:
    """The media type of a picture's file, by its header alone, e.g. ``image/jpeg``.

    Raises:
        EmptyPicture, NotAPicture, UnsupportedFormat, PictureTooLarge, BrokenPicture: as :func:`read_picture`.
    """
    with _opened(content, sys.maxsize) as picture:
        return Image.MIME[str(picture.format)]


def _unidentified(content: bytes) -> NotAPicture | UnsupportedFormat | BrokenPicture:
    """Which fault it is when none of the accepted formats' decoders knows the file."""
    accepted = ", ".join(FORMATS)
    if (
        content.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))
        or content[:4] + content[8:12] == b"RIFFWEBP"
    ):
        return BrokenPicture("The file begins as a picture, but its header is truncated or damaged.")
    for name, start, magic in _OTHER_FORMATS:
        if content.startswith(magic, start):
            return UnsupportedFormat(f"The file is of the format {name}; accepted are {accepted}.")
    if b"<svg" in content[:_SVG_WITHIN]:
        return UnsupportedFormat(f"The file is of the format SVG; accepted are {accepted}.")
    return NotAPicture(f"The {len(content)} bytes are no picture; accepted are {accepted}.")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """16-bit grey to 8 bits by its upper byte; Pillow's own conversion would clip to white."""
    if picture.mode not in _TWELVE_OR_SIXTEEN_BITS:
        return picture
    return Image.fromarray((np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8))


def _without_alpha(picture: Image.Image) -> Image.Image:
    """Lay a picture that has transparent pixels on :data:`UNSEEN_COLOUR`; leave any other as it is."""
    if not picture.has_transparency_data:
        return picture
    layered = picture.convert("RGBA")
    least = layered.getchannel("A").getextrema()[0]
    if least == 255:
        return layered.convert("RGB")
    ground = Image.new("RGBA", layered.size, (*UNSEEN_COLOUR, 255))
    return Image.alpha_composite(ground, layered).convert("RGB")
