from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from models.networks.baseline import Baseline
from models.networks.normalisation import normalise
from tests.drawn_datasets import draw_market1501, draw_partial_ilids
from tests.handmade_bundle import write_handmade_bundle
from training.evaluation import protocols
from training.evaluation.features import BundleEmbedder
from training.evaluation.report.classifier import TrainedPeople
from training.evaluation.report.inside import Inside, last_feature_map
from training.evaluation.report.sensitivity import GRID, Prototypes, sensitivity, slide, softmax
from training.export.graph import BundleGraph, to_onnx
from training.recipe import Recipe
from training.systems import build_stages
from training.systems.checkpoint import Checkpoint, save_checkpoint

HEIGHT, WIDTH = 64, 32


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = Recipe.model_validate(
        {
            "name": "tiny",
            "system": "baseline",
            "model": {"backbone": "osnet_x0_25", "height": HEIGHT, "width": WIDTH, "dimension": 32},
            "data": [
                {"kind": "synthetic", "people": 3},
                {"kind": "protocol", "protocol": "market1501-val"},
            ],
        }
    )
    torch.manual_seed(0)
    network = build_stages(recipe)[0].network(3 + 8)
    path = tmp_path_factory.mktemp("tiny") / "checkpoint.pt"
    save_checkpoint(path, Checkpoint(recipe, 3 + 8, "baseline", 1, network.state_dict(), {}, {}))
    return path


def test_the_last_feature_map_is_what_the_head_pools(tmp_path: Path, checkpoint: Path) -> None:
    inside = Inside.open(checkpoint)
    assert (inside.has_attention, inside.has_feature_map) == (False, True)
    pixels = np.random.default_rng(0).integers(0, 256, (5, HEIGHT, WIDTH, 3), dtype=np.uint8)
    magnitude, deviation = inside.activation(pixels)
    from training.systems.checkpoint import load_network

    network, _ = load_network(checkpoint)
    assert isinstance(network, Baseline)
    with torch.inference_mode():
        maps = network.backbone(normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2))).numpy()
    assert magnitude == pytest.approx(np.abs(maps).mean(axis=(0, 1)), rel=1e-3, abs=1e-6)
    assert deviation == pytest.approx(np.sqrt(maps.var(axis=0).mean(axis=0)), rel=1e-2, abs=1e-5)


def test_gates_that_pool_on_the_way_are_not_taken_for_the_head() -> None:
    torch.manual_seed(0)
    network = Baseline("osnet_x0_25", 4, HEIGHT, WIDTH)
    graph = onnx.load_model_from_string(to_onnx(BundleGraph(network))).graph
    name = last_feature_map(graph)
    pooled = [node for node in graph.node if node.op_type == "ReduceMean" and name in node.input]
    assert len(pooled) == 1
    assert not any("gate" in node.name for node in pooled)


def test_attention_is_that_of_the_bundle(tmp_path: Path) -> None:
    inside = Inside.open(write_handmade_bundle(tmp_path / "seeing.onnx", attention=True))
    bright = np.full((1, 128, 64, 3), 255, dtype=np.uint8)
    bright[:, 64:] = 0
    (mask,) = inside.attention(bright)
    assert mask.shape == (8, 4)
    assert (mask[:4] > 0.8).all()
    assert (mask[4:] < 0.2).all()
    assert not inside.has_feature_map


def test_the_mask_is_a_square_of_a_quarter_of_the_height_around_each_position() -> None:
    picture = np.zeros((256, 128, 3), dtype=np.uint8)
    masked = slide(picture).reshape(*GRID, 256, 128, 3)[..., 0] > 0
    for row, column in ((7, 3), (8, 4)):
        rows, columns = np.nonzero(masked[row, column])
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (64, 64)
        assert rows.mean() + 0.5 == pytest.approx((row + 0.5) * 16)
        assert columns.mean() + 0.5 == pytest.approx((column + 0.5) * 16)
    corner = np.nonzero(masked[0, 0])
    assert (corner[0].max() + 1, corner[1].max() + 1) == (40, 40)


def test_sensitivity_is_low_where_the_mask_hides_what_counts() -> None:
    picture = np.zeros((128, 64, 3), dtype=np.uint8)
    picture[32:48, 16:32] = 255

    def probability(pixels: np.ndarray) -> np.ndarray:
        return np.asarray((pixels[:, 32:48, 16:32] == 255).mean(axis=(1, 2, 3)))

    values = sensitivity(picture, probability)
    assert values.shape == GRID
    assert np.unravel_index(values.argmin(), GRID)[0] in (4, 5)
    assert values.min() == 0
    assert values[12:].min() == 1


def test_prototypes_know_the_person_and_miss_what_is_masked(tmp_path: Path) -> None:
    protocol = protocols.load("partial-ilids", draw_partial_ilids(tmp_path))
    embedder = BundleEmbedder.open(write_handmade_bundle(tmp_path / "plain.onnx"))
    whole = protocol.query[1]  # person 2's probe is not blackened
    probability = Prototypes(embedder, protocol).probability(whole)
    from training.evaluation.features import read_pixels

    pixels = read_pixels([whole], 128, 64)
    (seen,) = probability(pixels)
    hidden = pixels.copy()
    hidden[:, :, 16:48] = 128
    assert seen > 0.9
    assert probability(hidden)[0] < seen


def test_a_person_without_another_picture_has_no_prototype(tmp_path: Path) -> None:
    protocol = protocols.load("partial-ilids", draw_partial_ilids(tmp_path))
    embedder = BundleEmbedder.open(write_handmade_bundle(tmp_path / "plain.onnx"))
    stranger = protocol.query[0].__class__(protocol.query[0].path, 77, 2)
    with pytest.raises(ValueError, match="no other picture of person 77"):
        Prototypes(embedder, protocol).probability(stranger)


def test_a_checkpoints_classifier_counts_people_through_its_data_sets(
    tmp_path: Path, checkpoint: Path
) -> None:
    root = draw_market1501(tmp_path, people=10)
    trained = TrainedPeople(checkpoint, root)
    assert (trained.protocol, len(trained.pictures)) == ("market1501-val", 8 * 4)
    from training.systems.checkpoint import load_network

    network, _ = load_network(checkpoint)
    pixels = np.random.default_rng(0).integers(0, 256, (2, HEIGHT, WIDTH, 3), dtype=np.uint8)
    with torch.inference_mode():
        logits = network(normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2))).logits.numpy()
    wanted = softmax(logits)
    second = next(p for p in trained.pictures if p.person != trained.pictures[0].person)
    # Three drawn people come first; the second of the real ones has class 4.
    assert trained.probability(second)(pixels) == pytest.approx(wanted[:, 4])
