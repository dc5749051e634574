"""`penumbra-train results`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.commands.faults import faults_in_one_line
from training.commands.options import Device, Json, Root, Withdrawn

__all__ = ["results_app"]

results_app = typer.Typer(
    help="The systems beside each other, from the records of runs.", no_args_is_help=True
)

RecordsFolder = Annotated[
    Path | None, typer.Option("--records", help="Folder of records; left out: the repository's own.")
]


@results_app.command(
    "run",
    epilog="Examples: penumbra-train results run training/comparison/plans/light.toml --root ~/data "
    "--out runs | penumbra-train results run training/comparison/plans/full.toml --root ~/data "
    "--imagenet resnet50.pth --out runs --only aos-baseline --only aos",
)
def results_run(
    plan: Annotated[Path, typer.Argument(help="Which runs: a TOML file, see training/comparison/plan.py.")],
    root: Root,
    out: Annotated[Path, typer.Option(help="Folder of the runs, one folder each.")],
    only: Annotated[
        list[str] | None, typer.Option(help="Name of a run in the plan (may be repeated); left out: all.")
    ] = None,
    initial: Annotated[
        Path | None,
        typer.Option(help="A checkpoint.pt to start all weights from, instead of the plan's start."),
    ] = None,
    imagenet: Annotated[
        Path | None, typer.Option(help="torchvision ResNet-50 state dict to start the backbones from.")
    ] = None,
    records: Annotated[
        Path | None, typer.Option(help="Folder of their records; left out: records in --out.")
    ] = None,
    bundle: Annotated[
        bool, typer.Option("--bundle/--no-bundle", help="Export every finished network.")
    ] = True,
    device: Annotated[Device, typer.Option(help="Where to train and measure.")] = Device.auto,
) -> None:
    """Make all runs of a comparison and print their table; called again, it goes on where it stopped."""
    with faults_in_one_line():
        from training.comparison.command import Workplace, run_plan, show

        place = Workplace(
            root, out, records or out / "records", device.value, initial, imagenet, bundle=bundle
        )
        run_plan(plan, place, only or ())
        show(place.records, as_json=False)


@results_app.command(
    "add",
    epilog="Example: penumbra-train results add runs/aos --baseline baseline-osnet_x0_25-market1501 "
    "--root ~/data",
)
def results_add(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs.", metavar="RUN...")],
    root: Root,
    baseline: Annotated[str, typer.Option(help="Name of the model that they are held against.")] = "",
    variant: Annotated[str, typer.Option(help="What differs from the system as the paper has it.")] = "",
    records: RecordsFolder = None,
    device: Annotated[Device, typer.Option(help="Where to measure.")] = Device.auto,
    acknowledge_withdrawn: Withdrawn = False,
    as_json: Json = False,
) -> None:
    """Measure finished runs on the protocols of the results table, and keep a record of each."""
    with faults_in_one_line():
        from training.comparison.command import RECORDS, add

        add(
            runs,
            root,
            baseline=baseline,
            variant=variant,
            folder=records or RECORDS,
            device=device.value,
            as_json=as_json,
            acknowledge_withdrawn=acknowledge_withdrawn,
        )


@results_app.command("table", epilog="Example: penumbra-train results table")
def results_table(records: RecordsFolder = None, as_json: Json = False) -> None:
    """Print the results table of all records as Markdown, and the papers' own gains beside it."""
    with faults_in_one_line():
        from training.comparison.command import RECORDS, show

        show(records or RECORDS, as_json=as_json)
