"""`penumbra keys`: on the catalog itself, beside a running service or without one."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.command_group import CommandGroup
from service.commands.options import AsJson, CatalogUrl, DataDir
from service.commands.reaching import opened_database
from service.commands.saying import print_json, said_moment

if TYPE_CHECKING:
    from service.storage.keys import KeyRecord

__all__ = ["keys_app"]

keys_app = typer.Typer(
    help="Make, list and revoke keys. From the first active key on, the service asks everybody for one.",
    no_args_is_help=True,
    cls=CommandGroup,
)


@keys_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the key is for, e.g. 'entrance tracker'.")],
    role: Annotated[
        str,
        typer.Option(
            metavar="query|enrol|admin",
            help="query: ask and read; enrol: also enrol, rename, erase; admin: also galleries.",
        ),
    ] = "query",
    gallery: Annotated[
        list[str] | None,
        typer.Option(
            "--gallery",
            "-g",
            help="Bind it to this gallery, there already or not; may be given several times. When it is "
            "deleted, the key does not open another of its name.",
        ),
    ] = None,
    expires: Annotated[str | None, typer.Option(help="After so many days or hours, e.g. 90d or 12h.")] = None,
    data_dir: DataDir = None,
    catalog_url: CatalogUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make a key, and print it once: nothing of it but a hash is kept.

    [bold]Examples[/]

      penumbra keys create operator --role admin

      penumbra keys create 'entrance tracker' --role enrol --gallery station \\
        --expires 90d

      PENUMBRA_KEY=pen_... penumbra query who.jpg --gallery station
    """
    from service.api.schemas.strict import GALLERY_NAME
    from service.storage.keys import ROLES, Keys
    from service.storage.schema import place_of

    chosen = next((known for known in ROLES if known == role), None)
    if chosen is None:
        raise typer.BadParameter(f"--role is {', '.join(ROLES)}, not {role!r}")
    for one in gallery or ():
        if re.fullmatch(GALLERY_NAME, one) is None:
            raise typer.BadParameter(f"no gallery can have the name {one!r}; names match {GALLERY_NAME}")
    expires_at = None if expires is None else datetime.now(UTC) + _duration(expires)
    with opened_database(data_dir, catalog_url, new=True) as database:
        made = Keys(database).create(name, chosen, gallery or None, expires_at)
        where = place_of(database.engine.url)
    if database.made:
        typer.echo(
            f"the key is for a new catalog, at {where}: services on other ones do not know it", err=True
        )
    else:
        typer.echo(f"the key is for the catalog at {where}", err=True)
    if as_json:
        print_json({**asdict(made.record), "token": made.token, "awaited": made.awaited})
        return
    typer.echo(made.token)
    typer.echo(f"key {made.record.id}, role {role}; it is shown this once", err=True)
    for one in made.awaited:
        typer.echo(f"there is no gallery {one!r} yet; the key opens it once it is made", err=True)


@keys_app.command("list")
def list_keys(data_dir: DataDir = None, catalog_url: CatalogUrl = None, as_json: AsJson = False) -> None:
    """List all keys, the ended ones too.

    [bold]Example[/]

      penumbra keys list
    """
    from service.storage.keys import Keys
    from service.terminal import show_table

    with opened_database(data_dir, catalog_url) as database:
        records = Keys(database).list()
    if as_json:
        print_json([asdict(record) for record in records])
        return
    now = datetime.now(UTC)

    def state(record: KeyRecord) -> str:
        if record.revoked_at is not None:
            return f"revoked {said_moment(record.revoked_at)}"
        if record.expires_at is None:
            return "active"
        return f"{'expires' if record.active(now) else 'expired'} {said_moment(record.expires_at)}"

    show_table(
        ("id", "name", "role", "galleries", "created", "state"),
        (
            (
                record.id,
                record.name,
                record.role,
                "all" if record.galleries is None else ", ".join(record.galleries) or "none (deleted)",
                said_moment(record.created_at),
                state(record),
            )
            for record in records
        ),
        whole=("id", "created"),
        none="there is no key: the service asks nobody for one",
    )


@keys_app.command("revoke")
def revoke(
    id: Annotated[str, typer.Argument(help="The key's id, as `penumbra keys list` shows it.")],
    data_dir: DataDir = None,
    catalog_url: CatalogUrl = None,
    as_json: AsJson = False,
) -> None:
    """End a key for good; a running service refuses it within a second.

    [bold]Example[/]

      penumbra keys revoke 01KD4Z6M9W4S0X2J5T7V8Y1A3B
    """
    from service.storage.keys import Keys

    with opened_database(data_dir, catalog_url) as database:
        record = Keys(database).revoke(id)
    if as_json:
        print_json(asdict(record))
    else:
        typer.echo(f"revoked {record.id} ({record.name})", err=True)


def _duration(text: str) -> timedelta:
    """``"90d"``, ``"12h"`` as a duration."""
    form = re.fullmatch(r"([0-9]{1,6})([dh])", text)
    if form is None:
        raise typer.BadParameter(
            f"--expires is a number of days or hours, 999999 at most, e.g. 90d or 12h, not {text[:40]!r}"
        )
    number = int(form.group(1))
    return timedelta(days=number) if form.group(2) == "d" else timedelta(hours=number)
