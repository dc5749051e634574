"""Finding a data set's folder under the root a user gave, and saying what is there instead."""

from __future__ import annotations

from pathlib import Path

from training.data.records import DatasetError

__all__ = ["find_folder", "list_pictures"]

_SHOWN = 12
_SUFFIXES = (".jpg", ".jpeg", ".png")


def find_folder(root: Path, name: str, needed: tuple[str, ...] = ()) -> Path:
    """The data set's folder: ``root/name``, or ``root`` itself where it bears that name or holds ``needed``.

    Args:
        root: what the user gave.
        name: how the data set's folder is called.
        needed: sub-folders that must be there.

    Raises:
        DatasetError: neither is there, or a needed sub-folder is missing.
    """
    if (root / name).is_dir():
        folder = root / name
    elif root.is_dir() and (root.resolve().name == name or (needed and _holds(root, needed))):
        folder = root
    else:
        raise DatasetError(
            f"no {name} under {root}. Expected: {_expected(name, needed)}. Found: {_found(root)}"
        )
    if not _holds(folder, needed):
        raise DatasetError(
            f"{folder} is incomplete. Expected: {_expected(name, needed)}. Found: {_found(folder)}"
        )
    return folder


def list_pictures(folder: Path) -> list[Path]:
    """The folder's pictures by suffix (jpg, jpeg, png), sorted by name, sub-folders and other files left out.

    Raises:
        DatasetError: there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise DatasetError(f"no folder {folder}. Found beside it: {_found(folder.parent)}")
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not pictures:
        raise DatasetError(f"no pictures ({', '.join(_SUFFIXES)}) in {folder}. Found: {_found(folder)}")
    return pictures


def _holds(folder: Path, needed: tuple[str, ...]) -> bool:
    return all((folder / part).is_dir() for part in needed)


def _expected(name: str, needed: tuple[str, ...]) -> str:
    return ", ".join(f"{name}/{part}/" for part in needed) if needed else f"{name}/"


def _found(folder: Path) -> str:
    if not folder.is_dir():
        return f"no folder {folder}"
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    if not names:
        return "nothing"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
