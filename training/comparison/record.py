"""One finished run as a small JSON file: what was trained, what it cost, what it reaches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from models.networks.graded import Graded
from training.data.records import Protocol
from training.evaluation.bootstrap import intervals
from training.evaluation.checkpoint_features import CheckpointEmbedder
from training.evaluation.command import progress_bar
from training.evaluation.results import measure
from training.evaluation.unified import Choice
from training.export.graph import BundleGraph
from training.systems.checkpoint import load_network

__all__ = ["Measured", "RunRecord", "read_records", "record_of", "write_record"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Measured(_Part):
    """Figures on one protocol, in percent, with the ends of their 95 % bootstrap intervals."""

    protocol: str
    unify: Literal["off", "auto", "fuse"]
    rank1: float
    rank1_interval: tuple[float, float]
    map: float
    map_interval: tuple[float, float]


class RunRecord(_Part):
    """A run.

    Attributes:
        name: of the model, unique among the records.
        system: whose method.
        variant: what differs from the system as its paper has it; empty for nothing.
        baseline: name of the record that it is held against; empty for a baseline.
        backbone, height, width, dimension: the network, pixels, D.
        data: the training data, a line on each.
        start: where the weights started.
        epochs: of each stage, by its name.
        seed: of everything random.
        parameters: millions, of what computes an embedding.
        gflops: billions of floating-point operations for one embedding (a multiplication and an addition
            are two).
        seconds: training took, the stages taken over from other runs left out.
        passes: pictures that went forward and backward through the network.
        machine, revision: what it was trained on, and by which revision of the code.
        figures: with the last stage's network.
    """

    name: str
    system: str
    variant: str = ""
    baseline: str = ""
    backbone: str
    height: int
    width: int
    dimension: int
    data: tuple[str, ...]
    start: str
    epochs: dict[str, int]
    seed: int
    parameters: float
    gflops: float
    seconds: float
    passes: int
    machine: str
    revision: str
    figures: tuple[Measured, ...] = Field(min_length=1)

    @property
    def setting(self) -> tuple[str, int, int, tuple[str, ...], str]:
        """What two records must share to be compared."""
        return self.backbone, self.height, self.width, self.data, self.start


def record_of(
    checkpoint: Path,
    protocols: Sequence[Protocol],
    *,
    baseline: str = "",
    variant: str = "",
    device: str = "auto",
    quiet: bool = False,
) -> RunRecord:
    """Measure a finished run.

    Raises:
        ValueError: the checkpoint cannot be read, or its run is not finished.
    """
    network, trained = load_network(checkpoint)
    recipe, run = trained.recipe, trained.record
    last = recipe.stage_names[-1]
    ended = {(entry["stage"], entry["epoch"]) for entry in run["history"]}
    if trained.stage != last or (last, recipe.at(last).epochs) not in ended:
        raise ValueError(f"{checkpoint} stands in stage {trained.stage}: the run is not finished")
    facts = BundleGraph(network)
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    embedder = CheckpointEmbedder(recipe.name, facts.to(chosen), torch.device(chosen))
    return RunRecord(
        name=recipe.name,
        system=recipe.system,
        variant=variant,
        baseline=baseline,
        backbone=recipe.model.backbone,
        height=facts.height,
        width=facts.width,
        dimension=facts.dimension,
        data=tuple(run["data"]),
        start=str(run["initial"]),
        epochs={name: recipe.at(name).epochs for name in recipe.stage_names},
        seed=recipe.seed,
        parameters=round(_parameters(network) / 1e6, 3),
        gflops=round(_flops(network) / 1e9, 3),
        seconds=float(run["seconds"]),
        passes=int(run["passes"]),
        machine=str(run["machine"]),
        revision=str(run["revision"]),
        figures=tuple(_figures(embedder, protocols, quiet=quiet)),
    )


def _figures(embedder: CheckpointEmbedder, protocols: Sequence[Protocol], *, quiet: bool) -> list[Measured]:
    choices = [Choice("off"), Choice("auto")] if embedder.has_grader else [Choice("off")]
    figures = []
    for protocol in protocols:
        with progress_bar(f"{embedder.name} on {protocol.name}", quiet=quiet) as advance:
            for result in measure(embedder, protocol, choices, advance):
                ends = intervals(result.measured.ranking)
                figures.append(
                    Measured(
                        protocol=protocol.name,
                        unify=result.unify,
                        rank1=round(result.summary.rank1, 2),
                        rank1_interval=(round(ends["rank1"].low, 2), round(ends["rank1"].high, 2)),
                        map=round(result.summary.map, 2),
                        map_interval=(round(ends["map"].low, 2), round(ends["map"].high, 2)),
                    )
                )
    return figures


def _parameters(network: nn.Module) -> int:
    """Weights that an embedding depends on: those that its gradient reaches."""
    plain = _plain(network)
    plain.requires_grad_(True)
    pictures = torch.randn(2, 3, plain.height, plain.width)
    with torch.enable_grad():
        plain.embed(pictures).embeddings[:, 0].sum().backward()
    return sum(weights.numel() for weights in plain.parameters() if weights.grad is not None)


def _flops(network: nn.Module) -> int:
    """Floating-point operations of one embedding."""
    plain = _plain(network)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        plain.embed(torch.randn(1, 3, plain.height, plain.width))
    return counter.get_total_flops()


def _plain(network: nn.Module) -> Any:
    """The network without a grader that was taught to it afterwards, which no embedding needs."""
    return network.network if isinstance(network, Graded) else network


def write_record(record: RunRecord, folder: Path) -> Path:
    """Write a record to ``folder/NAME.json``; the file is whole or the old one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record.name}.json"
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(record.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)
    return path


def read_records(folder: Path) -> list[RunRecord]:
    """All records of a folder, by name.

    Raises:
        ValueError: a file is no record, is not called as its model, or names a baseline that is not there.
    """
    records = []
    for path in sorted(folder.glob("*.json")):
        try:
            record = RunRecord.model_validate_json(path.read_text(encoding="utf-8"))
        except ValidationError as error:
            raise ValueError(f"{path} is no run record: {error}") from error
        if record.name != path.stem:
            raise ValueError(f"{path} holds the record of {record.name}")
        records.append(record)
    names = {record.name for record in records}
    for record in records:
        if record.baseline and record.baseline not in names:
            raise ValueError(f"{record.name} is held against {record.baseline}, of which there is no record")
    return records
