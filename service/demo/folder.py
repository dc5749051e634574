"""The demo's folder: emptied of what an earlier demo left, its service stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape

from service.background import BackgroundService
from service.client import Client, ClientError, Retries
from service.demo.drawn import DemoError
from service.terminal import messages

__all__ = ["leave_running", "prepare"]

_MARKER: Final = ".penumbra-demo"
_RUNNING: Final = "service.json"


def prepare(output: Path) -> None:
    """Make the output folder, and clear away what an earlier demo left there."""
    if output.is_dir() and any(output.iterdir()) and not (output / _MARKER).exists():
        raise DemoError(f"{output} has other things in it; name an empty or a new folder with --output")
    output.mkdir(parents=True, exist_ok=True)
    (output / _MARKER).write_text("`penumbra demo` empties this folder when it runs again.\n")
    _stop_earlier(output / _RUNNING)
    for folder in ("pictures", "data"):
        shutil.rmtree(output / folder, ignore_errors=True)


def leave_running(console: Console, output: Path, service: BackgroundService) -> None:
    """Note for the next demo which service is left running, and tell how to stop it."""
    (output / _RUNNING).write_text(json.dumps({"pid": service.process.pid, "url": service.url}))
    console.print(f"API page     {service.url}/docs", soft_wrap=True)
    console.print(f"stop it      kill {service.process.pid}")
    console.print(f"its log      {escape(str(service.log))}", soft_wrap=True)


def _stop_earlier(record: Path) -> None:
    """Stop the service that an earlier demo left running, if it still does."""
    if not record.exists():
        return
    earlier = json.loads(record.read_text())
    pid, url = int(earlier["pid"]), str(earlier["url"])
    if _answers(url) and _alive(pid):
        messages().print(f"stopping the service of an earlier demo (process {pid}, {url})", soft_wrap=True)
        os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + 30
        while (still := _answers(url)) and time.monotonic() < until:
            time.sleep(0.2)
        if still:
            raise DemoError(f"process {pid} at {url} does not end; stop it with `kill -9 {pid}`")
    record.unlink()


def _answers(url: str) -> bool:
    """Whether a service takes work at ``url``."""
    with Client(url, timeout=2.0, retries=Retries(attempts=1)) as client:
        try:
            return client.ready()
        except ClientError:
            return False


def _alive(pid: int) -> bool:
    """Whether there is a process of that id which this user may signal."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
