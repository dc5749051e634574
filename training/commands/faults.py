"""How a command ends where the fault is the user's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

__all__ = ["faults_in_one_line"]

_WITH_TRAINING: Final = frozenset(
    {
        "h5py",
        "jinja2",
        "lightning_fabric",
        "matplotlib",
        "onnx",
        "onnxscript",
        "pyarrow",
        "scipy",
        "tensorboard",
        "tomli_w",
        "torch",
        "torchvision",
    }
)


@contextmanager
def faults_in_one_line() -> Iterator[None]:
    """Tell the user's faults without a traceback, and what to install where torch is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _WITH_TRAINING:
            raise
        typer.echo(f"error: {error.name} is not installed: install penumbra-reid[training]", err=True)
        raise typer.Exit(1) from error
    except (ValueError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
