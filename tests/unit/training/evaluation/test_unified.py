from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import fusion, occlusion
from tests.drawn_datasets import draw, draw_partial_ilids
from tests.handmade_bundle import write_handmade_bundle
from training.data.records import Picture, Protocol
from training.evaluation import protocols
from training.evaluation.distances import Distance
from training.evaluation.features import BundleEmbedder, embed, read_pixels
from training.evaluation.ranking import summarise
from training.evaluation.unified import Choice, Side, compare, evaluate, hidden_codes, read_sides


@pytest.fixture
def embedder(tmp_path: Path) -> BundleEmbedder:
    return BundleEmbedder.open(write_handmade_bundle(tmp_path / "handmade.onnx"))


@pytest.fixture
def mixed(tmp_path: Path) -> Protocol:
    """Whole and half-black pictures on both sides."""
    sides: dict[str, list[Picture]] = {"query": [], "gallery": []}
    for side, shift in (("query", 0), ("gallery", 1)):
        for person in range(9):
            black = (None, "bottom", "left")[(person + shift * (person // 3)) % 3]
            path = draw(tmp_path / side / f"{person}.png", person, person + 50 * shift, black=black)
            sides[side].append(Picture(path, person, shift))
    return Protocol("mixed", (), tuple(sides["query"]), tuple(sides["gallery"]), False, "")


def side_pair(embedder: BundleEmbedder, protocol: Protocol) -> tuple[Side, Side]:
    query, gallery = read_sides(protocol, embedder.height, embedder.width)
    return Side(embedder, query), Side(embedder, gallery)


@pytest.mark.parametrize(
    "choice", [Choice("off"), Choice("auto"), Choice("auto", own=True)], ids=lambda c: c.label
)
def test_scores_are_the_definitions_pair_by_pair(
    embedder: BundleEmbedder, mixed: Protocol, choice: Choice
) -> None:
    query, gallery = side_pair(embedder, mixed)
    assert {0, 4, 6} == set(query.codes.tolist()) == set(gallery.codes.tolist())
    evaluate(query, gallery, mixed, choice)
    scores = np.concatenate(list(compare(query, gallery, choice)))
    for q, asked in enumerate(query.codes):
        for i, part in enumerate(gallery.codes):
            hide_query, hide_gallery = hidden_codes(asked, part, choice)
            left = embedder(query.pixels[q : q + 1], np.array([0]), np.array([int(hide_query)])).embeddings
            right = embedder(
                gallery.pixels[i : i + 1], np.array([0]), np.array([int(hide_gallery)])
            ).embeddings
            assert scores[q, i] == pytest.approx(float(left[0] @ right[0]), abs=1e-5)


@pytest.mark.parametrize("grader", [True, False])
def test_fused_scores_come_from_every_code_with_the_gallery_as_cohort(
    tmp_path: Path, mixed: Protocol, grader: bool
) -> None:
    path = write_handmade_bundle(tmp_path / "model.onnx", grader=grader)
    embedder = BundleEmbedder.open(path)
    query, gallery = side_pair(embedder, mixed)
    evaluate(query, gallery, mixed, Choice("fuse"))
    scores = np.concatenate(list(compare(query, gallery, Choice("fuse"))))
    every = np.arange(occlusion.COUNT)
    asked, answers = (
        np.stack([embedder(side.pixels[n : n + 1], 0 * every, every).embeddings for n in range(9)])
        for side in (query, gallery)
    )
    mean = answers.sum(axis=0) / (9 + fusion.PRIOR)
    grades = embedder(query.pixels, np.arange(9), 0 * np.arange(9)).grades
    assert (grades is not None) == grader
    weights = fusion.code_weights(grades, 9)
    assert scores == pytest.approx(fusion.fused_scores(asked, answers, mean, weights), abs=1e-5)


def test_the_fused_score_takes_cosines_only(embedder: BundleEmbedder, mixed: Protocol) -> None:
    query, gallery = side_pair(embedder, mixed)
    with pytest.raises(ValueError, match="euclidean"):
        next(compare(query, gallery, Choice("fuse"), Distance("euclidean")))


def test_each_is_hidden_where_the_other_is() -> None:
    codes = np.arange(occlusion.COUNT)
    query, gallery = hidden_codes(codes[:, None], codes[None, :], Choice("auto"))
    assert (query == codes[None, :]).all()
    assert (gallery == codes[:, None]).all()
    query, gallery = hidden_codes(codes[:, None], codes[None, :], Choice("off"))
    assert not query.any()
    assert not gallery.any()


def test_own_rectangles_are_hidden_where_the_other_asks_for_none_and_both_sides_agree() -> None:
    assert [int(code) for code in hidden_codes(4, 0, Choice("auto", own=True))] == [4, 4]
    assert [int(code) for code in hidden_codes(0, 6, Choice("auto", own=True))] == [6, 6]
    assert [int(code) for code in hidden_codes(4, 6, Choice("auto", own=True))] == [6, 4]
    assert [int(code) for code in hidden_codes(0, 0, Choice("auto", own=True))] == [0, 0]


def test_swapping_query_and_gallery_transposes_the_scores(embedder: BundleEmbedder, mixed: Protocol) -> None:
    query, gallery = side_pair(embedder, mixed)
    choice = Choice("auto")
    evaluate(query, gallery, mixed, choice)
    forwards = np.concatenate(list(compare(query, gallery, choice)))
    evaluate(gallery, query, replace(mixed, query=mixed.gallery, gallery=mixed.query), choice)
    backwards = np.concatenate(list(compare(gallery, query, choice)))
    assert forwards == pytest.approx(backwards.T, abs=1e-6)


def test_a_holistic_gallery_needs_one_feature_of_each_query(tmp_path: Path, embedder: BundleEmbedder) -> None:
    protocol = protocols.load("partial-ilids", draw_partial_ilids(tmp_path))
    query, gallery = side_pair(embedder, protocol)
    counted: list[int] = []
    evaluate(query, gallery, protocol, Choice("auto"), counted.append)
    assert set(query.codes.tolist()) == {0, 4}
    assert set(gallery.codes.tolist()) == {0}
    assert sum(counted) == len(protocol.gallery)  # F(i, bottom_half); F(q, 0) was there


def test_unification_finds_covered_people_that_plain_comparison_loses(
    tmp_path: Path, embedder: BundleEmbedder
) -> None:
    protocol = protocols.load("partial-ilids", draw_partial_ilids(tmp_path, people=30))
    query, gallery = side_pair(embedder, protocol)
    off = summarise(evaluate(query, gallery, protocol, Choice("off")))
    auto = summarise(evaluate(query, gallery, protocol, Choice("auto", own=True)))
    assert auto.map > off.map


def test_features_that_were_never_required_are_not_made_up(embedder: BundleEmbedder, mixed: Protocol) -> None:
    query, _ = side_pair(embedder, mixed)
    with pytest.raises(KeyError):
        query.features(np.array([0]), 5)


def test_a_model_without_grader_grades_everything_as_whole(tmp_path: Path, mixed: Protocol) -> None:
    path = write_handmade_bundle(tmp_path / "plain.onnx", grader=False)
    query, _ = side_pair(BundleEmbedder.open(path), mixed)
    assert not query.codes.any()


def test_batches_do_not_change_an_embedding(embedder: BundleEmbedder, mixed: Protocol) -> None:
    pixels = read_pixels(mixed.query, embedder.height, embedder.width)
    source, codes = np.tile(np.arange(9), 30), np.repeat(np.arange(9), 30)
    together = embed(embedder, pixels, source, codes)
    alone = embed(embedder, pixels, source[200:201], codes[200:201])
    assert together.embeddings[200] == pytest.approx(alone.embeddings[0], abs=1e-6)
    assert together.grades is not None


def test_wrong_codes_are_refused(embedder: BundleEmbedder, mixed: Protocol) -> None:
    pixels = read_pixels(mixed.query, embedder.height, embedder.width)
    with pytest.raises(ValueError, match="0 to 8"):
        embed(embedder, pixels, np.array([0]), np.array([9]))
    with pytest.raises(ValueError, match=r"\[N\]"):
        embed(embedder, pixels, np.array([0, 1]), np.array([0]))


@pytest.mark.parametrize("kept", [0, 20, 600])
def test_a_picture_that_cannot_be_decoded_is_named_in_the_error(tmp_path: Path, kept: int) -> None:
    whole = draw(tmp_path / "whole.jpg", 1, 1).read_bytes()
    (tmp_path / "bad.jpg").write_bytes(whole[:kept])
    with pytest.raises(OSError, match=r"bad\.jpg cannot be read"):
        read_pixels([Picture(tmp_path / "bad.jpg", 1, 1)], 128, 64)
