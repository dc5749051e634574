"""`penumbra-train calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from training.commands.faults import faults_in_one_line
from training.commands.options import Json, Root, Withdrawn

__all__ = ["EXAMPLES", "calibrate"]

EXAMPLES: Final = (
    "Examples: penumbra-train calibrate oamn.onnx --dataset market1501-val "
    "--dataset market1501-val-occluded --root ~/data --out oamn.onnx | penumbra-train calibrate oamn.onnx "
    "--dataset folders:our-people --root ~/site --json-out site.json --plot reliability.png"
)


def calibrate(
    bundle: Annotated[Path, typer.Argument(help="Written by `penumbra-train export`.")],
    dataset: Annotated[
        list[str],
        typer.Option(help="Protocol whose pictures are compared with each other (may be repeated)."),
    ],
    root: Root,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Bundle to write, with its card; may be the same file. Its fingerprint is another."
        ),
    ] = None,
    json_out: Annotated[
        Path | None,
        typer.Option(help="Calibration beside the bundle, for PENUMBRA_CALIBRATION; no fingerprint changes."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Reliability diagram to write: .png, .svg or .pdf.")
    ] = None,
    prior: Annotated[
        float, typer.Option(help="Probability that whom a call asks about is there at all, above 0, below 1.")
    ] = 0.5,
    match_rate: Annotated[
        float, typer.Option(help="Share of the strangers' calls that may end in a `match`, up to 0.5.")
    ] = 0.01,
    uncertain_rate: Annotated[
        float, typer.Option(help="The same for `uncertain`; above it, `unknown`.")
    ] = 0.1,
    most: Annotated[
        int, typer.Option(min=2, help="Pictures at most; of more, some people are left out.")
    ] = 4000,
    acknowledge_withdrawn: Withdrawn = False,
    as_json: Json = False,
) -> None:
    """Learn what a bundle's scores mean as probabilities, and judge that on people held out.

    Use pictures of people that the model was not trained on. Without --out and --json-out nothing is written.
    What the bundle's present calibration does on these pictures is shown too.
    """
    with faults_in_one_line():
        from training.calibration.command import Wishes, command

        command(
            bundle,
            datasets=dataset,
            root=root,
            out=out,
            json_out=json_out,
            plot=plot,
            wishes=Wishes(prior, match_rate, uncertain_rate, most),
            as_json=as_json,
            acknowledge_withdrawn=acknowledge_withdrawn,
        )
