"""What a run takes beside its recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["FitOptions"]


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What a run takes beside its recipe.

    Attributes:
        root: folder that holds the real data sets; may be None where the recipe needs none.
        out: folder of the run: ``checkpoint.pt``, ``recipe.toml``, ``record.json``, TensorBoard's log, a
            folder for each finished stage, and the bundle.
        resume: go on from ``out/checkpoint.pt`` where there is one.
        initial: another run's checkpoint to start the weights of each stage from.
        imagenet: a torchvision ResNet-50 state dict to start the backbone from.
        stages_from: another run whose stages before ``start_at`` are taken over as they are.
        start_at: the first stage to train; only together with ``stages_from``.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        checkpoint_every: optimiser steps between checkpoints.
        stop_after: stop (with a checkpoint) after this many steps of this call; None: run to the end.
        bundle: export the finished network, where the recipe names a protocol for the gate.
        quiet: no progress bar.
        acknowledge_withdrawn: open data that its authors withdrew, see ``training/data/withdrawn.py``.
    """

    root: Path | None
    out: Path
    resume: bool = False
    initial: Path | None = None
    imagenet: Path | None = None
    stages_from: Path | None = None
    start_at: str | None = None
    device: str = "auto"
    checkpoint_every: int = 200
    stop_after: int | None = None
    bundle: bool = True
    quiet: bool = False
    acknowledge_withdrawn: bool = False
