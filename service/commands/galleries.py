"""`penumbra galleries`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from service.commands.command_group import CommandGroup
from service.commands.options import (
    CLEARED,
    SERVICE_URL,
    AsJson,
    IndexKind,
    MatchRate,
    NewMatchRate,
    NewPrior,
    NewRetentionDays,
    NewUncertainRate,
    Prior,
    RetentionDays,
    UncertainRate,
    Url,
)
from service.commands.reaching import connected
from service.commands.saying import fail, print_json, said_moment

if TYPE_CHECKING:
    from service.client import Gallery

__all__ = ["galleries_app"]

_NAMED: Final = 5  # of those that could not be embedded, --json has more

galleries_app = typer.Typer(
    help="List, create, change and delete galleries.", no_args_is_help=True, cls=CommandGroup
)


@galleries_app.command("list")
def list_galleries(url: Url = SERVICE_URL, as_json: AsJson = False) -> None:
    """Show all galleries.

    [bold]Example[/]

      penumbra galleries list --json
    """
    with connected(url) as client:
        found = list(client.galleries())
    if as_json:
        print_json([gallery.model_dump(mode="json") for gallery in found])
        return
    from service.terminal import show_table

    show_table(
        ("gallery", "pictures", "of another model", "people", "keeps pictures", "created"),
        (
            (
                gallery.name,
                f"{gallery.images:,}",
                f"{gallery.pending:,}",  # not found until they are enrolled again
                f"{gallery.people:,}",
                "yes" if gallery.keep_pictures else "no",
                said_moment(gallery.created_at),
            )
            for gallery in found
        ),
        numbers=("pictures", "of another model", "people"),
        whole=("gallery", "created"),
        none="there is no gallery yet; `penumbra galleries create` makes one",
    )


@galleries_app.command("show")
def show_gallery(
    name: Annotated[str, typer.Argument(help="The gallery.")],
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Show how many pictures and people a gallery has, and its settings.

    [bold]Example[/]

      penumbra galleries show station-north
    """
    with connected(url) as client:
        gallery = client.gallery(name)
    if as_json:
        print_json(gallery.model_dump(mode="json"))
        return
    waiting = f", {gallery.pending:,} of another model" if gallery.pending else ""
    counts = {
        "pictures": f"{gallery.images:,}{waiting}",
        "people": f"{gallery.people:,}",
        "created": said_moment(gallery.created_at),
    }
    _show_settings(gallery, counts)


@galleries_app.command("create")
def create_gallery(
    name: Annotated[str, typer.Argument(help="Small letters, digits, . _ and -.")],
    keep_pictures: Annotated[
        bool, typer.Option("--keep-pictures", help="Store the pictures too, not only their features.")
    ] = False,
    retention_days: RetentionDays = None,
    index: IndexKind = None,
    match_rate: MatchRate = None,
    uncertain_rate: UncertainRate = None,
    prior: Prior = None,
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Make a gallery.

    [bold]Examples[/]

      penumbra galleries create station-north --keep-pictures --retention-days 30

      penumbra galleries create watch-list --index flat --match-rate 0.001 \\
        --prior 0.05
    """
    with connected(url) as client:
        gallery = client.create_gallery(
            name,
            keep_pictures=keep_pictures,
            retention_days=retention_days,
            index=_index(index) or "auto",
            match_rate=match_rate,
            uncertain_rate=uncertain_rate,
            prior=prior,
        )
    if as_json:
        print_json(gallery.model_dump(mode="json"))
    else:
        typer.echo(f"created {gallery.name}")


@galleries_app.command("change")
def change_gallery(
    name: Annotated[str, typer.Argument(help="The gallery.")],
    keep_pictures: Annotated[
        bool | None,
        typer.Option(
            "--keep-pictures/--no-keep-pictures",
            help="Store pictures that are enrolled from now on, or only their features; those before stay.",
        ),
    ] = None,
    retention_days: NewRetentionDays = None,
    index: IndexKind = None,
    match_rate: NewMatchRate = None,
    uncertain_rate: NewUncertainRate = None,
    prior: NewPrior = None,
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Change what a gallery keeps and for how long, how it is searched, and how it decides.

    Only what is named changes. Rates and prior count where a query does not state its own.

    [bold]Examples[/]

      penumbra galleries change station-north --match-rate 0.001 --prior 0.05

      penumbra galleries change station-north --no-keep-pictures \\
        --retention-days 30

      penumbra galleries change station-north --retention-days none --prior none
    """
    given: dict[str, bool | float | str | None] = {
        "keep_pictures": keep_pictures,
        "retention_days": retention_days,
        "index": _index(index),
        "match_rate": match_rate,
        "uncertain_rate": uncertain_rate,
        "prior": prior,
    }
    named = {option: value for option, value in given.items() if value is not None}
    if not named:
        fail("nothing to change is named; see `penumbra galleries change --help`", code=2)
    changes = {option: None if value == CLEARED else value for option, value in named.items()}
    with connected(url) as client:
        gallery = client.change_gallery(name, **changes)
    if as_json:
        print_json(gallery.model_dump(mode="json"))
    else:
        _show_settings(gallery)


def _show_settings(gallery: Gallery, more: Mapping[str, str] | None = None) -> None:
    from service.terminal import pairs

    days = gallery.retention_days
    rates = {
        "match rate": gallery.match_rate,
        "uncertain rate": gallery.uncertain_rate,
        "prior": gallery.prior,
    }
    pairs(
        {
            "gallery": gallery.name,
            **(more or {}),
            "keeps pictures": "yes" if gallery.keep_pictures else "no, only their features",
            "erased after": "never" if days is None else f"{days:,} day{'' if days == 1 else 's'}",
            "index": "auto, as the service says" if gallery.index == "auto" else gallery.index,
            **{
                what: "as the calibration says" if value is None else f"{value:g}"
                for what, value in rates.items()
            },
        }
    )


def _index(kind: str | None) -> Literal["auto", "flat", "clustered"] | None:
    match kind:
        case None | "auto" | "flat" | "clustered":
            return kind
    fail(f"--index is auto, flat or clustered, not {kind!r}", code=2)


@galleries_app.command("statistics")
def gallery_statistics(
    name: Annotated[str, typer.Argument(help="The gallery.")],
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Show what is in a gallery: pictures by graded occlusion, people, bytes.

    [bold]Example[/]

      penumbra galleries statistics station-north
    """
    with connected(url) as client:
        found = client.statistics(name)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    from rich.filesize import decimal

    from service.terminal import pairs

    pairs(
        {
            "pictures": f"{found.images:,}",
            **({"of another model": f"{found.pending:,}"} if found.pending else {}),
            **{f"  graded {kind}": f"{count:,}" for kind, count in found.by_occlusion.items()},
            "people": f"{found.people:,}",
            "first enrolled": said_moment(found.first_enrolled),
            "last enrolled": said_moment(found.last_enrolled),
            "features": decimal(found.feature_bytes),
            "kept pictures": decimal(found.picture_bytes),
            "their thumbnails": decimal(found.thumbnail_bytes),
        }
    )


@galleries_app.command("duplicates")
def gallery_duplicates(
    name: Annotated[str, typer.Argument(help="The gallery.")],
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """List pictures with the content of one that was enrolled before. Erasing them leaves one of each.

    Look whose they are first: the later one may carry the right name.

    [bold]Examples[/]

      penumbra galleries duplicates shop

      penumbra galleries duplicates shop --json | jq -r '.[].id' \\
        | xargs penumbra images erase -g shop --yes
    """
    with connected(url) as client:
        found = list(client.duplicates(name))
    if as_json:
        print_json([duplicate.model_dump(mode="json") for duplicate in found])
        return
    from service.terminal import show_table

    show_table(
        ("picture", "person", "client id", "same as", "of person"),
        (
            (one.id, one.person, one.client_id or "-", one.duplicate_of, one.duplicate_of_person)
            for one in found
        ),
        whole=("picture", "same as"),
        none=f"no two pictures of {name} have the same content",
    )


@galleries_app.command("reindex")
def reindex_gallery(
    name: Annotated[str, typer.Argument(help="The gallery.")],
    wait: Annotated[bool, typer.Option(help="Wait until it is done; it goes on either way.")] = True,
    leave_behind: Annotated[
        bool,
        typer.Option(
            help="Take over from the previous model although pictures were not kept or cannot be embedded; "
            "no query finds those then."
        ),
    ] = False,
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Bring a gallery's kept pictures to the present model, after the model was replaced.

    The service embeds them in the background. Meanwhile the model before answers, where the service was
    given it (PENUMBRA_PREVIOUS_BUNDLE), and goes on where pictures are left that cannot be embedded; else
    those that are done are found.

    [bold]Examples[/]

      penumbra galleries reindex station-north

      penumbra galleries reindex station-north --no-wait --json
    """
    from service.terminal import picture_progress

    with connected(url) as client:
        found = client.reindex(name, leave_behind)
        if wait:
            with picture_progress() as progress:
                task = progress.add_task(f"embedding {name} again", total=found.images)
                while found.running:
                    progress.update(task, completed=found.done, total=found.done + found.waiting)
                    time.sleep(0.5)
                    found = client.reindexing(name)
                progress.update(task, completed=found.done, total=found.done + found.waiting)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        typer.echo(f"{found.done:,} of {found.images:,} pictures are of the present model")
        if found.waiting:
            typer.echo(f"{found.waiting:,} wait to be embedded")
        if found.not_kept:
            typer.echo(f"{found.not_kept:,} were not kept: enrol them again")
    if found.failed:
        fail(
            f"{found.failed:,} pictures could not be embedded and stay pending "
            f"({', '.join(found.failed_images[:_NAMED])}{', ...' if found.failed > _NAMED else ''}); "
            f"the last: {found.problem}"
        )
    if found.problem and not found.running:
        fail(found.problem)


@galleries_app.command("delete")
def delete_gallery(
    name: Annotated[str, typer.Argument(help="The gallery to erase.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = SERVICE_URL,
) -> None:
    """Erase a gallery with everything in it.

    [bold]Example[/]

      penumbra galleries delete station-north --yes
    """
    with connected(url) as client:
        gallery = client.gallery(name)
        if not yes:
            typer.confirm(f"Erase {name} with its {gallery.images:,} pictures?", abort=True)
        client.delete_gallery(name)
    typer.echo(f"deleted {name}")
