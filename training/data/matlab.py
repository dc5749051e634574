"""MATLAB files of either kind, read the same way: up to version 7 through SciPy, 7.3 (HDF5) through h5py.

    >>> with MatFile(path) as mat:
    ...     pairs = mat["detected"]             # a cell array: object array [5, 1]
    ...     first = mat.read(pairs[0, 0])       # what is in a cell

Arrays come as MATLAB shows them: HDF5 stores the axes in reverse, which is turned back here. The content of
a cell of a 7.3 file is read only when asked for, so that a file of gigabytes costs no memory.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import scipy.io

from training.data.records import DatasetError

__all__ = ["MatFile"]


class MatFile:
    """A MATLAB file, open for reading.

    Raises:
        DatasetError: there is no such file, or it is not a MATLAB file.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise DatasetError(f"no file {path}")
        self._path = path
        self._hdf5: h5py.File | None = None
        self._content: dict[str, Any] = {}
        try:
            if h5py.is_hdf5(path):
                self._hdf5 = h5py.File(path, "r")
            else:
                self._content = scipy.io.loadmat(path)
        except (ValueError, TypeError, NotImplementedError, OSError) as error:
            raise DatasetError(f"{path} is not a MATLAB file: {error}") from error

    def __enter__(self) -> MatFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._hdf5 is not None:
            self._hdf5.close()

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """A variable: numbers, or a cell array as an object array whose entries go to :meth:`read`.

        Raises:
            DatasetError: there is no such variable; the message names those that there are.
        """
        variables = self._content if self._hdf5 is None else self._hdf5
        if name not in variables:
            there = ", ".join(sorted(key for key in variables if not key.startswith(("#", "__"))))
            raise DatasetError(f"{self._path} has no variable {name!r}. Found: {there}")
        return self.read(variables[name])

    def read(self, cell: Any) -> npt.NDArray[Any]:
        """What is in a cell, axes as MATLAB shows them; an empty cell is an array of size 0."""
        if isinstance(cell, h5py.Reference):
            assert self._hdf5 is not None  # only a 7.3 file gives references
            cell = self._hdf5[cell]
        if isinstance(cell, h5py.Dataset):
            if cell.attrs.get("MATLAB_empty", 0):
                return np.empty((0, 0))
            return np.asarray(cell[()]).T
        return np.asarray(cell)

    def text(self, cell: Any) -> str:
        """The text in a cell; a 7.3 file stores it as the characters' numbers."""
        value = self.read(cell)
        if value.dtype.kind in "ui":
            return "".join(map(chr, value.ravel()))
        return str(value.ravel()[0]) if value.size else ""
