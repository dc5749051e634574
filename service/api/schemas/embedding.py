"""Embeddings, for who compares them elsewhere."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, Json

from models import occlusion
from service.api.schemas.pictures import BOXES, BOXES_EXAMPLE, BoxNumbers, Occlusion
from service.api.schemas.strict import Strict


class EmbedForm(Strict):
    """What is to be embedded, as form fields."""

    occlusions: Json[list[Literal[occlusion.NAMES]]] = Field(  # type: ignore[valid-type]
        default=["none"],
        description="A JSON array of occlusion types: under each, the picture is embedded with that part "
        "of it hidden.",
        examples=['["none", "bottom_half"]'],
        min_length=1,
        json_schema_extra={"default": '["none"]'},
    )
    boxes: Json[list[BoxNumbers | None]] | None = Field(
        default=None, description=BOXES, examples=[BOXES_EXAMPLE]
    )


class Embedding(Strict):
    """One picture as the model sees it."""

    occlusion: Occlusion
    embeddings: dict[str, list[float]] = Field(
        description="By occlusion type: D numbers, a vector of unit length. The inner product of two is "
        "their cosine."
    )


class EmbedAnswer(Strict):
    """One entry per picture, in the order sent."""

    items: list[Embedding]
    model: str = Field(description="The model's fingerprint; vectors of two models do not compare.")
