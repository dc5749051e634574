"""`penumbra-train synth`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from training.commands.faults import faults_in_one_line
from training.commands.options import Json

__all__ = ["EXAMPLES", "synth"]

EXAMPLES: Final = (
    "Examples: penumbra-train synth --people 1000 --cameras 6 --seed 7 OUT   (training)    "
    "penumbra-train synth --people 50 --cameras 4 --queries 40 --seed 1 OUT   (gallery and queries)    "
    "penumbra-train synth --sheet FILE   (a look at it)"
)


class PictureFormat(StrEnum):
    """How drawn pictures are written."""

    png = "png"
    jpg = "jpg"


def synth(
    out: Annotated[
        Path | None, typer.Argument(help="New or empty folder for pictures and manifest.csv.")
    ] = None,
    people: Annotated[int, typer.Option(min=1, help="How many people.")] = 100,
    cameras: Annotated[int, typer.Option(min=1, help="How many cameras.")] = 6,
    per_camera: Annotated[int, typer.Option(min=1, help="Pictures of each person in each camera.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Who the people are; same seed, same pictures.")] = 0,
    occluded: Annotated[
        float, typer.Option(min=0, max=1, help="Share of gallery pictures with something in front.")
    ] = 0.0,
    queries: Annotated[
        int,
        typer.Option(
            min=0, help="Occluded pictures that ask, from cameras in which the gallery lacks that person."
        ),
    ] = 0,
    near_identical: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share of people with a twin that differs in shoes, bag or collar only."
        ),
    ] = 0.0,
    labels: Annotated[
        bool,
        typer.Option("--labels", help="Also write label maps of seven body parts, and occluders' masks."),
    ] = False,
    height: Annotated[int, typer.Option(min=16, help="Of a picture, in pixels.")] = 128,
    width: Annotated[int, typer.Option(min=16, help="Of a picture, in pixels.")] = 64,
    picture_format: Annotated[
        PictureFormat, typer.Option("--format", help="Of the files.")
    ] = PictureFormat.png,
    contact_sheet: Annotated[
        Path | None,
        typer.Option("--sheet", help="Draw a contact sheet of the seed into this PNG; OUT may be left out."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw synthetic pedestrians: people, cameras, occluders, and a manifest that tells the truth of each."""
    with faults_in_one_line():
        from training.data.synthetic.command import command, sheet
        from training.data.synthetic.dataset import Plan

        if out is None and contact_sheet is None:
            raise ValueError("name a folder OUT, or a file with --sheet")
        if contact_sheet is not None:
            sheet(contact_sheet, seed, as_json=as_json, quiet=out is not None)
        if out is None:
            return
        plan = Plan(
            people=people,
            cameras=cameras,
            per_camera=per_camera,
            seed=seed,
            height=height,
            width=width,
            occluded_share=occluded,
            queries=queries,
            near_identical=near_identical,
            labels=labels,
        )
        command(out, plan, picture_format=picture_format.value, as_json=as_json)
