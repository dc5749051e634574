from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import pytest_asyncio

from models import fusion, occlusion
from models.bundle import BundleMetadata, Training
from service.embedding.box import Box
from service.embedding.features import PictureFeatures, StageTimes
from service.gallery import EnrolItem, EnrolOutcome, Galleries, QueryOptions
from service.index.local import LocalIndex
from service.index.protocol import Entries, Hits, PartSearch
from service.problems import (
    BadRequest,
    ClientIdConflict,
    GalleryExists,
    NotAPicture,
    UnknownGallery,
    UnknownImage,
)
from service.storage.catalog import Catalog
from service.storage.database import CatalogError
from service.storage.filters import Filters
from service.storage.pictures import PictureStore

DIMENSION = 16
MODEL, NEXT_MODEL = "a" * 64, "b" * 64


@dataclass
class FakeEmbedder:
    """A picture is the text ``person/occlusion code/number``; same person, near vectors.

    ``asked`` records what was embedded; ``before_answer`` lets a test act while a picture is embedded.
    """

    fingerprint: str = MODEL
    asked: list[tuple[bytes, tuple[int, ...]]] = field(default_factory=list)
    before_answer: asyncio.Event | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    forgotten: set[tuple[str, str]] = field(default_factory=set)

    @property
    def metadata(self) -> BundleMetadata:
        return BundleMetadata(
            name="fake",
            system="fake",
            backbone="fake",
            height=128,
            width=64,
            dimension=DIMENSION,
            has_grader=True,
            has_attention=False,
            training=Training(data=[], recipe=""),
            opset=17,
            licence="Apache-2.0",
            terms="none",
        )

    async def embed(self, content: bytes, codes: Sequence[int], box: Box | None = None) -> PictureFeatures:
        self.asked.append((content, tuple(codes)))
        self.reached.set()
        await asyncio.sleep(0)
        if self.before_answer is not None:
            await self.before_answer.wait()
        if content.count(b"/") != 2:
            raise NotAPicture("not a picture")
        code = int(content.split(b"/")[1])
        return PictureFeatures(
            digest=hashlib.sha256(content).hexdigest(),
            occlusion=code,
            scores=np.full(4, code / 10, np.float32),
            embeddings={u: vector(content, u) for u in codes},
            times=StageTimes(0.001, 0.002, 0.003),
        )

    async def forget(self, seen: Collection[tuple[str, str]]) -> bool:
        self.forgotten |= set(seen)
        return True


def vector(content: bytes, code: int) -> npt.NDArray[np.float32]:
    person, _, _ = content.split(b"/")
    common = np.random.default_rng(list(person)).normal(size=DIMENSION)
    own = np.random.default_rng([*content, code]).normal(size=DIMENSION)
    both = common + 0.4 * own
    return (both / np.linalg.norm(both)).astype(np.float32)


def picture(person: str, code: int, number: int) -> bytes:
    return f"{person}/{code}/{number}".encode()


def item(content: bytes, client_id: str | None = None) -> EnrolItem:
    return EnrolItem(content, person=content.split(b"/")[0].decode(), client_id=client_id)


CROWD = [
    picture(f"p{person}", code, number)
    for person in range(6)
    for number, code in enumerate((0, 0, 4, 7, person % 9))
]
"""Thirty pictures of six people, in several parts."""


class House:
    """A service's storage in one folder, that can be left and entered again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.embedder = FakeEmbedder()

    async def enter(self) -> Galleries:
        self.catalog = Catalog(f"sqlite:///{self.folder / 'catalog.sqlite3'}")
        self.index = LocalIndex(DIMENSION)
        self.pictures = PictureStore((self.folder / "pictures").as_uri(), self.catalog.id)
        self.galleries = Galleries(self.catalog, self.index, self.embedder, self.pictures)
        await self.galleries.start()
        return self.galleries

    def fall(self) -> None:
        """End as with kill -9: nothing is finished, only what the kernel gives back is given back."""
        assert self.catalog._claim is not None
        self.catalog._claim.close()

    async def leave(self) -> None:
        await self.galleries.close()
        self.catalog.close()

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*.picture*") if path.is_file())


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    await made.enter()
    await made.galleries.create("shop")
    yield made
    await made.leave()


async def enrol(house: House, *contents: bytes, gallery: str = "shop") -> tuple[EnrolOutcome, ...]:
    return await house.galleries.enrolment.enrol(gallery, [item(content) for content in contents])


async def found(house: House, query: bytes, gallery: str = "shop", top_k: int = 100) -> list[str]:
    answer = await house.galleries.queries.answer(gallery, [query], QueryOptions(top_k=top_k, by="image"))
    return [match.image for match in answer.results]


# Querying


def expected_scores(queries: list[bytes], gallery: list[bytes], unify: str) -> list[float]:
    """Design §4 by brute force, from the fake's own vectors."""
    scores = []
    for one in gallery:
        part = int(one.split(b"/")[1])
        total = 0.0
        for query in queries:
            if unify == "off":
                total += float(vector(query, 0) @ vector(one, 0))
            elif unify == "fuse":
                total += fused_score(query, one, gallery)
            else:
                code = int(query.split(b"/")[1]) if unify == "auto" else occlusion.code_of(unify)
                total += float(vector(query, part) @ vector(one, code))
        scores.append(total / len(queries))
    return scores


def fused_score(query: bytes, one: bytes, gallery: list[bytes]) -> float:
    """The fused score by its definition, with the whole gallery as cohort."""
    grades = np.full((1, 4), int(query.split(b"/")[1]) / 10)
    total = 0.0
    for code, weight in enumerate(fusion.code_weights(grades, 1)[0]):
        mean = sum(vector(other, code) for other in gallery) / (len(gallery) + fusion.PRIOR)
        left, right = vector(query, code) - mean, vector(one, code) - mean
        cosine = left @ right / np.linalg.norm(left) / np.linalg.norm(right)
        total += weight * np.exp(cosine / fusion.TEMPERATURE)
    return float(fusion.TEMPERATURE * np.log(total))


@pytest.mark.parametrize("unify", ["auto", "off", "fuse", "none", "bottom_half", "left_quarter"])
@pytest.mark.parametrize(
    "queries",
    [
        [picture("p3", 0, 50)],
        [picture("p3", 4, 50)],
        [picture("p3", 4, 50), picture("p3", 0, 51), picture("p3", 8, 52)],
    ],
    ids=["whole", "half", "three"],
)
async def test_ranking_equals_brute_force(house: House, unify: str, queries: list[bytes]) -> None:
    outcomes = await enrol(house, *CROWD)
    scores = expected_scores(queries, CROWD, unify)
    by_id = {outcome.id: score for outcome, score in zip(outcomes, scores, strict=True)}

    images = await house.galleries.queries.answer("shop", queries, QueryOptions(100, "image", unify))
    np.testing.assert_allclose([match.score for match in images.results], sorted(scores)[::-1], atol=1e-3)
    np.testing.assert_allclose(
        [match.score for match in images.results], [by_id[match.image] for match in images.results], atol=1e-3
    )
    assert [match.rank for match in images.results] == list(range(1, 31))

    people = await house.galleries.queries.answer("shop", queries, QueryOptions(100, "person", unify))
    best = [max(scores[start : start + 5]) for start in range(0, 30, 5)]
    order = np.argsort(best)[::-1]
    assert [match.person for match in people.results] == [f"p{person}" for person in order]
    np.testing.assert_allclose([match.score for match in people.results], np.sort(best)[::-1], atol=1e-3)


async def test_a_score_is_never_beyond_what_a_cosine_can_be(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = picture("p1", 0, 1)
    await enrol(house, content)
    search = house.index.search

    def rounded_up(gallery: int, searches: Sequence[PartSearch], k: int) -> list[Hits]:
        return [replace(hits, scores=hits.scores + np.float32(1e-3)) for hits in search(gallery, searches, k)]

    monkeypatch.setattr(house.index, "search", rounded_up)
    answer = await house.galleries.queries.answer("shop", [content], QueryOptions())
    assert answer.results[0].score == 1.0


async def test_answer_tells_grades_parts_and_times(house: House) -> None:
    await enrol(house, picture("p1", 5, 1))
    answer = await house.galleries.queries.answer("shop", [picture("p1", 4, 2)], QueryOptions())
    (match,) = answer.results
    assert (answer.pictures[0].occlusion, match.grade.occlusion) == (4, 5)
    assert match.grade.scores is not None
    assert match.compared == "bottom_half+left_quarter"
    assert answer.fingerprint == MODEL
    # two rounds of embedding, each with the fake's 1, 2 and 3 ms
    assert (answer.timings.decode, answer.timings.queue, answer.timings.embed) == pytest.approx((2, 4, 6))
    assert answer.timings.total >= answer.timings.search > 0


async def test_a_holistic_gallery_costs_one_embedding_per_query(house: House) -> None:
    await enrol(house, picture("p1", 0, 1))
    house.embedder.asked.clear()
    query = picture("p1", 4, 2)
    await house.galleries.queries.answer("shop", [query], QueryOptions())
    assert house.embedder.asked == [(query, (0,))]


async def test_fuse_embeds_the_query_under_every_code_at_once_and_says_what_counted(house: House) -> None:
    await enrol(house, *CROWD)
    house.embedder.asked.clear()
    query = picture("p3", 4, 50)
    answer = await house.galleries.queries.answer("shop", [query], QueryOptions(1, unify="fuse"))
    assert house.embedder.asked == [(query, tuple(range(9)))]
    (match,) = answer.results
    assert match.person == "p3"
    assert match.compared in occlusion.NAMES


async def test_fuse_in_a_gallery_of_nobody_and_of_one(house: House) -> None:
    query = picture("p1", 0, 9)
    assert not (await house.galleries.queries.answer("shop", [query], QueryOptions(unify="fuse"))).results
    await enrol(house, picture("p1", 0, 1))
    (match,) = (await house.galleries.queries.answer("shop", [query], QueryOptions(unify="fuse"))).results
    assert match.score == pytest.approx(
        fused_score(query, picture("p1", 0, 1), [picture("p1", 0, 1)]), abs=1e-3
    )


async def test_the_cohort_of_fuse_is_the_gallery_whatever_a_filter_leaves(house: House) -> None:
    await enrol(house, *CROWD)
    query = picture("p3", 4, 50)
    scores = expected_scores([query], CROWD, "fuse")
    options = QueryOptions(100, "image", "fuse", filters=Filters(people=["p2"]))
    left = (await house.galleries.queries.answer("shop", [query], options)).results
    np.testing.assert_allclose([match.score for match in left], sorted(scores[10:15])[::-1], atol=1e-3)


async def test_two_pictures_alone_cannot_be_fused(house: House) -> None:
    with pytest.raises(BadRequest, match="gallery"):
        await house.galleries.verifier.pictures([picture("p1", 0, 1), picture("p2", 0, 1)], "fuse")


async def test_only_the_parts_that_are_there_cost_a_second_embedding(house: House) -> None:
    await enrol(house, picture("p1", 0, 1), picture("p1", 4, 2), picture("p1", 7, 3))
    house.embedder.asked.clear()
    query = picture("p1", 0, 9)
    await house.galleries.queries.answer("shop", [query], QueryOptions())
    await house.galleries.queries.answer("shop", [query], QueryOptions(unify="off"))
    assert house.embedder.asked == [(query, (0,)), (query, (4, 7)), (query, (0,))]


async def test_people_hidden_behind_one_with_many_pictures_are_still_ranked(house: House) -> None:
    await enrol(house, *(picture("p1", 0, number) for number in range(60)))
    await enrol(house, picture("p2", 0, 1), picture("p3", 4, 1))
    answer = await house.galleries.queries.answer("shop", [picture("p1", 0, 99)], QueryOptions(top_k=3))
    assert answer.results[0].person == "p1"
    assert {match.person for match in answer.results} == {"p1", "p2", "p3"}


async def test_an_empty_gallery_answers_nothing(house: House) -> None:
    assert await found(house, picture("p1", 4, 1)) == []


@pytest.mark.parametrize(
    ("contents", "options"),
    [
        ([], QueryOptions()),
        ([picture("p1", 0, 1)], QueryOptions(top_k=0)),
        ([picture("p1", 0, 1)], QueryOptions(unify="sideways")),
    ],
)
async def test_a_senseless_query_is_told_so(
    house: House, contents: list[bytes], options: QueryOptions
) -> None:
    with pytest.raises(BadRequest):
        await house.galleries.queries.answer("shop", contents, options)


async def test_a_query_that_is_no_picture_is_told_so(house: House) -> None:
    with pytest.raises(NotAPicture):
        await house.galleries.queries.answer("shop", [picture("p1", 0, 1), b"text"], QueryOptions())


# Enrolling


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
    with pytest.raises(MemoryError):
        await enrol(house, picture("p1", 4, 1))
    house.fall()
    again = House(house.folder)
    await again.enter()
    assert len(await found(again, picture("p1", 0, 2))) == 1
    await again.leave()


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


# Models


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


# Erasing


async def test_a_deleted_picture_is_not_found_again(house: House) -> None:
    first, second = await enrol(house, picture("p1", 4, 1), picture("p1", 4, 2))
    await house.galleries.erasure.picture("shop", str(first.id))
    assert await found(house, picture("p1", 4, 1)) == [second.id]
    with pytest.raises(UnknownImage):
        await house.galleries.erasure.picture("shop", str(first.id))
    await house.leave()
    await house.enter()
    assert await found(house, picture("p1", 4, 1)) == [second.id]


async def test_a_picture_deleted_between_index_and_catalog_leaves_its_place_to_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = await enrol(house, *(picture("p1", 0, number) for number in range(5)))
    ranked = await found(house, picture("p1", 0, 9))
    # the catalog has forgotten the two best; the index is about to follow
    house.catalog.pictures.delete("shop", ranked[0])
    house.catalog.pictures.delete("shop", ranked[1])
    assert await found(house, picture("p1", 0, 9), top_k=2) == ranked[2:4]
    assert len(outcomes) == 5


async def test_a_delete_between_commit_and_index_leaves_no_ghost(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, committed, deleted = house.index.add, threading.Event(), threading.Event()

    def add_late(gallery: int, entries: Entries) -> None:
        committed.set()
        deleted.wait(0.3)  # long enough for a delete that nothing holds back
        add(gallery, entries)

    monkeypatch.setattr(house.index, "add", add_late)
    enrolling = asyncio.create_task(enrol(house, picture("p1", 0, 1)))
    await asyncio.to_thread(committed.wait, 30)
    (image,) = house.catalog.pictures.shown(1, range(1, 10)).values()
    await house.galleries.erasure.picture("shop", image.id)
    deleted.set()
    await enrolling
    assert house.index.parts(1) == {}


async def test_a_gallery_deleted_while_a_query_runs_is_unknown(house: House) -> None:
    await enrol(house, *CROWD)
    house.embedder.before_answer = asyncio.Event()
    house.embedder.reached.clear()
    query = asyncio.create_task(house.galleries.queries.answer("shop", [CROWD[0]], QueryOptions()))
    await house.embedder.reached.wait()
    await house.galleries.erasure.gallery("shop")
    house.embedder.before_answer.set()
    with pytest.raises(UnknownGallery):
        await query


async def test_a_gallery_deleted_while_pictures_are_enrolled_gets_none_of_them(house: House) -> None:
    house.embedder.before_answer = asyncio.Event()
    house.embedder.reached.clear()
    enrolling = asyncio.create_task(enrol(house, picture("p1", 0, 1)))
    await house.embedder.reached.wait()
    await house.galleries.erasure.gallery("shop")
    await house.galleries.create("shop")
    house.embedder.before_answer.set()
    with pytest.raises(UnknownGallery):
        await enrolling
    assert (await house.galleries.get("shop")).images == 0


async def test_deletes_enrolments_and_queries_at_once_never_fail_or_show_the_deleted(house: House) -> None:
    stop = asyncio.Event()
    deleted: set[str] = set()

    async def query() -> None:
        while not stop.is_set():
            gone_before = set(deleted)
            shown = await found(house, CROWD[2])
            assert not gone_before & set(shown)
            assert len(shown) == len(set(shown))

    async def churn(start: int) -> None:
        for content in CROWD[start::3]:
            (outcome,) = await enrol(house, content)
            assert outcome.id in await found(house, content)
            await house.galleries.erasure.picture("shop", str(outcome.id))
            deleted.add(str(outcome.id))

    asking = [asyncio.create_task(query()) for _ in range(3)]
    await asyncio.gather(*(churn(start) for start in range(3)))
    stop.set()
    await asyncio.gather(*asking)
    assert house.index.parts(1) == {}
    record = await house.galleries.get("shop")
    assert (record.images, record.people) == (0, 0)


# Kept pictures


async def test_a_gallery_that_stops_keeping_pictures_leaves_none_behind(house: House) -> None:
    await house.galleries.create("archive", keep_pictures=True)
    await enrol(house, picture("p1", 0, 0), gallery="archive")
    changed = await house.galleries.change("archive", {"keep_pictures": False})
    assert (changed.keep_pictures, changed.images) == (False, 1)
    await enrol(house, picture("p2", 0, 0), gallery="archive")
    assert len(house.files()) == 1
    await house.galleries.erasure.gallery("archive")
    assert house.files() == []


async def test_pictures_are_kept_only_where_the_gallery_says_so(house: House) -> None:
    await house.galleries.create("archive", keep_pictures=True)
    await enrol(house, picture("p1", 0, 1))
    assert house.files() == []
    (kept,) = await enrol(house, picture("p1", 0, 1), gallery="archive")
    (file,) = house.files()
    assert file.read_bytes() == picture("p1", 0, 1)
    assert file.stem == kept.id
    await house.galleries.erasure.picture("archive", str(kept.id))
    assert house.files() == []
    await enrol(house, *CROWD, gallery="archive")
    await house.galleries.erasure.gallery("archive")
    assert house.files() == []


async def test_a_picture_that_was_not_enrolled_leaves_no_file(house: House) -> None:
    await house.galleries.create("archive", keep_pictures=True)
    content = picture("p1", 0, 1)
    await house.galleries.enrolment.enrol("archive", [item(content, "x")])
    await house.galleries.enrolment.enrol("archive", [item(content, "x"), item(picture("p1", 0, 2), "x")])
    assert [file.read_bytes() for file in house.files()] == [content]


async def test_a_start_removes_the_files_of_what_was_never_committed(house: House) -> None:
    await house.galleries.create("archive", keep_pictures=True)
    (kept,) = await enrol(house, picture("p1", 0, 1), gallery="archive")
    house.pictures.write(house.catalog.galleries.key("archive").number, "0" * 26, b"orphan")
    await house.leave()
    await house.enter()
    assert [file.stem for file in house.files()] == [kept.id]


async def test_a_full_disk_enrols_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.galleries.create("archive", keep_pictures=True)
    write = house.pictures.write
    calls = threading.Semaphore(1)

    def fail_on_second(gallery: int, image: str, content: bytes) -> None:
        if not calls.acquire(blocking=False):
            raise OSError(28, "No space left on device")
        write(gallery, image, content)

    monkeypatch.setattr(house.pictures, "write", fail_on_second)
    with pytest.raises(OSError, match="No space"):
        await enrol(house, picture("p1", 0, 1), picture("p1", 0, 2), gallery="archive")
    assert house.files() == []
    assert (await house.galleries.get("archive")).images == 0


# Galleries


async def test_a_second_service_on_the_same_catalog_does_not_start(house: House) -> None:
    catalog = Catalog(f"sqlite:///{house.folder / 'catalog.sqlite3'}")
    second = Galleries(catalog, LocalIndex(DIMENSION), house.embedder, house.pictures)
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
