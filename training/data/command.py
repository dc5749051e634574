"""`penumbra-train datasets`: which protocols there are, and whether a copy is complete. No torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from models import occlusion
from training.data.records import DatasetError, Picture, Protocol
from training.evaluation import protocols
from training.evaluation.occluders import read_picture

__all__ = ["list_protocols", "manifest", "print_manifest", "verify"]


def list_protocols(*, as_json: bool) -> None:
    """Print every protocol with the counts of a complete copy."""
    if as_json:
        print(json.dumps({name: asdict(counts) for name, counts in protocols.EXPECTED.items()}, indent=1))
        return
    table = _counts_table("protocols, with the counts of a complete copy")
    for name, counts in protocols.EXPECTED.items():
        table.add_row(name, *_counts_row(counts))
    Console().print(table)


def manifest(protocol: Protocol, render: Path | None = None) -> dict[str, Any]:
    """A protocol as JSON-like values, for programs that enrol and query its pictures.

    Args:
        render: folder to write covered queries to (PNG, so without loss; created); pictures without an
            occluder stay where they are.

    Returns:
        ``{"name", "camera_rule", "note", "query": [...], "gallery": [...]}``, each picture being
        ``{"path", "person", "camera"}`` and, where it is covered, ``"occlusion"``: the type's name.

    Raises:
        ValueError: the protocol covers pictures and there is no folder to write them to.
    """
    sides = {"query": protocol.query, "gallery": protocol.gallery}
    return {
        "name": protocol.name,
        "camera_rule": protocol.camera_rule,
        "note": protocol.note,
        **{side: [_entry(picture, render) for picture in pictures] for side, pictures in sides.items()},
    }


def _entry(picture: Picture, render: Path | None) -> dict[str, Any]:
    path = picture.path
    covered: dict[str, Any] = {}
    if picture.occluder is not None:
        if render is None:
            raise ValueError("this protocol covers its queries: give a folder to write them to with --render")
        render.mkdir(parents=True, exist_ok=True)
        path = render / f"{picture.path.stem}.png"
        read_picture(picture).save(path)
        covered = {"occlusion": occlusion.NAMES[picture.occluder.code]}
    return {"path": str(path.resolve()), "person": picture.person, "camera": picture.camera, **covered}


def print_manifest(name: str, root: Path, *, render: Path | None, as_json: bool) -> None:
    """Print a protocol's pictures as JSON, or their counts as a table."""
    protocol = protocols.load(name, root)
    if as_json:
        print(json.dumps(manifest(protocol, render)))
        return
    if render is not None:
        manifest(protocol, render)
    table = _counts_table(name)
    table.add_row(name, *_counts_row(protocols.count(protocol)))
    console = Console()
    console.print(table)
    console.print(protocol.note)


def verify(root: Path, names: Sequence[str], *, as_json: bool) -> bool:
    """Count what lies under ``root`` and hold it against complete copies.

    Args:
        names: protocols; none: all, and those whose data set is not there do not count as wrong.

    Returns:
        Whether everything that was looked at is complete.
    """
    rows: list[dict[str, Any]] = []
    for name in names or protocols.NAMES:
        try:
            counts = protocols.count(protocols.load(name, root))
        except DatasetError as error:
            rows.append({"protocol": name, "state": "missing", "detail": str(error)})
            continue
        expected = protocols.EXPECTED[name]
        state = "complete" if counts == expected else "different"
        rows.append(
            {"protocol": name, "state": state, "counts": asdict(counts), "expected": asdict(expected)}
        )
    present = [row for row in rows if row["state"] != "missing"]
    good = bool(present) and all(row["state"] == "complete" for row in (rows if names else present))
    if as_json:
        print(json.dumps({"complete": good, "protocols": rows}, indent=1))
        return good
    table = Table(title=f"data sets under {root}")
    for column in ("protocol", "state", "found"):
        table.add_column(column, overflow="fold")
    for row in rows:
        found = row.get("detail") or ", ".join(
            f"{key.replace('_', ' ')} {value}"
            + (f" (expected {row['expected'][key]})" * (value != row["expected"][key]))
            for key, value in row["counts"].items()
        )
        table.add_row(row["protocol"], row["state"], found)
    Console().print(table)
    return good


def _counts_table(title: str) -> Table:
    table = Table(title=title)
    table.add_column("protocol")
    for name in ("train", "people", "query", "people", "gallery", "people"):
        table.add_column(name, justify="right")
    return table


def _counts_row(counts: protocols.Counts) -> list[str]:
    return [str(value) for value in asdict(counts).values()]
