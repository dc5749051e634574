"""Options that several commands have."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Device(StrEnum):
    """Where PyTorch runs."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


Recipe = Annotated[Path, typer.Argument(help="Recipe (TOML), e.g. training/recipes/oamn.toml.")]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder that holds the data sets' own folders, where the recipe needs any."),
]
Root = Annotated[
    Path, typer.Option(help="Folder that holds the data sets' own folders (or such a folder itself).")
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable answer on standard output.")]
Withdrawn = Annotated[
    bool,
    typer.Option(
        "--acknowledge-withdrawn",
        help="Open data that its authors withdrew (DukeMTMC and what was made from it), knowing why.",
    ),
]
