"""The demo's people, drawn by `penumbra-train synth`."""

from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["DemoError", "Drawn", "draw"]

CAMERAS: Final = 4


class DemoError(RuntimeError):
    """The demo cannot go on. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawn picture.

    Attributes:
        path: its file.
        person, camera: whom it shows, from where.
        occlusion: name of the type that is hidden.
    """

    path: Path
    person: str
    camera: str
    occlusion: str


def draw(folder: Path, people: int, seed: int) -> tuple[list[Drawn], list[Drawn]]:
    """Draw the gallery's pictures and the queries', both in the order of their manifest."""
    command = [sys.executable, "-m", "training.cli", "synth", str(folder), "--json"]
    command += ["--people", str(people), "--queries", str(people), "--cameras", str(CAMERAS)]
    command += ["--seed", str(seed)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)  # its progress bar is ours
    if done.returncode:
        raise DemoError("the people could not be drawn; `penumbra-train synth` said why above")
    gallery: list[Drawn] = []
    queries: list[Drawn] = []
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            side = queries if row["role"] == "query" else gallery
            person = f"person-{int(row['person']):03d}"
            side.append(Drawn(folder / row["path"], person, f"camera-{row['camera']}", row["occlusion"]))
    return gallery, queries
