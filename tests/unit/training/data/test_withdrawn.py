from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests import drawn_layouts
from training.cli import app
from training.data import dukemtmc_reid, occluded_dukemtmc, p_dukemtmc
from training.data.records import DatasetError
from training.evaluation import protocols

RUN = CliRunner()
WITHDRAWN = ("dukemtmc-reid", "occluded-dukemtmc", "p-dukemtmc")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    drawn_layouts.duke(tmp_path, "DukeMTMC-reID")
    drawn_layouts.duke(tmp_path, "Occluded_Duke")
    return drawn_layouts.p_dukemtmc(tmp_path)


def test_everything_made_from_dukemtmc_is_marked_withdrawn() -> None:
    assert tuple(name for name, offer in protocols.OFFERS.items() if offer.withdrawn) == WITHDRAWN


@pytest.mark.parametrize("name", WITHDRAWN)
def test_withdrawn_data_stays_shut_and_says_why_and_how_to_open_it(root: Path, name: str) -> None:
    with pytest.raises(DatasetError, match=r"without their consent.*--acknowledge-withdrawn"):
        protocols.load(name, root)
    assert protocols.load(name, root, acknowledge_withdrawn=True).query


def test_no_reader_opens_withdrawn_data_by_itself(root: Path) -> None:
    for read in (
        lambda: dukemtmc_reid.read(root, "query"),
        lambda: occluded_dukemtmc.read(root, "query"),
        lambda: p_dukemtmc.read(root, "test", "whole_body_images"),
    ):
        with pytest.raises(DatasetError, match="withdrawn"):
            read()


def test_opening_withdrawn_data_tells_why_on_standard_error(root: Path) -> None:
    arguments = ["datasets", "manifest", "dukemtmc-reid", "--root", str(root), "--json"]
    refused = RUN.invoke(app, arguments)
    assert refused.exit_code == 1
    assert "--acknowledge-withdrawn" in refused.output
    opened = RUN.invoke(app, [*arguments, "--acknowledge-withdrawn"])
    assert opened.exit_code == 0, opened.output
    assert opened.stdout.startswith("{")
    assert "their consent" in " ".join(opened.stderr.split())


def test_verify_passes_over_withdrawn_data_unless_it_is_acknowledged(root: Path) -> None:
    plain = RUN.invoke(app, ["datasets", "verify", "p-dukemtmc", "--root", str(root), "--json"])
    assert '"state": "withdrawn"' in plain.stdout
    acknowledged = RUN.invoke(
        app, ["datasets", "verify", "p-dukemtmc", "--root", str(root), "--json", "--acknowledge-withdrawn"]
    )
    assert '"state": "different"' in acknowledged.stdout
