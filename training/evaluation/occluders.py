"""Occluders for queries: the protocol ``market1501-val-occluded``. No torch.

Each query is covered by a patch cut from a corner of another person's picture, scaled onto one of the eight
occlusion types (OAMN §3.1: area 2 to 20 % of the picture, ratio of height to width 0.3 to 3.3, any of the
four corners). Place, area and patch are drawn from a generator seeded by the picture's name and a fixed
number, so that they depend neither on the process nor on which other pictures are read.

``market1501-val-blank`` has the same rectangles without the patches: something is missing there, and nothing
else is seen in its place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from models import occlusion
from training.data.records import Occluder, Picture

__all__ = ["AREAS", "BLANK", "RATIOS", "SEED", "blank", "cover", "draw", "read_picture"]

SEED: Final = 20210
AREAS: Final = (0.02, 0.2)
"""Range of the patch's area, as a part of the picture that it is cut from (OAMN §3.1)."""
RATIOS: Final = (0.3, 3.3)
"""Range of the patch's height over its width (OAMN §3.1)."""


BLANK: Final = (124, 116, 104)
"""ImageNet's mean colour, by which unification and AOS hide (``models.networks.normalisation``)."""


def cover(queries: Sequence[Picture], donors: Sequence[Picture], seed: int = SEED) -> tuple[Picture, ...]:
    """Give each query an occluder, cut from a donor that shows somebody else.

    Args:
        queries: pictures to cover; their order does not matter to what each one gets.
        donors: pictures to cut patches from; sorted by name here, so their order does not matter either.
        seed: of the whole protocol.

    Returns:
        The queries in their order, each with its occluder.

    Raises:
        ValueError: a query has no donor of another person.
    """
    ordered = sorted(donors, key=lambda picture: picture.path.name)
    return tuple(replace(query, occluder=_occluder(query, ordered, seed)) for query in queries)


def blank(covered: Sequence[Picture]) -> tuple[Picture, ...]:
    """Covered pictures with the mean colour in place of their patches."""
    return tuple(
        replace(picture, occluder=picture.occluder and Occluder(picture.occluder.code)) for picture in covered
    )


def _occluder(query: Picture, donors: Sequence[Picture], seed: int) -> Occluder:
    digest = hashlib.sha256(f"{seed}/{query.path.name}".encode()).digest()
    generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))
    if all(donor.person == query.person for donor in donors):
        raise ValueError(f"no picture of another person to cut an occluder for {query.path.name} from")
    code = int(generator.integers(1, occlusion.COUNT))
    donor = donors[int(generator.integers(len(donors)))]
    while donor.person == query.person:
        donor = donors[int(generator.integers(len(donors)))]
    return Occluder(code, donor.path, _corner(generator, _size_of(donor.path)))


def _corner(generator: np.random.Generator, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """A patch in a corner (OAMN §3.1), in fractions: p_h² = a·r and p_w² = a/r, a in pixels of the picture.

    The paper does not say what happens to a patch taller or wider than the picture: it is cut off there.
    """
    width, height = size
    area = generator.uniform(*AREAS) * height * width
    ratio = generator.uniform(*RATIOS)
    part_h = min(float(np.sqrt(area * ratio)) / height, 1.0)
    part_w = min(float(np.sqrt(area / ratio)) / width, 1.0)
    top = 0.0 if generator.integers(2) else 1.0 - part_h
    left = 0.0 if generator.integers(2) else 1.0 - part_w
    return (top, left, top + part_h, left + part_w)


def _size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def draw(picture: Image.Image, donor: Image.Image | None, occluder: Occluder) -> Image.Image:
    """The picture with the patch scaled (bilinear) onto the occluder's rectangle; RGB, of its own size.

    Args:
        donor: the picture that the patch is cut from; None: the rectangle is :data:`BLANK`.
    """
    covered = picture.convert("RGB")
    top, left, bottom, right = occlusion.rectangle(occluder.code, covered.height, covered.width)
    if donor is None:
        covered.paste(BLANK, (left, top, right, bottom))
        return covered
    box_top, box_left, box_bottom, box_right = occluder.box
    patch_left, patch_top = round(box_left * donor.width), round(box_top * donor.height)
    patch = donor.convert("RGB").crop(
        (
            patch_left,
            patch_top,
            max(round(box_right * donor.width), patch_left + 1),
            max(round(box_bottom * donor.height), patch_top + 1),
        )
    )
    covered.paste(patch.resize((right - left, bottom - top), Image.Resampling.BILINEAR), (left, top))
    return covered


def read_picture(picture: Picture) -> Image.Image:
    """Decode a picture, with its occluder drawn over it where it has one. RGB.

    Raises:
        OSError: a file is missing or is not a picture; the message names it.
    """
    decoded = _decode(picture.path)
    if picture.occluder is None:
        return decoded
    donor = picture.occluder.patch_of
    return draw(decoded, None if donor is None else _decode(donor), picture.occluder)


def _decode(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except OSError as error:
        raise OSError(f"{path} cannot be read as a picture: {error}") from error
