from __future__ import annotations

import logging

import pytest

from service.gallery import QueryOptions
from service.problems import PicturesPending, UnknownPerson
from service.storage.filters import Filters
from tests.gallery_house import CROWD, MODEL, NEXT_MODEL, House, enrol, item


async def pending(house: House, gallery: str = "shop") -> int:
    answer = await house.galleries.queries.answer(gallery, [CROWD[0]], QueryOptions())
    return answer.pending


async def test_a_query_says_how_many_pictures_could_not_be_compared(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.gallery.pending._SHARE", 0)
    await house.galleries.enrolment.enrol("shop", [item(one, f"{n}") for n, one in enumerate(CROWD[:4])])
    await house.galleries.create("empty")
    assert await pending(house) == 0
    await house.leave()
    house.embedder.fingerprint = NEXT_MODEL
    with caplog.at_level(logging.WARNING):
        await house.enter()
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("gallery shop: 4 pictures cannot be compared")
    answer = await house.galleries.queries.answer("shop", [CROWD[0]], QueryOptions())
    assert (answer.results, answer.pending) == ((), 4)
    (again,) = await house.galleries.enrolment.enrol("shop", [item(CROWD[0], "0")])
    answer = await house.galleries.queries.answer("shop", [CROWD[0]], QueryOptions(by="image"))
    assert ([match.image for match in answer.results], answer.pending) == ([again.id], 3)
    await enrol(house, *CROWD[7:9])
    assert await pending(house) == 3
    await house.galleries.erasure.person("shop", "p0")
    assert (await pending(house), await pending(house, "empty")) == (0, 0)


async def test_none_are_counted_where_there_is_none(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await pending(house) == 0
    monkeypatch.setattr(house.catalog.pending, "count", None)
    await enrol(house, CROWD[0])
    assert await pending(house) == 0


@pytest.mark.parametrize(
    ("fingerprint", "count"), [(MODEL, 1), (NEXT_MODEL, 3), ("0" * 64, 4), ("f" * 64, 4)]
)
async def test_all_other_models_are_counted(house: House, fingerprint: str, count: int) -> None:
    await enrol(house, *CROWD[:3])
    house.embedder.fingerprint = NEXT_MODEL
    await enrol(house, CROWD[3])
    await house.galleries.create("other")
    await enrol(house, CROWD[4], gallery="other")
    assert house.catalog.pending.count(1, fingerprint) == count


async def test_pictures_that_are_pending_are_not_looked_at_whatever_a_filter_leaves(house: House) -> None:
    async def compared(filters: Filters) -> int:
        options = QueryOptions(filters=filters)
        return (await house.galleries.queries.answer("shop", [CROWD[0]], options)).compared

    everybody, anybody = Filters(), Filters(exclude_people=["nobody"])
    await enrol(house, *CROWD[:4])
    assert (await compared(everybody), await compared(anybody)) == (4, 4)
    await house.leave()
    house.embedder.fingerprint = NEXT_MODEL
    await house.enter()
    assert (await compared(everybody), await compared(anybody)) == (0, 0)
    await enrol(house, CROWD[7])
    assert (await compared(everybody), await compared(anybody)) == (1, 1)


async def test_somebody_of_whom_all_pictures_are_pending_is_no_stranger(house: House) -> None:
    await enrol(house, *CROWD[:6])
    await house.leave()
    house.embedder.fingerprint = NEXT_MODEL
    await house.enter()
    verifier = house.galleries.verifier
    with pytest.raises(PicturesPending, match="galleries reindex shop"):
        await verifier.person("shop", "p0", CROWD[0], "auto")
    with pytest.raises(UnknownPerson):
        await verifier.person("shop", "nobody", CROWD[0], "auto")
    await enrol(house, CROWD[7])
    assert (await verifier.person("shop", "p1", CROWD[0], "auto")).image is not None
