"""`penumbra-train results`: keep the record of a run, and print the table of all records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from training.comparison.record import read_records, record_of, write_record
from training.comparison.table import papers_table, results_table
from training.evaluation import protocols

__all__ = ["PROTOCOLS", "RECORDS", "add", "show"]

RECORDS: Final = Path(__file__).parent / "records"
"""Where the repository keeps its run records."""

PROTOCOLS: Final = ("market1501-val", "market1501-val-occluded", "cuhk03-val", "partial-ilids")
"""What every system is measured on."""


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
