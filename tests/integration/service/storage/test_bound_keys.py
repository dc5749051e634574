"""What a key is bound to: galleries, not whatever gets their names."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from service.storage.catalog import Catalog
from service.storage.database import Database
from service.storage.keys import Keys


def test_a_key_of_a_deleted_gallery_does_not_open_the_next_of_its_name(catalog: Catalog) -> None:
    keys = Keys(catalog.database)
    catalog.galleries.create("other", keep_pictures=False)
    one, two, all_of_them = (
        keys.create("k", "query", names).token for names in (["shop"], ["shop", "other"], None)
    )
    catalog.galleries.delete("shop")
    catalog.galleries.create("shop", keep_pictures=False)
    found = [keys.find(token) for token in (one, two, all_of_them)]
    assert [key and key.galleries for key in found] == [(), ("other",), None]
    assert [key and key.reaches("shop") for key in found] == [False, False, True]
    assert [key.galleries for key in keys.list()] == [(), ("other",), None]


def test_a_keys_name_can_be_printed_in_a_line(catalog: Catalog) -> None:
    for wrong in ("", "a" * 129, "a\nb", "a\x1b[2J"):
        with pytest.raises(ValueError, match="name"):
            Keys(catalog.database).create(wrong, "query")


def test_a_key_may_be_made_before_its_gallery_and_says_so(catalog: Catalog) -> None:
    made = Keys(catalog.database).create("k", "query", ["shop", "later"])
    assert made.awaited == ("later",)
    catalog.galleries.create("later", keep_pictures=False)
    found = Keys(catalog.database).find(made.token)
    assert found is not None
    assert found.reaches("later")


def test_a_key_that_is_made_while_its_gallery_is_deleted_does_not_wait_for_the_next(
    catalog: Catalog, catalog_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = Database(catalog_url)  # `penumbra keys`, in a process of its own
    transact, looked = beside.transact, threading.Event()

    def slowly(work: Callable[[Session], Any]) -> Any:
        def and_wait(session: Session) -> Any:
            done = work(session)
            session.flush()
            looked.set()
            time.sleep(0.3)
            return done

        return transact(and_wait)

    def delete() -> None:
        looked.wait()
        catalog.galleries.delete("shop")

    deleting = threading.Thread(target=delete)
    deleting.start()
    monkeypatch.setattr(beside, "transact", slowly)
    made = Keys(beside).create("k", "query", ["shop"])
    deleting.join()
    assert made.awaited == (), "the gallery was there"
    found = Keys(beside).find(made.token)
    beside.close()
    assert found is not None
    assert not found.reaches("shop")
