"""The real application behind a real server, on a free loopback port, within the test's process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from service.api.app import create_app
from service.api.connection import Connection
from service.api.server import Server
from service.settings import Settings
from tests.handmade_bundle import write_handmade_bundle


@dataclass(frozen=True)
class Serving:
    """A running service: its address, and the application for what no caller can see."""

    url: str
    app: FastAPI
    server: uvicorn.Server

    def stop(self) -> None:
        """Let it begin to stop, as SIGTERM does."""
        self.server.should_exit = True


def handmade_settings(folder: Path, **changed: Any) -> Settings:
    """Settings for a service on the handmade bundle, with everything it stores in ``folder``."""
    bundle = folder / "handmade.onnx"
    if not bundle.exists():
        write_handmade_bundle(bundle)
    return Settings(**{"bundle": bundle, "data_dir": folder / "data", "provider": "cpu", **changed})


@contextmanager
def serving(settings: Settings) -> Iterator[Serving]:
    """Serve until the context is left; everything then stops in order."""
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        http=Connection,
        log_config=None,
        lifespan="on",
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_grace_s)),
    )
    server = Server(config, app.state.stopping)
    thread = threading.Thread(target=server.run, name="serving")
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the service did not start"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Serving(f"http://127.0.0.1:{port}", app, server)
    finally:
        server.should_exit = True
        thread.join()
