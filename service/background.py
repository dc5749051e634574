"""A service as a child process: started, waited for, stopped. For the demo and the benchmarks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.client import Client, ClientError, Retries

__all__ = ["BackgroundService", "ServiceDied", "free_port", "port_is_free", "start_service"]

HOST: Final = "127.0.0.1"
_STORAGE_SETTINGS: Final = ("PENUMBRA_CATALOG_URL", "PENUMBRA_PICTURES_URL", "PENUMBRA_REDIS_URL")


class ServiceDied(RuntimeError):
    """The service ended, or was not ready in time. The message ends with the end of its log."""


@dataclass(frozen=True, slots=True)
class BackgroundService:
    """A service that this process started.

    Attributes:
        process: the child; its own session, so that Ctrl-C in this terminal does not reach it.
        url: where it listens.
        log: what it printed.
    """

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def wait_until_ready(self, limit_s: float = 120.0) -> None:
        """Return once it takes work.

        Raises:
            ServiceDied: it ended, or was not ready after ``limit_s`` seconds.
        """
        until = time.monotonic() + limit_s
        with Client(self.url, timeout=5.0, retries=Retries(attempts=1)) as client:
            while True:
                if self.process.poll() is not None:
                    raise ServiceDied(f"the service ended with {self.process.returncode}:\n{self._log_end()}")
                try:
                    if client.ready():
                        return
                except ClientError:
                    pass  # it does not listen yet
                if time.monotonic() > until:
                    raise ServiceDied(f"the service was not ready after {limit_s:.0f} s:\n{self._log_end()}")
                time.sleep(0.1)

    def stop(self, grace_s: float = 30.0) -> None:
        """Let it finish what it accepted and leave; after ``grace_s`` seconds it is killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(grace_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _log_end(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-15:])


def start_service(
    data_dir: Path,
    log: Path,
    *,
    bundle: Path | None = None,
    port: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> BackgroundService:
    """Start `penumbra serve` on loopback with embedded storage in ``data_dir``.

    Args:
        data_dir: for SQLite and whatever else is kept.
        log: receives what it prints.
        bundle: the model; the shipped one unless given.
        port: a free one unless given.
        environment: further settings, as ``PENUMBRA_…`` variables.
    """
    port = free_port() if port is None else port
    command = [sys.executable, "-m", "service.cli", "serve", "--host", HOST, "--port", str(port)]
    command += ["--data-dir", str(data_dir)]
    if bundle is not None:
        command += ["--bundle", str(bundle)]
    inherited = {name: value for name, value in os.environ.items() if name not in _STORAGE_SETTINGS}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**inherited, **(environment or {})},
            start_new_session=True,
        )
    return BackgroundService(process, f"http://{HOST}:{port}", log)


def port_is_free(port: int) -> bool:
    """Whether loopback's ``port`` can be bound now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
