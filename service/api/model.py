"""``/v1/model``: what is served."""

from __future__ import annotations

from fastapi import APIRouter, Request

from service.api.assembly import assembly_of
from service.api.schemas import Model

router = APIRouter(prefix="/v1/model", tags=["service"])


@router.get("", summary="What model is served")
async def get_model(request: Request) -> Model:
    """The bundle's metadata: what it was trained on, its measured figures, its terms of use."""
    engine = assembly_of(request.app.state).engine
    bundle = engine.bundle
    return Model(**bundle.metadata.model_dump(), fingerprint=bundle.fingerprint, provider=engine.provider)
