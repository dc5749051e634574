"""`penumbra-train`: fit, throughput, evaluate, features, figures, calibrate, export, datasets, synth.

Nothing heavy is imported until a command needs it, so that the data sets, drawn pedestrians and the
evaluation of bundles work where torch is not installed. A fault of the user's (a wrong path, a recipe
that does not validate) is told in one line with exit status 1; anything else is a traceback.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(
    help="Make, measure and export re-identification models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
datasets = typer.Typer(help="Data sets and their protocols.", no_args_is_help=True)
app.add_typer(datasets, name="datasets")
results = typer.Typer(help="The systems beside each other, from the records of runs.", no_args_is_help=True)
app.add_typer(results, name="results")

_WITH_TRAINING = frozenset(
    {
        "h5py",
        "jinja2",
        "lightning_fabric",
        "matplotlib",
        "onnx",
        "onnxscript",
        "pyarrow",
        "scipy",
        "tensorboard",
        "tomli_w",
        "torch",
        "torchvision",
    }
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


class Device(StrEnum):
    """Where PyTorch runs."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class PictureFormat(StrEnum):
    """How drawn pictures are written."""

    png = "png"
    jpg = "jpg"


Root = Annotated[
    Path, typer.Option(help="Folder that holds the data sets' own folders (or such a folder itself).")
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable answer on standard output.")]
Withdrawn = Annotated[
    bool,
    typer.Option(
        "--acknowledge-withdrawn",
        help="Open data that its authors withdrew (DukeMTMC and what was made from it), knowing why.",
    ),
]


@contextmanager
def _faults_in_one_line() -> Iterator[None]:
    """Tell the user's faults without a traceback, and what to install where torch is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _WITH_TRAINING:
            raise
        typer.echo(f"error: {error.name} is not installed: install penumbra-reid[training]", err=True)
        raise typer.Exit(1) from error
    except (ValueError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


Recipe = Annotated[Path, typer.Argument(help="Recipe (TOML), e.g. training/recipes/oamn.toml.")]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder that holds the data sets' own folders, where the recipe needs any."),
]


@app.command(
    epilog="Examples: penumbra-train fit training/recipes/oamn.toml --root ~/data --imagenet resnet50.pth "
    "--out runs/oamn | penumbra-train fit RECIPE --root ~/data --out runs/oamn --resume | "
    "penumbra-train fit RECIPE --root ~/data --set model.backbone=osnet_x0_25 --epochs 8 --out runs/light | "
    "torchrun --nproc-per-node 4 -m training.cli fit RECIPE --root ~/data --out runs/oamn"
)
def fit(
    recipe: Recipe,
    out: Annotated[
        Path, typer.Option(help="Folder of the run: checkpoint, recipe, record, TensorBoard log.")
    ],
    root: DataRoot = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in --out stopped.")] = False,
    initial: Annotated[
        Path | None, typer.Option(help="Another run's checkpoint.pt to start the weights from.")
    ] = None,
    imagenet: Annotated[
        Path | None, typer.Option(help="torchvision ResNet-50 state dict to start the backbone from.")
    ] = None,
    stages_from: Annotated[
        Path | None,
        typer.Option(help="Another run whose finished stages before --start-at are taken over."),
    ] = None,
    start_at: Annotated[
        str | None, typer.Option(help="First stage to train, with --stages-from; e.g. grader.")
    ] = None,
    bundle: Annotated[
        bool, typer.Option("--bundle/--no-bundle", help="Measure and export the finished network.")
    ] = True,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change of the recipe, e.g. optimiser.rate=0.01 (may be repeated)."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.auto,
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 200,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check recipe and data, print the whole recipe, and stop.")
    ] = False,
    acknowledge_withdrawn: Withdrawn = False,
    as_json: Json = False,
) -> None:
    """Train a model by a recipe, through all its stages, and export it as a bundle."""
    with _faults_in_one_line():
        from training.fit import FitOptions, check, fit
        from training.recipe import dump_recipe, load_recipe

        chosen = load_recipe(recipe, changes or (), epochs=epochs, seed=seed)
        options = FitOptions(
            root=root,
            out=out,
            resume=resume,
            initial=initial,
            imagenet=imagenet,
            stages_from=stages_from,
            start_at=start_at,
            bundle=bundle,
            device=device.value,
            checkpoint_every=checkpoint_every,
            acknowledge_withdrawn=acknowledge_withdrawn,
        )
        if dry_run:
            typer.echo(dump_recipe(chosen))
            for line in check(chosen, root, acknowledge_withdrawn=acknowledge_withdrawn):
                typer.echo(f"# {line}")
            return
        record = fit(chosen, options)
        if as_json:
            typer.echo(json.dumps(record))


@app.command(epilog="Example: penumbra-train throughput training/recipes/small/oamn.toml --root ~/data")
def throughput(
    recipe: Recipe,
    root: DataRoot = None,
    device: Annotated[Device, typer.Option(help="Where to run.")] = Device.auto,
    rounds: Annotated[int, typer.Option(min=1, help="Steps of each kind, in turn.")] = 10,
    acknowledge_withdrawn: Withdrawn = False,
    as_json: Json = False,
) -> None:
    """Compare the whole training step with the bare network's forward and backward on random pictures."""
    with _faults_in_one_line():
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


@app.command(
    epilog="Examples: penumbra-train evaluate oamn.onnx baseline.onnx --dataset partial-ilids --root ~/data "
    "| penumbra-train evaluate oamn.onnx --dataset market1501-val --root ~/data --unify off --distance xqda "
    "--rerank --intervals | penumbra-train evaluate oamn.onnx baseline.onnx --dataset partial-ilids "
    "--root ~/data --report report | penumbra-train evaluate features/ other-features/"
)
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
    with _faults_in_one_line():
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


@app.command(
    epilog="Examples: penumbra-train features oamn.onnx OUT --dataset partial-ilids --root ~/data | "
    "penumbra-train features runs/oamn/checkpoint.pt OUT --dataset market1501-val --root ~/data --every-code "
    "--train"
)
def features(
    model: Annotated[Path, typer.Argument(help="Bundle (.onnx) or checkpoint (.pt).")],
    out: Annotated[Path, typer.Argument(help="New or empty folder.")],
    dataset: Annotated[str, typer.Option(help="Protocol; see `penumbra-train datasets list`.")],
    root: Root,
    every_code: Annotated[
        bool,
        typer.Option("--every-code", help="Under all nine occlusion codes, so that files can be unified."),
    ] = False,
    train: Annotated[
        bool, typer.Option("--train", help="The training half too, for XQDA and KISSME.")
    ] = False,
    device: Annotated[Device, typer.Option(help="For checkpoints; bundles run on the CPU.")] = Device.auto,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
    acknowledge_withdrawn: Withdrawn = False,
) -> None:
    """Write a model's features of a protocol as a folder, which `evaluate` and other programs read."""
    with _faults_in_one_line():
        from training.evaluation.write_features import command

        command(
            model,
            out,
            dataset,
            root,
            every_code=every_code,
            train=train,
            device=device.value,
            quiet=quiet,
            acknowledge_withdrawn=acknowledge_withdrawn,
        )


@app.command(
    epilog="Examples: penumbra-train figures --root ~/data | "
    "penumbra-train figures oamn.onnx --dataset partial-ilids --root ~/data --json"
)
def figures(
    root: Root,
    bundles: Annotated[
        list[Path] | None, typer.Argument(help="Bundles; left out: those that are shipped.", metavar="MODEL")
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="Protocol (may be repeated); left out: those of the README's table."),
    ] = None,
    acknowledge_withdrawn: Withdrawn = False,
    as_json: Json = False,
) -> None:
    """Print the README's table of figures, rank-1 / mAP by bundle and unification, as Markdown."""
    with _faults_in_one_line():
        from training.evaluation.figures import command

        command(
            bundles or [],
            dataset or [],
            root,
            as_json=as_json,
            acknowledge_withdrawn=acknowledge_withdrawn,
        )


@app.command(
    epilog="Example: penumbra-train unification oamn.onnx --dataset market1501-val-occluded "
    "--dataset partial-ilids --root ~/data --cache runs/unification"
)
def unification(
    model: Annotated[Path, typer.Argument(help="Bundle (.onnx) or checkpoint (.pt).")],
    dataset: Annotated[
        list[str], typer.Option(help="Protocol (may be repeated); choose on the first, report the others.")
    ],
    root: Root,
    hidings: Annotated[
        bool,
        typer.Option(
            "--hidings",
            help="Compare also hiding at the mask and with a soft edge, by editing a bundle's graph.",
        ),
    ] = False,
    cache: Annotated[
        Path | None, typer.Option(help="Folder to keep embeddings in, so that the next run is quick.")
    ] = None,
    device: Annotated[Device, typer.Option(help="For checkpoints; bundles run on the CPU.")] = Device.auto,
    acknowledge_withdrawn: Withdrawn = False,
    as_json: Json = False,
) -> None:
    """Compare what occlusion unification leaves open, with the bound that hindsight gives.

    Each picture is embedded under all nine codes once; every choice is computed from that.
    """
    with _faults_in_one_line():
        from training.evaluation.unification_command import command

        command(
            model,
            dataset,
            root,
            hidings=hidings,
            cache=cache,
            device=device.value,
            as_json=as_json,
            acknowledge_withdrawn=acknowledge_withdrawn,
        )


@app.command(
    epilog="Example: penumbra-train export runs/oamn/checkpoint.pt oamn.onnx "
    "--dataset market1501-val --dataset partial-ilids --root ~/data"
)
def export(
    checkpoint: Annotated[Path, typer.Argument(help="Written by `penumbra-train fit`.")],
    out: Annotated[Path, typer.Argument(help="The bundle to write, e.g. oamn.onnx.")],
    root: Annotated[Path | None, typer.Option(help="Folder that holds the data sets' own folders.")] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="Protocol to measure (may be repeated); the gate compares on the first."),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(help="Folder of pictures PERSON_*.jpg for the gate instead of a protocol's."),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(
            help="Answer of `evaluate --json` on this checkpoint; what it covers is not measured anew."
        ),
    ] = None,
    licence: Annotated[str, typer.Option(help="Of the weights.")] = "Apache-2.0",
    terms: Annotated[
        str | None, typer.Option(help="Terms of use; left out: as the training data demand.")
    ] = None,
    notes: Annotated[str, typer.Option(help="What a reader must know, e.g. a schedule cut short.")] = "",
    acknowledge_withdrawn: Withdrawn = False,
    as_json: Json = False,
) -> None:
    """Export a checkpoint as a bundle, through the gate: where it fails, nothing is written."""
    with _faults_in_one_line():
        from training.export.command import command

        command(
            checkpoint,
            out,
            root=root,
            datasets=dataset or [],
            pictures=pictures,
            figures=figures,
            licence=licence,
            terms=terms,
            notes=notes,
            as_json=as_json,
            acknowledge_withdrawn=acknowledge_withdrawn,
        )


@app.command(
    epilog="Examples: penumbra-train calibrate oamn.onnx --dataset market1501-val "
    "--dataset market1501-val-occluded --root ~/data --out oamn.onnx | penumbra-train calibrate oamn.onnx "
    "--dataset folders:our-people --root ~/site --json-out site.json --plot reliability.png"
)
def calibrate(
    bundle: Annotated[Path, typer.Argument(help="Written by `penumbra-train export`.")],
    dataset: Annotated[
        list[str],
        typer.Option(help="Protocol whose pictures are compared with each other (may be repeated)."),
    ],
    root: Root,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Bundle to write, with its card; may be the same file. Its fingerprint is another."
        ),
    ] = None,
    json_out: Annotated[
        Path | None,
        typer.Option(help="Calibration beside the bundle, for PENUMBRA_CALIBRATION; no fingerprint changes."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Reliability diagram to write: .png, .svg or .pdf.")
    ] = None,
    prior: Annotated[
        float, typer.Option(help="Probability that whom a call asks about is there at all, above 0, below 1.")
    ] = 0.5,
    match_rate: Annotated[
        float, typer.Option(help="Share of the strangers' calls that may end in a `match`, up to 0.5.")
    ] = 0.01,
    uncertain_rate: Annotated[
        float, typer.Option(help="The same for `uncertain`; above it, `unknown`.")
    ] = 0.1,
    most: Annotated[
        int, typer.Option(min=2, help="Pictures at most; of more, some people are left out.")
    ] = 4000,
    acknowledge_withdrawn: Withdrawn = False,
    as_json: Json = False,
) -> None:
    """Learn what a bundle's scores mean as probabilities, and judge that on people held out.

    Use pictures of people that the model was not trained on. Without --out and --json-out nothing is written.
    What the bundle's present calibration does on these pictures is shown too.
    """
    with _faults_in_one_line():
        from training.calibration.command import Wishes, command

        command(
            bundle,
            datasets=dataset,
            root=root,
            out=out,
            json_out=json_out,
            plot=plot,
            wishes=Wishes(prior, match_rate, uncertain_rate, most),
            as_json=as_json,
            acknowledge_withdrawn=acknowledge_withdrawn,
        )


@app.command(
    epilog="Examples: penumbra-train synth --people 1000 --cameras 6 --seed 7 OUT   (training)    "
    "penumbra-train synth --people 50 --cameras 4 --queries 40 --seed 1 OUT   (gallery and queries)    "
    "penumbra-train synth --sheet FILE   (a look at it)"
)
def synth(
    out: Annotated[
        Path | None, typer.Argument(help="New or empty folder for pictures and manifest.csv.")
    ] = None,
    people: Annotated[int, typer.Option(min=1, help="How many people.")] = 100,
    cameras: Annotated[int, typer.Option(min=1, help="How many cameras.")] = 6,
    per_camera: Annotated[int, typer.Option(min=1, help="Pictures of each person in each camera.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Who the people are; same seed, same pictures.")] = 0,
    occluded: Annotated[
        float, typer.Option(min=0, max=1, help="Share of gallery pictures with something in front.")
    ] = 0.0,
    queries: Annotated[
        int,
        typer.Option(
            min=0, help="Occluded pictures that ask, from cameras in which the gallery lacks that person."
        ),
    ] = 0,
    near_identical: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share of people with a twin that differs in shoes, bag or collar only."
        ),
    ] = 0.0,
    labels: Annotated[
        bool,
        typer.Option("--labels", help="Also write label maps of seven body parts, and occluders' masks."),
    ] = False,
    height: Annotated[int, typer.Option(min=16, help="Of a picture, in pixels.")] = 128,
    width: Annotated[int, typer.Option(min=16, help="Of a picture, in pixels.")] = 64,
    picture_format: Annotated[
        PictureFormat, typer.Option("--format", help="Of the files.")
    ] = PictureFormat.png,
    contact_sheet: Annotated[
        Path | None,
        typer.Option("--sheet", help="Draw a contact sheet of the seed into this PNG; OUT may be left out."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw synthetic pedestrians: people, cameras, occluders, and a manifest that tells the truth of each."""
    with _faults_in_one_line():
        from training.data.synthetic.command import command, sheet
        from training.data.synthetic.dataset import Plan

        if out is None and contact_sheet is None:
            raise ValueError("name a folder OUT, or a file with --sheet")
        if contact_sheet is not None:
            sheet(contact_sheet, seed, as_json=as_json, quiet=out is not None)
        if out is None:
            return
        plan = Plan(
            people=people,
            cameras=cameras,
            per_camera=per_camera,
            seed=seed,
            height=height,
            width=width,
            occluded_share=occluded,
            queries=queries,
            near_identical=near_identical,
            labels=labels,
        )
        command(out, plan, picture_format=picture_format.value, as_json=as_json)


RecordsFolder = Annotated[
    Path | None, typer.Option("--records", help="Folder of records; left out: the repository's own.")
]


@results.command(
    "run",
    epilog="Examples: penumbra-train results run training/comparison/plans/light.toml --root ~/data "
    "--out runs | penumbra-train results run training/comparison/plans/full.toml --root ~/data "
    "--imagenet resnet50.pth --out runs --only aos-no-adversary --only aos",
)
def results_run(
    plan: Annotated[Path, typer.Argument(help="Which runs: a TOML file, see training/comparison/plan.py.")],
    root: Root,
    out: Annotated[Path, typer.Option(help="Folder of the runs, one folder each.")],
    only: Annotated[
        list[str] | None, typer.Option(help="Name of a run in the plan (may be repeated); left out: all.")
    ] = None,
    initial: Annotated[
        Path | None,
        typer.Option(help="A checkpoint.pt to start all weights from, instead of the plan's start."),
    ] = None,
    imagenet: Annotated[
        Path | None, typer.Option(help="torchvision ResNet-50 state dict to start the backbones from.")
    ] = None,
    records: Annotated[
        Path | None, typer.Option(help="Folder of their records; left out: records in --out.")
    ] = None,
    bundle: Annotated[
        bool, typer.Option("--bundle/--no-bundle", help="Export every finished network.")
    ] = True,
    device: Annotated[Device, typer.Option(help="Where to train and measure.")] = Device.auto,
) -> None:
    """Make all runs of a comparison and print their table; called again, it goes on where it stopped."""
    with _faults_in_one_line():
        from training.comparison.command import Workplace, run_plan, show

        place = Workplace(
            root, out, records or out / "records", device.value, initial, imagenet, bundle=bundle
        )
        run_plan(plan, place, only or ())
        show(place.records, as_json=False)


@results.command(
    "add",
    epilog="Example: penumbra-train results add runs/aos --baseline baseline-osnet_x0_25-market1501 "
    "--root ~/data",
)
def results_add(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs.", metavar="RUN...")],
    root: Root,
    baseline: Annotated[str, typer.Option(help="Name of the model that they are held against.")] = "",
    variant: Annotated[str, typer.Option(help="What differs from the system as the paper has it.")] = "",
    records: RecordsFolder = None,
    device: Annotated[Device, typer.Option(help="Where to measure.")] = Device.auto,
    acknowledge_withdrawn: Withdrawn = False,
    as_json: Json = False,
) -> None:
    """Measure finished runs on the protocols of the results table, and keep a record of each."""
    with _faults_in_one_line():
        from training.comparison.command import RECORDS, add

        add(
            runs,
            root,
            baseline=baseline,
            variant=variant,
            folder=records or RECORDS,
            device=device.value,
            as_json=as_json,
            acknowledge_withdrawn=acknowledge_withdrawn,
        )


@results.command("table", epilog="Example: penumbra-train results table")
def results_table(records: RecordsFolder = None, as_json: Json = False) -> None:
    """Print the results table of all records as Markdown, and the papers' own gains beside it."""
    with _faults_in_one_line():
        from training.comparison.command import RECORDS, show

        show(records or RECORDS, as_json=as_json)


@datasets.command("list", epilog="Example: penumbra-train datasets list --json")
def datasets_list(as_json: Json = False) -> None:
    """List the protocols, what each needs, its terms, and what complete copies hold."""
    from training.data.command import list_protocols

    list_protocols(as_json=as_json)


@datasets.command(
    "manifest", epilog="Example: penumbra-train datasets manifest partial-ilids --root ~/data --json"
)
def datasets_manifest(
    name: Annotated[str, typer.Argument(help="Protocol.")],
    root: Root,
    render: Annotated[
        Path | None,
        typer.Option(help="Folder to write covered queries to, as PNG, where a protocol has them."),
    ] = None,
    acknowledge_withdrawn: Withdrawn = False,
    as_json: Json = False,
) -> None:
    """Name every query and gallery picture of a protocol, with person and camera."""
    with _faults_in_one_line():
        from training.data.command import print_manifest

        print_manifest(
            name, root, render=render, as_json=as_json, acknowledge_withdrawn=acknowledge_withdrawn
        )


@datasets.command(
    "verify",
    epilog="Examples: penumbra-train datasets verify --root ~/data | "
    "penumbra-train datasets verify manifest:site-3/people.csv --root ~/data",
)
def datasets_verify(
    root: Root,
    names: Annotated[
        list[str] | None, typer.Argument(help="Protocols; left out: all whose data is there.")
    ] = None,
    acknowledge_withdrawn: Withdrawn = False,
    as_json: Json = False,
) -> None:
    """Count pictures and people and compare with complete copies; exit status 1 where they differ."""
    with _faults_in_one_line():
        from training.data.command import verify

        if not verify(root, names or [], as_json=as_json, acknowledge_withdrawn=acknowledge_withdrawn):
            raise typer.Exit(1)


if __name__ == "__main__":
    sys.exit(app())
