"""A start that fails for a foreseen reason is told in one line, not in a stack trace."""

from __future__ import annotations

import logging
from typing import Final

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.bundle import BundleError
from models.calibration import CalibrationError
from service.embedding.engine import ProviderError
from service.storage.pictures import PictureStoreError
from service.storage.schema import CatalogError, place_of

FORESEEN: Final = (
    BundleError,
    CalibrationError,
    CatalogError,
    OSError,
    PictureStoreError,
    ProviderError,
    SQLAlchemyError,
)
"""What the parts raise at the start when it is not this program that is at fault."""


class StartFaults:
    """ASGI wrapper around the whole application that keeps what stopped its start.

    Attributes:
        fault: the foreseen fault that stopped the start, or None.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.fault: BaseException | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        failed: Message | None = None

        async def hold_back(message: Message) -> None:
            nonlocal failed
            if message["type"] == "lifespan.startup.failed":
                failed = message  # its text is a stack trace
            else:
                await send(message)

        try:
            await self._app(scope, receive, hold_back)
        except FORESEEN as error:
            if failed is None:
                raise  # the service ran already
            self.fault = error
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it would only say that it failed
            await send({"type": "lifespan.startup.failed", "message": ""})
        except BaseException:
            if failed is not None:
                await send(failed)
            raise


def in_one_line(fault: BaseException, catalog_url: str) -> str:
    """The fault as whoever starts the service needs it: what is wrong, without the path through the code."""
    if isinstance(fault, SQLAlchemyError):
        where = place_of(make_url(catalog_url))  # SQLite names no file
        return f"the catalog cannot be opened: {str(fault).splitlines()[0]}: {where}"
    return " ".join(str(fault).split()) or type(fault).__name__
