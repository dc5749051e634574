"""A folder of drawn pictures with a manifest: what `penumbra-train synth` writes and others read.

::

    OUT/manifest.csv
    OUT/00001_c1_00.png           person 1, camera 1, first picture
    OUT/00001_c1_01.png
    OUT/labels/00001_c1_00.png    with ``labels``: the label map, 8-bit grey, codes of training.data.parts
    OUT/masks/00001_c1_00.png     with ``labels``: 1 bit, white where the occluder is; only where there is one

===============  =====================================================================================
column           what
===============  =====================================================================================
``path``         the picture, relative to the folder
``role``         ``gallery`` or ``query``
``person``       number, from 1
``camera``       number, from 1
``time``         when, ISO 8601 in UTC; all cameras record the same hour (``clock.py``)
``view``         which side of the person is seen (``sight.View``)
``occlusion``    the true type, a name of ``models.occlusion``
``occluder``     what stands in front (``occluder.Kind``), empty where nothing does
``fraction``     hidden share of the picture's pixels, 0 to 1
``hidden``       hidden share of the person's body, 0 to 1
``twin_of``      the person from whom this one differs in one detail only, empty for most
``twin_detail``  that detail: ``shoes``, ``bag`` or ``collar``
``labels``       the label map, relative to the folder, empty where none was asked for
``mask``         the occluder's mask, likewise
===============  =====================================================================================

A PNG's bytes are the same on every machine (``png.py``); a JPEG's are as the JPEG library makes them. The
folder appears whole or not at all: pictures are written to a neighbouring folder
``.OUT.unfinished-*``, renamed at the end; one that is left over is from a run that was killed.
"""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from PIL import Image

from models import occlusion as occlusions
from training.data.records import DatasetError, Picture
from training.data.synthetic.clock import timestamp
from training.data.synthetic.dice import Dice, Subject
from training.data.synthetic.generator import SyntheticPicture, draw
from training.data.synthetic.png import write_png

__all__ = ["MANIFEST", "Drawn", "Format", "Plan", "Role", "read_manifest", "read_pictures", "write_dataset"]

MANIFEST: Final = "manifest.csv"
_COLUMNS: Final = (
    "path", "role", "person", "camera", "time", "view", "occlusion", "occluder", "fraction", "hidden",
    "twin_of", "twin_detail", "labels", "mask",
)  # fmt: skip

Role = Literal["gallery", "query"]
Format = Literal["png", "jpg"]


@dataclass(frozen=True, slots=True)
class Drawn:
    """One line of a manifest.

    Attributes:
        path: the picture's file.
        role: whether it is to be enrolled or to ask.
        person, camera: whose and where, from 1.
        time: when, ISO 8601.
        view: which side of the person is seen.
        occlusion: code of ``models.occlusion``, 0 to 8.
        occluder: what stands in front, ``""`` where nothing does.
        fraction: hidden share of the picture's pixels, 0 to 1.
        hidden: hidden share of the person's body, 0 to 1.
        twin_of, twin_detail: from whom the person differs in one detail only, and in which; None and ``""``
            for who has no twin.
        labels, mask: files with the label map and the occluder's mask, None where there is none.
    """

    path: Path
    role: Role
    person: int
    camera: int
    time: str
    view: str
    occlusion: int
    occluder: str
    fraction: float
    hidden: float
    twin_of: int | None
    twin_detail: str
    labels: Path | None
    mask: Path | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to draw.

    Attributes:
        people, cameras: how many; both are numbered from 1.
        per_camera: pictures of each person in each camera.
        seed: who the people are and where the cameras hang.
        height, width: of a picture, pixels.
        occluded_share: share of gallery pictures with an occluder, 0 to 1.
        queries: pictures that ask. Each shows a person with an occluder in front, from a camera in which the
            gallery does not have that person; the eight occlusion types take turns.
        near_identical: share of people who have a twin that differs in one detail only, 0 to 1.
        labels: whether label maps and masks are written beside the pictures.

    Raises:
        ValueError: a number is out of range, or there are not as many queries to be had.
    """

    people: int
    cameras: int
    per_camera: int = 1
    seed: int = 0
    height: int = 128
    width: int = 64
    occluded_share: float = 0.0
    queries: int = 0
    near_identical: float = 0.0
    labels: bool = False

    def __post_init__(self) -> None:
        for name in ("people", "cameras", "per_camera"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.occluded_share <= 1:
            raise ValueError(f"the occluded share must be 0 to 1, not {self.occluded_share}")
        if not 0 <= self.near_identical <= 1:
            raise ValueError(f"the near-identical share must be 0 to 1, not {self.near_identical}")
        if not 0 <= self.queries <= self.people * self.per_camera:
            raise ValueError(
                f"{self.people} people with {self.per_camera} pictures in a camera give at most "
                f"{self.people * self.per_camera} queries, not {self.queries}"
            )
        if self.queries and self.cameras < 2:
            raise ValueError(
                "queries come from a camera that the gallery does not show, so two cameras are needed"
            )

    def orders(self) -> list[_Order]:
        """Every picture to draw, in the order of the manifest."""
        asking = self._asking()
        orders = []
        position = 0
        for person in range(1, self.people + 1):
            asked_in, asked = asking.get(person, (0, 0))
            for camera in range(1, self.cameras + 1):
                if camera != asked_in:
                    orders += [
                        _Order("gallery", person, camera, index, None) for index in range(self.per_camera)
                    ]
                    continue
                for index in range(asked):
                    code = 1 + position % (occlusions.COUNT - 1)
                    orders.append(_Order("query", person, camera, index, code))
                    position += 1
        return orders

    def _asking(self) -> dict[int, tuple[int, int]]:
        """Who asks: person to (camera, pictures)."""
        if not self.queries:
            return {}
        dice = Dice(self.seed, Subject.QUERIES)
        people = list(range(1, self.people + 1))
        for last in range(len(people) - 1, 0, -1):  # Fisher and Yates' shuffle
            other = dice.integer(0, last)
            people[last], people[other] = people[other], people[last]
        return {
            person: (dice.integer(1, self.cameras), len(range(place, self.queries, self.people)))
            for place, person in enumerate(people)
            if place < self.queries
        }


@dataclass(frozen=True, slots=True)
class _Order:
    """One picture to draw; ``code`` None leaves the occlusion to the dice."""

    role: Role
    person: int
    camera: int
    index: int
    code: int | None


def write_dataset(
    out: Path,
    plan: Plan,
    *,
    picture_format: Format = "png",
    progress: Callable[[int, int], None] | None = None,
) -> list[Drawn]:
    """Draw a data set into a new or empty folder.

    Args:
        out: the folder.
        plan: what to draw.
        picture_format: ``"png"`` keeps every pixel; ``"jpg"`` compresses at quality 90.
        progress: called with pictures written and pictures in all, after each.

    Returns:
        The manifest.

    Raises:
        FileExistsError: the folder has something in it, or is a file.
    """
    _refuse_filled(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    orders = plan.orders()
    drawn: list[Drawn] = []
    with (
        _whole_or_not_at_all(out) as folder,
        (folder / MANIFEST).open("w", newline="", encoding="utf-8") as file,
    ):
        if plan.labels:
            (folder / "labels").mkdir()
            (folder / "masks").mkdir()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for order in orders:
            picture = draw(
                order.person, order.camera, order.index, seed=plan.seed, height=plan.height, width=plan.width,
                occlusion=order.code, occluded_share=plan.occluded_share, near_identical=plan.near_identical,
            )  # fmt: skip
            line = _write(folder, order, picture, plan, picture_format)
            writer.writerow(line[column] for column in _COLUMNS)
            drawn.append(_parse(out, line))
            if progress is not None:
                progress(len(drawn), len(orders))
    return drawn


def read_manifest(folder: Path) -> list[Drawn]:
    """The manifest of a folder that :func:`write_dataset` wrote, in its order.

    Raises:
        DatasetError: there is no manifest, or a line of it is not one.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise DatasetError(f"{folder} has no {MANIFEST}: it was not written by `penumbra-train synth`")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != _COLUMNS:
            raise DatasetError(f"{path} has columns {reader.fieldnames}, expected {', '.join(_COLUMNS)}")
        drawn = []
        for line, row in enumerate(reader, start=2):
            try:
                drawn.append(_parse(folder, row))
            except (ValueError, TypeError) as error:
                raise DatasetError(f"{path}, line {line}: {error}") from error
    return drawn


def read_pictures(folder: Path) -> tuple[Picture, ...]:
    """All pictures of a drawn data set, as training takes them."""
    return tuple(Picture(drawn.path, drawn.person, drawn.camera) for drawn in read_manifest(folder))


def _write(
    folder: Path, order: _Order, picture: SyntheticPicture, plan: Plan, picture_format: Format
) -> dict[str, str]:
    """Write one picture's files.

    Returns:
        Its line of the manifest.
    """
    stem = f"{order.person:05d}_c{order.camera}_{order.index:02d}"
    name, labels, mask = f"{stem}.{picture_format}", "", ""
    if picture_format == "png":
        write_png(folder / name, picture.image)
    else:
        Image.fromarray(picture.image).save(folder / name, quality=90)
    if plan.labels:
        labels = f"labels/{stem}.png"
        write_png(folder / labels, picture.labels)
    if plan.labels and picture.occluder is not None:
        mask = f"masks/{stem}.png"
        write_png(folder / mask, picture.mask)
    twin = picture.twin if picture.twin is not None and picture.twin.of <= plan.people else None
    return {
        "path": name,
        "role": order.role,
        "person": str(order.person),
        "camera": str(order.camera),
        "time": timestamp(picture.frame),
        "view": picture.view,
        "occlusion": occlusions.NAMES[picture.occlusion],
        "occluder": picture.occluder or "",
        "fraction": f"{picture.fraction:.6f}",
        "hidden": f"{picture.hidden:.6f}",
        "twin_of": str(twin.of) if twin else "",
        "twin_detail": twin.detail if twin else "",
        "labels": labels,
        "mask": mask,
    }


def _parse(folder: Path, row: dict[str, str]) -> Drawn:
    role: Role
    if row["role"] == "gallery":
        role = "gallery"
    elif row["role"] == "query":
        role = "query"
    else:
        raise ValueError(f"role must be gallery or query, not {row['role']!r}")
    return Drawn(
        path=folder / row["path"],
        role=role,
        person=int(row["person"]),
        camera=int(row["camera"]),
        time=row["time"],
        view=row["view"],
        occlusion=occlusions.code_of(row["occlusion"]),
        occluder=row["occluder"],
        fraction=float(row["fraction"]),
        hidden=float(row["hidden"]),
        twin_of=int(row["twin_of"]) if row["twin_of"] else None,
        twin_detail=row["twin_detail"],
        labels=folder / row["labels"] if row["labels"] else None,
        mask=folder / row["mask"] if row["mask"] else None,
    )


def _refuse_filled(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{out} is a file; name a new or an empty folder")
    if out.is_dir() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty; name a new or an empty folder")


@contextmanager
def _whole_or_not_at_all(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` that becomes ``out`` if all goes well, and goes if it does not."""
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.unfinished-", dir=out.parent))
    try:
        folder.chmod(0o755)  # mkdtemp keeps it to its owner
        yield folder
        _refuse_filled(out)
        if out.is_dir():
            out.rmdir()
        folder.rename(out)
    except BaseException:  # Ctrl-C too: what is unfinished must not stay
        shutil.rmtree(folder, ignore_errors=True)
        raise
