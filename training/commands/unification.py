"""`penumbra-train unification`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from training.commands.faults import faults_in_one_line
from training.commands.options import Device, Json, Root, Withdrawn

__all__ = ["EXAMPLES", "unification"]

EXAMPLES: Final = (
    "Example: penumbra-train unification oamn.onnx --dataset market1501-val-occluded "
    "--dataset partial-ilids --root ~/data --cache runs/unification"
)


def unification(
    model: Annotated[Path, typer.Argument(help="Bundle (.onnx) or checkpoint (.pt).")],
    dataset: Annotated[
        list[str], typer.Option(help="Protocol (may be repeated); choose on the first, report the others.")
    ],
    root: Root,
    hidings: Annotated[
        bool,
        typer.Option(
            "--hidings",
            help="Compare also hiding at the mask and with a soft edge, by editing a bundle's graph.",
        ),
    ] = False,
    cache: Annotated[
        Path | None, typer.Option(help="Folder to keep embeddings in, so that the next run is quick.")
    ] = None,
    device: Annotated[Device, typer.Option(help="For checkpoints; bundles run on the CPU.")] = Device.auto,
    acknowledge_withdrawn: Withdrawn = False,
    as_json: Json = False,
) -> None:
    """Compare what occlusion unification leaves open, with the bound that hindsight gives.

    Each picture is embedded under all nine codes once; every choice is computed from that.
    """
    with faults_in_one_line():
        from training.evaluation.unification_command import command

        command(
            model,
            dataset,
            root,
            hidings=hidings,
            cache=cache,
            device=device.value,
            as_json=as_json,
            acknowledge_withdrawn=acknowledge_withdrawn,
        )
