"""Features by themselves; in PostgreSQL in divided tables, so that what is erased soon leaves the files.

Only a file that was written anew is without the rows that were deleted from it, and nobody reads a table
meanwhile (``service/storage/vacuum.py``). So the tables that grow with the pictures are divided by the
pictures' numbers, and each part is written anew by itself; features, which take the longest, are in tables
that no query reads. Which parts that is owed to, triggers note.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_FEATURES = "SELECT number, features FROM"
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")

# By which column, and into how many parts; where they are looked up by others, more would cost more locks.
_DIVIDED = {
    "features": ("image", 64),
    "images": ("number", 32),
    "metadata_facts": ("image", 32),
    "previous_features": ("image", 64),
}
_NOTED = (*_DIVIDED, "people", "erased_features")

_INDEXES = {
    # A part knows of its own rows only, so uniqueness is not PostgreSQL's to keep: an id is drawn at random
    # from 80 bits, and who stores a client id holds the gallery's row (service/storage/catalog/enrolling.py).
    "images_by_id": "images (id)",
    "images_by_client_id": "images (gallery, client_id) WHERE client_id IS NOT NULL",
    "images_by_person": "images (person)",
    "images_by_digest": "images (gallery, digest)",
    "images_by_fingerprint": "images (gallery, fingerprint)",
    "metadata_facts_by_image": "metadata_facts (image)",
}
_KEYS = {
    "images": "number",
    "metadata_facts": "fact, image",
    "features": "image",
    "previous_features": "image",
}
_REFERENCES = (
    ("images", "gallery", "galleries (number)"),
    ("images", "person", "people (number)"),
    ("metadata_facts", "image", "images (number) ON DELETE CASCADE"),
    ("features", "image", "images (number) ON DELETE CASCADE"),
    ("previous_features", "image", "images (number) ON DELETE CASCADE"),
)
# As of migrations 0010 and 0012; a table that is made anew, and each of its parts, has to be told again.
_UNSAMPLED = {
    "images": ("id", "client_id", "digest", "metadata", "scores"),
    "metadata_facts": ("fact",),
    "features": ("features",),
    "previous_features": ("scores", "features"),
}

_NOTE = """
CREATE FUNCTION note_owed_rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM owed_rewrites WHERE relation = TG_TABLE_NAME) THEN
        INSERT INTO owed_rewrites (relation) VALUES (TG_TABLE_NAME) ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.create_table("owed_rewrites", sa.Column("relation", sa.String(64), primary_key=True))
    op.create_table(
        "features",
        sa.Column("image", _NUMBER, sa.ForeignKey("images.number", ondelete="CASCADE"), primary_key=True),
        sa.Column("features", sa.LargeBinary, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        _divide()
        _note_what_is_erased()
    else:
        op.execute(f"INSERT INTO features {_FEATURES} images")
        op.execute("ALTER TABLE images DROP COLUMN features")


def _divide() -> None:
    for table in _DIVIDED:
        op.execute(f"ALTER TABLE {table} RENAME TO {table}_whole")
    for table, (column, parts) in _DIVIDED.items():
        op.execute(
            f"CREATE TABLE {table} (LIKE {table}_whole INCLUDING DEFAULTS) PARTITION BY HASH ({column})"
        )
        for part in range(parts):
            op.execute(
                f"CREATE TABLE {table}_{part:02} PARTITION OF {table} "
                f"FOR VALUES WITH (MODULUS {parts}, REMAINDER {part})"
            )
        for unsampled in _UNSAMPLED[table]:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {unsampled} SET STATISTICS 0")
        if "features" in _UNSAMPLED[table]:  # to try to compress them is lost time
            op.execute(f"ALTER TABLE {table} ALTER COLUMN features SET STORAGE EXTERNAL")
        if table == "features":
            op.execute(f"INSERT INTO features {_FEATURES} images_whole")
            op.execute("ALTER TABLE images_whole DROP COLUMN features")
        else:
            op.execute(f"INSERT INTO {table} SELECT * FROM {table}_whole")
    op.execute("ALTER SEQUENCE images_number_seq OWNED BY images.number")
    op.execute("DROP TABLE " + ", ".join(f"{table}_whole" for table in _DIVIDED))
    for table, columns in _KEYS.items():
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {table}_pkey PRIMARY KEY ({columns})")
    for name, columns in _INDEXES.items():
        op.execute(f"CREATE INDEX {name} ON {columns}")
    for table, column, referred in _REFERENCES:
        op.execute(f"ALTER TABLE {table} ADD FOREIGN KEY ({column}) REFERENCES {referred}")


def _note_what_is_erased() -> None:
    op.execute(_NOTE)
    for table in _NOTED:
        op.execute(
            f"CREATE TRIGGER note_owed_rewrite AFTER UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION note_owed_rewrite()"
        )
    # of before there were notes
    op.execute("INSERT INTO owed_rewrites VALUES ('people'), ('erased_features')")
