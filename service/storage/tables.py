"""The catalog's tables. A change here needs a migration in ``service/storage/migrations/versions``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator

from service.index.protocol import IndexKind

__all__ = [
    "AboutRow",
    "AuditRow",
    "Base",
    "ErasedRow",
    "FactRow",
    "FeaturesRow",
    "GalleryRow",
    "ImageRow",
    "Instant",
    "KeyRow",
    "OwedRewriteRow",
    "PersonRow",
    "PreviousRow",
]

Number = BigInteger().with_variant(Integer, "sqlite")  # SQLite autoincrements INTEGER only


class Instant(TypeDecorator[datetime]):
    """A moment: aware in Python, UTC in the database (SQLite forgets time zones)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """All tables of the catalog."""


class AboutRow(Base):
    """What the catalog says of itself, its ``id`` first, and remembers for the parts around it."""

    __tablename__ = "about"

    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[str] = mapped_column(String(64))

    @classmethod
    def get_or_make(cls, session: Session, key: str, make: Callable[[], str]) -> str:
        """What is noted; where nothing is, what is made is from here on."""
        row = session.get(cls, key)
        if row is None:
            row = cls(key=key, value=make())
            session.add(row)
        return row.value


class GalleryRow(Base):
    """A gallery. Numbers are never used again: the index and the pictures' folders are named by them."""

    __tablename__ = "galleries"
    __table_args__ = ({"sqlite_autoincrement": True},)

    number: Mapped[int] = mapped_column(Number, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    keep_pictures: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[datetime] = mapped_column(Instant)
    match_rate: Mapped[float | None] = mapped_column(Float)
    uncertain_rate: Mapped[float | None] = mapped_column(Float)
    prior: Mapped[float | None] = mapped_column(Float)
    retention_days: Mapped[int | None] = mapped_column(Integer)
    index: Mapped[IndexKind] = mapped_column(String(16), server_default="auto")
    reindexed_to: Mapped[str | None] = mapped_column(String(64))  # a fingerprint; None: nothing is under way


class PersonRow(Base):
    """A person of one gallery; there is one as long as a picture shows them."""

    __tablename__ = "people"
    __table_args__ = (UniqueConstraint("gallery", "name"), {"sqlite_autoincrement": True})

    number: Mapped[int] = mapped_column(Number, primary_key=True)
    gallery: Mapped[int] = mapped_column(ForeignKey("galleries.number"))
    name: Mapped[str] = mapped_column(String(256))


class ImageRow(Base):
    """A picture. ``number`` is its id in the index and never used again, ``id`` its public id."""

    __tablename__ = "images"
    __table_args__ = (
        UniqueConstraint("gallery", "client_id"),
        Index("images_by_person", "person"),
        Index("images_by_digest", "gallery", "digest"),
        Index("images_by_fingerprint", "gallery", "fingerprint"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(Number, primary_key=True)
    id: Mapped[str] = mapped_column(String(26), unique=True)
    gallery: Mapped[int] = mapped_column(ForeignKey("galleries.number"))
    person: Mapped[int] = mapped_column(ForeignKey("people.number"))
    digest: Mapped[str] = mapped_column(String(64))
    camera: Mapped[str | None] = mapped_column(String(256))
    time: Mapped[datetime | None] = mapped_column(Instant)
    client_id: Mapped[str | None] = mapped_column(String(256))
    own_metadata: Mapped[dict[str, Any]] = mapped_column("metadata", JSON)
    kept: Mapped[bool] = mapped_column(Boolean)
    enrolled_at: Mapped[datetime] = mapped_column(Instant)
    fingerprint: Mapped[str] = mapped_column(String(64))
    occlusion: Mapped[int] = mapped_column(SmallInteger)
    scores: Mapped[bytes | None] = mapped_column(LargeBinary)  # float32 [4], little endian


class FeaturesRow(Base):
    """A picture's features, of the model that its row names; by themselves, for they are long."""

    __tablename__ = "features"

    image: Mapped[int] = mapped_column(ForeignKey("images.number", ondelete="CASCADE"), primary_key=True)
    features: Mapped[bytes] = mapped_column(LargeBinary)  # float16 [9, D], little endian


class FactRow(Base):
    """One member of a picture's own metadata, as queries ask for it (``service/storage/facts.py``)."""

    __tablename__ = "metadata_facts"
    __table_args__ = (Index("metadata_facts_by_image", "image"),)

    fact: Mapped[str] = mapped_column(String(64), primary_key=True)
    image: Mapped[int] = mapped_column(ForeignKey("images.number", ondelete="CASCADE"), primary_key=True)


class PreviousRow(Base):
    """What the previous model made of a picture, as long as it answers for the gallery."""

    __tablename__ = "previous_features"

    image: Mapped[int] = mapped_column(ForeignKey("images.number", ondelete="CASCADE"), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    occlusion: Mapped[int] = mapped_column(SmallInteger)
    scores: Mapped[bytes | None] = mapped_column(LargeBinary)
    features: Mapped[bytes] = mapped_column(LargeBinary)


class KeyRow(Base):
    """A key that lets its bearer in. Of its secret there is a hash only."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    role: Mapped[str] = mapped_column(String(16))
    secret_hash: Mapped[str] = mapped_column(String(64))
    galleries: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))  # None: all of them
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)


class AuditRow(Base):
    """Who did what, and when. No pictures, and names of people only as keyed hashes."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("audit_by_subject", "subject"),
        Index("audit_by_time", "at"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(Number, primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant)
    request_id: Mapped[str] = mapped_column(String(128))
    key: Mapped[str | None] = mapped_column(String(26))
    action: Mapped[str] = mapped_column(String(64))
    gallery: Mapped[str | None] = mapped_column(String(64))
    subject: Mapped[str | None] = mapped_column(String(64))
    pictures: Mapped[int | None] = mapped_column(Integer)
    status: Mapped[int] = mapped_column(SmallInteger)


class ErasedRow(Base):
    """Features of an erased picture that the feature cache has not yet confirmed to have forgotten."""

    __tablename__ = "erased_features"
    __table_args__ = ({"sqlite_autoincrement": True},)

    number: Mapped[int] = mapped_column(Number, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64))


class OwedRewriteRow(Base):
    """PostgreSQL: a table, or part of one, whose file has yet to be written anew without its erased rows."""

    __tablename__ = "owed_rewrites"

    relation: Mapped[str] = mapped_column(String(64), primary_key=True)
