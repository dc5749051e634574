"""Training one stage from any step to any other.

Everything random in a step (augmentation, occluders, dropout) is drawn from generators seeded with the
recipe's seed, the stage and the number of the step, and everything random in an epoch (the batches) with
the seed and the number of the epoch. So a run that was cut at any step and resumed does what the
uninterrupted run would have done.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from lightning_fabric import Fabric
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from training.data.records import Protocol
from training.data.store import PictureStore
from training.evaluation.checkpoint_features import CheckpointEmbedder
from training.evaluation.command import measure
from training.evaluation.unified import Choice
from training.export.graph import BundleGraph
from training.fit.data import assemble_batch, sampler_of
from training.fit.optimiser import build_optimiser, learning_rate
from training.fit.options import FitOptions
from training.recipe import Recipe
from training.systems.stage import Stage, Step

__all__ = ["StageRun", "train_stage"]

_LOOK_EVERY: Final = 20
"""Steps between looks at the losses; each look waits for the device."""


@dataclass(frozen=True, slots=True)
class StageRun:
    """One stage's way from the step where it stands to the one where it ends.

    Attributes:
        number: the stage's place in the recipe, from 0.
        stage, recipe: the stage, and the recipe as it stands in it.
        network: initialised and begun, or as the checkpoint has it; not wrapped.
        optimiser: the checkpoint's state of it, or None.
        first: steps done before.
        record: the run record, added to in place.
        save: writes a checkpoint: steps done, the network's and the optimiser's state.
    """

    number: int
    stage: Stage
    recipe: Recipe
    network: nn.Module
    optimiser: dict[str, Any] | None
    first: int
    record: dict[str, Any]
    save: Callable[[int, dict[str, Any], dict[str, Any]], None]


def train_stage(
    run: StageRun,
    fabric: Fabric,
    store: PictureStore,
    validation: Protocol | None,
    options: FitOptions,
    budget: int | None,
    console: Console,
) -> tuple[int, bool]:
    """Train a stage, to its end or as far as the budget of steps goes.

    Returns:
        Steps done by this call, and whether the stage's last step is done.

    Raises:
        RuntimeError: a loss is no longer finite; the last checkpoint stands.
    """
    recipe, stage, record = run.recipe, run.stage, run.record
    leads, ranks = fabric.is_global_zero, fabric.world_size
    sampler = sampler_of(recipe, store)
    steps_per_epoch = len(sampler)
    total = steps_per_epoch * recipe.epochs
    last = total if budget is None else min(total, run.first + budget)
    share = recipe.sampling.people // ranks * recipe.sampling.pictures
    mine = slice(fabric.global_rank * share, (fabric.global_rank + 1) * share)

    held = store.to(fabric.device)
    bare = run.network.to(memory_format=torch.channels_last)
    network, optimiser = fabric.setup(bare, build_optimiser(bare, recipe.optimiser))
    if run.optimiser is not None:
        optimiser.load_state_dict(run.optimiser)

    log = None
    if leads:
        log = SummaryWriter(str(options.out / "tensorboard" / stage.name), purge_step=run.first)
    window = _Window()
    epochs_rows: dict[int, torch.Tensor] = {}
    quiet = options.quiet or not leads
    with _progress(console, quiet) as progress:
        bar = progress.add_task(f"{recipe.name}: {stage.name}", total=total, completed=run.first, losses="")
        for step in range(run.first, last):
            epoch, position = divmod(step, steps_per_epoch)
            if epoch not in epochs_rows:
                epochs_rows = {epoch: torch.from_numpy(sampler.epoch(epoch)).to(fabric.device)}
            torch.manual_seed(_seed_of(recipe.seed, run.number, step, fabric.global_rank))
            factor = learning_rate(recipe.optimiser, step, steps_per_epoch, recipe.epochs)
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * factor
            network.train()
            rows = epochs_rows[epoch][position][mine]
            outcome = stage.step(network, assemble_batch(held, rows, recipe, stage, step))
            optimiser.zero_grad()
            fabric.backward(outcome.total)
            if recipe.optimiser.clip:
                fabric.clip_gradients(network, optimiser, max_norm=recipe.optimiser.clip)
            optimiser.step()
            window.add(outcome, outcome.passes * ranks)
            record["passes"] += outcome.passes * ranks

            done, ends_epoch = step + 1, position == steps_per_epoch - 1
            saves = done % options.checkpoint_every == 0 or done == last
            if window.steps == _LOOK_EVERY or ends_epoch or saves:
                means, speed = window.means(), window.speed()
                window = _Window()
                if not math.isfinite(means["total"]):
                    raise RuntimeError(
                        f"the loss is no longer finite at step {done} of stage {stage.name}: lower "
                        f"optimiser.rate or set optimiser.clip; the last checkpoint stands in {options.out}"
                    )
                text = " ".join(f"{name} {value:.3f}" for name, value in means.items())
                progress.update(bar, completed=done, losses=f"{text} | {speed:.0f} pictures/s")
                if log is not None:
                    for name, value in means.items():
                        log.add_scalar(f"loss/{name}", value, done)
                    log.add_scalar("pictures per second", speed, done)
                    log.add_scalar("learning rate", recipe.optimiser.rate * factor, done)
                if ends_epoch:
                    rounded = {name: round(value, 4) for name, value in means.items()}
                    record["history"].append({"stage": stage.name, "epoch": epoch + 1, **rounded})
                    console.print(f"epoch {epoch + 1}/{recipe.epochs}: {text} | {speed:.0f} pictures/s")
            if leads and validation is not None and _validates(recipe, epoch, ends_epoch, done == total):
                figures = _validate(bare, validation, fabric.device)
                record["validation"].append({"stage": stage.name, "epoch": epoch + 1, **figures})
                console.print(f"epoch {epoch + 1}: {json.dumps(figures)}")
            if leads and saves:
                state = {name: value.cpu() for name, value in bare.state_dict().items()}
                run.save(done, state, optimiser.state_dict())
    if log is not None:
        log.close()
    return last - run.first, last == total


@dataclass
class _Window:
    """Losses and speed since the last look, kept on the device so that looking seldom costs little."""

    sums: dict[str, torch.Tensor] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    passes: int = 0
    started: float = field(default_factory=time.perf_counter)

    def add(self, step: Step, passes: int) -> None:
        for name, value in {**step.parts, "total": step.total}.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.detach()
            self.counts[name] += 1
        self.steps += 1
        self.passes += passes

    def means(self) -> dict[str, float]:
        """Each loss over the steps that have it: a stage need not compute every loss in every step."""
        return {name: float(value) / self.counts[name] for name, value in self.sums.items()}

    def speed(self) -> float:
        """Pictures through the network per second."""
        return self.passes / (time.perf_counter() - self.started)


def _progress(console: Console, quiet: bool) -> Progress:
    """Steps, losses, pictures/s."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
    )
    return Progress(*columns, console=console, disable=quiet, refresh_per_second=2)


def _validates(recipe: Recipe, epoch: int, ends_epoch: bool, ends_stage: bool) -> bool:
    """Whether to validate now: at the end, and every ``validate_every`` epochs."""
    every = recipe.validate_every
    return ends_stage or (ends_epoch and every > 0 and (epoch + 1) % every == 0)


def _validate(network: nn.Module, protocol: Protocol, device: torch.device) -> dict[str, float]:
    """rank-1 and mAP of the network as it stands, in percent."""
    network.eval()
    embedder = CheckpointEmbedder("network in training", BundleGraph(network), device)
    choices = [Choice("off"), Choice("auto")] if embedder.has_grader else [Choice("off")]
    figures = {}
    for result in measure(embedder, protocol, choices):
        figures[f"rank1_{result.unify}"] = round(result.summary.rank1, 2)
        figures[f"map_{result.unify}"] = round(result.summary.map, 2)
    return figures


def _seed_of(seed: int, stage: int, step: int, rank: int) -> int:
    """A seed for one step of one process, far from its neighbours'."""
    return int(np.random.SeedSequence((seed, stage, step, rank)).generate_state(1, np.uint64)[0] >> 1)
