"""The audit trail: who enrolled, queried, read or erased what, and when. Never a picture, never a name.

People and pictures are named by a keyed hash (HMAC-SHA-256 with a secret of the database), so that one can
ask what happened to somebody one knows, and that nothing of an erased person can be read from the trail.
Events of changes are stored before their answer goes out; events of reading, shortly after.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, insert, select

from service.clock import now
from service.storage.catalog.about import AboutCatalog
from service.storage.database import Database
from service.storage.tables import AuditRow

__all__ = ["AuditTrail", "Event", "forget_before"]

_log = logging.getLogger(__name__)

_PAUSE_S: Final = 0.5
"""How long events of reading may wait for company, and how long after a fault until the next attempt."""

_MOST_WAITING: Final = 100_000
"""Events kept in memory while the database does not take them; beyond it those of reading are dropped."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the trail.

    Attributes:
        at: when the answer was ready; aware.
        request_id: of the request.
        key: id of the key; None where nobody was asked for one.
        action: the operation, e.g. ``"query"``, ``"enrol"``, ``"delete_person"``.
        gallery: where; None where the operation has none.
        subject: person or picture, as :meth:`AuditTrail.pseudonym`; None where there is none.
        pictures: how many the request sent; None where none are.
        status: HTTP status of the answer.
    """

    at: datetime
    request_id: str
    key: str | None
    action: str
    gallery: str | None
    subject: str | None
    pictures: int | None
    status: int


class AuditTrail:
    """The trail of one database. Lives on one event loop; writes in batches, off it."""

    def __init__(self, database: Database, on_fault: Callable[[], None] = lambda: None) -> None:
        """Open the trail.

        Args:
            on_fault: called when the database did not take events; they are kept and tried again.
        """
        self._database = database
        self._on_fault = on_fault
        secret = AboutCatalog(database).get_or_set("audit_secret", lambda: secrets.token_hex(32))
        self._secret = bytes.fromhex(secret)
        self._waiting: list[tuple[Event, asyncio.Future[None] | None]] = []
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()  # somebody waits for the line
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Write what waits, once, and end."""
        self._closing = True
        self._hurry.set()
        self._wake.set()
        if self._task is not None:
            await self._task

    def pseudonym(self, gallery: str, name: str) -> str:
        """What stands for a person's or a picture's name in the trail: 64 hex digits."""
        return hmac.new(self._secret, f"{gallery}\0{name}".encode(), hashlib.sha256).hexdigest()

    async def write(self, event: Event, *, stored: bool) -> None:
        """Add an event.

        Args:
            stored: return only when it is in the database, or the database refused it.
        """
        if self._task is not None and self._task.done():
            _log.error("the audit trail is closed; an event of %s is lost", event.action)
            return
        done: asyncio.Future[None] | None = None
        if stored:
            done = asyncio.get_running_loop().create_future()
            self._hurry.set()
        elif len(self._waiting) >= _MOST_WAITING:
            _log.error("the audit trail cannot be written; an event of reading was dropped")
            return
        self._waiting.append((event, done))
        self._wake.set()
        if done is not None:
            await done

    async def _work(self) -> None:
        while not self._closing or self._waiting:
            await self._wake.wait()
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), _PAUSE_S)
            self._hurry.clear()
            batch, self._waiting = self._waiting, []
            if not batch:
                continue
            try:
                await asyncio.to_thread(self._insert, [event for event, _ in batch])
            except Exception:  # whatever the database's driver raises: a full disk, a server that is away
                self._on_fault()
                if self._closing:
                    _log.exception("the audit trail cannot be written; %d events are lost", len(batch))
                else:
                    _log.exception("the audit trail cannot be written; %d events wait", len(batch))
                    self._waiting = [(event, None) for event, _ in batch] + self._waiting
                    asyncio.get_running_loop().call_later(_PAUSE_S, self._wake.set)
            finally:
                for _, done in batch:  # also at the end: their answers wait
                    if done is not None and not done.done():
                        done.set_result(None)

    def _insert(self, events: Sequence[Event]) -> None:
        rows = [asdict(event) for event in events]
        self._database.transact(lambda session: session.execute(insert(AuditRow), rows), regardless=True)

    # Reading and forgetting

    def events(
        self, limit: int = 100, *, gallery: str | None = None, name: str | None = None, key: str | None = None
    ) -> list[Event]:
        """The latest events, newest first.

        Args:
            limit: at most so many.
            gallery: only of this gallery.
            name: only of this person or picture; needs the gallery.
            key: only by the key of this id.
        """
        statement = select(AuditRow).order_by(AuditRow.number.desc()).limit(limit)
        if gallery is not None:
            statement = statement.where(AuditRow.gallery == gallery)
        if name is not None:
            if gallery is None:
                raise ValueError("whoever asks for a name says in which gallery")
            statement = statement.where(AuditRow.subject == self.pseudonym(gallery, name))
        if key is not None:
            statement = statement.where(AuditRow.key == key)
        with self._database.engine.connect() as connection:
            return [_event(row) for row in connection.execute(statement)]


def forget_before(database: Database, days: int) -> int:
    """Delete events older than so many days, also where none are added any more; answers how many."""
    limit = now() - timedelta(days=days)

    def work(session: Any) -> int:
        return int(session.execute(delete(AuditRow).where(AuditRow.at < limit)).rowcount)

    return database.transact(work)


def _event(row: Any) -> Event:
    return Event(**{name: getattr(row, name) for name in Event.__dataclass_fields__})
