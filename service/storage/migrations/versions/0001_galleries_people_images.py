"""Galleries, people and images."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "about",
        sa.Column("key", sa.String(32), primary_key=True),
        sa.Column("value", sa.String(64), nullable=False),
    )
    op.create_table(
        "galleries",
        sa.Column("number", _NUMBER, primary_key=True),
        sa.Column("name", sa.String(64), nullable=False, unique=True),
        sa.Column("keep_pictures", sa.Boolean, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "people",
        sa.Column("number", _NUMBER, primary_key=True),
        sa.Column("gallery", _NUMBER, sa.ForeignKey("galleries.number"), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.UniqueConstraint("gallery", "name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "images",
        sa.Column("number", _NUMBER, primary_key=True),
        sa.Column("id", sa.String(26), nullable=False, unique=True),
        sa.Column("gallery", _NUMBER, sa.ForeignKey("galleries.number"), nullable=False),
        sa.Column("person", _NUMBER, sa.ForeignKey("people.number"), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("camera", sa.String(256)),
        sa.Column("time", _INSTANT),
        sa.Column("client_id", sa.String(256)),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("kept", sa.Boolean, nullable=False),
        sa.Column("enrolled_at", _INSTANT, nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("occlusion", sa.SmallInteger, nullable=False),
        sa.Column("scores", sa.LargeBinary),
        sa.Column("features", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("gallery", "client_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("images_by_person", "images", ["person"])
    op.create_index("images_by_fingerprint", "images", ["gallery", "fingerprint"])
