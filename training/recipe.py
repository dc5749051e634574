"""Recipes: TOML files that say how a model is made, checked whole before anything starts.

A recipe may name another as its ``base`` (a path relative to its own file) and then only says what
differs; tables are merged key by key. Unknown keys are errors.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.networks.backbones import BACKBONES

__all__ = ["Recipe", "RecipeError", "dump_recipe", "load_recipe"]


class RecipeError(ValueError):
    """A recipe cannot be used; the message names the file, the key and what is wrong with it."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(_Table):
    """What is trained.

    Attributes:
        backbone: see ``models.networks.backbones``.
        height, width: of the pictures, pixels, multiples of 16.
        dimension: D of the embedding; left out: the backbone's last channels.
        split: stage after which OAMN's mask module stands, 1 to 4 (table 5).
    """

    backbone: str = "resnet50"
    height: int = Field(default=256, ge=32, multiple_of=16)
    width: int = Field(default=128, ge=32, multiple_of=16)
    dimension: int | None = Field(default=None, ge=8)
    split: int = Field(default=3, ge=1, le=4)

    @model_validator(mode="after")
    def _known_backbone(self) -> Model:
        if self.backbone not in BACKBONES:
            raise ValueError(f"unknown backbone {self.backbone!r}; one of {', '.join(BACKBONES)}")
        return self


class RealData(_Table):
    """The training half of a protocol, see ``training.evaluation.protocols``."""

    kind: Literal["protocol"] = "protocol"
    protocol: str


class SyntheticData(_Table):
    """Drawn pedestrians, see ``training.data.synthetic``.

    Attributes:
        people, cameras, per_camera: how many, and how many pictures of each person in each camera.
        seed: of the drawing.
        occluded: share of the pictures drawn with an occluder, 0 to 1.
    """

    kind: Literal["synthetic"]
    people: int = Field(ge=2)
    cameras: int = Field(default=4, ge=1)
    per_camera: int = Field(default=3, ge=1)
    seed: int = Field(default=1, ge=0)
    occluded: float = Field(default=0.0, ge=0, le=1)


class Sampling(_Table):
    """Identity-balanced batches.

    Attributes:
        people: P, identities in a batch.
        pictures: K, pictures of each.
    """

    people: int = Field(default=32, ge=2)
    pictures: int = Field(default=2, ge=2)


class Augmentation(_Table):
    """What is done to every training picture, before any system's own occlusion.

    Attributes:
        flip: probability of mirroring.
        pad: pixels of padding before a random crop back to size; 0 switches it off.
        partial: probability of showing a stretched part of the picture, as in pictures cropped to the
            visible part of a person. None of the papers has it; 0 switches it off.
        colour: strength of brightness, contrast and saturation jitter, 0 (off) to below 1.
    """

    flip: float = Field(default=0.5, ge=0, le=1)
    pad: int = Field(default=10, ge=0)
    partial: float = Field(default=0.0, ge=0, le=1)
    colour: float = Field(default=0.0, ge=0, lt=1)


class Optimiser(_Table):
    """Optimiser and schedule.

    Attributes:
        kind: ``"sgd"`` (momentum 0.9, Nesterov) or ``"adamw"``.
        rate: peak learning rate of the new layers.
        backbone_rate: peak learning rate of the backbone; left out: the same as ``rate``.
        weight_decay: on all weights but norms and biases.
        schedule: ``"steps"`` (×0.1 at each of ``milestones``) or ``"cosine"`` (to zero).
        milestones: epochs.
        warmup: epochs of linear warm-up.
        clip: largest gradient norm; 0 switches clipping off.
    """

    kind: Literal["sgd", "adamw"] = "sgd"
    rate: float = Field(default=0.03, gt=0)
    backbone_rate: float | None = Field(default=None, gt=0)
    weight_decay: float = Field(default=5e-4, ge=0)
    schedule: Literal["steps", "cosine"] = "steps"
    milestones: tuple[int, ...] = (40, 70)
    warmup: float = Field(default=0.0, ge=0)
    clip: float = Field(default=0.0, ge=0)


class Losses(_Table):
    """Loss weights and their parameters; the defaults are OAMN's (§4.1).

    Attributes:
        margin: m_tri of eq. 5.
        squared: squared Euclidean distance in the triplet loss, as eq. 5 has it.
        label_smoothing: of the identity loss, 0 to below 1; the paper uses none.
        relative_mask: eq. 2 and 3 as ratios, see ``training.losses.mask_consistency``.
        mask: λ1. mask_invariance: α1. mask_completeness: α2.
        triplet: λ2. identity: λ3. grading: λ4.
        half_share: share of pictures whose four copies are half hidden, else a quarter.
        blank_share: share of pictures hidden by the mean colour, as unification does at test time, instead
            of a patch; the paper has none.
    """

    margin: float = Field(default=0.5, ge=0)
    squared: bool = True
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    relative_mask: bool = False
    mask: float = Field(default=5.0, ge=0)
    mask_invariance: float = Field(default=1.0, ge=0)
    mask_completeness: float = Field(default=1.0, ge=0)
    triplet: float = Field(default=0.5, ge=0)
    identity: float = Field(default=1.0, ge=0)
    grading: float = Field(default=1.0, ge=0)
    half_share: float = Field(default=0.5, ge=0, le=1)
    blank_share: float = Field(default=0.0, ge=0, le=1)


class Recipe(_Table):
    """How a model is made.

    Attributes:
        name: of the model, e.g. ``"oamn-osnet_x0_5-market1501"``.
        system: whose method, see ``training.systems``.
        seed: of everything random.
        epochs: passes over the training pictures.
        precision: ``"32"``, or ``"bf16"`` for mixed precision.
        validate_on: protocol evaluated at the end and every ``validate_every`` epochs (0: at the end only);
            left out: none.
    """

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    system: Literal["baseline", "oamn"]
    seed: int = Field(default=1, ge=0)
    epochs: int = Field(default=90, ge=1)
    precision: Literal["32", "bf16"] = "32"
    validate_on: str | None = None
    validate_every: int = Field(default=0, ge=0)
    model: Model = Model()
    data: tuple[Annotated[RealData | SyntheticData, Field(discriminator="kind")], ...] = Field(min_length=1)
    sampling: Sampling = Sampling()
    augmentation: Augmentation = Augmentation()
    optimiser: Optimiser = Optimiser()
    losses: Losses = Losses()


def load_recipe(path: Path, **overrides: Any) -> Recipe:
    """Read a recipe with all that it inherits.

    Args:
        path: the TOML file.
        overrides: top-level keys that win over the file's (None: not given).

    Raises:
        RecipeError: the file or a base is missing, is not TOML, inherits in a circle, or does not
            validate.
    """
    values = _merged(path.resolve(), ())
    values.update({key: value for key, value in overrides.items() if value is not None})
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        lines = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'recipe'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise RecipeError(f"{path}: {lines}") from error


def _merged(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """A recipe's tables laid over those of its base."""
    if path in seen:
        raise RecipeError(f"{path} inherits from itself: {' -> '.join(p.name for p in (*seen, path))}")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"no recipe at {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not TOML: {error}") from error
    base = values.pop("base", None)
    if base is None:
        return values
    return _overlay(_merged((path.parent / str(base)).resolve(), (*seen, path)), values)


def _overlay(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """``above`` wins; tables are merged key by key, everything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _overlay(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def dump_recipe(recipe: Recipe) -> str:
    """The whole recipe as TOML, after inheritance, so that it stands on its own."""
    values = recipe.model_dump(exclude_none=True)
    lines: list[str] = []
    for key, value in values.items():
        if not isinstance(value, dict) and key != "data":
            lines.append(f"{key} = {_toml(value)}")
    for entry in values["data"]:
        lines += ["", "[[data]]", *(f"{key} = {_toml(value)}" for key, value in entry.items())]
    for key, value in values.items():
        if isinstance(value, dict):
            lines += ["", f"[{key}]", *(f"{inner} = {_toml(entry)}" for inner, entry in value.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """One scalar or list as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(entry) for entry in value) + "]"
    return repr(value)
