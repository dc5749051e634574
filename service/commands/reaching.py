"""What commands speak to: a running service, or its database."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from service.commands.given import settings_of
from service.commands.saying import fail

if TYPE_CHECKING:
    from service.client import Client, ClientError
    from service.storage.database import Database

__all__ = ["connected", "opened_database"]


@contextmanager
def connected(url: str) -> Iterator[Client]:
    """A client, whose faults end the command with what went wrong; so do those of files that it sends."""
    from service.client import Client, ClientError

    try:
        with Client(url, on_wait=_say_wait) as client:
            yield client
    except ClientError as error:
        fail(f"{error}{_about_keys(error)}")
    except BrokenPipeError:
        raise  # who reads the output has enough: nothing is wrong
    except OSError as error:
        fail(f"a file cannot be read or written: {error}")


def _say_wait(seconds: float, fault: ClientError) -> None:
    """That nothing happens because the service said so; waits that nobody notices are not worth a line."""
    from service.client import ProblemError

    if isinstance(fault, ProblemError) and seconds >= 1:
        # no rich console: while a bar is drawn, it would write across it
        why = (
            f"the service asks to wait ({fault.status} {fault.title})"  # longer than is waited at once, maybe
        )
        print(f"penumbra: {why}; trying again in {math.ceil(seconds)} s", file=sys.stderr, flush=True)


def _about_keys(fault: ClientError) -> str:
    """What to do where the service wants to know who asks."""
    from service.client import ProblemError

    if not isinstance(fault, ProblemError) or fault.status != 401:
        return ""
    if os.environ.get("PENUMBRA_KEY"):
        return "; the key is the one in PENUMBRA_KEY"
    return "; put it into PENUMBRA_KEY (`penumbra keys create` makes one, where the service's catalog is)"


@contextmanager
def opened_database(
    data_dir: Path | None, catalog_url: str | None, *, new: bool = False
) -> Iterator[Database]:
    """The service's database; faults of the user's end the command in one line.

    Args:
        new: make it where there is none, else that is such a fault.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import SQLAlchemyError

    from service.private_files import private_files
    from service.problems import Problem
    from service.storage.database import Database
    from service.storage.schema import CatalogError, place_of

    settings = settings_of(data_dir=data_dir, catalog_url=catalog_url)
    try:
        with private_files():
            database = Database(settings.catalog_url, new=new)
            try:
                yield database
            finally:
                database.close()
    except SQLAlchemyError as error:
        where = place_of(make_url(settings.catalog_url))  # SQLite names no file
        fail(f"the catalog cannot be used: {str(error).splitlines()[0]}: {where}")
    except (CatalogError, Problem, ValueError) as error:
        fail(str(error).splitlines()[0])
