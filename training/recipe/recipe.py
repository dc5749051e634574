"""The whole recipe: what is trained, on what, by which method, in which stages."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from training.recipe.aaa_net import STAGES as AAA_NET_STAGES
from training.recipe.aaa_net import AAANetTable
from training.recipe.aos import STAGES as AOS_STAGES
from training.recipe.aos import AOSTable
from training.recipe.grader import STAGE as GRADER_STAGE
from training.recipe.grader import GraderTable
from training.recipe.magnifiernet import STAGES as MAGNIFIERNET_STAGES
from training.recipe.magnifiernet import MagnifierNetTable
from training.recipe.oamn import STAGES as OAMN_STAGES
from training.recipe.oamn import OAMNTable
from training.recipe.overlay import overlay
from training.recipe.single_scale import STAGES as SINGLE_SCALE_STAGES
from training.recipe.single_scale import SingleScaleTable
from training.recipe.tables import (
    Augmentation,
    Losses,
    Model,
    Optimiser,
    RealData,
    Sampling,
    SyntheticData,
    Table,
)

__all__ = ["STAGES", "Recipe", "StageTable"]

STAGES: Final = {
    "baseline": ("baseline",),
    "oamn": OAMN_STAGES,
    "aos": AOS_STAGES,
    "aaa-net": AAA_NET_STAGES,
    "single-scale": SINGLE_SCALE_STAGES,
    "magnifiernet": MAGNIFIERNET_STAGES,
}
"""The stages of each system, in order."""


class StageTable(Table):
    """``[stages.NAME]``: what one stage does otherwise than the recipe says; tables are merged key by key.

    Attributes:
        epochs: instead of the recipe's.
        sampling, augmentation, optimiser, losses: keys that replace the recipe's in this stage.
    """

    epochs: int | None = Field(default=None, ge=1)
    sampling: dict[str, Any] = Field(default_factory=dict)
    augmentation: dict[str, Any] = Field(default_factory=dict)
    optimiser: dict[str, Any] = Field(default_factory=dict)
    losses: dict[str, Any] = Field(default_factory=dict)


class Recipe(Table):
    """How a model is made.

    Attributes:
        name: of the model, e.g. ``"oamn-osnet_x0_5-market1501"``.
        system: whose method, see ``training.systems``.
        seed: of everything random.
        epochs: passes over the training pictures, in each stage that does not say otherwise.
        precision: ``"32"``, or ``"bf16"`` for mixed precision.
        validate_on: protocol evaluated at the end of each stage and every ``validate_every`` epochs (0: at
            the end only); the bundle's gate compares on it. Left out: neither validation nor bundle.
        measure_on: protocols whose figures go into the bundle; left out: ``validate_on``.
        stages: what single stages do otherwise, by name.
        grader: teach a grader on the frozen network as a last stage; left out: none.
    """

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    system: Literal["baseline", "oamn", "aos", "aaa-net", "single-scale", "magnifiernet"]
    seed: int = Field(default=1, ge=0)
    epochs: int = Field(default=90, ge=1)
    precision: Literal["32", "bf16"] = "32"
    validate_on: str | None = None
    validate_every: int = Field(default=0, ge=0)
    measure_on: tuple[str, ...] = ()
    model: Model = Model()
    data: tuple[Annotated[RealData | SyntheticData, Field(discriminator="kind")], ...] = Field(min_length=1)
    sampling: Sampling = Sampling()
    augmentation: Augmentation = Augmentation()
    optimiser: Optimiser = Optimiser()
    losses: Losses = Losses()
    stages: dict[str, StageTable] = Field(default_factory=dict)
    oamn: OAMNTable = OAMNTable()
    aos: AOSTable = AOSTable()
    aaa_net: AAANetTable = AAANetTable()
    single_scale: SingleScaleTable = SingleScaleTable()
    magnifiernet: MagnifierNetTable = MagnifierNetTable()
    grader: GraderTable | None = None

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The stages that a run goes through, in order."""
        chosen = {"aaa-net": self.aaa_net.stages, "aos": self.aos.stages}
        own = chosen.get(self.system, STAGES[self.system])
        return (*own, *((GRADER_STAGE,) if self.grader is not None else ()))

    @property
    def needs_parts(self) -> bool:
        """Whether a stage asks for body-part labels."""
        return self.system == "magnifiernet" and self.magnifiernet.has_masks

    def at(self, stage: str) -> Recipe:
        """The recipe as it stands in a stage: the stage's own keys laid over the shared ones."""
        table = self.stages.get(stage)
        if table is None:
            return self
        changes = table.model_dump(exclude_none=True)
        return Recipe.model_validate(overlay(self.model_dump(exclude={"stages"}), changes))

    @model_validator(mode="after")
    def _stages_fit(self) -> Recipe:
        # A stage that the recipe leaves out may have been configured by the one it inherits from.
        known = {*STAGES[self.system], *self.stage_names}
        unknown = [name for name in self.stages if name not in known]
        if unknown:
            raise ValueError(
                f"the system {self.system} has no stage {unknown[0]!r}; it has {', '.join(self.stage_names)}"
            )
        if self.grader is not None and self.system == "oamn":
            raise ValueError("OAMN has a grader of its own: leave [grader] out")
        if self.sampling.pictures == 1 and self.losses.triplet > 0:
            raise ValueError(
                "sampling.pictures = 1 gives the triplet loss no pairs: set losses.triplet = 0, or show "
                "two pictures of each person"
            )
        for name in self.stages:
            self.at(name)
        return self

    @model_validator(mode="after")
    def _parts_are_to_be_had(self) -> Recipe:
        for entry in self.data if self.needs_parts else ():
            if entry.kind == "protocol" and entry.parts is None:
                raise ValueError(
                    f"{self.system} needs body-part labels: say for the data {entry.protocol} where they "
                    'come from, parts = { folder = "...", labels = "densepose" } or parts = "prior"'
                )
        return self
