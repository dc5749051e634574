"""Run the service until it is told to stop."""

from __future__ import annotations

import errno
import gc
import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from service.api import logs
from service.api.app import create_app
from service.api.connection import Connection
from service.api.listening import bound
from service.api.server import Server
from service.api.start_faults import StartFaults, in_one_line
from service.settings import Settings, not_settings
from service.storage.database import Database
from service.storage.keys import Keys
from service.storage.schema import CatalogError

log = logging.getLogger(__name__)

_GARBAGE_AFTER: Final = 10_000
"""Objects that are made and not freed, between two searches of the garbage collector."""


class ServeRefused(RuntimeError):
    """The service does not start with these settings. The message says why and what to change."""


class StartFailed(RuntimeError):
    """A part that the service needs cannot be had. The message says which and why, in one line."""


class CatalogTaken(RuntimeError):
    """Another service has taken the catalog over, so this one has ended."""


def run(settings: Settings, on_serving: Callable[[str], None] = lambda _: None) -> int:
    """Serve until SIGTERM or SIGINT, then finish what was accepted and return.

    Args:
        on_serving: called with the service's address once it takes requests.

    Returns:
        Exit status: 0 after a stop that was asked for, 1 if the start failed and the log says why: nobody
        foresaw it.

    Raises:
        ServeRefused: other machines could reach it without a key, or tracing is not installed.
        StartFailed: the port is taken, or the bundle, the provider, the catalog or the picture store cannot
            be used.
        CatalogTaken: it ended because another service has claimed the catalog meanwhile.
    """
    taken = threading.Event()

    def end() -> None:
        taken.set()
        server.should_exit = True

    refuse_open_door(settings)
    logs.configure(settings.log_format, settings.log_level)
    for name, meant in not_settings().items():
        log.warning("%s is no setting%s", name, "" if meant is None else f"; is {meant} meant?")
    try:
        application = create_app(settings, end)
    except ModuleNotFoundError as error:
        if settings.otlp_endpoint is None or not (error.name or "").startswith("opentelemetry"):
            raise
        raise ServeRefused(
            "PENUMBRA_OTLP_ENDPOINT needs the extra `tracing`: pip install 'penumbra-reid[tracing]'"
        ) from error
    app = StartFaults(application)
    try:
        sockets = bound(settings.host, settings.port)
    except OSError as error:
        raise StartFailed(_cannot_listen(settings, error)) from error
    address = _address(settings.host, sockets[0].getsockname()[1])
    config = uvicorn.Config(
        app,
        http=Connection,
        log_config=None,
        access_log=False,  # service.api.observation logs requests, with their ids
        server_header=False,
        proxy_headers=False,  # service.api.app reads those of the proxies that the settings trust
        timeout_graceful_shutdown=max(1, round(settings.shutdown_grace_s)),
        lifespan="on",
    )
    # What is here by now stays until the end, and requests leave hardly any cycles: looking for them in all
    # of it, every 700 objects as Python does, took a thirtieth of the time under load.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_AFTER)

    def serving() -> None:
        log.info("listening at %s", address)
        on_serving(address)

    server = Server(config, application.state.stopping, serving)
    # uvicorn drains on these signals and then raises them again for whoever handled them before: us.
    before = {number: signal.signal(number, _stopped) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets)
    except SystemExit:  # how uvicorn leaves when it cannot start
        if app.fault is None and server.fault is None:
            return 1
    finally:
        for one in sockets:
            one.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    if app.fault is not None:
        raise StartFailed(in_one_line(app.fault, settings.catalog_url)) from app.fault
    if server.fault is not None:
        raise StartFailed(_cannot_listen(settings, server.fault)) from server.fault
    if taken.is_set():
        raise CatalogTaken(
            "another service has taken the catalog over while this one had lost its lock on it, so this one "
            "has ended; run one service on a catalog"
        )
    return 0 if server.started else 1


def refuse_open_door(settings: Settings) -> None:
    """Without a key nobody is asked for one, so only this machine may ask, unless the settings say otherwise.

    Raises:
        ServeRefused: there is no active key, ``allow_anonymous`` is false, and the host is not a loopback
            address, or is one that proxies pass on to.
    """
    if settings.anonymous_may_ask or _has_keys(settings.catalog_url):
        return
    if settings.proxies:
        raise ServeRefused(
            "refusing to serve behind a proxy (PENUMBRA_TRUSTED_PROXIES): other machines could reach the "
            "service through it, and it asks nobody for a key. Make one with `penumbra keys create`, or, "
            "where the proxy decides who may ask, set PENUMBRA_ALLOW_ANONYMOUS=true."
        )
    raise ServeRefused(
        f"refusing to bind to {settings.host}: other machines could reach the service, and it asks nobody "
        "for a key. Make one with `penumbra keys create`, or bind to 127.0.0.1, or, where the network in "
        "front of it decides who may ask, set PENUMBRA_ALLOW_ANONYMOUS=true."
    )


def _address(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _cannot_listen(settings: Settings, error: OSError) -> str:
    why = "another program has the port" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
    return f"cannot listen at {_address(settings.host, settings.port)}: {why}"


def _has_keys(catalog_url: str) -> bool:
    try:
        # of an earlier version too: it is brought up to date when it is claimed, not before
        database = Database(catalog_url, new=False, older=True)
        try:
            return Keys(database).any()
        finally:
            database.close()
    except (CatalogError, SQLAlchemyError):  # there is none yet, or one of before there were keys;
        return False  # or the start will say what is wrong


def _stopped(number: int, _: FrameType | None) -> None:
    log.info("stopped by %s", signal.Signals(number).name)
