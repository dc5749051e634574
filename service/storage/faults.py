"""What a storage that fails means to the caller: it is full, or it does not answer for now.

The parts of the storage raise what their libraries raise. Where a request is answered,
:func:`storage_problem` says which of that is the storage's fault and not this program's.
"""

from __future__ import annotations

import errno
import sqlite3
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from service.problems import BadRequest, PicturesAway, Problem, StorageFull, Unavailable
from service.storage.database import CommitInDoubt
from service.storage.fence import ClaimLost
from service.storage.pictures import PictureStoreAway

__all__ = ["TAKEN_OVER", "storage_problem"]

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSING: Final = frozenset(
    {errno.EROFS, errno.EIO, errno.EFBIG, errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT}
)

TAKEN_OVER: Final = (
    "Another service has taken the catalog over, and this one ends. Nothing was stored; send the request "
    "again, to the other one."
)
_FULL_DISK: Final = "The disk is full. Nothing of this request was stored; try again when there is room."

_SQLITE_AWAY: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)

_SQLSTATE_FULL: Final = "53100"
_SQLSTATES_AWAY: Final = ("08", "25006", "40", "53", "55P03", "57", "58")
"""Connection lost, read-only, deadlock, resources, lock timeout, shutdown or a statement's timeout, disk
(PostgreSQL's appendix A)."""


def storage_problem(error: BaseException) -> Problem | None:
    """The problem to answer with; None where the error is a fault of this program.

    A text with a NUL, say, is what PostgreSQL does not take and SQLite does: that is the caller's.
    """
    if isinstance(error, SQLAlchemyError):
        return _catalog_problem(error)
    if isinstance(error, OSError) and error.errno in _FULL:
        return StorageFull(_FULL_DISK)
    if isinstance(error, PictureStoreAway):
        return PicturesAway()
    if isinstance(error, OSError) and error.errno in _REFUSING:
        return Unavailable("The disk does not take what is written to it for now; try again.")
    return None


def _catalog_problem(error: SQLAlchemyError) -> Problem | None:
    if isinstance(error, CommitInDoubt):
        return Unavailable(
            "The catalog broke off while it was storing this. It was done or it was not: send the request "
            "again; a picture with a client_id is not enrolled twice."
        )
    if isinstance(error, ClaimLost):
        return Unavailable(TAKEN_OVER)
    if isinstance(error, NoFreeConnection):
        return Unavailable("The catalog has no connection to spare for now; try again.")
    if isinstance(error, DataError):
        return BadRequest("The catalog can neither hold nor look for one of the texts or numbers sent.")
    if not isinstance(error, DBAPIError):
        return None
    code = getattr(error.orig, "sqlite_errorcode", None)
    state = getattr(error.orig, "sqlstate", None)
    if state == _SQLSTATE_FULL or (code is not None and code & 0xFF == sqlite3.SQLITE_FULL):
        return StorageFull(_FULL_DISK)
    lost = error.connection_invalidated or (
        # PostgreSQL's driver: no connection was to be had, so nobody could say why
        code is None and state is None and type(error.orig).__name__ == "OperationalError"
    )
    refused = isinstance(state, str) and state.startswith(_SQLSTATES_AWAY)
    if lost or refused or (code is not None and code & 0xFF in _SQLITE_AWAY):
        return Unavailable("The catalog does not answer for now; try again.")
    return None
