from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models import fusion, occlusion
from service.gallery import QueryOptions
from service.gallery.looking import Looking
from service.index.protocol import Hits, PartSearch
from service.matching.decision import Rule
from service.problems import (
    BadRequest,
    NotAPicture,
)
from service.storage.filters import Filters
from tests.calibrations import handmade_calibration
from tests.gallery_house import CROWD, MODEL, House, enrol, found, picture, vector


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
        ([picture("p1", 0, 1)], QueryOptions(evidence=0)),
        ([picture("p1", 0, 1)], QueryOptions(by="image", evidence=2)),
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


@pytest.mark.parametrize("unify", ["auto", "fuse"])
@pytest.mark.parametrize("rerank", [False, True])
async def test_people_who_are_one_in_the_catalog_are_named_once_before_the_index_knows(
    house: House, monkeypatch: pytest.MonkeyPatch, unify: str, rerank: bool
) -> None:
    await enrol(house, *CROWD)
    monkeypatch.setattr(house.index, "assign", lambda *_: None)
    for person in ("p1", "p4"):
        await house.galleries.people.rename("shop", person, "p3", merge=True)
    for query in (picture("p1", 0, 50), picture("p3", 4, 50), picture("p4", 0, 50)):
        options = QueryOptions(4, unify=unify, rerank=rerank, evidence=5)
        answer = await house.galleries.queries.answer("shop", [query], options)
        assert [match.rank for match in answer.results] == [1, 2, 3, 4]
        assert {match.person for match in answer.results} == {"p0", "p2", "p3", "p5"}
        assert answer.results[0].person == "p3"
        assert {one.person for one in answer.results[0].evidence} == {"p3"}
        few = await house.galleries.queries.answer("shop", [query], replace(options, top_k=2))
        assert [match.image for match in few.results] == [match.image for match in answer.results[:2]]


@pytest.mark.parametrize("unify", ["auto", "off", "fuse"])
@pytest.mark.parametrize("left", [0, 1])
async def test_candidates_erased_between_search_and_order_are_passed_over(
    house: House, monkeypatch: pytest.MonkeyPatch, unify: str, left: int
) -> None:
    outcomes = await enrol(house, *CROWD)
    monkeypatch.setattr(house.index, "remove", lambda *_: None)  # as the search saw it
    for one in outcomes[left:]:
        await house.galleries.erasure.picture("shop", str(one.id))
    options = QueryOptions(30, unify=unify, rerank=True)
    answer = await house.galleries.queries.answer("shop", [picture("p3", 0, 50)], options)
    assert [match.image for match in answer.results] == [one.id for one in outcomes[:left]]


async def test_one_who_got_another_name_since_is_no_evidence(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index says of all pictures that they show one person; of one the catalog says otherwise."""
    outcomes = await enrol(house, *(picture("p1", 0, number) for number in range(4)), picture("p2", 0, 1))
    house.index.assign(1, range(1, 6), 1)
    options = QueryOptions(1, evidence=5)
    answer = await house.galleries.queries.answer("shop", [picture("p1", 0, 9)], options)
    (match,) = answer.results
    assert {match.image, *(one.image for one in match.evidence)} == {one.id for one in outcomes[:4]}


@pytest.mark.parametrize("unify", ["auto", "off", "fuse", "bottom_half"])
@pytest.mark.parametrize("rerank", [False, True])
async def test_evidence_is_a_persons_next_best_pictures(house: House, unify: str, rerank: bool) -> None:
    await enrol(house, *CROWD)
    query = [picture("p3", 4, 50)]
    by_image = QueryOptions(30, "image", unify, rerank=rerank)
    pictures = (await house.galleries.queries.answer("shop", query, by_image)).results
    plain = await house.galleries.queries.answer("shop", query, replace(by_image, by="person"))
    assert all(match.evidence == () for match in plain.results)
    shown = await house.galleries.queries.answer("shop", query, replace(by_image, by="person", evidence=3))
    assert [match.image for match in shown.results] == [match.image for match in plain.results]
    for match in shown.results:
        theirs = [one for one in pictures if one.person == match.person]
        assert {one.rank for one in match.evidence} == {match.rank}
        assert [
            (one.image, pytest.approx(one.score), one.compared, one.distance)
            for one in (match, *match.evidence)
        ] == [(one.image, one.score, one.compared, one.distance) for one in theirs[:3]]


async def test_the_more_evidence_is_asked_for_the_more_is_looked_at(house: House) -> None:
    await enrol(house, *(picture("p1", 0, number) for number in range(9)))
    answer = await house.galleries.queries.answer(
        "shop", [picture("p1", 0, 99)], QueryOptions(top_k=1, evidence=5)
    )
    assert len(answer.results[0].evidence) == 4


@pytest.mark.parametrize("unify", ["auto", "fuse"])
@pytest.mark.parametrize("filters", [Filters(), Filters(people=["p0", "p1"])])
async def test_who_asks_for_more_people_than_there_are_does_not_have_everything_scored(
    house: House, monkeypatch: pytest.MonkeyPatch, unify: str, filters: Filters
) -> None:
    people = ["p0", "p1"] if filters else ["p0", "p1", "p2"]
    await enrol(house, *(picture(f"p{number % 3}", 0, number) for number in range(120)))
    asked: list[int] = []
    for name in ("unified", "fused"):
        made = getattr(Looking, name)

        def counted(self: Looking, *arguments: Any, made: Any = made) -> Any:
            look = made(self, *arguments)
            return lambda among, k: asked.append(k) or look(among, k)

        monkeypatch.setattr(Looking, name, counted)
    options = QueryOptions(top_k=7, unify=unify, filters=filters)
    answer = await house.galleries.queries.answer("shop", [picture("p1", 0, 999)], options)
    assert sorted(match.person for match in answer.results) == people
    # the first 28 are mostly theirs whom the picture shows
    whole = QueryOptions(top_k=80, unify=unify, filters=filters)
    assert [match.image for match in answer.results] == [
        match.image
        for match in (await house.galleries.queries.answer("shop", [picture("p1", 0, 999)], whole)).results
    ]
    assert asked[-1] == 80 * 4
    assert max(asked[:-1]) <= 28 * 4


async def test_a_call_whose_rates_contradict_its_gallerys_is_refused(house: House) -> None:
    await house.leave()
    house.calibration = handmade_calibration()
    await house.enter()
    await enrol(house, picture("p1", 0, 1))
    await house.galleries.change("shop", {"match_rate": 0.4})
    query = picture("p1", 0, 2)
    with pytest.raises(BadRequest, match=r"0\.4, the gallery's.*0\.1, the call's"):
        await house.galleries.queries.answer("shop", [query], QueryOptions(rule=Rule(uncertain_rate=0.1)))
    with pytest.raises(BadRequest, match="the gallery's"):
        await house.galleries.verifier.person("shop", "p1", query, "auto", rule=Rule(uncertain_rate=0.1))
    rule = Rule(uncertain_rate=0.4)
    assert (await house.galleries.queries.answer("shop", [query], QueryOptions(rule=rule))).results
