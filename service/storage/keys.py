"""Keys: who may ask the service, for what, in which galleries, until when.

A key is ``pen_ID_SECRET``: the id finds its row, the secret (256 random bits) is kept as its SHA-256 only
and compared in constant time. A slow hash would add nothing: nobody guesses 256 bits.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from service.clock import now
from service.problems import UnknownKey
from service.storage.database import Database
from service.storage.tables import GalleryRow, KeyRow
from service.storage.ulid import new_ulid

__all__ = ["ROLES", "KeyRecord", "Keys", "NewKey", "Role", "unbind"]

Role = Literal["query", "enrol", "admin"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""Each may do what those before it may."""

_FORM: Final = re.compile(r"pen_([0-9A-Z]{26})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as shown: everything but its secret.

    Attributes:
        id: public, 26 characters.
        name: what it is for, in words.
        role: one of :data:`ROLES`.
        galleries: to which it is bound; None: all, also those made later. A gallery that is deleted is bound
            to no key any more: another one of its name is none of theirs. Empty: it opens nothing.
        created_at, expires_at, revoked_at: aware, UTC; None: it does not expire, is not revoked.
    """

    id: str
    name: str
    role: Role
    galleries: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def may(self, role: Role) -> bool:
        """Whether the key's role comprises this one."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def reaches(self, gallery: str) -> bool:
        """Whether the key opens this gallery."""
        return self.galleries is None or gallery in self.galleries

    def active(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made; ``token`` is shown this once.

    Attributes:
        awaited: galleries to which it is bound that do not exist: it opens the first that get these names.
    """

    record: KeyRecord
    token: str
    awaited: tuple[str, ...]


class Keys:
    """The keys of one database. Calls are synchronous and safe from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        name: str,
        role: Role,
        galleries: Sequence[str] | None = None,
        expires_at: datetime | None = None,
    ) -> NewKey:
        """Make a key.

        Args:
            name: what it is for, 1 to 128 characters that can be printed.
            galleries: to which it is bound, there already or not; None: all.
            expires_at: aware; None: never.

        Raises:
            ValueError: the name is empty, too long or cannot be printed, no gallery is named, it expires in
                the past, or an admin key is bound to galleries.
        """
        created_at = now()
        if not 1 <= len(name) <= 128:
            raise ValueError("a key's name has 1 to 128 characters")
        if not name.isprintable():
            raise ValueError("a key's name has no line breaks or other control characters")
        if galleries is not None and not galleries:
            raise ValueError("a key that is bound to galleries needs at least one")
        if galleries is not None and role == "admin":
            raise ValueError("an admin key makes and deletes galleries, so it cannot be bound to some")
        if expires_at is not None and expires_at <= created_at:
            raise ValueError("the key would have expired already")
        id, secret = new_ulid(), secrets.token_urlsafe(32)
        row: dict[str, Any] = {
            "id": id,
            "name": name,
            "role": role,
            "secret_hash": _hash(secret),
            "galleries": None if galleries is None else sorted(set(galleries)),
            "created_at": created_at,
            "expires_at": expires_at,
            "revoked_at": None,
        }

        def work(session: Session) -> set[str]:
            there = select(GalleryRow.name).where(GalleryRow.name.in_(galleries or ()))
            # until the key is stored none of them is deleted, which would not find it
            found = set(session.scalars(there.with_for_update(read=True)))
            session.add(KeyRow(**row))
            return found

        there = self._database.transact(work)
        record = _record(KeyRow(**row))
        awaited = tuple(name for name in record.galleries or () if name not in there)
        return NewKey(record, f"pen_{id}_{secret}", awaited)

    def list(self) -> list[KeyRecord]:
        """All keys, the revoked and expired ones too, in the order in which they were made."""
        return self._database.transact(
            lambda session: [_record(row) for row in session.scalars(select(KeyRow).order_by(KeyRow.id))]
        )

    def revoke(self, id: str) -> KeyRecord:
        """End a key for good; revoking it again changes nothing.

        Raises:
            UnknownKey: there is none of this id.
        """

        def work(session: Session) -> KeyRecord:
            row = session.get(KeyRow, id)
            if row is None:
                raise UnknownKey(f"there is no key {id!r}")
            row.revoked_at = row.revoked_at or now()
            return _record(row)

        return self._database.transact(work)

    def any(self) -> bool:
        """Whether there is a key that is neither revoked nor expired: then everybody needs one."""
        wanted = exists().where(
            KeyRow.revoked_at.is_(None),
            or_(KeyRow.expires_at.is_(None), KeyRow.expires_at > now()),
        )
        with self._database.engine.connect() as connection:
            return bool(connection.scalar(select(wanted)))

    def find(self, token: str) -> KeyRecord | None:
        """The key of this token, revoked or expired ones too; None where there is none."""
        form = _FORM.fullmatch(token)
        if form is None:
            return None
        id, secret = form.groups()
        with self._database.engine.connect() as connection:
            row = connection.execute(select(KeyRow).where(KeyRow.id == id)).one_or_none()
        # Compared also where there is no such key, so that time does not tell which ids exist.
        same = hmac.compare_digest(_hash(secret), row.secret_hash if row is not None else _hash(""))
        return _record(row) if row is not None and same else None


def unbind(session: Session, gallery: str) -> None:
    """Take a gallery that was just deleted, in the same transaction, from the keys that are bound to it."""
    for row in session.scalars(select(KeyRow).where(KeyRow.galleries.is_not(None))):
        if row.galleries is not None and gallery in row.galleries:
            row.galleries = [name for name in row.galleries if name != gallery]


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _record(row: Any) -> KeyRecord:
    return KeyRecord(
        row.id,
        row.name,
        row.role,
        None if row.galleries is None else tuple(row.galleries),
        row.created_at,
        row.expires_at,
        row.revoked_at,
    )
