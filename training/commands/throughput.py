"""`penumbra-train throughput`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Final

import typer

from training.commands.faults import faults_in_one_line
from training.commands.options import DataRoot, Device, Json, Recipe, Withdrawn

__all__ = ["EXAMPLES", "throughput"]

EXAMPLES: Final = "Example: penumbra-train throughput training/recipes/small/oamn.toml --root ~/data"


def throughput(
    recipe: Recipe,
    root: DataRoot = None,
    device: Annotated[Device, typer.Option(help="Where to run.")] = Device.auto,
    rounds: Annotated[int, typer.Option(min=1, help="Steps of each kind, in turn.")] = 10,
    acknowledge_withdrawn: Withdrawn = False,
    as_json: Json = False,
) -> None:
    """Compare the whole training step with the bare network's forward and backward on random pictures."""
    with faults_in_one_line():
        from training.recipe import load_recipe
        from training.throughput import measure

        chosen = load_recipe(recipe)
        found = measure(chosen, root, device.value, rounds, acknowledge_withdrawn=acknowledge_withdrawn)
        if as_json:
            typer.echo(json.dumps(asdict(found)))
        else:
            typer.echo(
                f"whole step {found.whole:.0f} pictures/s, bare network {found.bare:.0f} pictures/s, "
                f"ratio {found.ratio:.2f} (median of {found.rounds} rounds, {found.device})"
            )
