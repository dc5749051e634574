"""Pictures of people in a folder, ready to enrol: a folder per person, a naming pattern, or a manifest."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from service.box_text import read_box
from service.client import NewPicture

__all__ = [
    "COLUMNS",
    "FolderError",
    "Manifest",
    "compile_pattern",
    "others",
    "read_folder",
    "read_manifest",
]

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
"""Files that are taken for pictures; others in the folder are left alone."""

_FIELDS: Final = ("person", "camera")

_NAME: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,256}")
"""What the service takes as a person's name and as a client id, and UTF-8 can carry."""

COLUMNS: Final = ("path", "person", "camera", "time", "client_id", "box")
"""The columns of a manifest that are no metadata."""


class FolderError(ValueError):
    """The folder, pattern or manifest is not what enrolling takes. The message says what was expected."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest lists. ``metadata``: the columns that are taken as metadata, as they are headed."""

    pictures: list[NewPicture]
    metadata: tuple[str, ...]


def read_folder(folder: Path, pattern: str | None = None) -> list[NewPicture]:
    """The pictures in a folder, sorted by path, each with its relative path as client id.

    Args:
        folder: searched to any depth, but for what is hidden: macOS lays a ``._1.jpg`` beside a ``1.jpg``,
            and other programs their ``.thumbnails``.
        pattern: see :func:`compile_pattern`; without one, the first folder below is the person.

    Raises:
        FolderError: there are no pictures, one whose person cannot be told, or one with a name that the
            service does not take.
    """
    if not folder.is_dir():
        raise FolderError(f"{folder} is not a folder")
    files = sorted(path for path in _shown(folder) if path.suffix.lower() in SUFFIXES)
    if not files:
        raise FolderError(f"no pictures ({', '.join(sorted(SUFFIXES))}) in {folder}")
    matcher = compile_pattern(pattern) if pattern is not None else None
    pictures: list[NewPicture] = []
    strangers: list[str] = []
    for path in files:
        relative = path.relative_to(folder)
        person: str | None = relative.parts[0] if len(relative.parts) > 1 else None
        camera: str | None = None
        if matcher is not None:
            found = matcher.fullmatch(relative.with_suffix("").as_posix())
            person = found.group("person") if found else None
            camera = found.groupdict().get("camera") if found else None
        if person is None:
            strangers.append(relative.as_posix())
        else:
            pictures.append(NewPicture(path, person, camera=camera, client_id=relative.as_posix()))
    if strangers:
        raise FolderError(_whose(folder, pattern, strangers))
    for picture in pictures:
        _check_names(str(folder), picture)
    return pictures


def others(folder: Path) -> dict[str, int]:
    """How many files a folder has that are no pictures by their names, by suffix, the most first.

    Those that :func:`read_folder` takes for hidden are not counted.
    """
    counts = Counter(path.suffix.lower() for path in _shown(folder))
    return {suffix: count for suffix, count in counts.most_common() if suffix not in SUFFIXES}


def _shown(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if not any(part.startswith(".") for part in path.relative_to(folder).parts) and path.is_file():
            yield path


def _check_names(where: str, picture: NewPicture) -> None:
    """Refuse here, with the file's name, what the service would refuse by its place in one call of many."""
    for what, name in (("person", picture.person), ("client id", picture.client_id)):
        if name is not None and _NAME.fullmatch(name) is None:
            raise FolderError(
                f"{where}: {name!r} cannot be a {what}, which has 1 to 256 characters, none of them a "
                "control character or other than UTF-8"
            )


def _whose(folder: Path, pattern: str | None, strangers: Sequence[str]) -> str:
    """What to do about pictures whose person is not known."""
    first = ", ".join(strangers[:3]) + (", …" if len(strangers) > 3 else "")
    if pattern is not None:
        return f"{len(strangers)} pictures in {folder} do not match {pattern!r}: {first}"
    return (
        f"{len(strangers)} pictures lie in {folder} itself, so their person is not known: {first}. "
        "Put each person's pictures in a folder of their own, or give --pattern (e.g. '{person}_c{camera}*') "
        "or --manifest."
    )


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A naming pattern as a regular expression for a relative path without its extension.

    ``{person}`` and ``{camera}`` stand for what is between the rest, ``*`` for anything; everything else
    is meant as written. ``{person}_c{camera}s*`` reads Market-1501's ``0002_c1s1_000451_03``. A pattern
    without ``/`` is about the file's name, whatever folder it is in.

    Raises:
        FolderError: ``{person}`` is missing, or something stands in braces twice or is unknown.
    """
    parts = re.split(r"(\{[^{}]*\}|\*)", pattern)
    names = [part[1:-1] for part in parts if part.startswith("{")]
    if "person" not in names or len(set(names)) < len(names) or not set(names) <= set(_FIELDS):
        raise FolderError(
            f"the pattern {pattern!r} must have {{person}} and may have {{camera}} and *, "
            "e.g. '{person}_c{camera}*'"
        )
    text = "" if "/" in pattern else "(?:.*/)?"
    for part in parts:
        if part.startswith("{"):
            text += f"(?P<{part[1:-1]}>[^/]+?)"
        else:
            text += ".*" if part == "*" else re.escape(part)
    return re.compile(text)


def read_manifest(manifest: Path, folder: Path) -> Manifest:
    """The pictures that a CSV file lists.

    Columns ``path`` (relative to ``folder``) and ``person`` are required; ``camera``, ``time`` (RFC 3339),
    ``client_id`` and ``box`` (as :func:`service.box_text.read_box` has it) may follow. Every other column
    becomes metadata: text, or where it is headed ``key:=`` JSON. An empty value is none.

    The client id of a picture without one is its path, and with a box its path and the box, since a frame
    may show several people.

    Raises:
        FolderError: a column or a value is missing or wrong, or a file is not there.
    """
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as lines:
            rows = csv.DictReader(lines, strict=True)
            columns = tuple(rows.fieldnames or ())
            _check_columns(manifest, columns)
            pictures = list(_listed(manifest, folder, rows))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FolderError(f"{manifest} cannot be read as CSV in UTF-8: {error}") from error
    if not pictures:
        raise FolderError(f"{manifest} lists no pictures")
    return Manifest(pictures, tuple(column for column in columns if column not in COLUMNS))


def _check_columns(manifest: Path, columns: Sequence[str]) -> None:
    if not {"path", "person"} <= set(columns):
        raise FolderError(
            f"{manifest} needs the columns path and person, it has {', '.join(columns) or 'none'}"
        )
    keys = [column.removesuffix(":=") for column in columns]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise FolderError(f"{manifest} has the column {twice} twice")
    for place, (column, key) in enumerate(zip(columns, keys, strict=True), 1):
        if not key:
            raise FolderError(f"{manifest}: column {place} has no heading")
        if column != key and key in COLUMNS:
            raise FolderError(f"{manifest}: the column {column} is no metadata; head it {key}")


def _listed(manifest: Path, folder: Path, rows: csv.DictReader[str]) -> Iterator[NewPicture]:
    for row in rows:
        where = f"{manifest}, line {rows.line_num}"
        if None in row:
            raise FolderError(f"{where}: more values than columns")
        if not row["path"] or not row["person"]:
            raise FolderError(f"{where}: path and person must not be empty")
        path = folder / row["path"]
        if not path.is_file():
            raise FolderError(f"{where}: there is no file {path}")
        try:
            box = read_box(row["box"]) if row.get("box") else None
            within = "" if box is None else f"#{','.join(map(str, box))}"
            picture = NewPicture(
                path,
                row["person"],
                camera=row.get("camera") or None,
                time=datetime.fromisoformat(row["time"]) if row.get("time") else None,
                client_id=row.get("client_id") or f"{row['path']}{within}",
                metadata=_metadata(row) or None,
                box=box,
            )
        except ValueError as error:
            raise FolderError(f"{where}: {error}") from error
        _check_names(where, picture)
        yield picture


def _metadata(row: dict[str, str]) -> dict[str, Any]:
    """What is told in a row's other columns."""
    told: dict[str, Any] = {}
    for column, value in row.items():
        if column in COLUMNS or not value:
            continue
        if not column.endswith(":="):
            told[column] = value
            continue
        try:
            told[column.removesuffix(":=")] = json.loads(value)
            json.dumps(told, allow_nan=False)  # Python reads NaN and infinities, and JSON has none
        except ValueError as error:
            raise ValueError(f'{column} takes JSON, such as 4, true or "text", not {value!r}') from error
    return told
