"""A folder of features: what any program computed, evaluated without its model. No torch.

===================================  ===================================================================
``query.npy``, ``gallery.npy``       float [n, D], or [n, 9, D]: F(x, u) for each code u of
                                     ``models.occlusion``; float16, 32 or 64, read memory-mapped
``query.csv``, ``gallery.csv``       a row for each feature, in order: ``person``, ``camera`` (whole
                                     numbers), and, where known, ``top``, ``bottom``, ``left``, ``right``:
                                     the grader's scores, 0 to 1
``query.npz``, ``gallery.npz``       instead of the CSV: ``person``, ``camera`` [n], ``grades`` [n, 4]
``train.npy``, ``train.csv``         the training half, which XQDA and KISSME are fitted on; may be left out
``about.json``                       :class:`About`; may be left out
===================================  ===================================================================

Features are taken as they are: cosine and unification make them of unit length, Euclidean, XQDA and KISSME do
not, and XQDA's regulariser supposes it.

    >>> folder = FeatureFolder.open(Path("features"))
    >>> folder.query.people, folder.gallery.features.shape
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from models import occlusion
from training.evaluation.multi_query import Labelled

__all__ = [
    "ABOUT",
    "About",
    "FeatureFolder",
    "FeatureFolderError",
    "FeatureSide",
    "SideName",
    "write",
]

ABOUT: Final = "about.json"

SideName = Literal["query", "gallery", "train"]

_PART: Final = 2**24
"""Numbers looked at at once: 64 MiB in float32."""


class FeatureFolderError(ValueError):
    """A folder of features is not laid out as expected. The message says what was expected and found."""


class About(BaseModel):
    """``about.json``: where the features come from. Unknown keys are errors.

    Attributes:
        name: what a table calls them; empty for the folder's name.
        fingerprint: of the bundle that made them.
        dataset: the protocol; empty where it has no name here.
        camera_rule: gallery pictures of the query's own person and camera are ignored.
        note: what must be said wherever a figure on this protocol is shown.
        quarter_threshold, half_threshold: OAMN eq. 8.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = ""
    fingerprint: str | None = None
    dataset: str = ""
    camera_rule: bool = True
    note: str = ""
    quarter_threshold: float = occlusion.QUARTER_THRESHOLD
    half_threshold: float = occlusion.HALF_THRESHOLD


@dataclass(frozen=True, slots=True)
class FeatureSide:
    """Query, gallery or training half.

    Attributes:
        stored: float [n, D] or [n, 9, D], memory-mapped.
        people, cameras: int64 [n].
        grades: float32 [n, 4], or None.
    """

    stored: npt.NDArray[np.floating]
    people: npt.NDArray[np.int64]
    cameras: npt.NDArray[np.int64]
    grades: npt.NDArray[np.float32] | None

    @property
    def dimension(self) -> int:
        """D."""
        return int(self.stored.shape[-1])

    @property
    def every_code(self) -> bool:
        """Whether there are features under all nine codes."""
        return self.stored.ndim == 3

    @property
    def whole(self) -> Labelled:
        """The features of the pictures as they are, still memory-mapped."""
        features = self.stored[:, occlusion.NONE] if self.every_code else self.stored
        return Labelled(features, self.people, self.cameras)


@dataclass(frozen=True, slots=True)
class FeatureFolder:
    """An opened and checked folder.

    Attributes:
        path: the folder.
        about: from ``about.json``, with the folder's name where it gives none.
        query, gallery: the sides.
        train: the training half, or None.
    """

    path: Path
    about: About
    query: FeatureSide
    gallery: FeatureSide
    train: FeatureSide | None

    @classmethod
    def open(cls, path: Path) -> FeatureFolder:
        """Open a folder; every feature is looked at once, none is kept.

        Raises:
            FeatureFolderError: a file is missing or not as expected, or a feature is not a finite number.
        """
        if not path.is_dir():
            raise FeatureFolderError(f"{path} is not a folder")
        about = _read_about(path)
        query, gallery = _read_side(path, "query"), _read_side(path, "gallery")
        train = _read_side(path, "train") if (path / "train.npy").exists() else None
        for name, side in (("gallery", gallery), ("train", train)):
            if side is not None and side.dimension != query.dimension:
                raise FeatureFolderError(
                    f"{path}: query.npy has features of {query.dimension} numbers, {name}.npy of "
                    f"{side.dimension}"
                )
        return cls(path, about, query, gallery, train)

    @property
    def can_unify(self) -> bool:
        """Whether both sides have features under all nine codes and grades."""
        return all(side.every_code and side.grades is not None for side in (self.query, self.gallery))

    @property
    def every_code(self) -> bool:
        """Whether both sides have features under all nine codes."""
        return self.query.every_code and self.gallery.every_code


def write(path: Path, about: About, sides: Mapping[SideName, FeatureSide]) -> None:
    """Write a folder that :meth:`FeatureFolder.open` reads.

    Raises:
        FileExistsError: there are features in the folder already.
    """
    path.mkdir(parents=True, exist_ok=True)
    if (path / "query.npy").exists():
        raise FileExistsError(f"{path} holds features already")
    for name, side in sides.items():
        np.save(path / f"{name}.npy", side.stored)
        with (path / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            graded = side.grades is not None
            writer.writerow(["person", "camera", *(occlusion.PLACES if graded else ())])
            for row in range(len(side.people)):
                grades = (
                    [] if side.grades is None else [f"{value:.9g}" for value in side.grades[row].tolist()]
                )
                writer.writerow([int(side.people[row]), int(side.cameras[row]), *grades])
    (path / ABOUT).write_text(about.model_dump_json(indent=1), encoding="utf-8")


def _read_about(path: Path) -> About:
    file = path / ABOUT
    try:
        about = About.model_validate_json(file.read_bytes()) if file.exists() else About()
    except ValidationError as error:
        raise FeatureFolderError(f"{file} does not validate: {error}") from error
    return about if about.name else about.model_copy(update={"name": path.resolve().name})


def _read_side(path: Path, name: str) -> FeatureSide:
    file = path / f"{name}.npy"
    try:
        stored = np.load(file, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise FeatureFolderError(f"{path} has no {name}.npy; a folder of features needs one") from None
    except (ValueError, EOFError) as error:
        raise FeatureFolderError(f"{file} is not an array that numpy.save wrote: {error}") from error
    shape = list(stored.shape)
    fits = len(shape) == 2 or (len(shape) == 3 and shape[1] == occlusion.COUNT)
    if stored.dtype.kind != "f" or not fits:
        raise FeatureFolderError(
            f"{file} must be float [n, D] or [n, {occlusion.COUNT}, D], not {stored.dtype} {shape}"
        )
    if not stored.size:
        raise FeatureFolderError(f"{file} is empty: {shape}")
    _check_finite(file, stored)
    people, cameras, grades = _read_labels(path, name)
    if len(people) != len(stored):
        raise FeatureFolderError(f"{file} has {len(stored)} features, but {len(people)} are labelled")
    return FeatureSide(stored, people, cameras, grades)


def _check_finite(file: Path, stored: npt.NDArray[np.floating]) -> None:
    step = max(1, _PART // int(np.prod(stored.shape[1:])))
    for start in range(0, len(stored), step):
        part = np.asarray(stored[start : start + step])
        # A sum is finite only where every term is; only where it overflows is each number looked at.
        with np.errstate(over="ignore", invalid="ignore"):
            suspicious = not np.isfinite(part.sum(dtype=np.float64))
        if suspicious and not np.isfinite(part).all():
            row = start + int(np.flatnonzero(~np.isfinite(part).reshape(len(part), -1).all(axis=1))[0])
            raise FeatureFolderError(f"{file}: feature {row} is not all finite numbers")


def _read_labels(
    path: Path, name: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32] | None]:
    """People, cameras and grades from the CSV or the NPZ."""
    table, archive = path / f"{name}.csv", path / f"{name}.npz"
    if table.exists():
        columns = _read_csv(table)
    elif archive.exists():
        columns = _read_npz(archive)
    else:
        raise FeatureFolderError(f"{path} has neither {table.name} nor {archive.name} for {name}.npy")
    file = table if table.exists() else archive
    for column in ("person", "camera"):
        if column not in columns:
            raise FeatureFolderError(f"{file} has no {column!r}; it has {', '.join(columns) or 'nothing'}")
    try:
        labels = [_whole(columns[column]) for column in ("person", "camera")]
        grades = columns.get("grades")
        scores = None if grades is None else grades.astype(np.float32)
    except (ValueError, OverflowError) as error:
        raise FeatureFolderError(
            f"{file}: person and camera must be whole numbers, grades numbers: {error}"
        ) from None
    people, cameras = labels
    if people.ndim != 1 or people.shape != cameras.shape:
        raise FeatureFolderError(f"{file}: person and camera must be [n] each")
    wanted = (len(people), len(occlusion.PLACES))
    if scores is not None and (scores.shape != wanted or np.isnan(scores).any()):
        raise FeatureFolderError(f"{file}: grades must be numbers {list(wanted)}")
    return people, cameras, scores


def _whole(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    whole = values.astype(np.int64)
    if values.dtype.kind == "f" and (whole != values).any():
        raise ValueError(f"not whole: {values[whole != values][0]}")
    return whole


def _read_csv(file: Path) -> dict[str, npt.NDArray[Any]]:
    with file.open(newline="", encoding="utf-8-sig") as content:
        reader = csv.DictReader(content)
        names = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = names
        rows = list(reader)
    columns = {name: np.array([(row[name] or "").strip() for row in rows]) for name in names}
    if set(occlusion.PLACES) <= set(names):
        columns["grades"] = np.stack([columns[place] for place in occlusion.PLACES], axis=1)
    return columns


def _read_npz(file: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            return dict(archive.items())
    except (ValueError, OSError, EOFError) as error:
        raise FeatureFolderError(f"{file} cannot be read: {error}") from error
