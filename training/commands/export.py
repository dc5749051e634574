"""`penumbra-train export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from training.commands.faults import faults_in_one_line
from training.commands.options import Json, Withdrawn

__all__ = ["EXAMPLES", "export"]

EXAMPLES: Final = (
    "Example: penumbra-train export runs/oamn/checkpoint.pt oamn.onnx "
    "--dataset market1501-val --dataset partial-ilids --root ~/data"
)


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Written by `penumbra-train fit`.")],
    out: Annotated[Path, typer.Argument(help="The bundle to write, e.g. oamn.onnx.")],
    root: Annotated[Path | None, typer.Option(help="Folder that holds the data sets' own folders.")] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="Protocol to measure (may be repeated); the gate compares on the first."),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(help="Folder of pictures PERSON_*.jpg for the gate instead of a protocol's."),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(
            help="Answer of `evaluate --json` on this checkpoint; what it covers is not measured anew."
        ),
    ] = None,
    licence: Annotated[str, typer.Option(help="Of the weights.")] = "Apache-2.0",
    terms: Annotated[
        str | None, typer.Option(help="Terms of use; left out: as the training data demand.")
    ] = None,
    notes: Annotated[str, typer.Option(help="What a reader must know, e.g. a schedule cut short.")] = "",
    acknowledge_withdrawn: Withdrawn = False,
    as_json: Json = False,
) -> None:
    """Export a checkpoint as a bundle, through the gate: where it fails, nothing is written."""
    with faults_in_one_line():
        from training.export.command import command

        command(
            checkpoint,
            out,
            root=root,
            datasets=dataset or [],
            pictures=pictures,
            figures=figures,
            licence=licence,
            terms=terms,
            notes=notes,
            as_json=as_json,
            acknowledge_withdrawn=acknowledge_withdrawn,
        )
