from __future__ import annotations

import pytest

from service.gallery import Galleries
from service.gallery.parts import Parts
from service.index.local import LocalIndex
from service.problems import (
    BadRequest,
    GalleryExists,
    UnknownGallery,
)
from service.storage.catalog import Catalog
from service.storage.schema import CatalogError
from tests.gallery_house import CROWD, DIMENSION, House, enrol, found


async def test_a_second_service_on_the_same_catalog_does_not_start(house: House) -> None:
    catalog = Catalog(f"sqlite:///{house.folder / 'catalog.sqlite3'}")
    second = Galleries(Parts(catalog, LocalIndex(DIMENSION), house.embedder, house.pictures))
    with pytest.raises(CatalogError, match="another service"):
        await second.start()
    await second.close()
    catalog.close()


async def test_a_name_is_taken_until_its_gallery_is_deleted(house: House) -> None:
    with pytest.raises(GalleryExists):
        await house.galleries.create("shop")
    await enrol(house, CROWD[0])
    await house.galleries.erasure.gallery("shop")
    with pytest.raises(UnknownGallery):
        await house.galleries.get("shop")
    await house.galleries.create("shop")
    assert await found(house, CROWD[0]) == []


async def test_pages_go_through_all_galleries_once_whatever_happens_between(house: House) -> None:
    for name in ("a", "b", "c", "d"):
        await house.galleries.create(name)
    names: list[str] = []
    cursor = None
    while True:
        page = await house.galleries.list(limit=2, cursor=cursor)
        names += [record.name for record in page.items]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
        if len(names) == 2:
            await house.galleries.erasure.gallery("a")
            await house.galleries.create("aa")
    assert names == ["a", "b", "c", "d", "shop"]


@pytest.mark.parametrize("cursor", ["%%%", "_w", "é"])
async def test_an_invented_cursor_is_told_so(house: House, cursor: str) -> None:
    with pytest.raises(BadRequest):
        await house.galleries.list(cursor=cursor)
