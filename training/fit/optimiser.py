"""Optimiser and learning-rate schedule, as the recipe names them."""

from __future__ import annotations

import math

import torch
from torch import nn

from training.recipe import Optimiser

__all__ = ["build_optimiser", "learning_rate"]


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
    """Parameter groups: backbone and new layers, each with and without weight decay.

    Raises:
        ValueError: nothing in the network is to be trained.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            key = (name.startswith("backbone."), parameter.ndim > 1)
            groups.setdefault(key, []).append(parameter)
    if not groups:
        raise ValueError(f"all of {type(network).__name__} is frozen: there is nothing to train")
    settings = []
    for (in_backbone, decayed), parameters in sorted(groups.items()):
        rate = options.backbone_rate if in_backbone and options.backbone_rate else options.rate
        decay = options.weight_decay if decayed else 0.0
        settings.append({"params": parameters, "lr": rate, "peak": rate, "weight_decay": decay})
    if options.kind == "adamw":
        return torch.optim.AdamW(settings)
    if options.kind == "adam":
        return torch.optim.Adam(settings)
    return torch.optim.SGD(settings, momentum=0.9, nesterov=options.nesterov)
