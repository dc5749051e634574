"""What commands speak to: a running service, or its database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.commands.saying import fail

if TYPE_CHECKING:
    from service.client import Client
    from service.storage.database import Database

__all__ = ["connected", "opened_database"]


@contextmanager
def connected(url: str) -> Iterator[Client]:
    """A client, whose faults end the command with what went wrong."""
    from service.client import Client, ClientError

    with Client(url) as client:
        try:
            yield client
        except ClientError as error:
            fail(str(error))


@contextmanager
def opened_database(
    data_dir: Path | None, catalog_url: str | None, *, new: bool = False
) -> Iterator[Database]:
    """The service's database; faults of the user's end the command in one line.

    Args:
        new: make it where there is none, else that is such a fault.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from service.private_files import private_files
    from service.problems import Problem
    from service.settings import Settings
    from service.storage.database import Database
    from service.storage.schema import CatalogError

    given: dict[str, Any] = {"data_dir": data_dir, "catalog_url": catalog_url}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    try:
        with private_files():
            database = Database(settings.catalog_url, new=new)
            try:
                yield database
            finally:
                database.close()
    except (CatalogError, SQLAlchemyError, Problem, ValueError) as error:
        fail(str(error).splitlines()[0])
