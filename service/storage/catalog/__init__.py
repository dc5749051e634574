"""The catalog: the truth about galleries, people and pictures, in any database SQLAlchemy speaks.

SQLite by default (write-ahead log, ``synchronous=FULL``: a commit that returned survives a power cut;
``secure_delete``: what is erased is overwritten), PostgreSQL by URL. The calls are synchronous and safe
from several threads; the service makes them from worker threads.

A picture's row carries the fingerprint of the model that made its features. Rows of another fingerprint
are *pending*: counted, listed, deletable, but not to be compared with features of the present model.

:class:`Catalog` opens it; what can be asked of it is sorted by what it is about, a file for each.
"""

from __future__ import annotations

import fcntl
import secrets
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import IO, Final

from service.cursor import Cursors
from service.storage.catalog.about import AboutCatalog
from service.storage.catalog.caches import CacheCatalog
from service.storage.catalog.duplicates import DuplicateCatalog
from service.storage.catalog.erased import ErasedCatalog
from service.storage.catalog.features import FeatureCatalog
from service.storage.catalog.galleries import GalleryCatalog
from service.storage.catalog.pending import PendingCatalog
from service.storage.catalog.people import PeopleCatalog
from service.storage.catalog.pictures import PictureCatalog
from service.storage.catalog.previous import PreviousCatalog
from service.storage.claim import PostgreSQLClaim
from service.storage.database import Database
from service.storage.fence import Fence
from service.storage.schema import CatalogError, place_of

__all__ = ["Catalog"]


class Catalog:
    """Open the catalog at a SQLAlchemy URL; a service opens it by :meth:`claimed`.

    Args:
        url, rewritten_up_to, older: see :class:`service.storage.database.Database`.

    Attributes:
        database: where it is.
        id: made with the catalog, 26 characters; names what belongs to it elsewhere.
        galleries, pictures, duplicates, people, features, pending, previous, erased, caches, about: what
            can be asked of it.

    Raises:
        CatalogError: the database has another schema than this program's.
        sqlalchemy.exc.SQLAlchemyError: the database cannot be reached.
    """

    def __init__(self, url: str, rewritten_up_to: int = 0, *, older: bool = False) -> None:
        self.database: Final = Database(url, rewritten_up_to, older=older)
        self.id: Final = self.database.id
        self.galleries: Final = GalleryCatalog(self.database)
        self.pictures: Final = PictureCatalog(self.database)
        self.duplicates: Final = DuplicateCatalog(self.database)
        self.people: Final = PeopleCatalog(self.database)
        self.features: Final = FeatureCatalog(self.database)
        self.pending: Final = PendingCatalog(self.database)
        self.previous: Final = PreviousCatalog(self.database)
        self.erased: Final = ErasedCatalog(self.database)
        self.caches: Final = CacheCatalog(self.database)
        self.about: Final = AboutCatalog(self.database)
        self._claim: IO[bytes] | PostgreSQLClaim | None = None
        self._fence: Fence | None = None

    @classmethod
    def claimed(
        cls, url: str, rewritten_up_to: int = 0, on_lost: Callable[[], None] = lambda: None
    ) -> Catalog:
        """Open the catalog, claim it, and bring it up to date where an earlier version wrote it.

        Args:
            on_lost: see :meth:`claim`.

        Raises:
            CatalogError: another service runs on it, or it was written by a later version of the program;
                nothing of what is stored was changed.
            sqlalchemy.exc.SQLAlchemyError: the database cannot be reached.
        """
        catalog = cls(url, rewritten_up_to, older=True)
        try:
            catalog.claim(on_lost)
        except BaseException:
            catalog.close()
            raise
        return catalog

    @cached_property
    def cursors(self) -> Cursors:
        """Of its lists. Their secret is made when it is first asked for, by who has claimed the catalog."""
        return Cursors(bytes.fromhex(self.about.get_or_set("cursor_secret", lambda: secrets.token_hex(32))))

    @property
    def lost(self) -> bool:
        """Whether another service has claimed the catalog since this one did."""
        return self._fence is not None and self._fence.lost

    def claim(self, on_lost: Callable[[], None] = lambda: None) -> None:
        """Claim the catalog for the index of this process, until :meth:`close` or the process's end.

        An index follows what its own process writes, so two services on one catalog would each miss the
        other's pictures, and remove files that the other is about to commit. Databases other than SQLite
        and PostgreSQL are not claimed. Claiming again changes nothing.

        The lock on a PostgreSQL catalog can be lost with its connection, and another service have it: from
        then on all calls raise ``ClaimLost``, but for what :meth:`Database.transact` does regardless.

        Args:
            on_lost: called once then, from any thread.

        Raises:
            CatalogError: another service has claimed it.
            sqlalchemy.exc.SQLAlchemyError: the database cannot be reached.
        """
        if self._claim is not None:
            return
        if self.database.is_sqlite:
            self._claim = self._claim_file()
        elif self.database.engine.dialect.name == "postgresql":
            self._claim = self._claim_postgresql(on_lost)
        self.database.bring_up_to_date()
        self.database.begin()
        if self.database.is_sqlite:
            self.galleries.keep_at_hand()

    def _claim_file(self) -> IO[bytes]:
        database = str(self.database.engine.url.database)
        claim = Path(f"{database}.owner").open("ab")  # noqa: SIM115 - held as long as the catalog is open
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            claim.close()
            raise CatalogError(
                f"another service is running on {database}; stop it, or give this one its own data_dir"
            ) from None
        return claim

    def _claim_postgresql(self, on_lost: Callable[[], None]) -> PostgreSQLClaim:
        url = self.database.engine.url
        fence = Fence(self.id, on_lost)
        claim = PostgreSQLClaim(url, self.id, fence)
        if not claim.take():
            raise CatalogError(
                f"another service is running on {place_of(url)}; stop it, or give this one its own "
                "catalog_url"
            )
        self._fence = fence
        self.database.guard(fence)
        return claim

    def kept_pictures(self) -> set[tuple[int, str]]:
        """(gallery number, image id) of every picture whose bytes are kept; all there are, as of this moment.

        Who lists files, and then asks this, may remove those listed that are not in it: no other service has
        begun to write any before.

        Raises:
            ClaimLost: another service has claimed the catalog.
        """
        kept = self.pictures.kept()
        self.database.transact(lambda _: None)  # the claim stands
        return kept

    def close(self) -> None:
        """Close all connections and give up the claim."""
        self.galleries.ask_again()
        self.database.close()
        if self._claim is not None:
            self._claim.close()
            self._claim = None
