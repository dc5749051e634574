"""The tables of a recipe that every system shares."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.networks.backbones import BACKBONES
from models.networks.heads import HeadKind
from training.data.part_labels import Labels

__all__ = [
    "Augmentation",
    "Losses",
    "Model",
    "Optimiser",
    "PartMaps",
    "RealData",
    "Sampling",
    "SyntheticData",
    "Table",
]


class Table(BaseModel):
    """A table of a recipe: keys that it does not know are errors, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(Table):
    """What is trained.

    Attributes:
        backbone: see ``models.networks.backbones``.
        height, width: of the pictures, pixels, multiples of 16.
        dimension: D of the embedding; left out: the backbone's last channels.
        head: ``"bnneck"``, or ``"plain"`` for pooling and a classifier, see ``models.networks.heads``.
        dropout: probability of dropping a channel of the embedding before the classifier.
    """

    backbone: str = "resnet50"
    height: int = Field(default=256, ge=32, multiple_of=16)
    width: int = Field(default=128, ge=32, multiple_of=16)
    dimension: int | None = Field(default=None, ge=8)
    head: HeadKind = "bnneck"
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _known_backbone(self) -> Model:
        if self.backbone not in BACKBONES:
            raise ValueError(f"unknown backbone {self.backbone!r}; one of {', '.join(BACKBONES)}")
        return self


class PartMaps(Table):
    """Body-part label maps beside a data set, see ``training.data.part_labels``.

    Attributes:
        folder: that mirrors the data sets' own folders; relative to ``--root``, or absolute.
        labels: what the maps' values mean.
    """

    folder: str
    labels: Labels = "parts"


class RealData(Table):
    """The training half of a protocol, see ``training.evaluation.protocols``.

    Attributes:
        protocol: its name.
        parts: where body-part labels come from, for systems that need them (drawn people bring theirs):
            maps beside the data, or ``"prior"``, the same guess for every picture
            (``training.data.part_prior``).
    """

    kind: Literal["protocol"] = "protocol"
    protocol: str
    parts: PartMaps | Literal["prior"] | None = None


class SyntheticData(Table):
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


class Sampling(Table):
    """Identity-balanced batches.

    Attributes:
        people: P, identities in a batch.
        pictures: K, pictures of each; 1 for plain shuffled batches of P pictures, where no triplet loss
            wants pairs.
    """

    people: int = Field(default=32, ge=2)
    pictures: int = Field(default=2, ge=1)


class Augmentation(Table):
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


class Optimiser(Table):
    """Optimiser and schedule.

    Attributes:
        kind: ``"sgd"`` (momentum 0.9), ``"adam"`` or ``"adamw"``.
        nesterov: Nesterov's momentum instead of the classic one, for ``"sgd"``.
        rate: peak learning rate of the new layers.
        backbone_rate: peak learning rate of the backbone; left out: the same as ``rate``.
        weight_decay: on all weights but norms and biases.
        schedule: ``"steps"`` (×0.1 at each of ``milestones``) or ``"cosine"`` (to zero).
        milestones: epochs.
        warmup: epochs of linear warm-up.
        clip: largest gradient norm; 0 switches clipping off.
    """

    kind: Literal["sgd", "adam", "adamw"] = "sgd"
    nesterov: bool = True
    rate: float = Field(default=0.03, gt=0)
    backbone_rate: float | None = Field(default=None, gt=0)
    weight_decay: float = Field(default=5e-4, ge=0)
    schedule: Literal["steps", "cosine"] = "steps"
    milestones: tuple[int, ...] = (40, 70)
    warmup: float = Field(default=0.0, ge=0)
    clip: float = Field(default=0.0, ge=0)


class Losses(Table):
    """The two losses that every system shares, as they enter the baseline; the defaults are OAMN's (§4.1).

    Attributes:
        identity: weight of the identity loss.
        label_smoothing: of the identity loss, 0 to below 1.
        triplet: weight of the triplet loss; 0 switches it off.
        margin: of the triplet loss.
        squared: squared Euclidean distance in the triplet loss.
    """

    identity: float = Field(default=1.0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    triplet: float = Field(default=0.5, ge=0)
    margin: float = Field(default=0.5, ge=0)
    squared: bool = True
