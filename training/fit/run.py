"""A whole run: the stages of a recipe one after the other, resumed where it stopped, and the bundle."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final, Literal

import torch
from lightning_fabric import Fabric
from rich.console import Console
from torch import nn

from models.networks.backbones import ResNet50
from training.data.records import Protocol
from training.data.store import PictureStore
from training.evaluation import protocols
from training.export.card import write_card
from training.export.command import export
from training.fit.data import load_training_data, sampler_of
from training.fit.options import FitOptions
from training.fit.stage import StageRun, train_stage
from training.recipe import Recipe, dump_recipe
from training.systems import build_stages
from training.systems.checkpoint import Checkpoint, load_checkpoint, load_network, save_checkpoint, start_from
from training.systems.stage import Stage, Start

__all__ = ["fit", "open_fabric"]

_CHECKPOINT: Final = "checkpoint.pt"
_PRECISIONS: Final[dict[str, Literal["32-true", "bf16-mixed"]]] = {"32": "32-true", "bf16": "bf16-mixed"}


def open_fabric(recipe: Recipe, device: str) -> Fabric:
    """Lightning Fabric on the device, in the recipe's arithmetic; under torchrun one of several processes."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    nodes = int(os.environ.get("WORLD_SIZE", "1")) // local
    fabric = Fabric(
        accelerator=device, devices=local, num_nodes=nodes, precision=_PRECISIONS[recipe.precision]
    )
    fabric.launch()
    return fabric


def fit(recipe: Recipe, options: FitOptions) -> dict[str, Any]:
    """Train all stages of a recipe, and export the last one's network.

    On several GPUs start it with torchrun; each process takes its share of a batch's people.

    Returns:
        The run record, as written to ``out/record.json``.

    Raises:
        ValueError: recipe, data, checkpoint and options do not fit together; raised before anything starts.
        OSError: data cannot be read.
        RuntimeError: a loss is no longer finite; the last checkpoint stands.
        GateError: the exported graph does not agree with the network; the checkpoint stands.
    """
    earlier = _earlier(recipe, options)
    stages = build_stages(recipe)
    fabric = open_fabric(recipe, options.device)
    leads = fabric.is_global_zero
    console = Console(stderr=True, quiet=options.quiet or not leads)
    validation = _validation(recipe, options)
    store, data_lines = load_training_data(
        recipe,
        options.root,
        quiet=options.quiet or not leads,
        acknowledge_withdrawn=options.acknowledge_withdrawn,
    )
    _check_stages(recipe, store, fabric.world_size)
    for line in data_lines:
        console.print(line)

    options.out.mkdir(parents=True, exist_ok=True)
    if leads:
        _take_stages(recipe, options)
        (options.out / "recipe.toml").write_text(dump_recipe(recipe), encoding="utf-8")
    fabric.barrier()
    record = earlier.record if earlier is not None else _new_record(options, data_lines, fabric.device)
    record["command"] = " ".join(["penumbra-train", *sys.argv[1:]])
    clock = _Clock(record)
    budget = options.stop_after
    for number, stage in enumerate(stages):
        folder = options.out / stage.name
        if (folder / _CHECKPOINT).exists():
            continue
        here = recipe.at(stage.name)
        standing = earlier if earlier is not None and earlier.stage == stage.name else None
        console.print(f"stage {stage.name}: {here.epochs} epochs")
        torch.manual_seed(recipe.seed + number)
        network = stage.network(store.people)
        _initialise(network, options, console)
        network = network.to(fabric.device)
        folder.mkdir(parents=True, exist_ok=True)
        start = _start(recipe, options, store.to(fabric.device), fabric.device)
        stage.begin(network, start)
        if standing is not None:
            network.load_state_dict(standing.network)

        def save(done: int, state: dict[str, Any], optimiser: dict[str, Any], stage: Stage = stage) -> None:
            record["seconds"] = clock.seconds()
            content = Checkpoint(recipe, store.people, stage.name, done, state, optimiser, record)
            save_checkpoint(options.out / _CHECKPOINT, content)

        run = StageRun(
            number,
            stage,
            here,
            network,
            standing.optimiser if standing is not None else None,
            standing.step if standing is not None else 0,
            record,
            save,
        )
        steps, ended = train_stage(run, fabric, store, validation, options, budget, console)
        if not ended:
            break
        if leads:
            network.eval()
            stage.finish(network, start)
            _copy(options.out / _CHECKPOINT, folder / _CHECKPOINT)
        fabric.barrier()
        if budget is not None:
            budget -= steps
            if budget <= 0:
                break
    else:
        if leads:
            _copy(options.out / stages[-1].name / _CHECKPOINT, options.out / _CHECKPOINT)
            if validation is not None and options.bundle:
                record["bundle"] = _export(recipe, options, validation, console)
    if leads:
        record["seconds"] = clock.seconds()
        (options.out / "record.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    return record


class _Clock:
    """The seconds that a run took in all, over its interruptions."""

    def __init__(self, record: dict[str, Any]) -> None:
        self._before = float(record["seconds"])
        self._started = time.perf_counter()

    def seconds(self) -> float:
        return round(self._before + time.perf_counter() - self._started, 1)


def _earlier(recipe: Recipe, options: FitOptions) -> Checkpoint | None:
    """The checkpoint to go on from, if any."""
    if (options.stages_from is None) != (options.start_at is None):
        raise ValueError("--stages-from and --start-at go together: whose stages, and where to go on")
    if options.start_at is not None and options.start_at not in recipe.stage_names:
        raise ValueError(f"there is no stage {options.start_at!r}; there are {', '.join(recipe.stage_names)}")
    if options.initial is not None and options.imagenet is not None:
        raise ValueError("give --initial or --imagenet, not both")
    path = options.out / _CHECKPOINT
    if not path.exists():
        return None
    if not options.resume:
        raise ValueError(f"{options.out} holds a run already: go on with --resume, or choose another --out")
    earlier = load_checkpoint(path)
    if earlier.recipe != recipe:
        raise ValueError(f"the recipe is not the one that {path} was trained by")
    return earlier


def _take_stages(recipe: Recipe, options: FitOptions) -> None:
    """Copy the stages before ``start_at`` from another run."""
    if options.stages_from is None or options.start_at is None:
        return
    for name in recipe.stage_names[: recipe.stage_names.index(options.start_at)]:
        source, target = options.stages_from / name, options.out / name
        if not (source / _CHECKPOINT).exists():
            raise ValueError(f"{options.stages_from} has no finished stage {name}")
        if not (target / _CHECKPOINT).exists():
            shutil.copytree(source, target, dirs_exist_ok=True)


def _check_stages(recipe: Recipe, store: PictureStore, ranks: int) -> None:
    """Whether every stage can make its batches, before the first one starts."""
    for name in recipe.stage_names:
        here = recipe.at(name)
        if here.sampling.people % ranks:
            raise ValueError(
                f"stage {name}: sampling.people = {here.sampling.people} does not divide among "
                f"{ranks} processes"
            )
        sampler_of(here, store)


def _start(recipe: Recipe, options: FitOptions, store: PictureStore, device: torch.device) -> Start:
    """What the stages may look at: the finished ones of this run."""

    def earlier(name: str) -> nn.Module:
        network, _ = load_network(options.out / name / _CHECKPOINT)
        return network.to(device)

    return Start(store, earlier, lambda name: options.out / name, recipe.seed, options.quiet)


def _copy(source: Path, target: Path) -> None:
    """Copy a checkpoint; the target is whole or as it was, whenever the process dies."""
    if source.resolve() == target.resolve():
        return
    unfinished = target.with_suffix(".unfinished")
    shutil.copyfile(source, unfinished)
    unfinished.replace(target)


def _initialise(network: nn.Module, options: FitOptions, console: Console) -> None:
    """Start the weights from where the options say."""
    if options.initial is not None:
        fresh = start_from(network, options.initial)
        modules = sorted({name.rpartition(".")[0] for name in fresh})
        console.print(f"start from {options.initial.name}; fresh: {', '.join(modules) or 'nothing'}")
    if options.imagenet is not None:
        if not isinstance(network.backbone, ResNet50):
            raise ValueError("only the backbone resnet50 takes ImageNet weights")
        network.backbone.load_imagenet(options.imagenet)


def _export(recipe: Recipe, options: FitOptions, validation: Protocol, console: Console) -> dict[str, Any]:
    """Evaluate and export the finished network, through the gate."""
    names = recipe.measure_on or (validation.name,)
    measured_on = [
        validation
        if name == validation.name
        else protocols.load(name, _root(recipe, options), acknowledge_withdrawn=options.acknowledge_withdrawn)
        for name in names
    ]
    out = options.out / f"{recipe.name}.onnx"
    bundle = export(options.out / _CHECKPOINT, out, validation, (), measured_on, quiet=options.quiet)
    write_card(bundle)
    figures = [figure.model_dump() for figure in bundle.metadata.figures]
    for figure in bundle.metadata.figures:
        console.print(
            f"{figure.protocol}, unify {figure.unify}: rank-1 {figure.rank1:.1f}, mAP {figure.map:.1f}"
        )
    console.print(f"bundle: {out}", soft_wrap=True)
    return {"file": out.name, "fingerprint": bundle.fingerprint, "figures": figures}


def _validation(recipe: Recipe, options: FitOptions) -> Protocol | None:
    """The protocol to validate on, opened before anything starts."""
    if recipe.validate_on is None:
        return None
    return protocols.load(
        recipe.validate_on,
        _root(recipe, options),
        acknowledge_withdrawn=options.acknowledge_withdrawn,
    )


def _root(recipe: Recipe, options: FitOptions) -> Path:
    if options.root is None:
        raise ValueError(f"the recipe validates on {recipe.validate_on}: say where the data lies with --root")
    return options.root


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
