"""`penumbra-train throughput`: does the data path keep up with the network of a recipe's first stage?

The reference is the bare network: forward and backward on random pictures that already lie on the
device, nothing else. The whole step beside it gathers, augments, occludes, computes every loss and
updates the weights. Both run in turn, in the same process, so that a machine whose speed drifts does so
for both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from training.fit import assemble_batch, build_optimiser, load_training_data, open_fabric, sampler_of
from training.recipe import Recipe
from training.systems import build_stages

__all__ = ["Throughput", "measure"]


@dataclass(frozen=True, slots=True)
class Throughput:
    """What was measured.

    Attributes:
        whole: pictures through the network per second, whole training step.
        bare: the same, forward and backward alone.
        ratio: median over rounds of whole / bare.
        rounds: how many of each.
        device: what it ran on.
    """

    whole: float
    bare: float
    ratio: float
    rounds: int
    device: str


def measure(
    recipe: Recipe,
    root: Path | None,
    device: str = "auto",
    rounds: int = 10,
    *,
    acknowledge_withdrawn: bool = False,
) -> Throughput:
    """Time the whole training step against the bare network, in turn.

    Raises:
        ValueError, OSError: as :func:`training.fit.fit` would.
    """
    fabric = open_fabric(recipe, device)
    store, _ = load_training_data(recipe, root, quiet=True, acknowledge_withdrawn=acknowledge_withdrawn)
    stage = build_stages(recipe)[0]
    recipe = recipe.at(stage.name)
    sampler = sampler_of(recipe, store)
    store = store.to(fabric.device)
    bare_network = stage.network(store.people).to(memory_format=torch.channels_last)
    network, optimiser = fabric.setup(bare_network, build_optimiser(bare_network, recipe.optimiser))
    network.train()
    rows = torch.from_numpy(sampler.epoch(0)).to(fabric.device)

    def whole(number: int) -> int:
        step = stage.step(network, assemble_batch(store, rows[number % len(rows)], recipe, stage))
        optimiser.zero_grad()
        fabric.backward(step.total)
        optimiser.step()
        return step.passes

    passes = whole(0)
    noise = torch.randn(passes, 3, recipe.model.height, recipe.model.width, device=fabric.device)
    noise = noise.contiguous(memory_format=torch.channels_last)

    def bare(_: int) -> int:
        output = network(noise)
        head = getattr(output, "head", output)
        network.zero_grad()
        fabric.backward(head.logits.float().mean() + head.representation.float().mean())
        return passes

    bare(0)
    speeds: dict[str, list[float]] = {"whole": [], "bare": []}
    for number in range(rounds):
        speeds["whole"].append(_speed(whole, number, fabric.device))
        speeds["bare"].append(_speed(bare, number, fabric.device))
    ratios = [w / b for w, b in zip(speeds["whole"], speeds["bare"], strict=True)]
    return Throughput(
        statistics.median(speeds["whole"]),
        statistics.median(speeds["bare"]),
        statistics.median(ratios),
        rounds,
        torch.cuda.get_device_name(fabric.device) if fabric.device.type == "cuda" else "cpu",
    )


def _speed(step: Callable[[int], int], number: int, device: torch.device) -> float:
    """Pictures per second of one step."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    passes = step(number)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return passes / (time.perf_counter() - started)
