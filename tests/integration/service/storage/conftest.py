"""A catalog to store in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.storage.catalog import Catalog


@pytest.fixture
def catalog(catalog_url: str) -> Iterator[Catalog]:
    """A catalog with the gallery ``shop``, once on SQLite, once on PostgreSQL."""
    opened = Catalog(catalog_url)
    opened.galleries.create("shop", keep_pictures=False)
    yield opened
    opened.close()
