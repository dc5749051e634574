"""`penumbra verify` and `penumbra embed`: what needs no gallery."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from service.commands.options import (
    SERVICE_URL,
    AsJson,
    Boxes,
    MatchRate,
    Prior,
    UncertainRate,
    Unify,
    Url,
)
from service.commands.reaching import connected
from service.commands.saying import fail, print_json, said_compared, said_grade

__all__ = ["embed", "verify"]

_MOST: Final = 64
"""Pictures that the service embeds in one call."""

_MOST_BYTES: Final = 32 * 1024 * 1024
"""Bytes after which a call is cut; half of what the service takes."""


def verify(
    pictures: Annotated[
        list[Path],
        typer.Argument(
            metavar="PICTURE [PICTURE]",
            help="Two pictures; or one, to be compared with --person of --gallery.",
            exists=True,
            dir_okay=False,
        ),
    ],
    gallery: Annotated[
        str | None, typer.Option("--gallery", "-g", help="Gallery of the person to compare with.")
    ] = None,
    person: Annotated[str | None, typer.Option(help="The person to compare one picture with.")] = None,
    unify: Unify = "auto",
    box: Boxes = None,
    match_rate: MatchRate = None,
    uncertain_rate: UncertainRate = None,
    prior: Prior = None,
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Say whether two pictures show the same person, or a picture and an enrolled person are the same.

    Nothing is stored of the pictures. Probability and decision are there where the model is calibrated for
    this --unify.

    [bold]Examples[/]

      penumbra verify a.jpg b.jpg

      penumbra verify who.jpg --gallery shop --person anna --json
    """
    from service.box_text import BoxError, read_boxes
    from service.client import Decisions

    if (gallery is None) != (person is None) or len(pictures) != (2 if person is None else 1):
        fail("give two pictures, or one with --gallery and --person", code=2)
    try:
        boxes = read_boxes(box or (), len(pictures))
    except BoxError as error:
        fail(str(error), code=2)
    with connected(url) as client:
        found = client.verify(
            pictures,
            gallery=gallery,
            person=person,
            unify=unify,
            boxes=boxes,
            decisions=Decisions(match_rate, uncertain_rate, prior),
        )
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    from service.terminal import pairs

    told = {
        "score": f"{found.score:.4f}",
        "probability": "-" if found.probability is None else f"{found.probability:.4f}",
        "decision": found.decision or "-",
        "compared": said_compared(found.compared),
    }
    for path, seen in zip(pictures, found.pictures, strict=True):
        told[f"hidden in {path.name}"] = said_grade(seen.occlusion)
    if found.image is not None:
        camera = f", camera {found.image.camera}" if found.image.camera else ""
        told[f"picture of {person}"] = f"{found.image.id}{camera}"
    pairs(told)


def embed(
    pictures: Annotated[
        list[Path], typer.Argument(help="Pictures, of whomever.", exists=True, dir_okay=False)
    ],
    occlusion: Annotated[
        list[str] | None,
        typer.Option(
            help="Embed each with this hidden, e.g. bottom_half, or none; may be given several times."
        ),
    ] = None,
    box: Boxes = None,
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Show what the model makes of pictures: what is hidden in each; with --json the embeddings, too.

    Each is a vector of unit length, so the inner product of two is their cosine. Nothing is stored.

    [bold]Examples[/]

      penumbra embed a.jpg b.jpg

      penumbra embed crops/*.jpg --occlusion none --occlusion bottom_half \\
        --json > embeddings.json
    """
    from service.box_text import BoxError, read_boxes
    from service.terminal import picture_progress

    kinds = list(dict.fromkeys(occlusion or ["none"]))
    try:
        boxes = read_boxes(box or (), len(pictures))
    except BoxError as error:
        fail(str(error), code=2)
    items, model = [], ""
    with connected(url) as client, picture_progress() as progress:
        task = progress.add_task("embedding", total=len(pictures))
        for start, end in _calls(pictures):
            answer = client.embed(
                pictures[start:end], occlusions=kinds, boxes=None if boxes is None else boxes[start:end]
            )
            items += answer.items
            model = answer.model
            progress.advance(task, end - start)
    if as_json:
        named = zip(pictures, items, strict=True)
        print_json(
            {
                "model": model,
                "items": [{"picture": str(p), **one.model_dump(mode="json")} for p, one in named],
            }
        )
        return
    from service.terminal import show_table

    show_table(
        ("picture", "hidden", "embeddings"),
        (
            (
                str(path),
                said_grade(one.occlusion),
                ", ".join(f"{kind} ({len(vector):,} numbers)" for kind, vector in one.embeddings.items()),
            )
            for path, one in zip(pictures, items, strict=True)
        ),
        none="",
    )


def _calls(pictures: list[Path]) -> Iterator[tuple[int, int]]:
    """Which pictures go in one call: from, and up to."""
    start = size = 0
    for place, picture in enumerate(pictures):
        length = picture.stat().st_size
        if place > start and (place - start == _MOST or size + length > _MOST_BYTES):
            yield start, place
            start, size = place, 0
        size += length
    yield start, len(pictures)
