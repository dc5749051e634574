from __future__ import annotations

import pytest

from service.gallery import QueryOptions
from service.problems import NotFollowed
from tests.gallery_house import House, enrol, fail_once, picture


async def test_people_are_one_though_the_index_could_not_follow_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enrol(house, picture("p1", 0, 1), picture("p2", 0, 2))
    fail_once(monkeypatch, house.index, "assign")
    with pytest.raises(NotFollowed):
        await house.galleries.people.rename("shop", "p2", "p1", merge=True)
    assert await house.galleries.mend()
    answer = await house.galleries.queries.answer("shop", [picture("p2", 0, 3)], QueryOptions(by="person"))
    assert [match.person for match in answer.results] == ["p1"]
