"""Your own pictures, named in a table: CSV, or Parquet. Also how the drawn pedestrians are read.

==========  ==========================================================================================
column      what
==========  ==========================================================================================
``path``    the picture, relative to the table's folder, or absolute
``person``  any name or number
``camera``  any name or number; without this column there is no camera rule
``time``    seconds, or a date and time in ISO 8601 (UTC where it names no zone); may be missing or empty
``split``   ``train``, ``query`` or ``gallery``; ``role`` is understood too
==========  ==========================================================================================

Without a split, each person's first picture in each camera asks and the others answer. Further columns are
left alone: ``penumbra-train synth`` writes a few. A person's number is the one written, where all are
numbers.

    >>> protocol = read(Path("my-pictures"))            # its manifest.csv or manifest.parquet
    >>> protocol = read(Path("my-pictures/day1.csv"))
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from training.data.layout import found
from training.data.own_pictures import NOTE, OWN_TERMS, ask_first, number
from training.data.records import DatasetError, Offer, Picture, Protocol

__all__ = ["FILES", "NAME", "PROTOCOLS", "SPLITS", "read", "read_rows"]

NAME: Final = "manifest"
FILES: Final = ("manifest.csv", "manifest.parquet")
SPLITS: Final = ("train", "query", "gallery")


def read(root: Path) -> Protocol:
    """The protocol of a table of pictures.

    Args:
        root: the table, or the folder that holds ``manifest.csv`` or ``manifest.parquet``.

    Raises:
        DatasetError: there is no table, a column or value is missing or not understood, a picture is not
            there, or the splits make no protocol; the message names file and line.
    """
    table = _find(root)
    rows = read_rows(table)
    if not rows:
        raise DatasetError(f"{table} names no pictures")
    persons = number(row["person"] for row in rows)
    with_cameras = "camera" in rows[0]
    cameras = number(row["camera"] for row in rows) if with_cameras else {}
    split_column = next((column for column in ("split", "role") if column in rows[0]), None)
    sides: dict[str, list[Picture]] = {split: [] for split in ("", *SPLITS)}
    for line, row in enumerate(rows, start=2):
        picture = Picture(
            table.parent / row["path"],
            persons[row["person"]],
            cameras[row["camera"]] if with_cameras else 0,
            time=_seconds(row.get("time", ""), f"{table}, line {line}"),
        )
        if not picture.path.is_file():
            raise DatasetError(f"{table}, line {line}: no picture {picture.path}")
        split = row[split_column] if split_column else ""
        if split_column and split not in SPLITS:
            raise DatasetError(
                f"{table}, line {line}: {split_column} is {split!r}, not one of {', '.join(SPLITS)}"
            )
        sides[split].append(picture)
    if split_column is None:
        query, gallery = ask_first(sides[""])
        if not gallery:
            raise DatasetError(f"{table}: nobody has two pictures in a camera, and there is no column split")
    else:
        query, gallery = tuple(sides["query"]), tuple(sides["gallery"])
    return Protocol(NAME, tuple(sides["train"]), query, gallery, camera_rule=with_cameras, note=NOTE)


def read_rows(table: Path) -> list[dict[str, str]]:
    """The rows of a CSV or Parquet table as text, an empty value as ``""``.

    Raises:
        DatasetError: the file's name ends in neither, it cannot be read as what it says, or ``path`` or
            ``person`` is missing or empty somewhere.
    """
    if table.suffix.lower() == ".csv":
        rows = _read_csv(table)
    elif table.suffix.lower() == ".parquet":
        rows = _read_parquet(table)
    else:
        raise DatasetError(f"{table} is neither a CSV (.csv) nor a Parquet (.parquet) table")
    for line, row in enumerate(rows, start=2):
        for column in ("path", "person"):
            if not row.get(column):
                raise DatasetError(
                    f"{table}, line {line}: no {column}. Expected columns path, person and, "
                    f"where known, camera, time, split. Found: {', '.join(row)}"
                )
    return rows


def _find(root: Path) -> Path:
    if root.is_file():
        return root
    for name in FILES:
        if (root / name).is_file():
            return root / name
    raise DatasetError(f"no {' or '.join(FILES)} in {root}. Found: {found(root)}")


def _read_csv(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            return _clean(table, reader)
        except (csv.Error, UnicodeDecodeError) as error:
            raise DatasetError(f"{table} cannot be read as CSV: {error}") from error


def _read_parquet(table: Path) -> list[dict[str, str]]:
    import pyarrow
    from pyarrow import parquet

    try:
        return _clean(table, parquet.read_table(table).to_pylist())
    except pyarrow.ArrowException as error:
        raise DatasetError(f"{table} cannot be read as Parquet: {error}") from error


def _clean(table: Path, rows: Iterable[Mapping[Any, Any]]) -> list[dict[str, str]]:
    cleaned = []
    for line, row in enumerate(rows, start=2):
        if None in row or (table.suffix.lower() == ".csv" and None in row.values()):
            raise DatasetError(f"{table}, line {line}: more or fewer values than columns")
        cleaned.append({str(key).strip(): _text(value) for key, value in row.items()})
    return cleaned


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, datetime) else str(value).strip()


def _seconds(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        pass  # not a number: a date, or nothing that is understood
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise DatasetError(f"{where}: time is {text!r}, neither seconds nor a date in ISO 8601") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


PROTOCOLS: Final = (
    Offer(NAME, read, "manifest.csv or manifest.parquet: path, person, camera, time, split", None, OWN_TERMS),
)
