"""`penumbra-train datasets`: which protocols there are, and whether a copy is complete. No torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from models import occlusion
from training.data.records import Counts, DatasetError, Picture, Protocol, count
from training.evaluation import protocols
from training.evaluation.occluders import read_picture

__all__ = ["list_protocols", "manifest", "print_manifest", "verify"]


def list_protocols(*, as_json: bool) -> None:
    """Print every protocol with what must lie under the root, its terms, and a complete copy's counts."""
    if as_json:
        content = {
            name: {
                "needs": offer.needs,
                "terms": offer.terms,
                "withdrawn": offer.withdrawn,
                "counts": asdict(offer.counts) if offer.counts else None,
            }
            for name, offer in protocols.OFFERS.items()
        }
        print(json.dumps(content, indent=1))
        return
    table = Table(title="protocols", show_lines=True)
    table.add_column("protocol", no_wrap=True)
    table.add_column("pictures (people) of a complete copy; what it needs; terms", overflow="fold")
    for name, offer in protocols.OFFERS.items():
        terms = f"{offer.terms}; opens with --acknowledge-withdrawn" if offer.withdrawn else offer.terms
        counts = ", ".join(f"{side} {number}" for side, number in _sides(offer.counts).items())
        table.add_row(name, f"{counts or 'any'}\nneeds {offer.needs}\nterms: {terms}")
    console = Console()
    console.print(table)
    console.print(
        "–: published nowhere. NAME:PLACE looks elsewhere under the root: manifest:site-3/people.csv."
    )


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


def print_manifest(
    name: str, root: Path, *, render: Path | None, as_json: bool, acknowledge_withdrawn: bool = False
) -> None:
    """Print a protocol's pictures as JSON, or their counts as a table."""
    protocol = protocols.load(name, root, acknowledge_withdrawn=acknowledge_withdrawn)
    if as_json:
        print(json.dumps(manifest(protocol, render)))
        return
    if render is not None:
        manifest(protocol, render)
    table = Table(title=f"{name}: pictures (people)")
    sides = _sides(count(protocol))
    for side in sides:
        table.add_column(side, justify="right")
    table.add_row(*sides.values())
    console = Console()
    console.print(table)
    console.print(protocol.note)


def verify(root: Path, names: Sequence[str], *, as_json: bool, acknowledge_withdrawn: bool = False) -> bool:
    """Count what lies under ``root`` and hold it against complete copies.

    Args:
        names: protocols; none: all but those of the user's own pictures, and those whose data set is not
            there, or is withdrawn and not acknowledged, do not count as wrong.

    Returns:
        Whether everything that was looked at is complete.

    Raises:
        ValueError: a name is no protocol's.
    """
    asked = names or [name for name, offer in protocols.OFFERS.items() if offer.counts is not None]
    console = Console(stderr=True)
    rows = [
        _verify_one(root, name, acknowledge_withdrawn)
        for name in track(asked, description="verifying", console=console, disable=as_json, transient=True)
    ]
    looked_at = rows if names else [row for row in rows if row["state"] not in ("missing", "withdrawn")]
    good = bool(looked_at) and all(row["state"] in ("complete", "read") for row in looked_at)
    if as_json:
        print(json.dumps({"complete": good, "protocols": rows}, indent=1))
        return good
    table = Table(title=f"data sets under {root}")
    for column in ("protocol", "state", "found"):
        table.add_column(column, overflow="fold", no_wrap=column != "found")
    for row in looked_at:
        table.add_row(row["protocol"], row["state"], row.get("detail") or _difference(row))
    stdout = Console()
    stdout.print(table)
    others = [row["protocol"] for row in rows if row not in looked_at]
    if others:
        stdout.print(f"not there, not whole or not to be opened (name one to see why): {', '.join(others)}")
    return good


def _verify_one(root: Path, name: str, acknowledge_withdrawn: bool) -> dict[str, Any]:
    """One protocol's line: ``complete`` or ``different`` where a published count is known, else ``read``."""
    offer = protocols.OFFERS.get(name.partition(":")[0])
    if offer is not None and offer.withdrawn and not acknowledge_withdrawn:
        return {"protocol": name, "state": "withdrawn", "detail": "opens only with --acknowledge-withdrawn"}
    try:
        counts = count(protocols.load(name, root, acknowledge_withdrawn=acknowledge_withdrawn))
    except DatasetError as error:
        return {"protocol": name, "state": "missing", "detail": str(error)}
    expected = offer.counts if offer is not None else None
    if expected is None:
        return {"protocol": name, "state": "read", "counts": asdict(counts), "expected": None}
    published = {key: value for key, value in asdict(expected).items() if value is not None}
    same = all(asdict(counts)[key] == value for key, value in published.items())
    state = "complete" if same else "different"
    return {"protocol": name, "state": state, "counts": asdict(counts), "expected": asdict(expected)}


def _difference(row: dict[str, Any]) -> str:
    expected = row["expected"] or {}
    return ", ".join(
        f"{key.replace('_', ' ')} {value}"
        + (f" (expected {expected[key]})" if expected.get(key) not in (None, value) else "")
        for key, value in row["counts"].items()
    )


def _sides(counts: Counts | None) -> dict[str, str]:
    """Pictures and people of each side as a table shows them."""
    if counts is None:
        return {}
    numbers = ["–" if value is None else f"{value:,}" for value in asdict(counts).values()]
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return {
        side: f"{pictures} ({people})"
        for side, (pictures, people) in zip(("train", "query", "gallery"), pairs, strict=True)
    }
