"""`penumbra-train fit`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from training.commands.faults import faults_in_one_line
from training.commands.options import DataRoot, Device, Json, Recipe, Withdrawn

__all__ = ["EXAMPLES", "fit"]

EXAMPLES: Final = (
    "Examples: penumbra-train fit training/recipes/oamn.toml --root ~/data --imagenet resnet50.pth "
    "--out runs/oamn | penumbra-train fit RECIPE --root ~/data --out runs/oamn --resume | "
    "penumbra-train fit RECIPE --root ~/data --set model.backbone=osnet_x0_25 --epochs 8 --out runs/light | "
    "torchrun --nproc-per-node 4 -m training.cli fit RECIPE --root ~/data --out runs/oamn"
)


def fit(
    recipe: Recipe,
    out: Annotated[
        Path, typer.Option(help="Folder of the run: checkpoint, recipe, record, TensorBoard log.")
    ],
    root: DataRoot = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in --out stopped.")] = False,
    initial: Annotated[
        Path | None, typer.Option(help="Another run's checkpoint.pt to start the weights from.")
    ] = None,
    imagenet: Annotated[
        Path | None, typer.Option(help="torchvision ResNet-50 state dict to start the backbone from.")
    ] = None,
    stages_from: Annotated[
        Path | None,
        typer.Option(help="Another run whose finished stages before --start-at are taken over."),
    ] = None,
    start_at: Annotated[
        str | None, typer.Option(help="First stage to train, with --stages-from; e.g. grader.")
    ] = None,
    bundle: Annotated[
        bool, typer.Option("--bundle/--no-bundle", help="Measure and export the finished network.")
    ] = True,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change of the recipe, e.g. optimiser.rate=0.01 (may be repeated)."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.auto,
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 200,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check recipe and data, print the whole recipe, and stop.")
    ] = False,
    acknowledge_withdrawn: Withdrawn = False,
    as_json: Json = False,
) -> None:
    """Train a model by a recipe, through all its stages, and export it as a bundle."""
    with faults_in_one_line():
        from training.fit import FitOptions, check, fit
        from training.recipe import dump_recipe, load_recipe

        chosen = load_recipe(recipe, changes or (), epochs=epochs, seed=seed)
        options = FitOptions(
            root=root,
            out=out,
            resume=resume,
            initial=initial,
            imagenet=imagenet,
            stages_from=stages_from,
            start_at=start_at,
            bundle=bundle,
            device=device.value,
            checkpoint_every=checkpoint_every,
            acknowledge_withdrawn=acknowledge_withdrawn,
        )
        if dry_run:
            typer.echo(dump_recipe(chosen))
            for line in check(chosen, root, acknowledge_withdrawn=acknowledge_withdrawn):
                typer.echo(f"# {line}")
            return
        record = fit(chosen, options)
        if as_json:
            typer.echo(json.dumps(record))
