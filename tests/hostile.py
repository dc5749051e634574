"""Over two hundred files, meant ill or merely unlucky, each with the answers that are right for it."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, PngImagePlugin

from tests.drawings import encoded, person, png_of_zeros

GOOD = frozenset({200})
BROKEN = frozenset({422})
OTHER_FORMAT = frozenset({415})
TOO_LARGE = frozenset({413})
REFUSED = BROKEN | OTHER_FORMAT | TOO_LARGE
EITHER = GOOD | REFUSED


@dataclass(frozen=True)
class Hostile:
    """A file.

    Attributes:
        name: what is the matter with it.
        content: its bytes.
        allowed: HTTP statuses that are right for it, sent alone.
    """

    name: str
    content: bytes
    allowed: frozenset[int]


def hostile_files() -> Iterator[Hostile]:
    """All of them, the same ones each time."""
    yield from _truncated()
    yield from _flipped()
    yield from _unusual_but_good()
    yield from _orientations()
    yield from _other_formats()
    yield from _bombs()
    yield from _polyglots()
    yield from _lying_headers()
    yield from _rubbish()


def _jpeg_markers(content: bytes) -> list[int]:
    """Where each marker of a JPEG begins, up to the pixels."""
    places, at = [0], 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        places.append(at)
        if content[at + 1] == 0xDA:
            break
        at += 2 + int.from_bytes(content[at + 2 : at + 4])
    return places


def _png_chunks(content: bytes) -> list[int]:
    """Where each chunk of a PNG begins."""
    places, at = [], 8
    while at + 8 <= len(content):
        places.append(at)
        at += 12 + int.from_bytes(content[at : at + 4])
    return places


def _truncated() -> Iterator[Hostile]:
    """Cut at every marker or chunk, within its head, and at every tenth of the file."""
    picture = person(1)
    makers = {
        "jpeg": encoded(picture, "JPEG", quality=90),
        "progressive jpeg": encoded(picture, "JPEG", quality=90, progressive=True),
        "png": encoded(picture, "PNG"),
        "webp": encoded(picture, "WEBP"),
        "bmp": encoded(picture, "BMP"),
        "tiff": encoded(picture, "TIFF"),
    }
    for kind, content in makers.items():
        places = {len(content) * tenth // 10 for tenth in range(1, 10)}
        if "jpeg" in kind:
            places |= {at + more for at in _jpeg_markers(content) for more in (0, 1, 3)}
        if kind == "png":
            places |= {at + more for at in _png_chunks(content) for more in (0, 4, 9)}
        for place in sorted(places - {0}):
            # A TIFF's or a BMP's last bytes, a PNG's end or a JPEG's may be missed by no decoder.
            late = place > len(content) * 0.85
            yield Hostile(f"{kind} cut at byte {place}", content[:place], EITHER if late else REFUSED)
    yield Hostile("no bytes", b"", BROKEN)


def _flipped() -> Iterator[Hostile]:
    """One byte changed somewhere: the picture may or may not be readable, nothing may break."""
    random = np.random.default_rng(7)
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP"):
        content = encoded(person(2), kind)
        for place in sorted(random.choice(len(content), 8, replace=False)):
            changed = bytearray(content)
            changed[place] ^= 0xFF
            yield Hostile(f"{kind.lower()} with byte {place} inverted", bytes(changed), EITHER)


def _unusual_but_good() -> Iterator[Hostile]:
    picture = person(3)
    for mode in ("1", "L", "P", "RGB", "RGBA", "LA"):
        yield Hostile(f"png of mode {mode}", encoded(picture.convert(mode), "PNG"), GOOD)
    for mode in ("L", "RGB", "CMYK"):
        yield Hostile(f"jpeg of mode {mode}", encoded(picture.convert(mode), "JPEG"), GOOD)
        yield Hostile(f"tiff of mode {mode}", encoded(picture.convert(mode), "TIFF"), GOOD)
    inverted = encoded(picture.convert("CMYK"), "JPEG")
    adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x02"
    yield Hostile("Adobe's inverted CMYK jpeg", inverted[:2] + adobe + inverted[2:], GOOD)
    grey = np.full((64, 32), 0x8040, dtype=np.uint16)
    yield Hostile("png of 16 bits", encoded(Image.fromarray(grey), "PNG"), GOOD)
    yield Hostile("tiff of 16 bits", encoded(Image.fromarray(grey), "TIFF"), GOOD)
    floats = Image.fromarray(np.full((64, 32), 0.5, dtype=np.float32))
    yield Hostile("tiff of floating-point pixels", encoded(floats, "TIFF"), OTHER_FORMAT)
    yield Hostile("tiff of 32-bit integers", encoded(picture.convert("I"), "TIFF"), OTHER_FORMAT)
    frames = [person(4), person(5), person(6)]
    for kind in ("WEBP", "PNG", "TIFF"):
        moving = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        yield Hostile(f"{kind.lower()} of three pictures", moving, GOOD)
    yield Hostile("interlaced-free 1 x 1 png", encoded(Image.new("RGB", (1, 1)), "PNG"), GOOD)
    yield Hostile("4000 x 1 png", encoded(Image.new("RGB", (4000, 1)), "PNG"), GOOD)
    yield Hostile("1 x 4000 png", encoded(Image.new("RGB", (1, 4000)), "PNG"), GOOD)
    yield Hostile("jpeg with 64 kB of remarks", encoded(picture, "JPEG", comment=b"x" * 65000), GOOD)
    yield Hostile("jpeg followed by rubbish", encoded(picture, "JPEG") + b"\0" * 10_000, GOOD)
    yield Hostile("png followed by rubbish", encoded(picture, "PNG") + b"<html>", GOOD)
    yield Hostile("wholly transparent png", encoded(Image.new("RGBA", (32, 64)), "PNG"), GOOD)
    yield Hostile("jpeg with a broken colour profile", encoded(picture, "JPEG", icc_profile=b"x" * 500), GOOD)
    for compression in ("tiff_lzw", "tiff_deflate", "packbits"):
        yield Hostile(f"tiff, {compression}", encoded(picture, "TIFF", compression=compression), GOOD)


def _orientations() -> Iterator[Hostile]:
    for value in (*range(10), 255, 65535):
        exif = Image.Exif()
        exif[0x0112] = value
        for kind in ("JPEG", "PNG", "WEBP"):
            yield Hostile(
                f"{kind.lower()} with orientation {value}", encoded(person(8), kind, exif=exif), GOOD
            )
    broken = encoded(person(8), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 200)
    yield Hostile("jpeg with impossible exif", broken, EITHER)


def _other_formats() -> Iterator[Hostile]:
    picture = person(9)
    for kind in ("GIF", "ICO", "PPM", "TGA", "PCX", "SGI", "EPS", "PDF", "JPEG2000", "DDS", "ICNS"):
        try:
            content = encoded(picture, kind)
        except (KeyError, OSError):
            continue  # this Pillow cannot write it
        yield Hostile(f"a {kind} file", content, BROKEN | OTHER_FORMAT)
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    yield Hostile("svg", svg, OTHER_FORMAT)
    entity = b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    yield Hostile("svg with an external entity", entity + svg, OTHER_FORMAT)
    for name, head in {
        "avif": b"\0\0\0\x20ftypavif",
        "heic": b"\0\0\0\x18ftypheic",
        "mp4": b"\0\0\0\x18ftypisom",
        "jpeg xl": b"\xff\x0a",
        "photoshop": b"8BPS\0\x01",
    }.items():
        yield Hostile(f"{name} by its head", head + b"\0" * 100, OTHER_FORMAT)


def _bombs() -> Iterator[Hostile]:
    yield Hostile("png of 20,000 x 20,000 pixels in 50 kB", png_of_zeros(20_000, 20_000), TOO_LARGE)
    header = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)
    huge = _png((b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b""))
    yield Hostile("png that announces 2^62 pixels", huge, REFUSED)
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "A" * 60_000_000, zip=True)
    yield Hostile("png with 60 MB of compressed text", encoded(person(1), "PNG", pnginfo=text), EITHER)
    bmp = bytearray(encoded(person(1), "BMP"))
    bmp[18:26] = struct.pack("<ii", 60_000, 60_000)
    yield Hostile("bmp that announces 60,000 x 60,000 pixels", bytes(bmp), TOO_LARGE)
    jpeg = bytearray(encoded(person(1), "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 65_500, 65_500)
    yield Hostile("jpeg that announces 65,500 x 65,500 pixels", bytes(jpeg), TOO_LARGE)


def _png(*chunks: tuple[bytes, bytes]) -> bytes:
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        content += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return content


def _polyglots() -> Iterator[Hostile]:
    picture = person(10)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("evil.html", "<script>alert(1)</script>")
    yield Hostile("jpeg that is a zip as well", encoded(picture, "JPEG") + archive.getvalue(), GOOD)
    yield Hostile("png that is a zip as well", encoded(picture, "PNG") + archive.getvalue(), GOOD)
    script = encoded(picture, "JPEG", comment=b"*/=alert(1);/*")
    yield Hostile("jpeg that is a script as well", script, GOOD)
    yield Hostile("gif that is a script as well", b"GIF89a/*" + b"\0" * 20 + b"*/=1;", OTHER_FORMAT)
    yield Hostile("html with a jpeg's name", b"<html><body>hello</body></html>", BROKEN)
    yield Hostile("pdf that holds a jpeg", b"%PDF-1.4\n" + encoded(picture, "JPEG"), OTHER_FORMAT)
    yield Hostile("zip", archive.getvalue(), BROKEN)
    yield Hostile("gzipped png", gzip.compress(encoded(picture, "PNG"), mtime=0), BROKEN)
    yield Hostile("zip that begins as a png", b"\x89PNG\r\n\x1a\n" + archive.getvalue(), BROKEN)


def _lying_headers() -> Iterator[Hostile]:
    """The header promises what the pixels do not hold."""
    pixels = zlib.compress(b"\0" * 10)
    for name, size, bits, colour in (
        ("no width", (0, 10), 8, 2),
        ("no height", (10, 0), 8, 2),
        ("3 bits a channel", (10, 10), 3, 2),
        ("a colour type that there is not", (10, 10), 8, 9),
        ("more rows than it holds", (64, 128), 8, 2),
        ("a palette but none follows", (10, 10), 8, 3),
    ):
        header = struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, 0)
        content = _png((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
        yield Hostile(f"png with {name}", content, BROKEN | OTHER_FORMAT)
    good = encoded(person(11), "PNG")
    second = _png_chunks(good)[1]
    yield Hostile("png with a wrong check sum", good[: second - 4] + b"\0\0\0\0" + good[second:], BROKEN)
    yield Hostile(
        "png with a chunk longer than the file",
        good[:second] + struct.pack(">I", 2**31 - 1) + good[second + 4 :],
        EITHER,
    )
    not_zlib = _png(
        (b"IHDR", struct.pack(">IIBBBBB", 10, 10, 8, 2, 0, 0, 0)), (b"IDAT", b"not zlib"), (b"IEND", b"")
    )
    yield Hostile("png whose pixels are not compressed", not_zlib, BROKEN)
    tiff = bytearray(encoded(person(11), "TIFF"))
    tiff[4:8] = struct.pack("<I", 8)
    yield Hostile("tiff whose directory points at itself", bytes(tiff), EITHER)
    tiff[4:8] = struct.pack("<I", 2**32 - 1)
    yield Hostile("tiff whose directory is outside of it", bytes(tiff), BROKEN)
    webp = bytearray(encoded(person(11), "WEBP"))
    webp[4:8] = struct.pack("<I", 2**32 - 1)
    yield Hostile("webp longer than it is", bytes(webp), EITHER)
    jpeg = encoded(person(11), "JPEG")
    yield Hostile("jpeg without tables", jpeg[:2] + jpeg[jpeg.index(b"\xff\xc0") :], REFUSED)
    yield Hostile("two starts of a jpeg", b"\xff\xd8" * 500 + jpeg, EITHER)


def _rubbish() -> Iterator[Hostile]:
    random = np.random.default_rng(11)
    heads = {
        "nothing": b"",
        "a jpeg's head": b"\xff\xd8\xff\xe0",
        "a png's head": b"\x89PNG\r\n\x1a\n",
        "a webp's head": b"RIFF\x10\0\0\0WEBPVP8 ",
        "a bmp's head": b"BM",
        "a tiff's head": b"II*\0",
    }
    for name, head in heads.items():
        for size in (1, 30, 5000):
            yield Hostile(f"{size} random bytes after {name}", head + random.bytes(size), REFUSED)
    yield Hostile("zeros", b"\0" * 100_000, BROKEN)
    yield Hostile("text", b"not a picture at all\n" * 50, BROKEN)
