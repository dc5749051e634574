"""`penumbra-train fit`: the one training loop.

Everything random in a step (augmentation, occluders, dropout) is drawn from generators seeded with the
recipe's seed and the number of the step, and everything random in an epoch (the batches) with the seed
and the number of the epoch. So a run that was cut at any step and resumed does what the uninterrupted
run would have done.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

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

from models.networks.backbones import ResNet50
from training.data.records import Protocol
from training.data.sampler import IdentitySampler
from training.data.store import PictureStore, decode_pictures, draw_pictures
from training.data.transforms import augment
from training.evaluation import protocols
from training.evaluation.checkpoint_features import CheckpointEmbedder
from training.evaluation.command import measure
from training.evaluation.unified import Choice
from training.export.graph import BundleGraph
from training.recipe import Optimiser, Recipe, SyntheticData, dump_recipe
from training.systems import build_system
from training.systems.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, start_from
from training.systems.step import Batch, Step

__all__ = [
    "FitOptions",
    "assemble_batch",
    "build_optimiser",
    "check",
    "fit",
    "learning_rate",
    "load_training_data",
    "open_fabric",
]

_PRECISIONS: Final[dict[str, Literal["32-true", "bf16-mixed"]]] = {"32": "32-true", "bf16": "bf16-mixed"}
_LOOK_EVERY: Final = 20
"""Steps between looks at the losses; each look waits for the device."""


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What a run takes beside its recipe.

    Attributes:
        root: folder that holds the real data sets; may be None where the recipe needs none.
        out: folder of the run: ``checkpoint.pt``, ``recipe.toml``, ``record.json``, TensorBoard's log.
        resume: go on from ``out/checkpoint.pt`` where there is one.
        initial: another run's checkpoint to start the weights from.
        imagenet: a torchvision ResNet-50 state dict to start the backbone from.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        checkpoint_every: optimiser steps between checkpoints.
        stop_after: stop (with a checkpoint) after this many steps of this call; None: run to the end.
        quiet: no progress bar.
        acknowledge_withdrawn: open data that its authors withdrew, see ``training/data/withdrawn.py``.
    """

    root: Path | None
    out: Path
    resume: bool = False
    initial: Path | None = None
    imagenet: Path | None = None
    device: str = "auto"
    checkpoint_every: int = 200
    stop_after: int | None = None
    quiet: bool = False
    acknowledge_withdrawn: bool = False


def load_training_data(
    recipe: Recipe, root: Path | None, *, quiet: bool = False, acknowledge_withdrawn: bool = False
) -> tuple[PictureStore, list[str]]:
    """All of a recipe's pictures in memory, and a line on each data set.

    Raises:
        ValueError: the recipe names real data and no root is given.
        OSError: a folder or file is missing.
    """
    parts, lines = [], []
    height, width = recipe.model.height, recipe.model.width
    for entry in recipe.data:
        if isinstance(entry, SyntheticData):
            part = draw_pictures(
                entry.people,
                entry.cameras,
                entry.per_camera,
                seed=entry.seed,
                occluded=entry.occluded,
                height=height,
                width=width,
                quiet=quiet,
            )
            what = f"synthetic pedestrians, seed {entry.seed}"
        else:
            if root is None:
                raise ValueError(
                    f"the recipe trains on {entry.protocol}: say where the data lies with --root"
                )
            protocol = protocols.load(entry.protocol, root, acknowledge_withdrawn=acknowledge_withdrawn)
            part = decode_pictures(protocol.train, height, width, quiet=quiet)
            what = f"{entry.protocol}, training half"
        parts.append(part)
        lines.append(f"{what}: {len(part[0])} pictures of {len(np.unique(part[1]))} people")
    return PictureStore.of(parts), lines


def check(recipe: Recipe, root: Path | None, *, acknowledge_withdrawn: bool = False) -> list[str]:
    """Load a recipe's data and make its batches without training; a line on each data set.

    Raises:
        ValueError, OSError: as :func:`fit` would.
    """
    store, lines = load_training_data(recipe, root, acknowledge_withdrawn=acknowledge_withdrawn)
    sampling = recipe.sampling
    batches = len(IdentitySampler(store.identities.numpy(), sampling.people, sampling.pictures, recipe.seed))
    return [*lines, f"{batches} batches of {sampling.people} × {sampling.pictures} an epoch"]


def open_fabric(recipe: Recipe, device: str) -> Fabric:
    """Lightning Fabric on the device, in the recipe's arithmetic; under torchrun one of several processes."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    nodes = int(os.environ.get("WORLD_SIZE", "1")) // local
    fabric = Fabric(
        accelerator=device, devices=local, num_nodes=nodes, precision=_PRECISIONS[recipe.precision]
    )
    fabric.launch()
    return fabric


def learning_rate(options: Optimiser, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Factor on the peak learning rate at a step: 0 to 1."""
    epoch = step / steps_per_epoch
    if epoch < options.warmup:
        return (step + 1) / (options.warmup * steps_per_epoch + 1)
    if options.schedule == "cosine":
        done = (epoch - options.warmup) / max(epochs - options.warmup, 1e-9)
        return 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))
    return float(0.1 ** sum(epoch >= milestone for milestone in options.milestones))


def build_optimiser(network: nn.Module, options: Optimiser) -> torch.optim.Optimizer:
    """Parameter groups: backbone and new layers, each with and without weight decay."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            key = (name.startswith("backbone."), parameter.ndim > 1)
            groups.setdefault(key, []).append(parameter)
    settings = []
    for (in_backbone, decayed), parameters in sorted(groups.items()):
        rate = options.backbone_rate if in_backbone and options.backbone_rate else options.rate
        decay = options.weight_decay if decayed else 0.0
        settings.append({"params": parameters, "lr": rate, "peak": rate, "weight_decay": decay})
    if options.kind == "adamw":
        return torch.optim.AdamW(settings)
    return torch.optim.SGD(settings, momentum=0.9, nesterov=True)


def assemble_batch(store: PictureStore, rows: torch.Tensor, recipe: Recipe) -> Batch:
    """Gather and augment a batch on the store's device; random numbers from the default generator."""
    how = recipe.augmentation
    chosen = augment(store.pictures[rows], how.flip, how.pad, how.partial, how.colour)
    others = torch.randint(0, len(store.pictures), (len(rows),), device=rows.device)
    return Batch(chosen, store.identities[rows], store.pictures[others])


@dataclass
class _Window:
    """Losses and speed since the last look, kept on the device so that looking seldom costs little."""

    sums: dict[str, torch.Tensor] = field(default_factory=dict)
    steps: int = 0
    passes: int = 0
    started: float = field(default_factory=time.perf_counter)

    def add(self, step: Step, passes: int) -> None:
        for name, value in {**step.parts, "total": step.total}.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.detach()
        self.steps += 1
        self.passes += passes

    def means(self) -> dict[str, float]:
        return {name: float(value) / self.steps for name, value in self.sums.items()}

    def speed(self) -> float:
        """Pictures through the network per second."""
        return self.passes / (time.perf_counter() - self.started)


def fit(recipe: Recipe, options: FitOptions) -> dict[str, Any]:
    """Train by a recipe.

    On several GPUs start it with torchrun; each process takes its share of a batch's people.

    Returns:
        The run record, as written to ``out/record.json``.

    Raises:
        ValueError: recipe, data, checkpoint and options do not fit together; raised before anything starts.
        OSError: data cannot be read.
        RuntimeError: a loss is no longer finite; the last checkpoint stands.
    """
    checkpoint_path = options.out / "checkpoint.pt"
    earlier = _earlier(recipe, options, checkpoint_path)
    fabric = open_fabric(recipe, options.device)
    leads = fabric.is_global_zero
    console = Console(stderr=True, quiet=options.quiet or not leads)
    people, ranks = recipe.sampling.people, fabric.world_size
    if people % ranks:
        raise ValueError(f"sampling.people = {people} does not divide among {ranks} processes")
    validation = _validation(recipe, options)
    store, data_lines = load_training_data(
        recipe,
        options.root,
        quiet=options.quiet or not leads,
        acknowledge_withdrawn=options.acknowledge_withdrawn,
    )
    sampler = IdentitySampler(store.identities.numpy(), people, recipe.sampling.pictures, recipe.seed)
    store = store.to(fabric.device)
    for line in data_lines:
        console.print(line)

    torch.manual_seed(recipe.seed)
    system = build_system(recipe)
    bare = system.network(store.people)
    if earlier is not None:
        bare.load_state_dict(earlier.network)
    else:
        _initialise(bare, options, console)
    bare = bare.to(memory_format=torch.channels_last)
    network, optimiser = fabric.setup(bare, build_optimiser(bare, recipe.optimiser))
    if earlier is not None:
        optimiser.load_state_dict(earlier.optimiser)

    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "recipe.toml").write_text(dump_recipe(recipe), encoding="utf-8")
    record = earlier.record if earlier is not None else _new_record(options, data_lines, fabric.device)
    record["command"] = " ".join(["penumbra-train", *sys.argv[1:]])
    steps_per_epoch = len(sampler)
    total = steps_per_epoch * recipe.epochs
    first = earlier.step if earlier is not None else 0
    last = total if options.stop_after is None else min(total, first + options.stop_after)
    share = people // ranks * recipe.sampling.pictures
    mine = slice(fabric.global_rank * share, (fabric.global_rank + 1) * share)

    log = SummaryWriter(str(options.out / "tensorboard"), purge_step=first) if leads else None
    window = _Window()
    started, seconds_before = time.perf_counter(), record["seconds"]
    epochs_rows: dict[int, torch.Tensor] = {}
    with _progress(console, options.quiet or not leads) as progress:
        bar = progress.add_task(f"fit {recipe.name}", total=total, completed=first, losses="")
        for step in range(first, last):
            epoch, position = divmod(step, steps_per_epoch)
            if epoch not in epochs_rows:
                epochs_rows = {epoch: torch.from_numpy(sampler.epoch(epoch)).to(fabric.device)}
            torch.manual_seed(_seed_of(recipe.seed, step, fabric.global_rank))
            factor = learning_rate(recipe.optimiser, step, steps_per_epoch, recipe.epochs)
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * factor
            network.train()
            outcome = system.step(network, assemble_batch(store, epochs_rows[epoch][position][mine], recipe))
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
                        f"the loss is no longer finite at step {done}: lower optimiser.rate or set "
                        f"optimiser.clip; the last checkpoint is {checkpoint_path}"
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
                    record["history"].append({"epoch": epoch + 1, **rounded})
                    console.print(f"epoch {epoch + 1}/{recipe.epochs}: {text} | {speed:.0f} pictures/s")
            if leads and validation is not None and _validates(recipe, epoch, ends_epoch, done == total):
                figures = _validate(bare, validation, fabric.device)
                record["validation"].append({"epoch": epoch + 1, **figures})
                console.print(f"epoch {epoch + 1}: {json.dumps(figures)}")
            if leads and saves:
                record["seconds"] = round(seconds_before + time.perf_counter() - started, 1)
                state = {name: value.cpu() for name, value in bare.state_dict().items()}
                save_checkpoint(
                    checkpoint_path,
                    Checkpoint(recipe, store.people, done, state, optimiser.state_dict(), record),
                )
    if log is not None:
        log.close()
    if leads:
        (options.out / "record.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    return record


def _earlier(recipe: Recipe, options: FitOptions, path: Path) -> Checkpoint | None:
    """The checkpoint to go on from, if any."""
    if not path.exists():
        return None
    if not options.resume:
        raise ValueError(f"{options.out} holds a run already: go on with --resume, or choose another --out")
    earlier = load_checkpoint(path)
    if earlier.recipe != recipe:
        raise ValueError(f"the recipe is not the one that {path} was trained by")
    return earlier


def _initialise(network: nn.Module, options: FitOptions, console: Console) -> None:
    """Start the weights from where the options say."""
    if options.initial is not None and options.imagenet is not None:
        raise ValueError("give --initial or --imagenet, not both")
    if options.initial is not None:
        fresh = start_from(network, options.initial)
        modules = sorted({name.rpartition(".")[0] for name in fresh})
        console.print(f"start from {options.initial.name}; fresh: {', '.join(modules) or 'nothing'}")
    if options.imagenet is not None:
        if not isinstance(network.backbone, ResNet50):
            raise ValueError("only the backbone resnet50 takes ImageNet weights")
        network.backbone.load_imagenet(options.imagenet)


def _new_record(options: FitOptions, data_lines: list[str], device: torch.device) -> dict[str, Any]:
    """An empty run record."""
    initial = options.initial.parent.name if options.initial else "ImageNet" if options.imagenet else "random"
    return {
        "data": data_lines,
        "initial": initial,
        "machine": _machine(device),
        "revision": _revision(),
        "seconds": 0.0,
        "passes": 0,
        "history": [],
        "validation": [],
    }


def _progress(console: Console, quiet: bool) -> Progress:
    """The progress bar: steps, times, losses, pictures/s."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
    )
    return Progress(*columns, console=console, disable=quiet, refresh_per_second=2)


def _validation(recipe: Recipe, options: FitOptions) -> Protocol | None:
    """The protocol to validate on, opened before anything starts."""
    if recipe.validate_on is None:
        return None
    if options.root is None:
        raise ValueError(f"the recipe validates on {recipe.validate_on}: say where the data lies with --root")
    return protocols.load(
        recipe.validate_on, options.root, acknowledge_withdrawn=options.acknowledge_withdrawn
    )


def _validates(recipe: Recipe, epoch: int, ends_epoch: bool, ends_run: bool) -> bool:
    """Whether to validate now: at the end, and every ``validate_every`` epochs."""
    every = recipe.validate_every
    return ends_run or (ends_epoch and every > 0 and (epoch + 1) % every == 0)


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


def _seed_of(seed: int, step: int, rank: int) -> int:
    """A seed for one step of one process, far from its neighbours'."""
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0] >> 1)


def _machine(device: torch.device) -> str:
    """The machine in words, without its name."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    return f"CPU {platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _revision() -> str:
    """The git revision of this code, or "unknown" outside a checkout."""
    command = ("git", "rev-parse", "--short=12", "HEAD")
    try:
        answer = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip() or "unknown"
