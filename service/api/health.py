"""``/healthz`` and ``/readyz``, for whoever watches over the process."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from service.api.assembly import are_ready, assembly_of
from service.api.faults import documented, problem_response
from service.api.schemas import examples
from service.api.schemas.served import Alive, Ready
from service.problems import Unavailable

router = APIRouter(tags=["service"])


@router.get("/healthz", responses=examples.answered(examples.ALIVE), summary="Liveness")
async def healthz() -> Alive:
    """The process answers; if this fails, start it anew."""
    return Alive()


@router.get(
    "/readyz",
    response_model=Ready,
    responses={**examples.answered(examples.READY), **documented(Unavailable)},
    summary="Readiness",
)
async def readyz(request: Request) -> Response:
    """The embedding worker lives and is warm, the catalog answers, and the index follows it.

    Otherwise send requests elsewhere; what each part can still do is answered all the same. Where `pictures`
    is false, the store of kept pictures is away or refuses: no picture that would be kept is taken, and all
    else is.
    """
    assembly = assembly_of(request.app.state)
    parts = await assembly.parts_ready()
    if are_ready(parts):
        return JSONResponse(Ready(parts=parts).model_dump())
    if assembly.catalog.lost:
        reason = "another service has taken the catalog over, and this one ends"
        return problem_response(Unavailable(f"Not ready: {reason}."), parts=parts)
    missing = ", ".join(name for name, ready in parts.items() if not ready)
    return problem_response(Unavailable(f"Not ready: {missing}."), parts=parts)


# what load balancers ask with; not on the API's page, where each call has one name
router.add_api_route("/healthz", healthz, methods=["HEAD"], include_in_schema=False)
router.add_api_route("/readyz", readyz, methods=["HEAD"], include_in_schema=False)
