from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.embedding.box import Box
from service.embedding.features import PictureFeatures
from service.gallery import EnrolItem, QueryOptions, enrolment
from service.index import clustering
from service.index.options import IndexOptions
from service.problems import (
    ClientIdConflict,
    NotAPicture,
    NotFollowed,
)
from tests.gallery_house import CROWD, NEXT_MODEL, House, enrol, fail_once, found, item, picture


async def test_an_acknowledged_picture_survives_a_fall_without_goodbye(house: House) -> None:
    outcomes = await enrol(house, *CROWD)
    before = await found(house, picture("p2", 4, 77))
    house.fall()
    again = House(house.folder)
    await again.enter()
    assert await found(again, picture("p2", 4, 77)) == before
    assert set(before) == {outcome.id for outcome in outcomes}
    await again.leave()


async def test_a_picture_committed_but_not_indexed_is_found_after_a_restart(house: House) -> None:
    def fall(*_: object) -> None:
        raise MemoryError

    house.index.add = fall  # type: ignore[assignment, method-assign]
    with pytest.raises(NotFollowed):
        await enrol(house, picture("p1", 4, 1))
    house.fall()
    again = House(house.folder)
    await again.enter()
    assert len(await found(again, picture("p1", 0, 2))) == 1
    await again.leave()


@pytest.mark.parametrize("retried", [True, False])
async def test_what_the_index_could_not_take_after_the_commit_is_found_without_a_restart(
    house: House, monkeypatch: pytest.MonkeyPatch, retried: bool
) -> None:
    await house.galleries.create("keeping", keep_pictures=True)
    content = picture("p1", 4, 1)
    fail_once(monkeypatch, house.index, "add")
    with pytest.raises(NotFollowed):
        await house.galleries.enrolment.enrol("keeping", [item(content, "x")])
    if retried:
        (again,) = await house.galleries.enrolment.enrol("keeping", [item(content, "x")])
        assert again.status == "exists"
    else:
        await house.galleries.mend()
    assert await house.galleries.mend()
    (stored,) = (await house.galleries.pictures.list("keeping")).items
    assert await found(house, content, "keeping") == [stored.id]
    assert len(house.files()) == 1


async def test_a_bad_picture_fails_alone(house: House) -> None:
    good, other = picture("p1", 0, 1), picture("p2", 0, 2)
    items = [item(good, "a"), EnrolItem(b"text", "p1", client_id="b"), item(other, "c")]
    outcomes = await house.galleries.enrolment.enrol("shop", items)
    assert [(outcome.status, outcome.client_id) for outcome in outcomes] == [
        ("enrolled", "a"),
        ("failed", "b"),
        ("enrolled", "c"),
    ]
    assert isinstance(outcomes[1].problem, NotAPicture)
    assert outcomes[1].id is None
    assert outcomes[1].grade is None
    assert set(await found(house, good)) == {outcomes[0].id, outcomes[2].id}


async def test_a_fault_of_the_program_is_not_dressed_up_as_a_bad_picture(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(content: bytes, codes: Sequence[int], box: Box | None) -> PictureFeatures:
        raise RuntimeError("a bug")

    monkeypatch.setattr(house.embedder, "embed", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        await enrol(house, picture("p1", 0, 1))


async def test_sending_again_with_a_client_id_changes_nothing(house: House) -> None:
    content = picture("p1", 4, 1)
    (first,) = await house.galleries.enrolment.enrol("shop", [item(content, "x")])
    (again,) = await house.galleries.enrolment.enrol("shop", [item(content, "x")])
    (other,) = await house.galleries.enrolment.enrol("shop", [item(picture("p1", 4, 2), "x")])
    assert (first.status, again.status, other.status) == ("enrolled", "exists", "failed")
    assert again.id == first.id
    assert again.grade is not None
    assert again.grade.occlusion == 4
    assert isinstance(other.problem, ClientIdConflict)
    assert await found(house, content) == [first.id]


async def test_the_same_bytes_without_client_id_are_two_pictures(house: House) -> None:
    content = picture("p1", 0, 1)
    first, second = await enrol(house, content, content)
    assert sorted(await found(house, content)) == sorted([str(first.id), str(second.id)])


async def test_many_clients_at_once_lose_nothing_and_double_nothing(house: House) -> None:
    async def client(number: int) -> None:
        for content in CROWD[number::5]:
            await house.galleries.enrolment.enrol("shop", [item(content, content.decode())])

    await asyncio.gather(*(client(number) for number in range(5)), *(client(number) for number in range(5)))
    record = await house.galleries.get("shop")
    assert (record.images, record.people, record.pending) == (30, 6, 0)
    assert len(await found(house, CROWD[0])) == 30


async def test_a_caller_who_leaves_cannot_part_catalog_and_index(house: House) -> None:
    for number in range(20):
        task = asyncio.create_task(enrol(house, picture("p1", 0, number)))
        for _ in range(number):
            await asyncio.sleep(0.0005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await house.galleries.create("afterwards")  # the writers' queue is worked off in order
    while house.galleries._parts._writers._work_queue.qsize():
        await asyncio.sleep(0.01)
    await house.leave()
    indexed = sum(house.index.parts(1).values())
    await house.enter()
    assert indexed == (await house.galleries.get("shop")).images


async def test_metadata_of_a_picture_is_in_the_answer(house: House) -> None:
    moment = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    content = picture("p1", 0, 1)
    await house.galleries.enrolment.enrol(
        "shop", [EnrolItem(content, "someone", "door", moment, None, {"a": 1})]
    )
    answer = await house.galleries.queries.answer("shop", [content], QueryOptions())
    (match,) = answer.results
    assert (match.person, match.camera, match.time) == ("someone", "door", moment)


async def test_pictures_of_another_model_are_pending_and_never_compared(house: House) -> None:
    await house.galleries.enrolment.enrol("shop", [item(CROWD[0], "x"), item(CROWD[7], "y")])
    await house.leave()
    house.embedder.fingerprint = NEXT_MODEL
    await house.enter()
    record = await house.galleries.get("shop")
    assert (record.images, record.pending) == (2, 2)
    assert await found(house, CROWD[0]) == []
    (again,) = await house.galleries.enrolment.enrol("shop", [item(CROWD[0], "x")])
    assert again.status == "exists"
    assert (await house.galleries.get("shop")).pending == 1
    assert await found(house, CROWD[0]) == [again.id]


async def test_enrolments_and_erasures_go_on_while_a_clustering_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far behind it is: here it does not end before everything else is done."""
    clustered, go, began = clustering.clustered, threading.Event(), threading.Event()

    def held(*arguments: Any) -> Any:
        began.set()
        assert go.wait(60)
        return clustered(*arguments)

    monkeypatch.setattr(clustering, "clustered", held)
    monkeypatch.setattr(enrolment, "_LONGEST_PAUSE_S", 0.05)
    house = House(tmp_path, IndexOptions(flat_up_to=2, bits=16, share=1.0))
    await house.enter()
    await house.galleries.create("shop")
    pictures = [picture(f"p{number}", 0, number) for number in range(16)]
    outcomes = []
    for content in pictures:
        outcomes += await enrol(house, content)
    assert began.wait(60)
    assert house.index.behind(1)
    await house.galleries.erasure.picture("shop", str(outcomes[3].id))
    left = {str(outcome.id) for outcome in outcomes} - {str(outcomes[3].id)}
    assert set(await found(house, pictures[0])) == left
    assert house.index.clustered(1) == 0
    go.set()
    house.index.settle()
    assert house.index.clustered(1) > 0
    assert not house.index.behind(1)
    assert set(await found(house, pictures[0])) == left
    await house.leave()
