"""`penumbra bench erasures`: on each catalog, and nothing left behind."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.storage.catalog import Catalog


def test_readers_are_timed_beside_erasures_and_what_was_put_there_is_removed(catalog_url: str) -> None:
    arguments = ["bench", "erasures", "--catalog", catalog_url, "--json"]
    arguments += ["--pictures", "100", "--dimension", "8", "--people", "2"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures["catalog"] == catalog_url.split(":")[0].split("+")[0]
    assert (figures["pictures"], figures["dimension"], figures["erased"]) == (100, 8, 2)
    assert 0 < figures["alone"]["median_ms"] <= figures["alone"]["longest_ms"]
    assert 0 < figures["beside"]["median_ms"] <= figures["beside"]["longest_ms"]
    assert figures["gone_s"] > 0

    catalog = Catalog(catalog_url)
    assert catalog.galleries.numbers() == []
    catalog.galleries.create("mine", keep_pictures=False)
    refused = CliRunner().invoke(app, arguments)
    assert (refused.exit_code, "has galleries already" in refused.stderr) == (1, True)
    assert catalog.galleries.numbers() == [catalog.galleries.key("mine").number]
    catalog.close()


@pytest.mark.parametrize("people", ["10", "11"])
def test_somebody_must_be_left(people: str) -> None:
    refused = CliRunner().invoke(app, ["bench", "erasures", "--pictures", "100", "--people", people])
    assert (refused.exit_code, "fewer than 10 people" in refused.stderr) == (2, True)
