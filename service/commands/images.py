"""`penumbra images`: the enrolled pictures of a gallery."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.command_group import CommandGroup
from service.commands.options import SERVICE_URL, AsJson, GalleryName, TimeFrom, TimeTo, Url
from service.commands.reaching import connected
from service.commands.saying import fail, print_json, said_grade, said_moment

if TYPE_CHECKING:
    from service.client import Client

__all__ = ["images_app"]

ImageId = Annotated[str, typer.Argument(help="The picture's id, as enrolling, `list` and `query` show it.")]

images_app = typer.Typer(
    help="List, show, fetch and erase enrolled pictures.", no_args_is_help=True, cls=CommandGroup
)


@images_app.command("list")
def list_images(
    gallery: GalleryName,
    person: Annotated[str | None, typer.Option(help="Only this person's.")] = None,
    camera: Annotated[str | None, typer.Option(help="Only from this camera.")] = None,
    client_id: Annotated[str | None, typer.Option(help="Only the one with this client id.")] = None,
    time_from: TimeFrom = None,
    time_to: TimeTo = None,
    pending: Annotated[
        bool | None,
        typer.Option(
            "--pending/--not-pending",
            help="Only those of another model, which no query finds; or only the rest.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many, the first enrolled first; all unless given.")
    ] = None,
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Show the pictures of a gallery in the order in which they were enrolled.

    [bold]Examples[/]

      penumbra images list --gallery shop --limit 20

      penumbra images list -g shop --person anna --camera entrance --json

      penumbra images list -g shop --from 2026-11-20 --to 2026-11-21
    """
    from service.moments import read_window

    try:
        start, end = read_window(time_from, time_to)
    except ValueError as error:
        fail(str(error), code=2)
    with connected(url) as client:
        page = 100 if limit is None else min(limit, 100)
        asked = client.images(
            gallery,
            person=person,
            camera=camera,
            client_id=client_id,
            time_from=start,
            time_to=end,
            pending=pending,
            page_size=page,
        )
        found = list(islice(asked, limit))
    if as_json:
        print_json([image.model_dump(mode="json") for image in found])
        return
    from service.terminal import show_table

    show_table(
        ("picture", "person", "camera", "taken", "hidden", "client id"),
        (
            (
                image.id,
                image.person,
                image.camera or "-",
                said_moment(image.time),
                "of another model" if image.pending else image.occlusion.type,
                image.client_id or "-",
            )
            for image in found
        ),
        whole=("picture", "taken"),
        none=f"no such picture is in {gallery}",
    )


@images_app.command("show")
def show_image(image: ImageId, gallery: GalleryName, url: Url = SERVICE_URL, as_json: AsJson = False) -> None:
    """Show what was told of a picture, and what the grader finds hidden in it.

    [bold]Example[/]

      penumbra images show 01KD4Z6M9W4S0X2J5T7V8Y1A3B --gallery shop
    """
    with connected(url) as client:
        found = client.image(gallery, image)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    from service.terminal import pairs

    told = {
        "picture": found.id,
        "person": found.person,
        "camera": found.camera or "-",
        "taken": said_moment(found.time),
        "enrolled": said_moment(found.enrolled_at),
        "client id": found.client_id or "-",
        "hidden": said_grade(found.occlusion),
        "kept": "yes" if found.kept else "no, only its features",
    }
    if found.pending:
        told["pending"] = "made by another model; no query finds it until the gallery is reindexed"
    pairs(told | {f"metadata {key}": f"{value}" for key, value in found.metadata.items()})


@images_app.command("file")
def fetch_file(
    image: ImageId,
    gallery: GalleryName,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to; - for standard output. Here, under its id, unless given.",
            dir_okay=False,
            allow_dash=True,
        ),
    ] = None,
    thumbnail: Annotated[
        bool, typer.Option("--thumbnail", help="The small copy, a JPEG of at most 128 x 256 pixels.")
    ] = False,
    url: Url = SERVICE_URL,
) -> None:
    """Fetch a picture, where the gallery keeps them: the bytes that were enrolled, or what was in the box.

    [bold]Examples[/]

      penumbra images file 01KD4Z6M9W4S0X2J5T7V8Y1A3B --gallery shop

      penumbra images file 01KD4Z6M9W4S0X2J5T7V8Y1A3B -g shop --thumbnail \\
        --output anna.jpg
    """
    with connected(url) as client:
        content = client.thumbnail(gallery, image) if thumbnail else client.file(gallery, image)
    if output == Path("-"):
        sys.stdout.buffer.write(content)
        return
    path = output or Path(f"{image}{_suffix(content)}")
    try:
        path.write_bytes(content)
    except OSError as error:
        fail(f"{path} cannot be written: {error}")
    typer.echo(f"wrote {path}")


def _suffix(content: bytes) -> str:
    """How a picture's file is called, by what it begins with."""
    starts = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"BM": ".bmp"}
    return next((suffix for start, suffix in starts.items() if content.startswith(start)), ".tiff")


@images_app.command("erase")
def erase_images(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Ids of the pictures to erase.")],
    gallery: GalleryName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = SERVICE_URL,
) -> None:
    """Erase pictures with all that is stored of them; a person whose last picture goes is gone too.

    Ends with 1 if one of them was not there; the others are erased all the same.

    [bold]Examples[/]

      penumbra images erase 01KD4Z6M9W4S0X2J5T7V8Y1A3B --gallery shop

      penumbra galleries duplicates shop --json | jq -r '.[].id' \\
        | xargs penumbra images erase -g shop --yes
    """
    ids = list(dict.fromkeys(images))
    with connected(url) as client:
        if not yes:
            one = f"the picture of {client.image(gallery, ids[0]).person}"
            typer.confirm(f"Erase {one if len(ids) == 1 else f'{len(ids):,} pictures'}?", abort=True)
        missing = _erase(client, gallery, ids)
    typer.echo(f"erased {len(ids) - len(missing):,}")
    if missing:
        fail(f"not in {gallery}: {', '.join(missing)}")


def _erase(client: Client, gallery: str, ids: list[str]) -> list[str]:
    """Erase, and tell which were not there."""
    from service.client import ProblemError
    from service.terminal import picture_progress

    missing: list[str] = []
    with picture_progress() as progress:
        for image in progress.track(ids, description=f"erasing from {gallery}"):
            try:
                client.delete_image(gallery, image)
            except ProblemError as problem:
                if problem.slug != "unknown-image":
                    raise
                missing.append(image)
    return missing
