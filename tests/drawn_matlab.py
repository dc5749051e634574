"""MATLAB files that tests write, of both kinds, with the same content: variables of numbers, text and cells.

A cell array is an object array [rows, columns]; an entry is an array, a text, or another object array.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import scipy.io


def cells(rows: list[list[Any]]) -> npt.NDArray[np.object_]:
    """A cell array from its rows."""
    array = np.empty((len(rows), len(rows[0])), dtype=object)
    for place in np.ndindex(array.shape):
        array[place] = rows[place[0]][place[1]]
    return array


def write_matlab_5(path: Path, variables: Mapping[str, Any]) -> None:
    """The format up to version 7."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, dict(variables))


def write_matlab_73(path: Path, variables: Mapping[str, Any]) -> None:
    """The format of version 7.3: HDF5 behind 512 bytes of header, axes reversed, cells as references."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            _put(file, file, name, value)
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(512, b" "))


def _put(file: h5py.File, group: h5py.Group, name: str, value: Any) -> h5py.Dataset:
    if isinstance(value, str):
        codes = np.array([[ord(letter)] for letter in value], dtype=np.uint16)
        return group.create_dataset(name, data=codes)
    array = np.asarray(value)
    if array.size == 0:
        empty = group.create_dataset(name, data=np.array(array.shape, dtype=np.uint64))
        empty.attrs["MATLAB_empty"] = np.uint8(1)
        return empty
    if array.dtype != object:
        return group.create_dataset(name, data=array.T)
    references = np.empty(array.shape, dtype=object)
    store = file.require_group("#refs#")
    prefix = group.name.replace("/", "") + name
    for number, place in enumerate(np.ndindex(array.shape)):
        references[place] = _put(file, store, f"{prefix}.{number}", array[place]).ref
    return group.create_dataset(name, data=references.T, dtype=h5py.ref_dtype)
