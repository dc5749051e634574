"""`penumbra-train figures`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from training.commands.faults import faults_in_one_line
from training.commands.options import Json, Root, Withdrawn

__all__ = ["EXAMPLES", "figures"]

EXAMPLES: Final = (
    "Examples: penumbra-train figures --root ~/data | "
    "penumbra-train figures oamn.onnx --dataset partial-ilids --root ~/data --json"
)


def figures(
    root: Root,
    bundles: Annotated[
        list[Path] | None, typer.Argument(help="Bundles; left out: those that are shipped.", metavar="MODEL")
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="Protocol (may be repeated); left out: those of the README's table."),
    ] = None,
    acknowledge_withdrawn: Withdrawn = False,
    as_json: Json = False,
) -> None:
    """Print the README's table of figures, rank-1 / mAP by bundle and unification, as Markdown."""
    with faults_in_one_line():
        from training.evaluation.figures import command

        command(
            bundles or [],
            dataset or [],
            root,
            as_json=as_json,
            acknowledge_withdrawn=acknowledge_withdrawn,
        )
