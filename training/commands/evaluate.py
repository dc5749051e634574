"""`penumbra-train evaluate`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from training.commands.faults import faults_in_one_line
from training.commands.options import Device, Json, Withdrawn

__all__ = ["EXAMPLES", "evaluate"]

EXAMPLES: Final = (
    "Examples: penumbra-train evaluate oamn.onnx baseline.onnx --dataset partial-ilids --root ~/data "
    "| penumbra-train evaluate oamn.onnx --dataset market1501-val --root ~/data --unify off --distance xqda "
    "--rerank --intervals | penumbra-train evaluate oamn.onnx baseline.onnx --dataset partial-ilids "
    "--root ~/data --report report | penumbra-train evaluate features/ other-features/"
)


class Unify(StrEnum):
    """What to measure."""

    off = "off"
    auto = "auto"
    fuse = "fuse"
    both = "both"
    all = "all"


class DistanceName(StrEnum):
    """How features are compared."""

    cosine = "cosine"
    euclidean = "euclidean"
    xqda = "xqda"
    kissme = "kissme"


class ExpansionWeights(StrEnum):
    """How neighbours join an expanded query."""

    average = "average"
    alpha = "alpha"


def evaluate(
    models: Annotated[
        list[Path],
        typer.Argument(
            help="Bundles (.onnx), checkpoints (.pt), folders of features (`penumbra-train features` writes "
            "one; training/evaluation/feature_folder.py documents the layout).",
            metavar="MODEL...",
        ),
    ],
    dataset: Annotated[
        str | None,
        typer.Option(help="Protocol; see `penumbra-train datasets list`. Folders of features need none."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder that holds the data sets' own folders, with --dataset.")
    ] = None,
    unify: Annotated[
        Unify,
        typer.Option(
            help="Occlusion unification; both: off and, where the model has a grader, auto; all: fuse too, "
            "which takes nine embeddings of every picture."
        ),
    ] = Unify.both,
    own: Annotated[
        bool,
        typer.Option("--own", help="Measure also hiding each picture's own graded rectangle (auto+own)."),
    ] = False,
    by_type: Annotated[
        bool, typer.Option("--by-type", help="Show the figures by the query's graded type too.")
    ] = False,
    distance: Annotated[
        DistanceName, typer.Option(help="XQDA and KISSME are fitted on the protocol's training half.")
    ] = DistanceName.cosine,
    rerank: Annotated[
        bool, typer.Option("--rerank", help="Re-rank by k-reciprocal encoding; with unification off.")
    ] = False,
    k1: Annotated[int, typer.Option(min=1, help="Of --rerank: neighbours that may be reciprocal.")] = 20,
    k2: Annotated[int, typer.Option(min=1, help="Of --rerank: neighbours averaged over.")] = 6,
    original: Annotated[
        float, typer.Option("--lambda", min=0, max=1, help="Of --rerank: the original distance's share.")
    ] = 0.3,
    expand: Annotated[
        ExpansionWeights | None, typer.Option(help="Expand queries by their neighbours; unification off.")
    ] = None,
    neighbours: Annotated[int, typer.Option(min=1, help="Of --expand: how many join.")] = 5,
    alpha: Annotated[float, typer.Option(min=0, help="Of --expand alpha: the power.")] = 3.0,
    multi_query: Annotated[
        bool,
        typer.Option("--multi-query", help="Pool a person's pictures in a camera; with unification off."),
    ] = False,
    trials: Annotated[
        int, typer.Option(min=0, help="Single-shot trials besides; CUHK03's classic protocol has 100.")
    ] = 0,
    intervals: Annotated[
        bool, typer.Option("--intervals", help="95 % intervals by the bootstrap over queries.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write an HTML report to (index.html): curves, rank lists, maps. It contains the "
            "data set's pictures of people: never commit or publish it."
        ),
    ] = None,
    device: Annotated[Device, typer.Option(help="For checkpoints; bundles run on the CPU.")] = Device.auto,
    acknowledge_withdrawn: Withdrawn = False,
    as_json: Json = False,
) -> None:
    """Measure rank-k, mAP, mINP, verification and open-set rates, with and without occlusion unification.

    Several models are compared with the first one, query by query, and get a p-value.
    """
    with faults_in_one_line():
        from training.evaluation.command import command
        from training.evaluation.feature_scores import Steps
        from training.evaluation.query_expansion import Expansion
        from training.evaluation.reranking import KReciprocal
        from training.evaluation.results import Options

        steps = Steps(
            multi_query,
            None if expand is None else Expansion(expand.value, neighbours, alpha),
            KReciprocal(k1, k2, original) if rerank else None,
        )
        command(
            models,
            dataset,
            root,
            unify=unify.value,
            own=own,
            by_type=by_type,
            device=device.value,
            as_json=as_json,
            acknowledge_withdrawn=acknowledge_withdrawn,
            options=Options(distance.value, steps, trials),
            with_intervals=intervals,
            report=report,
        )
