from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from models import fusion, occlusion
from tests.drawn_datasets import draw_partial_ilids
from tests.handmade_bundle import write_handmade_bundle
from training.cli import app
from training.evaluation.features import BundleEmbedder
from training.evaluation.hiding import hidden_otherwise, soft_masks
from training.evaluation.unification_choices import Fusion, NinefoldSide, code_scores, fusion_scores
from training.evaluation.unification_command import compare_choices


def side(seed: int, count: int, grader: bool = True) -> NinefoldSide:
    """Pictures of as many people, under all codes; what belongs to a person does not depend on the side."""
    noise = np.random.default_rng(seed).standard_normal((count, occlusion.COUNT, 8))
    own = np.random.default_rng(99).standard_normal((count, occlusion.COUNT, 8))
    drawn = (own + 0.8 * noise).astype(np.float32)
    grades = np.random.default_rng(seed).dirichlet(np.ones(4), count).astype(np.float32)
    people = np.arange(count)
    features = drawn / np.linalg.norm(drawn, axis=2, keepdims=True)
    return NinefoldSide(features, grades if grader else None, people, np.full(count, seed))


def test_the_served_choice_is_the_fused_score() -> None:
    query, gallery = side(1, 5), side(2, 7)
    choice = Fusion("centred", fusion.TEMPERATURE, fusion.SHARPNESS)
    assert choice.is_served
    mean = fusion.Cohort.of(gallery.features).mean()
    expected = fusion.fused_scores(
        query.features, gallery.features, mean, fusion.code_weights(query.grades, 5)
    )
    assert fusion_scores(query, gallery, gallery.features, choice) == pytest.approx(expected, abs=1e-6)


def test_the_symmetric_norm_is_the_mean_of_both_z_norms() -> None:
    query, gallery, cohort = side(1, 3), side(2, 4), side(3, 6).features
    found = fusion_scores(query, gallery, cohort, Fusion("symmetric", np.inf))
    total = np.zeros((3, 4))
    for code in range(occlusion.COUNT):
        for q, asked in enumerate(query.features[:, code]):
            for i, answer in enumerate(gallery.features[:, code]):
                score, strangers = asked @ answer, cohort[:, code]
                left, right = strangers @ asked, strangers @ answer
                z = (score - left.mean()) / left.std() + (score - right.mean()) / right.std()
                total[q, i] += z / 2 / occlusion.COUNT
    assert found == pytest.approx(total, abs=1e-4)


def test_raw_maximum_and_mean_are_what_they_are_called() -> None:
    query, gallery = side(1, 3, grader=False), side(2, 4)
    plain = code_scores(query.features, gallery.features)
    for temperature, expected in ((0.0, plain.max(axis=0)), (np.inf, plain.mean(axis=0))):
        found = fusion_scores(query, gallery, gallery.features, Fusion("none", temperature))
        assert found == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match="no grader"):
        fusion_scores(query, gallery, gallery.features, Fusion("none", 1.0, 2.0))


def test_no_choice_of_one_code_a_query_beats_the_bound() -> None:
    lines = compare_choices(
        "drawn",
        side(1, 30),
        side(2, 30),
        None,
        camera_rule=False,
        thresholds=(0.5, 0.75),
        drawn=np.arange(30) % 9,
    )
    by_name = {line.choice: line for line in lines}
    assert lines[-1].share == pytest.approx(1)
    assert by_name["off"].share == 0
    for name in ("off", "drawn type hidden on both sides"):
        assert by_name[name].map <= lines[-1].map
    assert not any("train" in name for name in by_name)


def test_command_compares_on_a_bundle_and_reads_its_cache(tmp_path: Path) -> None:
    root = draw_partial_ilids(tmp_path)
    for grader in (True, False):
        model = write_handmade_bundle(tmp_path / f"{grader}.onnx", grader=grader)
        arguments = ["unification", str(model), "--dataset", "partial-ilids", "--root", str(root), "--json"]
        answers = [CliRunner().invoke(app, [*arguments, "--cache", str(tmp_path / "kept")]) for _ in range(2)]
        assert answers[0].exit_code == 0, answers[0].output
        assert answers[0].stdout == answers[1].stdout
        choices = [line["choice"] for line in json.loads(answers[0].stdout)]
        assert ("auto" in choices) == grader
        assert any("grader" in choice for choice in choices) == grader


def test_soft_edges_keep_the_middle_of_what_is_hidden_and_shown() -> None:
    masks = soft_masks(64, 32)
    assert masks.shape == (occlusion.COUNT, 64, 32)
    bottom_half = masks[occlusion.code_of("bottom_half")]
    assert bottom_half[:27].min() == 1
    assert bottom_half[37:].max() == 0
    assert 0.3 < bottom_half[31:33].mean() < 0.7
    # as much is hidden as with the hard edge
    assert masks.mean(axis=(1, 2)) == pytest.approx(occlusion.visibility_masks(64, 32).mean(axis=(1, 2)))


def test_a_bundle_hides_softly_or_not_at_all_where_it_has_no_mask(tmp_path: Path) -> None:
    path = write_handmade_bundle(tmp_path / "handmade.onnx")
    picture = np.random.default_rng(0).integers(0, 256, (1, 128, 64, 3), dtype=np.uint8)
    asked = picture, np.zeros(2, np.int64), np.array([0, 4])
    hard, soft = (model(*asked).embeddings for model in _both(path))
    assert soft[0] == pytest.approx(hard[0], abs=1e-6)
    assert 0.9 < soft[1] @ hard[1] < 0.9999
    with pytest.raises(ValueError, match="no spatial mask"):
        hidden_otherwise(path, "mask")


def _both(path: Path) -> tuple[BundleEmbedder, BundleEmbedder]:
    return hidden_otherwise(path, "picture"), hidden_otherwise(path, "picture, soft")
