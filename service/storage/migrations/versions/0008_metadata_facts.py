"""Own metadata in a form that queries can ask for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from service.storage.facts import facts_of

revision = "0008"
down_revision = "0007"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_AT_ONCE = 1000


def upgrade() -> None:
    facts = op.create_table(
        "metadata_facts",
        sa.Column("fact", sa.String(64), primary_key=True),
        sa.Column(
            "image",
            _NUMBER,
            sa.ForeignKey("images.number", ondelete="CASCADE"),
            primary_key=True,
        ),
    )
    op.create_index("metadata_facts_by_image", "metadata_facts", ["image"])
    images = sa.table(
        "images", sa.column("number", _NUMBER), sa.column("gallery", _NUMBER), sa.column("metadata", sa.JSON)
    )
    after = 0
    while True:
        statement = sa.select(images).where(images.c.number > after).order_by(images.c.number)
        told = op.get_bind().execute(statement.limit(_AT_ONCE)).all()
        if not told:
            return
        after = told[-1].number
        rows = [
            {"fact": fact, "image": image}
            for image, gallery, metadata in told
            for fact in facts_of(gallery, metadata)
        ]
        if rows:
            op.bulk_insert(facts, rows)
