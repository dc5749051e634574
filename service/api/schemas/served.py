"""The service itself: its model, and whether it is alive and ready."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.bundle import BundleMetadata
from service.api.schemas.strict import Strict


class Model(BundleMetadata):
    """The served bundle's metadata, and where it is computed."""

    fingerprint: str = Field(description="SHA-256 of the bundle's file.")
    provider: str = Field(description="Where ONNX Runtime computes.", examples=["cpu"])


class Alive(Strict):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(Strict):
    """Every part that a request needs answers."""

    status: Literal["ready"] = "ready"
    parts: dict[str, bool] = Field(
        examples=[{"model": True, "catalog": True, "index": True, "pictures": True}]
    )
