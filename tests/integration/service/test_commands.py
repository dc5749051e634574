"""What the commands do to a running service, each from the shell's side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.client import Client, NewPicture
from tests.drawings import encoded, person
from tests.serving import Serving, handmade_settings, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(handmade_settings(tmp_path_factory.mktemp("service"))) as running:
        yield running


@pytest.fixture
def client(service: Serving) -> Iterator[Client]:
    """To a service with an empty gallery ``g``, which keeps pictures."""
    with Client(service.url) as client:
        client.create_gallery("g", keep_pictures=True)
        yield client
        client.delete_gallery("g")


def enrol(client: Client, *names: str) -> list[str]:
    """Enrol a picture of each, and tell the ids."""
    pictures = [NewPicture(encoded(person(who)), name, "north") for who, name in enumerate(names)]
    return [str(one.id) for one in client.enrol("g", pictures)]


@pytest.fixture
def run(service: Serving) -> Any:
    def command(*arguments: str | Path) -> Any:
        environment = {"PENUMBRA_URL": service.url, "COLUMNS": "200"}
        return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)

    return command


def test_people_are_merged_into_one_who_is_there(client: Client, run: Any) -> None:
    enrol(client, "anna", "anna-2", "bo")
    missing = run("people", "merge", "anna-2", "ana", "-g", "g")
    assert (missing.exit_code, "ana" in missing.stderr) == (1, True)
    assert run("people", "merge", "anna", "anna", "-g", "g").exit_code == 2
    assert {one.name for one in client.people("g")} == {"anna", "anna-2", "bo"}
    merged = run("people", "merge", "anna-2", "anna", "-g", "g", "--json")
    assert json.loads(merged.stdout) == {"name": "anna", "images": 2}
    assert {one.name: one.images for one in client.people("g")} == {"anna": 2, "bo": 1}
