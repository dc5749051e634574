"""A client that a public generator makes of the OpenAPI page, against the running service."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from service.storage.database import Database
from service.storage.keys import Keys
from tests.drawings import encoded, person
from tests.serving import handmade_settings, serving

PACKAGE = "generated_penumbra"
# Said to the generator, not to the page: which Python type a kind of content has.
CONFIG = {
    "post_hooks": [],
    "content_type_overrides": dict.fromkeys(("image/*", "image/jpeg"), "application/octet-stream"),
}


def generate(url: str, folder: Path) -> str:
    """Write the client into ``folder`` and return what the generator said."""
    (folder / "openapi.json").write_bytes(httpx.get(f"{url}/openapi.json", trust_env=False).content)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    command += ["--path", "openapi.json", "--config", "config.json", "--output-path", PACKAGE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stderr + done.stdout


def module(name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.{name}")


def test_a_generated_client_enrols_queries_and_erases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = handmade_settings(tmp_path)
    with serving(settings) as running:
        said = generate(running.url, tmp_path)
        # Nothing that a form or a JSON body takes is left out; a stream of lines no generator knows.
        assert [line for line in said.splitlines() if line.startswith("WARNING")] == [
            "WARNING parsing POST /v1/galleries/{gallery}/query/batch within query. "
            "Endpoint will not be generated."
        ]
        monkeypatch.syspath_prepend(tmp_path)
        database = Database(settings.catalog_url)
        token = Keys(database).create("generated", "admin").token
        database.close()
        use(running.url, token)


def use(url: str, token: str) -> None:
    models, types = module("models"), module("types")
    client = module("client").AuthenticatedClient(base_url=url, token=token)

    def call(name: str, *path: str, **arguments: Any) -> Any:
        return module(f"api.{name}").sync(*path, client=client, **arguments)

    def picture(who: int, view: int) -> Any:
        return types.File(encoded(person(who, view)), file_name=f"{who}-{view}.png", mime_type="image/png")

    stranger = module("client").Client(base_url=url)
    refused = module("api.galleries.list_galleries").sync_detailed(client=stranger)
    assert (refused.status_code, type(refused.parsed)) == (401, models.ProblemDocument)

    flat = models.GalleryCreateIndex("flat")
    wish = models.GalleryCreate(name="shop", keep_pictures=True, retention_days=30, index=flat, prior=0.4)
    made = call("galleries.create_gallery", body=wish)
    assert made.name == "shop"
    changed = call("galleries.change_gallery", "shop", body=models.GalleryChange(match_rate=0.01))
    assert changed.to_dict() == made.to_dict() | {"match_rate": 0.01}
    items = json.dumps([{"person": "anna", "camera": "door"}, {"person": "ben"}])
    body = models.EnrolBody(files=[picture(1, 0), picture(2, 0)], items=items)
    enrolled = call("pictures.enrol", "shop", body=body)
    assert isinstance(enrolled, models.EnrolAnswer)
    assert [item.status for item in enrolled.items] == ["enrolled", "enrolled"]

    asked = models.QueryBody(files=[picture(1, 9)], top_k=5, rerank=True, exclude_cameras='["elsewhere"]')
    found = call("query.query", "shop", body=asked)
    assert isinstance(found, models.QueryAnswer)
    assert [result.person for result in found.results] == ["anna", "ben"]
    assert found.results[0].image.camera == "door"
    kept = call("pictures.get_file", "shop", str(enrolled.items[0].id))
    assert kept.payload.read() == encoded(person(1, 0))

    assert call("people.delete_person", "shop", "anna") is None
    assert [result.person for result in call("query.query", "shop", body=asked).results] == ["ben"]
    gone = call("people.get_person", "shop", "anna")
    assert isinstance(gone, models.ProblemDocument)
    assert (gone.status, gone.title) == (404, "Unknown person")
    for one in (client, stranger):
        one.get_httpx_client().close()
