"""CUHK03 as it was released: one MATLAB file, from which pictures are extracted to a cache of our own.

::

    cuhk03/cuhk03_release/cuhk-03.mat                     pictures, and 20 test sets of 100 people
    cuhk03/cuhk03_new_protocol_config_detected.mat        who trains and is tested in the 767/700 protocol
    cuhk03/cuhk03_new_protocol_config_labeled.mat

``cuhk-03.mat`` holds ``detected`` and ``labeled``: five cells, one for each pair of cameras, each of M
people × 10 pictures, the first five from the pair's one camera and the other five from its other; a missing
picture is an empty cell. ``testsets`` holds 20 cells of 100 × 2: pair and person.

The pictures are written once, as PNG (without loss), below ``$XDG_CACHE_HOME`` or ``~/.cache``, in
``penumbra/cuhk03/``; the user's own folders are only read. A file that changes gets a new cache.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.console import Console
from rich.progress import track

from training.data.layout import found
from training.data.records import DatasetError

if TYPE_CHECKING:
    from training.data.matlab import MatFile

__all__ = ["CONFIG", "FOLDER", "RELEASE", "VARIABLES", "Boxes", "extract", "find_config", "find_release"]

Boxes = Literal["detected", "labelled"]

FOLDER: Final = "cuhk03"
RELEASE: Final = "cuhk-03.mat"
VARIABLES: Final[dict[Boxes, str]] = {"detected": "detected", "labelled": "labeled"}
"""How the release calls them."""
CONFIG: Final = "cuhk03_new_protocol_config_{}.mat"


def find_release(root: Path) -> Path:
    """``cuhk-03.mat`` under a root: in ``cuhk03/cuhk03_release``, or in any of these folders given itself.

    Raises:
        DatasetError: it is not there.
    """
    return _find(root, RELEASE)


def find_config(root: Path, boxes: Boxes) -> Path:
    """The file of the 767/700 protocol for detected or labelled boxes.

    Raises:
        DatasetError: it is not there.
    """
    return _find(root, CONFIG.format(VARIABLES[boxes]))


def _find(root: Path, name: str) -> Path:
    for folder in (root / FOLDER, root):
        for place in (folder, folder / "cuhk03_release", folder / "CUHK03_release"):
            if (place / name).is_file():
                return place / name
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    raise DatasetError(
        f"no {name} under {root}. Expected: {FOLDER}/cuhk03_release/{RELEASE}, "
        f"{FOLDER}/{CONFIG.format('detected')}, {FOLDER}/{CONFIG.format('labeled')}. Found: {found(folder)}"
    )


def extract(release: Path, boxes: Boxes) -> Path:
    """The folder with the release's pictures, extracted at the first call.

    Names are those of the new protocol: ``1_001_2_06.png``, pair (1 to 5), person in the pair (from 1),
    view (1 or 2), picture (1 to 10).

    Raises:
        DatasetError: the file is not CUHK03's.
        OSError: the cache cannot be written.
        ModuleNotFoundError: h5py or SciPy is not installed.
    """
    from training.data.matlab import MatFile

    folder = _cache(release) / boxes
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{boxes}.unfinished-", dir=folder.parent))
    try:
        with MatFile(release) as mat:
            pairs = mat[VARIABLES[boxes]].ravel()
            if pairs.dtype != object:
                raise DatasetError(f"{release}: {VARIABLES[boxes]!r} is not a cell array of camera pairs")
            for number, pair in enumerate(pairs, start=1):
                _extract_pair(mat, mat.read(pair), number, unfinished, boxes)
        if not any(unfinished.iterdir()):
            raise DatasetError(f"{release} holds no {boxes} pictures")
        _settle(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _extract_pair(mat: MatFile, pair: npt.NDArray[Any], number: int, folder: Path, boxes: Boxes) -> None:
    people = track(
        range(pair.shape[0]),
        description=f"extracting CUHK03 ({boxes}), camera pair {number} of 5",
        console=Console(stderr=True),
    )
    for person in people:
        for index, pixels in _pictures(mat, pair[person]):
            name = f"{number}_{person + 1:03d}_{1 if index < 5 else 2}_{index + 1:02d}.png"
            Image.fromarray(pixels).save(folder / name, compress_level=1)


def _pictures(mat: MatFile, cells: npt.NDArray[Any]) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """A person's pictures, uint8 [H, W, 3], with their places 0 to 9; empty cells left out."""
    for index, cell in enumerate(cells):
        pixels = mat.read(cell)
        if pixels.size and pixels.ndim == 3:
            yield index, np.ascontiguousarray(pixels.astype(np.uint8))


def _settle(unfinished: Path, folder: Path) -> None:
    """Give the finished folder its name; another process that was faster has written the same pictures."""
    try:
        unfinished.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _cache(release: Path) -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    state = release.stat()
    key = f"{release.resolve()}\0{state.st_size}\0{state.st_mtime_ns}"
    return base / "penumbra" / "cuhk03" / hashlib.sha256(key.encode()).hexdigest()[:16]
