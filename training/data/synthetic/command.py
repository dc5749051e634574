"""`penumbra-train synth`: draw a data set, with a progress bar and a table of what was written."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from models import occlusion
from training.data.synthetic.contact_sheet import draw_sheet
from training.data.synthetic.dataset import MANIFEST, Drawn, Format, Plan, write_dataset

__all__ = ["command", "sheet"]


def command(out: Path, plan: Plan, *, picture_format: Format, as_json: bool) -> None:
    """Draw a data set and tell what it holds.

    Args:
        out: a new or an empty folder.
        plan: what to draw.
        picture_format: of the files.
        as_json: one JSON object on standard output instead of a table.

    Raises:
        FileExistsError: the folder has something in it.
    """
    started = time.perf_counter()
    progress = Progress(
        SpinnerColumn(), TextColumn("drawing"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.0f} pictures/s"), TimeRemainingColumn(),
        console=Console(file=sys.stderr),
    )  # fmt: skip
    with progress:
        task = progress.add_task("drawing", total=None, rate=0.0)

        def step(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, rate=done / (time.perf_counter() - started))

        drawn = write_dataset(out, plan, picture_format=picture_format, progress=step)
    seconds = time.perf_counter() - started
    if as_json:
        print(json.dumps(_summary(out, plan, drawn, seconds), indent=2))
        return
    table = Table(
        title=f"{out}: {len(drawn)} drawn pictures, {len(drawn) / seconds:.0f}/s",
        caption="hidden shares, on average",
    )
    for column in ("occlusion", "gallery", "query", "of the picture", "of the person"):
        table.add_column(column, justify="left" if column == "occlusion" else "right")
    for name in occlusion.NAMES:
        rows = [picture for picture in drawn if occlusion.NAMES[picture.occlusion] == name]
        if rows:
            roles = Counter(picture.role for picture in rows)
            picture_hidden = sum(picture.fraction for picture in rows) / len(rows)
            person_hidden = sum(picture.hidden for picture in rows) / len(rows)
            table.add_row(
                name,
                str(roles["gallery"]),
                str(roles["query"]),
                f"{picture_hidden:.0%}",
                f"{person_hidden:.0%}",
            )
    Console().print(table)


def sheet(path: Path, seed: int, *, as_json: bool, quiet: bool) -> None:
    """Draw the contact sheet and, unless ``quiet``, tell where it is."""
    draw_sheet(path, seed)
    if quiet:
        return
    if as_json:
        print(json.dumps({"sheet": str(path), "seed": seed}))
    else:
        Console().print(f"{path}: people, label maps, occluders and near-identical pairs of seed {seed}")


def _summary(out: Path, plan: Plan, drawn: list[Drawn], seconds: float) -> dict[str, object]:
    roles = Counter(picture.role for picture in drawn)
    kinds = Counter(occlusion.NAMES[picture.occlusion] for picture in drawn)
    return {
        "out": str(out),
        "manifest": str(out / MANIFEST),
        "pictures": len(drawn),
        "people": plan.people,
        "cameras": plan.cameras,
        "seed": plan.seed,
        "gallery": roles["gallery"],
        "queries": roles["query"],
        "twins": len({picture.person for picture in drawn if picture.twin_of is not None}),
        "labels": plan.labels,
        "occlusions": {name: kinds[name] for name in occlusion.NAMES if kinds[name]},
        "seconds": round(seconds, 3),
    }
