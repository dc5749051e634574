"""`penumbra-train results`: make the runs of a plan, keep the record of a run, print the table of records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from training.comparison.plan import Plan, PlannedRun, load_plan
from training.comparison.record import read_records, record_of, write_record
from training.comparison.table import papers_table, results_table
from training.evaluation import protocols
from training.fit import FitOptions, fit
from training.systems import build_stages

__all__ = ["PROTOCOLS", "RECORDS", "Workplace", "add", "run_plan", "show"]

RECORDS: Final = Path(__file__).parent / "records"
"""Where the repository keeps its run records."""

PROTOCOLS: Final = (
    "market1501-val",
    "market1501-val-occluded",
    "market1501-val-blank",
    "cuhk03-val",
    "partial-ilids",
    "partial-ilids-nocrop",
)
"""What every system is measured on."""

_ENDED: Final = "record.json"
"""What a run leaves when it ends."""


def add(
    runs: Sequence[Path],
    root: Path,
    *,
    baseline: str,
    variant: str,
    folder: Path,
    device: str,
    as_json: bool,
    acknowledge_withdrawn: bool = False,
) -> None:
    """Measure finished runs on :data:`PROTOCOLS` and write a record of each.

    Raises:
        ValueError, OSError: a run or a data set cannot be read.
    """
    loaded = [protocols.load(name, root, acknowledge_withdrawn=acknowledge_withdrawn) for name in PROTOCOLS]
    for run in runs:
        checkpoint = run / "checkpoint.pt" if run.is_dir() else run
        record = record_of(
            checkpoint, loaded, baseline=baseline, variant=variant, device=device, quiet=as_json
        )
        path = write_record(record, folder)
        if as_json:
            print(json.dumps(record.model_dump(mode="json")))
        else:
            figures = (f"{f.protocol} {f.unify} {f.rank1}/{f.map}" for f in record.figures)
            print(f"{path.name}: {', '.join(figures)}")


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where the runs of a plan are made.

    Attributes:
        root: folder that holds the data sets.
        out: folder for the runs, one folder each.
        records: folder for their records.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        initial: checkpoint to start all weights from, instead of the plan's own start.
        imagenet: a torchvision ResNet-50 state dict to start the backbones from.
        bundle: export each finished network.
        quiet: no progress bars.
    """

    root: Path
    out: Path
    records: Path
    device: str = "auto"
    initial: Path | None = None
    imagenet: Path | None = None
    bundle: bool = True
    quiet: bool = False


def run_plan(path: Path, place: Workplace, only: Sequence[str] = ()) -> None:
    """Make the runs of a plan and their records; what is finished is left as it is, what is not goes on.

    Args:
        path: the plan, see ``training.comparison.plan``.
        place: where.
        only: names of runs in the plan; empty: all.

    Raises:
        ValueError: the plan, a recipe or what is measured on cannot be used, all raised before anything
            starts; or a run's training data, raised when its turn comes.
        OSError: something cannot be read or written.
    """
    plan = load_plan(path)
    unknown = set(only) - {run.name for run in plan.runs}
    if unknown:
        raise ValueError(f"{path} has no run {', '.join(sorted(unknown))}")
    chosen = [run for run in plan.runs if not only or run.name in only]
    for run in chosen:
        for seed in plan.seeds_of(run):
            build_stages(plan.recipe(run, seed))
    for name in PROTOCOLS:
        protocols.load(name, place.root)
    initial = place.initial or _start(plan, place)
    for run in chosen:
        for seed in plan.seeds_of(run):
            _make(plan, run, seed, initial, place)


def _start(plan: Plan, place: Workplace) -> Path | None:
    """The checkpoint of the run that all others start from, trained where it is not finished."""
    recipe = plan.starting()
    if recipe is None:
        return None
    folder = place.out / recipe.name
    if not (folder / _ENDED).exists():
        fit(recipe, _options(folder, place, bundle=False))
    return folder / "checkpoint.pt"


def _make(plan: Plan, run: PlannedRun, seed: int, initial: Path | None, place: Workplace) -> None:
    """One run and its record."""
    recipe = plan.recipe(run, seed)
    folder = place.out / recipe.name
    if not (folder / _ENDED).exists():
        taken = place.out / plan.model(run.stages_from, seed) if run.stages_from else None
        started = _options(
            folder, place, bundle=place.bundle, initial=initial, stages_from=taken, start_at=run.start_at
        )
        fit(recipe, started)
    if not (place.records / f"{recipe.name}.json").exists():
        add(
            [folder],
            place.root,
            baseline=plan.model(run.baseline, seed) if run.baseline else "",
            variant=run.variant,
            folder=place.records,
            device=place.device,
            as_json=False,
        )


def _options(out: Path, place: Workplace, **changes: Any) -> FitOptions:
    imagenet = place.imagenet if changes.get("initial") is None else None
    return FitOptions(
        root=place.root,
        out=out,
        resume=True,
        imagenet=imagenet,
        device=place.device,
        quiet=place.quiet,
        **changes,
    )


def show(folder: Path, *, as_json: bool) -> None:
    """Print the results table and the papers' own gains, as Markdown or JSON.

    Raises:
        ValueError: a record cannot be read.
    """
    records = read_records(folder)
    if as_json:
        print(json.dumps([record.model_dump(mode="json") for record in records], indent=1))
        return
    print(f"{results_table(records)}\n\nThe papers' own figures, rank-1 / mAP:\n\n{papers_table()}")
