"""`penumbra-train fit`: the one training loop.

Everything random in a step (augmentation, occluders, dropout) is drawn from generators seeded with the
recipe's seed and the number of the step, and everything random in an epoch (the batches) with the seed
and the number of the epoch. So a run that was cut at any step and resumed does what the uninterrupted
run would have done.
"""

from __future__ import annotations

import json
import math
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from training.data.sampler import IdentitySampler
from training.data.store import PictureStore, decode_pictures, draw_pictures
from training.data.transforms import augment
from training.evaluation import protocols
from training.recipe import Optimiser, Recipe, SyntheticData, dump_recipe
from training.systems import build_system
from training.systems.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, start_from
from training.systems.step import Batch

__all__ = ["FitOptions", "fit", "learning_rate", "load_training_data"]

_PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


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


def load_training_data(recipe: Recipe, root: Path | None, *, quiet: bool = False) -> tuple[PictureStore, list[str]]:
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
                raise ValueError(f"the recipe trains on {entry.protocol}: say where the data lies with --root")
            part = decode_pictures(protocols.load(entry.protocol, root).train, height, width, quiet=quiet)
            what = f"{entry.protocol}, training half"
        parts.append(part)
        lines.append(f"{what}: {len(part[0])} pictures of {len(np.unique(part[1]))} people")
    return PictureStore.of(parts), lines


def learning_rate(options: Optimiser, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Factor on the peak learning rate at a step: 0 to 1."""
    epoch = step / steps_per_epoch
    if epoch < options.warmup:
        return (step + 1) / (options.warmup * steps_per_epoch + 1)
    if options.schedule == "cosine":
        done = (epoch - options.warmup) / max(epochs - options.warmup, 1e-9)
        return 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))
    return float(0.1 ** sum(epoch >= milestone for milestone in options.milestones))


def _optimiser(network: nn.Module, options: Optimiser) -> torch.optim.Optimizer:
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


def _batch(store: PictureStore, rows: torch.Tensor, recipe: Recipe) -> Batch:
    """Gather and augment a batch on the store's device."""
    chosen = augment(store.pictures[rows], recipe.augmentation.flip, recipe.augmentation.pad)
    others = torch.randint(0, len(store.pictures), (len(rows),), device=rows.device)
    return Batch(chosen, store.identities[rows], store.pictures[others])


def fit(recipe: Recipe, options: FitOptions) -> dict[str, Any]:
    """Train by a recipe.

    On several GPUs start it with torchrun; each process takes its share of a batch's people.

    Returns:
        The run record, as written to ``out/record.json``.

    Raises:
        ValueError: recipe, data, checkpoint and options do not fit together; raised before anything starts.
        OSError: data cannot be read.
    """
    console = Console(stderr=True, quiet=options.quiet)
    checkpoint_path = options.out / "checkpoint.pt"
    earlier = load_checkpoint(checkpoint_path) if options.resume and checkpoint_path.exists() else None
    if earlier is None and checkpoint_path.exists():
        raise ValueError(f"{options.out} holds a run already: go on with --resume, or choose another --out")
    if earlier is not None and earlier.recipe != recipe:
        raise ValueError(f"the recipe is not the one that {checkpoint_path} was trained by")

    fabric = Fabric(
        accelerator="cuda" if options.device == "cuda" else options.device,
        devices="auto" if options.device != "cpu" else 1,
        precision=_PRECISIONS[recipe.precision],  # type: ignore[arg-type]
    )
    fabric.launch()
    if recipe.sampling.people % fabric.world_size:
        raise ValueError(
            f"sampling.people = {recipe.sampling.people} does not divide among {fabric.world_size} processes"
        )
    store, data_lines = load_training_data(recipe, options.root, quiet=options.quiet or not fabric.is_global_zero)
    sampler = IdentitySampler(
        store.identities.numpy(), recipe.sampling.people, recipe.sampling.pictures, recipe.seed
    )
    store = store.to(fabric.device)
    for line in data_lines:
        console.print(line)

    torch.manual_seed(recipe.seed)
    system = build_system(recipe)
    bare = system.network(store.people)
    if earlier is not None:
        bare.load_state_dict(earlier.network)
    elif options.initial is not None:
        fresh = start_from(bare, options.initial)
        console.print(f"start from {options.initial.name}; fresh: {', '.join(sorted(fresh)) or 'nothing'}")
    elif options.imagenet is not None:
        if not hasattr(bare.backbone, "load_imagenet"):
            raise ValueError(f"backbone {recipe.model.backbone} takes no ImageNet weights, only resnet50 does")
        bare.backbone.load_imagenet(options.imagenet)
    bare = bare.to(memory_format=torch.channels_last)
    network, optimiser = fabric.setup(bare, _optimiser(bare, recipe.optimiser))
    if earlier is not None:
        optimiser.load_state_dict(earlier.optimiser)
    network.train()

    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "recipe.toml").write_text(dump_recipe(recipe), encoding="utf-8")
    steps_per_epoch = len(sampler)
    total = steps_per_epoch * recipe.epochs
    record: dict[str, Any] = earlier.record if earlier is not None else {
        "data": data_lines,
        "initial": options.initial.parent.name if options.initial else options.imagenet and "ImageNet",
        "machine": _machine(fabric.device),
        "seconds": 0.0,
        "passes": 0,
        "history": [],
    }
    record["command"] = " ".join(["penumbra-train", *sys.argv[1:]])
    first = earlier.step if earlier is not None else 0
    last = total if options.stop_after is None else min(total, first + options.stop_after)
    people_here = recipe.sampling.people // fabric.world_size * recipe.sampling.pictures
    share = slice(fabric.global_rank * people_here, (fabric.global_rank + 1) * people_here)

    log = SummaryWriter(str(options.out / "tensorboard"), purge_step=first) if fabric.is_global_zero else None
    sums: dict[str, float] = {}
    counted = passes = 0
    started = window = time.perf_counter()
    seconds_before = record["seconds"]
    rows = torch.empty(0)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
        console=console,
        disable=options.quiet or not fabric.is_global_zero,
        refresh_per_second=2,
    ) as progress:
        bar = progress.add_task(f"fit {recipe.name}", total=total, completed=first, losses="")
        for step in range(first, last):
            epoch, position = divmod(step, steps_per_epoch)
            if position == 0 or step == first:
                rows = torch.from_numpy(sampler.epoch(epoch)).to(fabric.device)
            torch.manual_seed(_seed_of(recipe.seed, step, fabric.global_rank))
            factor = learning_rate(recipe.optimiser, step, steps_per_epoch, recipe.epochs)
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * factor
            outcome = system.step(network, _batch(store, rows[position][share], recipe))
            if not bool(torch.isfinite(outcome.total)):
                raise RuntimeError(
                    f"the loss is no longer finite at step {step}: lower optimiser.rate or set optimiser.clip; "
                    f"the last checkpoint is {checkpoint_path}"
                )
            optimiser.zero_grad()
            fabric.backward(outcome.total)
            if recipe.optimiser.clip:
                fabric.clip_gradients(network, optimiser, max_norm=recipe.optimiser.clip)
            optimiser.step()

            for name, value in outcome.parts.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
            counted += 1
            passes += outcome.passes * fabric.world_size
            record["passes"] += outcome.passes * fabric.world_size
            ends_epoch = position == steps_per_epoch - 1
            if counted == 20 or ends_epoch or step == last - 1:
                means = {name: value / counted for name, value in sums.items()}
                speed = passes / (time.perf_counter() - window)
                text = " ".join(f"{name} {value:.3f}" for name, value in means.items())
                progress.update(bar, completed=step + 1, losses=f"{text} | {speed:.0f} pictures/s")
                if log is not None:
                    for name, value in means.items():
                        log.add_scalar(f"loss/{name}", value, step + 1)
                    log.add_scalar("pictures per second", speed, step + 1)
                    log.add_scalar("learning rate", recipe.optimiser.rate * factor, step + 1)
                if ends_epoch:
                    record["history"].append({"epoch": epoch + 1, **{k: round(v, 4) for k, v in means.items()}})
                    console.print(f"epoch {epoch + 1}/{recipe.epochs}: {text} | {speed:.0f} pictures/s")
                sums, counted, passes, window = {}, 0, 0, time.perf_counter()
            if fabric.is_global_zero and ((step + 1) % options.checkpoint_every == 0 or step == last - 1):
                record["seconds"] = round(seconds_before + time.perf_counter() - started, 1)
                state = {name: value.cpu() for name, value in bare.state_dict().items()}
                save_checkpoint(
                    checkpoint_path,
                    Checkpoint(recipe, store.people, step + 1, state, optimiser.state_dict(), record),
                )
    if log is not None:
        log.close()
    if fabric.is_global_zero:
        (options.out / "record.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    return record


def _seed_of(seed: int, step: int, rank: int) -> int:
    """A seed for one step of one process, far from its neighbours'."""
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0] >> 1)


def _machine(device: torch.device) -> str:
    """The machine in words, without its name."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    return f"CPU {platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
