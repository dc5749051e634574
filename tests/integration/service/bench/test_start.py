"""`penumbra bench start`: the real service on a filled catalog, and nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.storage.catalog import Catalog
from tests.handmade_bundle import write_handmade_bundle
from tests.servers import PostgreSQLServer

PICTURES = 30


def test_starts_are_timed_on_each_catalog_and_what_was_put_there_is_removed(
    tmp_path: Path, postgresql_server: PostgreSQLServer
) -> None:
    bundle = write_handmade_bundle(tmp_path / "handmade.onnx", dimension=50)
    url = postgresql_server.empty_database()
    arguments = ["bench", "start", "--pictures", f"{PICTURES}", "--bundle", str(bundle), "--json"]
    arguments += ["--folder", str(tmp_path), "--postgresql", url]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    starts = json.loads(done.stdout)
    assert [(start["catalog"], start["snapshots"]) for start in starts] == [
        ("sqlite", False),
        ("postgresql", False),
        ("postgresql", True),
    ]
    for start in starts:
        assert (start["pictures"], start["dimension"]) == (PICTURES, 50)
        assert start["ratio"] == pytest.approx(start["seconds"] / start["numpy_seconds"])
    catalog = Catalog(url)
    assert catalog.galleries.numbers() == []
    catalog.galleries.create("bench-start", keep_pictures=False)
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 1
    assert "has galleries already" in refused.stderr
    assert catalog.galleries.get("bench-start", "").images == 0
    catalog.close()
