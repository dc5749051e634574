"""`penumbra keys` and `penumbra audit`: on the catalog itself, beside a running service or without one."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from service.storage.database import Database

__all__ = ["audit", "keys_app"]

keys_app = typer.Typer(
    help="Make, list and revoke keys. From the first active key on, the service asks everybody for one.",
    no_args_is_help=True,
)

DataDir = Annotated[
    Path | None, typer.Option(help="The service's data folder, where its catalog is in there.")
]
CatalogUrl = Annotated[
    str | None,
    typer.Option(help="SQLAlchemy URL of the catalog, where it is not in the data folder."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@contextmanager
def _database(data_dir: Path | None, catalog_url: str | None) -> Iterator[Database]:
    """The service's database; faults of the user's end the command in one line."""
    from sqlalchemy.exc import SQLAlchemyError

    from service.problems import Problem
    from service.settings import Settings
    from service.storage.database import CatalogError, Database

    given: dict[str, Any] = {"data_dir": data_dir, "catalog_url": catalog_url}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    try:
        database = Database(settings.catalog_url)
        try:
            yield database
        finally:
            database.close()
    except (CatalogError, SQLAlchemyError, Problem, ValueError) as error:
        typer.echo(f"penumbra: {str(error).splitlines()[0]}", err=True)
        raise typer.Exit(1) from error


def _duration(text: str) -> timedelta:
    """``"90d"``, ``"12h"`` as a duration."""
    form = re.fullmatch(r"(\d+)([dh])", text)
    if form is None:
        raise typer.BadParameter(f"say days or hours, e.g. 90d or 12h, not {text!r}")
    number = int(form.group(1))
    return timedelta(days=number) if form.group(2) == "d" else timedelta(hours=number)


@keys_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the key is for, e.g. 'entrance tracker'.")],
    role: Annotated[
        str,
        typer.Option(help="query: ask and read; enrol: also enrol, rename, erase; admin: also galleries."),
    ] = "query",
    gallery: Annotated[
        list[str] | None, typer.Option(help="Bind it to this gallery; may be given several times.")
    ] = None,
    expires: Annotated[str | None, typer.Option(help="After so many days or hours, e.g. 90d or 12h.")] = None,
    data_dir: DataDir = None,
    catalog_url: CatalogUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make a key, and print it once: nothing of it but a hash is kept.

    [bold]Examples[/]

      penumbra keys create operator --role admin

      penumbra keys create 'entrance tracker' --role enrol --gallery station --expires 90d

      PENUMBRA_KEY=pen_... penumbra query who.jpg --gallery station
    """
    from service.storage.keys import ROLES, Keys

    chosen = next((known for known in ROLES if known == role), None)
    if chosen is None:
        raise typer.BadParameter(f"--role is {', '.join(ROLES)}, not {role!r}")
    expires_at = None if expires is None else datetime.now(UTC) + _duration(expires)
    with _database(data_dir, catalog_url) as database:
        made = Keys(database).create(name, chosen, gallery or None, expires_at)
    if as_json:
        _print({**asdict(made.record), "token": made.token})
        return
    typer.echo(made.token)
    typer.echo(f"key {made.record.id}, role {role}; it is shown this once", err=True)


@keys_app.command("list")
def list_keys(data_dir: DataDir = None, catalog_url: CatalogUrl = None, as_json: AsJson = False) -> None:
    """List all keys, the ended ones too.

    [bold]Example[/]

      penumbra keys list
    """
    from rich.table import Table

    from service.storage.keys import Keys
    from service.terminal import tables

    with _database(data_dir, catalog_url) as database:
        records = Keys(database).list()
    if as_json:
        _print([asdict(record) for record in records])
        return
    table = Table("id", "name", "role", "galleries", "made", "state")
    now = datetime.now(UTC)
    for record in records:
        if record.revoked_at is not None:
            state = f"revoked {record.revoked_at:%Y-%m-%d %H:%M}"
        elif record.expires_at is None:
            state = "active"
        else:
            state = f"{'expires' if record.active(now) else 'expired'} {record.expires_at:%Y-%m-%d %H:%M}"
        galleries = "all" if record.galleries is None else ", ".join(record.galleries)
        table.add_row(
            record.id, record.name, record.role, galleries, f"{record.created_at:%Y-%m-%d %H:%M}", state
        )
    tables().print(table)


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

    with _database(data_dir, catalog_url) as database:
        record = Keys(database).revoke(id)
    if as_json:
        _print(asdict(record))
    else:
        typer.echo(f"revoked {record.id} ({record.name})", err=True)


def audit(
    gallery: Annotated[str | None, typer.Option("--gallery", "-g", help="Only in this gallery.")] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Only of this person (by name) or picture (by id), erased ones too."),
    ] = None,
    key: Annotated[str | None, typer.Option(help="Only with the key of this id.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest first.")] = 50,
    data_dir: DataDir = None,
    catalog_url: CatalogUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show the audit trail: who enrolled, queried, read or erased what, and when.

    [bold]Examples[/]

      penumbra audit --gallery station

      penumbra audit --gallery station --name anna --json
    """
    from rich.table import Table

    from service.storage.audit import AuditTrail
    from service.terminal import tables

    with _database(data_dir, catalog_url) as database:
        events = AuditTrail(database).events(limit, gallery=gallery, name=name, key=key)
    if as_json:
        _print([asdict(event) for event in events])
        return
    table = Table("at", "action", "gallery", "subject", "pictures", "status", "key", "request")
    for event in events:
        table.add_row(
            f"{event.at:%Y-%m-%d %H:%M:%S}",
            event.action,
            event.gallery or "-",
            (event.subject or "-")[:12],
            "-" if event.pictures is None else str(event.pictures),
            str(event.status),
            event.key or "-",
            event.request_id[:12],
        )
    tables().print(table)


def _print(document: object) -> None:
    json.dump(document, sys.stdout, indent=2, default=lambda value: value.isoformat())
    sys.stdout.write("\n")
