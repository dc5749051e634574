"""What Dockerfile and docker-compose.yml say of the service agrees with the service."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = re.sub(r"\\\n", "", (ROOT / "Dockerfile").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = [COMPOSE["services"][name] for name in ("penumbra", "penumbra-gpu")]


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server on loopback that answers ``/healthz`` with this status, all else with 404; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def checked(port: int) -> int:
    """Exit status of the image's health check, as Docker runs it."""
    command = json.loads(re.search(r"^HEALTHCHECK .*? CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[1])  # type: ignore[index]
    assert command.pop(0) == "python3"
    environment = {"PENUMBRA_PORT": str(port), "http_proxy": "http://127.0.0.1:9"}  # nobody is there
    return subprocess.run([sys.executable, *command], env=environment, stderr=subprocess.DEVNULL).returncode


def test_health_check_tells_well_from_ill_whatever_proxy_is_named() -> None:
    with answering(200) as port:
        assert checked(port) == 0
    with answering(503) as ill:
        assert checked(ill) != 0
    assert checked(port) != 0  # nobody answers there any more


def test_settings_are_the_services() -> None:
    compose = {name for service in SERVICES for name in service["environment"]}
    named = compose | set(re.findall(r"\bPENUMBRA_[A-Z_]+", DOCKERFILE))
    assert named
    assert named <= {f"PENUMBRA_{field.upper()}" for field in Settings.model_fields}


def test_ports_agree() -> None:
    port = Settings.model_fields["port"].default
    assert f"PENUMBRA_PORT={port}" in DOCKERFILE
    assert f"EXPOSE {port}\n" in DOCKERFILE
    for service in SERVICES:
        assert service["ports"] == [f"127.0.0.1:${{PENUMBRA_PORT:-{port}}}:{port}"]


def test_compose_waits_until_accepted_requests_are_finished() -> None:
    for service in SERVICES:
        assert int(service["stop_grace_period"].removesuffix("s")) > Settings().shutdown_grace_s


def test_extras_and_copied_files_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    installed = re.findall(r"\.whl\)\[([a-z,]+)\]", DOCKERFILE)
    assert len(installed) == 2
    assert {extra for names in installed for extra in names.split(",")} <= extras.keys()
    copied = {
        path
        for paths in re.findall(r"^COPY ((?!--from).*) \S+$", DOCKERFILE, re.MULTILINE)
        for path in paths.split()
    }
    let_in = set(re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert copied == let_in
    assert all((ROOT / path).exists() for path in copied)


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_image_runs_as_nobody_special_by_number(target: str) -> None:
    assert re.search(rf"^FROM service AS {target}$", DOCKERFILE, re.MULTILINE)
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
