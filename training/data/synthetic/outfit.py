"""The cloths of a person, laid out for one picture."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from training.data.synthetic.canvas import Frame
from training.data.synthetic.cloth import weave
from training.data.synthetic.colour import Colour
from training.data.synthetic.gait import SHOULDER
from training.data.synthetic.identity import Identity
from training.data.synthetic.sight import Sight

__all__ = ["COAT_HEM", "Outfit", "lay_out"]

COAT_HEM = 0.68


@dataclass(frozen=True, slots=True)
class Outfit:
    """A colour, or an RGB picture of the whole picture's size to cut from."""

    upper: Colour | Image.Image
    legs: Colour | Image.Image
    skirt: Colour | Image.Image


def lay_out(identity: Identity, size: tuple[int, int], frame: Frame, sight: Sight) -> Outfit:
    """What a person wears, fixed to the body that stands in ``frame``."""
    hem = COAT_HEM if identity.coat else 0.53
    upper = weave(identity.upper, size, frame, sight, SHOULDER, hem)
    legs = weave(identity.legwear, size, frame, sight, 0.46, 0.96)
    return Outfit(upper, legs, upper if identity.lower == "dress" else legs)
