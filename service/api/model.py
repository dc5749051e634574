"""``/v1/model``: what is served."""

from __future__ import annotations

from fastapi import APIRouter, Request

from service.api.assembly import assembly_of
from service.api.authentication import QUERY, KeyFirst
from service.api.schemas import examples
from service.api.schemas.served import Model

router = APIRouter(prefix="/v1/model", tags=["service"], route_class=KeyFirst)


@router.get(
    "",
    responses=examples.answered(examples.SERVED_MODEL),
    summary="What model is served",
    dependencies=[QUERY],
)
async def get_model(request: Request) -> Model:
    """The bundle's metadata: what it was trained on, its measured figures, its terms of use.

    `calibration` is the one in use: the setting's where there is one, else the bundle's own.
    """
    assembly = assembly_of(request.app.state)
    engine, bundle = assembly.engine, assembly.engine.bundle
    facts = bundle.metadata.model_copy(update={"calibration": assembly.calibration}).model_dump()
    return Model(**facts, fingerprint=bundle.fingerprint, provider=engine.provider)
