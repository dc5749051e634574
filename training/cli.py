"""`penumbra-train`: fit, evaluate, export, datasets, synth.

Nothing heavy is imported until a command needs it, so that the data sets, drawn pedestrians and the
evaluation of bundles work where torch is not installed. A fault of the user's (a wrong path, a recipe
that does not validate) is told in one line with exit status 1; anything else is a traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(
    help="Make, measure and export re-identification models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
datasets = typer.Typer(help="Data sets and their protocols.", no_args_is_help=True)
app.add_typer(datasets, name="datasets")

_WITH_TRAINING = frozenset({"lightning_fabric", "onnx", "onnxscript", "tensorboard", "torch", "torchvision"})


class Unify(StrEnum):
    """What to measure."""

    off = "off"
    auto = "auto"
    both = "both"


class Device(StrEnum):
    """Where PyTorch runs."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


Root = Annotated[
    Path, typer.Option(help="Folder that holds the data sets' own folders (or such a folder itself).")
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable answer on standard output.")]


@contextmanager
def _faults_in_one_line() -> Iterator[None]:
    """Tell the user's faults without a traceback, and what to install where torch is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _WITH_TRAINING:
            raise
        typer.echo(f"error: {error.name} is not installed: install penumbra-reid[training]", err=True)
        raise typer.Exit(1) from error
    except (ValueError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


@app.command(
    epilog="Example: penumbra-train evaluate oamn.onnx baseline.onnx --dataset partial-ilids --root ~/data"
)
def evaluate(
    models: Annotated[
        list[Path], typer.Argument(help="Bundles (.onnx) and checkpoints (.pt).", metavar="MODEL...")
    ],
    dataset: Annotated[str, typer.Option(help="Protocol; see `penumbra-train datasets list`.")],
    root: Root,
    unify: Annotated[
        Unify, typer.Option(help="Occlusion unification; both: as far as each model can.")
    ] = Unify.both,
    own: Annotated[
        bool,
        typer.Option("--own", help="Measure also hiding each picture's own graded rectangle (auto+own)."),
    ] = False,
    by_type: Annotated[
        bool, typer.Option("--by-type", help="Show the figures by the query's graded type too.")
    ] = False,
    device: Annotated[Device, typer.Option(help="For checkpoints; bundles run on the CPU.")] = Device.auto,
    as_json: Json = False,
) -> None:
    """Measure rank-1/5/10 and mAP, with the camera rule, with and without occlusion unification."""
    with _faults_in_one_line():
        from training.evaluation.command import command

        command(
            models,
            dataset,
            root,
            unify=unify.value,
            own=own,
            by_type=by_type,
            device=device.value,
            as_json=as_json,
        )


@app.command(
    epilog="Example: penumbra-train export runs/oamn/checkpoint.pt oamn.onnx "
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
    as_json: Json = False,
) -> None:
    """Export a checkpoint as a bundle, through the gate: where it fails, nothing is written."""
    with _faults_in_one_line():
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
        )


@datasets.command("list", epilog="Example: penumbra-train datasets list")
def datasets_list(as_json: Json = False) -> None:
    """List the protocols and what complete copies hold."""
    from training.data.command import list_protocols

    list_protocols(as_json=as_json)


@datasets.command(
    "manifest", epilog="Example: penumbra-train datasets manifest partial-ilids --root ~/data --json"
)
def datasets_manifest(
    name: Annotated[str, typer.Argument(help="Protocol.")],
    root: Root,
    render: Annotated[
        Path | None,
        typer.Option(help="Folder to write covered queries to, as PNG, where a protocol has them."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Name every query and gallery picture of a protocol, with person and camera."""
    with _faults_in_one_line():
        from training.data.command import print_manifest

        print_manifest(name, root, render=render, as_json=as_json)


@datasets.command("verify", epilog="Example: penumbra-train datasets verify --root ~/data")
def datasets_verify(
    root: Root,
    names: Annotated[
        list[str] | None, typer.Argument(help="Protocols; left out: all whose data is there.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Count pictures and people and compare with complete copies; exit status 1 where they differ."""
    with _faults_in_one_line():
        from training.data.command import verify

        if not verify(root, names or [], as_json=as_json):
            raise typer.Exit(1)


if __name__ == "__main__":
    sys.exit(app())
