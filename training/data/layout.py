"""Finding a data set's folder under the root a user gave, and saying what is there instead."""

from __future__ import annotations

import os
from pathlib import Path

from training.data.records import DatasetError

__all__ = ["SUFFIXES", "find_folder", "found", "list_folders", "list_pictures"]

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
"""What counts as a picture, in small letters."""

_SHOWN = 12


def find_folder(
    root: Path, names: str | tuple[str, ...], needed: tuple[str, ...] = (), others: tuple[str, ...] = ()
) -> Path:
    """The data set's folder: ``root/name``, or ``root`` itself where it bears that name or holds ``needed``.

    Args:
        root: what the user gave.
        names: how the data set's folder is called; several where it circulates under several names.
        needed: sub-folders or files that must be there.
        others: names of data sets with the same layout: a root of such a name is not taken for this one.

    Raises:
        DatasetError: neither is there, or something needed is missing.
    """
    names = (names,) if isinstance(names, str) else names
    folder = next((root / name for name in names if (root / name).is_dir()), None)
    if folder is None:
        own = root.resolve().name
        if not root.is_dir() or not (own in names or (needed and own not in others and _holds(root, needed))):
            raise DatasetError(
                f"no {names[0]} under {root}. Expected: {_expected(root, names[0], needed)}. "
                f"Found: {found(root)}"
            )
        folder = root
    if not _holds(folder, needed):
        raise DatasetError(
            f"{folder} is incomplete. Expected: {_expected(folder, names[0], needed)}. Found: {found(folder)}"
        )
    return folder


def list_pictures(folder: Path) -> list[Path]:
    """The folder's pictures by suffix (:data:`SUFFIXES`), sorted by name; nothing else.

    Raises:
        DatasetError: there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise DatasetError(f"no folder {folder}. Found beside it: {found(folder.parent)}")
    # names, not paths: half a million are sorted in a second; macOS' "._x.jpg" are no pictures
    names = sorted(
        name for name in os.listdir(folder) if name.lower().endswith(SUFFIXES) and not name.startswith(".")
    )
    if not names:
        raise DatasetError(f"no pictures ({', '.join(SUFFIXES)}) in {folder}. Found: {found(folder)}")
    return [folder / name for name in names]


def list_folders(folder: Path) -> list[Path]:
    """The folder's sub-folders, sorted by name, hidden ones left out.

    Raises:
        DatasetError: there is no such folder, or no sub-folder in it.
    """
    if not folder.is_dir():
        raise DatasetError(f"no folder {folder}. Found beside it: {found(folder.parent)}")
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise DatasetError(f"no folders, one for each person, in {folder}. Found: {found(folder)}")
    return folders


def found(folder: Path) -> str:
    """What a folder holds, for a message: the first names, and how many more."""
    if not folder.is_dir():
        return f"no folder {folder}"
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    if not names:
        return "nothing"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _holds(folder: Path, needed: tuple[str, ...]) -> bool:
    return all((folder / part).exists() for part in needed)


def _expected(folder: Path, name: str, needed: tuple[str, ...]) -> str:
    if not needed:
        return f"{name}/"
    return ", ".join(f"{name}/{part}" + "/" * (not Path(part).suffix) for part in needed)
