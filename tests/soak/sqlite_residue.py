"""How often SQLite keeps something of a deleted row in its file, `python -m tests.soak.sqlite_residue`.

``PRAGMA secure_delete`` overwrites what is deleted, and not what balancing a tree has left of it in the
unused part of a page (``service/storage/scrub_pages.py``).
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from service.storage.scrub import command
from tests.residue import Residue

_STEPS = 2500


def main() -> None:
    """Insert and delete rows as the catalog has them, and search the files after each deletion."""
    for seed in range(1, 4):
        deletions = left = left_by_scrub = 0
        with tempfile.TemporaryDirectory(prefix="penumbra-residue-") as folder:
            file = Path(folder) / "catalog.sqlite3"
            rows = Residue(file, seed)
            for _ in range(_STEPS):
                if not rows.step():
                    continue
                deletions += 1
                rows.empty_log()
                if rows.found() & rows.gone:
                    left += 1
                    subprocess.run(command(file, os.getpid()), check=True)
                    left_by_scrub += bool(rows.found() & rows.gone)
            rows.connection.close()
        print(
            f"{deletions} deleting transactions, something left after {left}, "
            f"after those and a scrub {left_by_scrub}"
        )


if __name__ == "__main__":
    main()
