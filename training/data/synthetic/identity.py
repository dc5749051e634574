"""Who is drawn: everything that stays the same from camera to camera."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

from training.data.synthetic.colour import CLOTHES, HAIR, LEATHER, SKIN, TROUSERS, Colour, near
from training.data.synthetic.dice import Dice, Subject

__all__ = [
    "DETAILS",
    "Bag",
    "Cloth",
    "Detail",
    "Hairstyle",
    "Hat",
    "Identity",
    "Lower",
    "Pattern",
    "Sleeves",
    "Twin",
    "identity_of",
    "make_identity",
    "twin_of",
]

Pattern = Literal["plain", "hoops", "pinstripes", "checks", "logo", "dots", "block", "diagonal"]
Sleeves = Literal["long", "short", "none"]
Lower = Literal["trousers", "shorts", "skirt", "long_skirt", "dress"]
Hairstyle = Literal["short", "long", "bob", "ponytail", "bun", "afro", "bald"]
Bag = Literal["none", "backpack", "shoulder_bag", "handbag"]
Hat = Literal["none", "cap", "beanie", "brim"]
Detail = Literal["shoes", "bag", "collar"]

DETAILS: Final[tuple[Detail, ...]] = ("shoes", "bag", "collar")
"""In what one thing two near-identical people differ."""

_PATTERNS: Final[dict[Pattern, float]] = {
    "plain": 5.0, "hoops": 1.7, "pinstripes": 0.9, "checks": 1.4, "logo": 1.6, "dots": 0.7, "block": 1.3,
    "diagonal": 0.6,
}  # fmt: skip
_LOWERS: Final[dict[Lower, float]] = {
    "trousers": 6.0,
    "shorts": 1.8,
    "skirt": 1.2,
    "long_skirt": 0.6,
    "dress": 0.8,
}
_HAIRSTYLES: Final[dict[Hairstyle, float]] = {
    "short": 4.0, "long": 2.2, "bob": 1.3, "ponytail": 1.3, "bun": 0.7, "afro": 0.6, "bald": 0.6,
}  # fmt: skip
_BAGS: Final[dict[Bag, float]] = {"none": 4.0, "backpack": 2.6, "shoulder_bag": 1.8, "handbag": 1.2}
_HATS: Final[dict[Hat, float]] = {"none": 6.5, "cap": 1.6, "beanie": 0.9, "brim": 0.6}


@dataclass(frozen=True, slots=True)
class Cloth:
    """What a garment is made of.

    Attributes:
        pattern: how the second colour is laid over the first.
        colour, accent: the two colours; ``accent`` is unused where the pattern is plain.
        period: distance from one stripe, check or dot to the next, in body heights.
    """

    pattern: Pattern
    colour: Colour
    accent: Colour
    period: float


@dataclass(frozen=True, slots=True)
class Identity:
    """One person. Lengths are factors on an average body.

    Attributes:
        stature: body height, 0.9 to 1.
        build: width of the body, 0.84 to 1.26.
        shoulders: width of the shoulders against the hips, 0.9 to 1.12.
        skin, hair: colours.
        hairstyle, beard: head.
        upper: cloth of shirt, jacket or coat; also of the skirt of a dress.
        sleeves: how much of the arms it covers.
        coat: whether it reaches to the knees.
        shirt: colour seen in the opening of a jacket; None where it is closed.
        collar: colour of a collar that lies over it; None where there is none.
        lower, legwear: what the legs wear, and its cloth.
        side_stripe: whether trousers carry a stripe down the seam, in ``legwear.accent``.
        shoes, socks: colours; bare legs end in socks.
        bag, bag_colour, bag_side: what is carried, and on which side of the body (1 its left, -1 its right).
        hat, hat_colour: what is worn.
        stride: how far a thigh swings to either side in walking, radians.
        cadence: strides (two steps) a second.
    """

    stature: float
    build: float
    shoulders: float
    skin: Colour
    hair: Colour
    hairstyle: Hairstyle
    beard: bool
    upper: Cloth
    sleeves: Sleeves
    coat: bool
    shirt: Colour | None
    collar: Colour | None
    lower: Lower
    legwear: Cloth
    side_stripe: bool
    shoes: Colour
    socks: Colour
    bag: Bag
    bag_colour: Colour
    bag_side: int
    hat: Hat
    hat_colour: Colour
    stride: float
    cadence: float


@dataclass(frozen=True, slots=True)
class Twin:
    """Whom a person can hardly be told from.

    Attributes:
        of: the other person's number.
        detail: the one thing in which the two differ.
    """

    of: int
    detail: Detail


def make_identity(dice: Dice) -> Identity:
    """A person as the dice fall."""
    hairstyle = dice.weighted(_HAIRSTYLES)
    colour = near(dice.pick(CLOTHES), dice)
    upper = Cloth(dice.weighted(_PATTERNS), colour, _contrast(colour, dice), dice.uniform(0.036, 0.075))
    lower = dice.weighted(_LOWERS)
    if hairstyle in ("short", "bald") and lower in ("skirt", "long_skirt", "dress") and dice.chance(0.7):
        lower = "trousers"
    sleeves: Sleeves = dice.weighted({"long": 6.0, "short": 4.0, "none": 0.7})
    jacket = sleeves == "long" and lower != "dress"
    leg_colour = near(dice.pick(CLOTHES if lower in ("skirt", "long_skirt") else TROUSERS), dice, 9)
    leg_pattern: Pattern = dice.weighted({"plain": 8.0, "checks": 0.8, "dots": 0.3, "pinstripes": 0.5})
    return Identity(
        stature=dice.uniform(0.9, 1.0),
        build=dice.uniform(0.84, 1.26),
        shoulders=dice.uniform(0.9, 1.12),
        skin=near(dice.pick(SKIN), dice, 6),
        hair=near(dice.pick(HAIR), dice, 8),
        hairstyle=hairstyle,
        beard=hairstyle in ("short", "bald") and dice.chance(0.3),
        upper=upper,
        sleeves=sleeves,
        coat=jacket and dice.chance(0.2),
        shirt=near(dice.pick(CLOTHES), dice) if jacket and dice.chance(0.35) else None,
        collar=near(dice.pick(CLOTHES), dice) if dice.chance(0.25) else None,
        lower=lower,
        legwear=Cloth(leg_pattern, leg_colour, _contrast(leg_colour, dice), dice.uniform(0.03, 0.05)),
        side_stripe=lower == "trousers" and dice.chance(0.12),
        shoes=near(dice.pick((*LEATHER, (236, 236, 236), (28, 28, 30))), dice, 8),
        socks=dice.pick(((236, 236, 236), (40, 40, 44), (120, 120, 124))),
        bag=dice.weighted(_BAGS),
        bag_colour=near(dice.pick(LEATHER), dice),
        bag_side=dice.pick((1, -1)),
        hat=dice.weighted(_HATS),
        hat_colour=near(dice.pick(CLOTHES), dice),
        stride=dice.uniform(0.3, 0.45),
        cadence=dice.uniform(0.8, 1.05),
    )


@lru_cache(maxsize=4096)
def twin_of(seed: int, person: int, share: float) -> Twin | None:
    """Whom a person is the near-identical twin of, None if of nobody.

    People 1 and 2, 3 and 4, … may be twins; person 0 has none. Each pair is one with probability ``share``,
    so that this share of the people has a twin.
    """
    if person == 0:
        return None
    dice = Dice(seed, Subject.TWINS, (person + 1) // 2)
    if not dice.chance(share):
        return None
    return Twin(person + 1 if person % 2 else person - 1, dice.pick(DETAILS))


@lru_cache(maxsize=4096)
def identity_of(seed: int, person: int, near_identical: float = 0.0) -> Identity:
    """Who person number ``person`` is under a seed, where a share of people are twins (:func:`twin_of`)."""
    twin = twin_of(seed, person, near_identical)
    if twin is None or person % 2:
        return make_identity(Dice(seed, Subject.IDENTITY, person))
    return _vary(identity_of(seed, twin.of), twin.detail, Dice(seed, Subject.IDENTITY, person))


def _vary(identity: Identity, detail: Detail, dice: Dice) -> Identity:
    """The same person with one thing changed, plainly enough for 64 × 128 pixels."""
    if detail == "shoes":
        return replace(identity, shoes=_contrast(identity.shoes, dice))
    if detail == "collar":
        return replace(identity, collar=_contrast(identity.collar or identity.upper.colour, dice))
    if identity.bag == "none":
        # Not a handbag: a hand that carries one swings less, and more than the bag would differ.
        bag: Bag = dice.pick(("backpack", "shoulder_bag"))
        return replace(identity, bag=bag, bag_colour=_contrast(identity.upper.colour, dice))
    return replace(identity, bag_colour=_contrast(identity.bag_colour, dice))


def _contrast(colour: Colour, dice: Dice) -> Colour:
    """A colour of clothes that is seen against another at 64 × 128 pixels."""
    candidates = [
        other for other in CLOTHES if sum(abs(a - b) for a, b in zip(colour, other, strict=True)) > 210
    ]
    return near(dice.pick(candidates), dice)
