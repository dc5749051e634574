"""`penumbra-train features`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from training.commands.faults import faults_in_one_line
from training.commands.options import Device, Root, Withdrawn

__all__ = ["EXAMPLES", "features"]

EXAMPLES: Final = (
    "Examples: penumbra-train features oamn.onnx OUT --dataset partial-ilids --root ~/data | "
    "penumbra-train features runs/oamn/checkpoint.pt OUT --dataset market1501-val --root ~/data --every-code "
    "--train"
)


def features(
    model: Annotated[Path, typer.Argument(help="Bundle (.onnx) or checkpoint (.pt).")],
    out: Annotated[Path, typer.Argument(help="New or empty folder.")],
    dataset: Annotated[str, typer.Option(help="Protocol; see `penumbra-train datasets list`.")],
    root: Root,
    every_code: Annotated[
        bool,
        typer.Option("--every-code", help="Under all nine occlusion codes, so that files can be unified."),
    ] = False,
    train: Annotated[
        bool, typer.Option("--train", help="The training half too, for XQDA and KISSME.")
    ] = False,
    device: Annotated[Device, typer.Option(help="For checkpoints; bundles run on the CPU.")] = Device.auto,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
    acknowledge_withdrawn: Withdrawn = False,
) -> None:
    """Write a model's features of a protocol as a folder, which `evaluate` and other programs read."""
    with faults_in_one_line():
        from training.evaluation.write_features import command

        command(
            model,
            out,
            dataset,
            root,
            every_code=every_code,
            train=train,
            device=device.value,
            quiet=quiet,
            acknowledge_withdrawn=acknowledge_withdrawn,
        )
