"""Which Penumbra this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["version_of_penumbra"]


def version_of_penumbra() -> str:
    """The installed package's version."""
    try:
        return version("penumbra-reid")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"
