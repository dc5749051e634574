"""`penumbra enrol`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.options import A_TIME, SERVICE_URL, AsJson, GalleryName, OwnMetadata, Url
from service.commands.reaching import connected
from service.commands.saying import fail, print_json

if TYPE_CHECKING:
    from service.client import Client, EnrolledPicture, NewPicture

__all__ = ["enrol"]


def enrol(
    folder: Annotated[Path, typer.Argument(help="Folder of pictures.", exists=True, file_okay=False)],
    gallery: GalleryName,
    create: Annotated[bool, typer.Option("--create", help="Make the gallery if there is none.")] = False,
    pattern: Annotated[
        str | None,
        typer.Option(help="How files are named: {person}, {camera} and * for anything, without extension."),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="CSV with columns path and person and, if wanted, camera, time (RFC 3339), client_id, box "
            "(x y width height); other columns are metadata, those headed key:= as JSON.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    camera: Annotated[
        str | None, typer.Option(help="Which camera took them, where the pattern or manifest names none.")
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            "--time", metavar="TIME", help=f"When they were taken, where the manifest does not say: {A_TIME}."
        ),
    ] = None,
    metadata: OwnMetadata = None,
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Enrol a folder of pictures. Run again, it enrols only what is new.

    Each person has a folder of pictures; or files are named by a pattern; or a manifest lists them.
    A picture's path in the folder is its client id. --camera, --time and --metadata are told of every picture
    of which pattern or manifest do not say otherwise. A manifest may list several people of one frame, each
    with a box; its path and box are then the client id. A picture that was there stays as it was enrolled;
    --json lists those of which something else was said. Ends with 1 if a picture failed.

    [bold]Examples[/]

      penumbra enrol people/ --gallery shop --create

      penumbra enrol Market-1501/bounding_box_test/ -g market \\
        --pattern '{person}_c{camera}s*'

      penumbra enrol crops/ -g station --manifest crops.csv --json

      penumbra enrol people/ -g shop --camera entrance --metadata shift=night \\
        --metadata gate:=4
    """
    from service.folder import others, read_folder, read_manifest
    from service.metadata_options import read_metadata
    from service.moments import read_moment

    if pattern is not None and manifest is not None:
        fail("give --pattern or --manifest, not both", code=2)
    try:
        told = read_metadata(metadata or ())
        taken = None if time is None else read_moment(time)
        if manifest is not None:
            listed = read_manifest(manifest, folder)
            pictures = listed.pictures
            if listed.metadata:
                typer.echo(f"taken as metadata: {', '.join(listed.metadata)}", err=True)
        else:
            pictures = read_folder(folder, pattern)
            if passed_over := others(folder):
                kinds = ", ".join(
                    f"{count:,} {ascii(suffix)[1:-1] or 'without an ending'}"
                    for suffix, count in passed_over.items()
                )
                typer.echo(f"no pictures by their names, and left alone: {kinds}", err=True)
    except ValueError as error:
        fail(str(error), code=2)
    pictures = [
        replace(
            one,
            camera=one.camera or camera,
            time=one.time or taken,
            metadata={**told, **(one.metadata or {})} or None,
        )
        for one in pictures
    ]
    with connected(url) as client:
        if create:
            _create_if_missing(client, gallery)
        outcomes = _enrol_with_progress(client, gallery, pictures)
    failed = [
        (str(picture.client_id), _reason(outcome))
        for picture, outcome in zip(pictures, outcomes, strict=True)
        if outcome.status == "failed"
    ]
    counts = {
        status: sum(o.status == status for o in outcomes) for status in ("enrolled", "exists", "failed")
    }
    duplicates = [
        {"client_id": picture.client_id, "id": outcome.id, "duplicate_of": outcome.duplicate_of}
        for picture, outcome in zip(pictures, outcomes, strict=True)
        if outcome.duplicate_of is not None
    ]
    otherwise = [
        {
            "client_id": picture.client_id,
            "id": outcome.id,
            "person": outcome.person,
            "differs": list(outcome.differs),
        }
        for picture, outcome in zip(pictures, outcomes, strict=True)
        if outcome.differs
    ]
    if as_json:
        faults = [{"client_id": client_id, "problem": reason} for client_id, reason in failed]
        lists = {"failures": faults, "duplicates": duplicates, "stored_otherwise": otherwise}
        print_json({"gallery": gallery, **counts, **lists})
    else:
        typer.echo(
            f"{counts['enrolled']:,} enrolled, {counts['exists']:,} were there already, "
            f"{counts['failed']:,} failed"
        )
        if duplicates:
            typer.echo(
                f"of an earlier picture's content: {len(duplicates):,} (see `penumbra galleries duplicates`)"
            )
        if otherwise:
            typer.echo(
                f"stored with another person, camera, time or metadata, and left so: {len(otherwise):,} "
                "(see --json)"
            )
        for client_id, reason in failed:
            typer.echo(f"  {client_id}: {reason}", err=True)
    if failed:
        raise typer.Exit(1)


def _create_if_missing(client: Client, gallery: str) -> None:
    from service.client import ProblemError

    try:
        client.create_gallery(gallery)
    except ProblemError as problem:
        if problem.slug != "gallery-exists":
            raise


def _reason(outcome: EnrolledPicture) -> str:
    if outcome.problem is None:
        return "no reason given"
    return outcome.problem.detail or outcome.problem.title


def _enrol_with_progress(client: Client, gallery: str, pictures: list[NewPicture]) -> list[EnrolledPicture]:
    from service.terminal import picture_progress

    answered = 0

    def advance(outcomes: list[EnrolledPicture]) -> None:
        nonlocal answered
        answered += len(outcomes)
        progress.advance(task, len(outcomes))

    with picture_progress() as progress:
        task = progress.add_task(f"enrolling into {gallery}", total=len(pictures))
        try:
            return client.enrol(gallery, pictures, on_answer=advance)
        except KeyboardInterrupt:
            progress.stop()
            typer.echo(
                f"interrupted; of {len(pictures):,} pictures {answered:,} are answered, and up to 64 more "
                "may be enrolled. Run it again for the rest: nothing is enrolled twice.",
                err=True,
            )
            raise
