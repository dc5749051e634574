from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import nn
from typer.testing import CliRunner

from models.bundle import BundleError, BundleMetadata, GateReport, Training, read_bundle
from models.networks.baseline import Baseline
from models.networks.normalisation import hide, normalise
from models.networks.oamn import OAMN
from tests.drawn_datasets import draw, draw_partial_ilids
from training.cli import app
from training.evaluation import protocols
from training.evaluation.features import BundleEmbedder, read_pixels
from training.export import command as export_command
from training.export import gate
from training.export.bundle_file import write_bundle
from training.export.graph import BundleGraph, to_onnx
from training.recipe import Recipe
from training.systems import build_stages
from training.systems.checkpoint import Checkpoint, save_checkpoint

HEIGHT, WIDTH = 64, 32
PEOPLE = 5


def settled(network: nn.Module) -> nn.Module:
    """Let batch normalisation see pictures: an untouched deep network's features vanish, and gate nothing."""
    generator = torch.Generator().manual_seed(0)
    network.train()
    with torch.no_grad():
        for _ in range(20):
            network(torch.randn(8, 3, HEIGHT, WIDTH, generator=generator))
    return network.eval()


@pytest.fixture(scope="module", params=["oamn", "baseline"])
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(3)
    kind = OAMN if request.param == "oamn" else Baseline
    return settled(kind("osnet_x0_25", PEOPLE, HEIGHT, WIDTH, 64))


@pytest.fixture(scope="module")
def pixels(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    root = draw_partial_ilids(tmp_path_factory.mktemp("drawn"), people=12)
    return read_pixels(protocols.load("partial-ilids", root).query, HEIGHT, WIDTH)


def session_of(content: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def tampered(content: bytes) -> bytes:
    """The graph with the largest convolution's weights changed by a hundredth."""
    model = onnx.load_model_from_string(content)
    weight = max(
        (w for w in model.graph.initializer if len(w.dims) == 4 and w.data_type == 1),
        key=lambda w: w.ByteSize(),
    )
    weight.CopyFrom(
        numpy_helper.from_array(
            numpy_helper.to_array(weight) * np.float32(1.01) + np.float32(0.001), weight.name
        )
    )
    return model.SerializeToString()


def test_graph_embeds_each_asked_picture_under_its_own_code(network: nn.Module, pixels: np.ndarray) -> None:
    content = to_onnx(BundleGraph(network))
    images, source, codes = pixels[:3], np.array([2, 0, 0, 1]), np.array([0, 3, 8, 0])
    given = session_of(content).run(["embeddings"], {"images": images, "source": source, "occlusion": codes})[
        0
    ]
    for row, (picture, code) in enumerate(zip(source, codes, strict=True)):
        one = normalise(torch.from_numpy(images[picture : picture + 1]).permute(0, 3, 1, 2))
        with torch.inference_mode():
            wanted = network.embed(hide(one, torch.tensor([code]))).embeddings.numpy()  # type: ignore[operator]
        assert given[row] == pytest.approx(wanted[0], abs=1e-4)


def test_graph_takes_any_number_of_pictures_and_rows(network: nn.Module, pixels: np.ndarray) -> None:
    session = session_of(to_onnx(BundleGraph(network)))
    for batch, rows in ((1, 1), (1, 9), (5, 1), (12, 12)):
        feed = {
            "images": pixels[:batch],
            "source": np.arange(rows) % batch,
            "occlusion": np.arange(rows) % 9,
        }
        assert all(len(output) == rows for output in session.run(None, feed))


def test_gate_compares_every_batch_size_with_all_codes(network: nn.Module, pixels: np.ndarray) -> None:
    graph = BundleGraph(network)
    largest, smallest = gate.compare_batches(graph, session_of(to_onnx(graph)), pixels)
    assert largest <= 1e-4
    assert smallest >= 0.9999


def test_gate_refuses_a_graph_with_a_changed_weight(network: nn.Module, pixels: np.ndarray) -> None:
    graph = BundleGraph(network)
    with pytest.raises(gate.GateError, match="differ from PyTorch"):
        gate.compare_batches(graph, session_of(tampered(to_onnx(graph))), pixels)


def test_gate_refuses_a_graph_that_ignores_the_codes(
    network: nn.Module, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = BundleGraph(network)
    monkeypatch.setattr(
        "training.export.graph.hide", lambda pictures, codes: pictures + 0.0 * codes.view(-1, 1, 1, 1)
    )
    content = to_onnx(graph)
    monkeypatch.undo()
    with pytest.raises(gate.GateError, match="differ from PyTorch"):
        gate.compare_batches(graph, session_of(content), pixels)


def test_gate_refuses_other_rank_lists_even_where_every_batch_agrees(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = BundleGraph(network)
    monkeypatch.setattr(gate, "compare_batches", lambda *_: (0.0, 1.0))
    protocol = protocols.load("partial-ilids", draw_partial_ilids(tmp_path, people=15))
    with pytest.raises(gate.GateError, match=r"top-10|mAP"):
        gate.check(
            graph,
            to_onnx(BundleGraph(settled(Baseline("osnet_x0_25", PEOPLE, HEIGHT, WIDTH, 64))))
            if not graph.has_grader
            else tampered(to_onnx(graph)),
            protocol,
        )


def test_gate_reports_what_it_found(network: nn.Module, tmp_path: Path) -> None:
    graph = BundleGraph(network)
    protocol = protocols.load("partial-ilids", draw_partial_ilids(tmp_path))
    report = gate.check(graph, to_onnx(graph), protocol)
    assert report.batches == [1, 2, 7, 32]
    assert report.same_top10 >= 0.99
    assert report.map_difference <= 0.3
    assert report.pictures == "6 queries and 6 gallery pictures of partial-ilids"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    recipe = Recipe.model_validate(
        {
            "name": "oamn-tiny",
            "system": "oamn",
            "model": {"backbone": "osnet_x0_25", "height": HEIGHT, "width": WIDTH, "dimension": 64},
            "data": [{"kind": "protocol", "protocol": "market1501-val"}],
        }
    )
    torch.manual_seed(1)
    network = settled(build_stages(recipe)[0].network(PEOPLE))
    record = {
        "data": ["market1501-val, training half: 8 pictures of 4 people"],
        "machine": "a test",
        "seconds": 1.5,
        "command": "penumbra-train fit /secret/place/tiny.toml --root=/secret/data --out runs/tiny",
    }
    path = tmp_path / "tiny" / "checkpoint.pt"
    path.parent.mkdir()
    save_checkpoint(path, Checkpoint(recipe, PEOPLE, "oamn", 7, network.state_dict(), {}, record))
    return path


def run_export(checkpoint: Path, out: Path, *more: str) -> tuple[int, str]:
    answer = CliRunner().invoke(app, ["export", str(checkpoint), str(out), *more])
    return answer.exit_code, answer.output


def test_exported_bundle_tells_its_making_and_its_figures(checkpoint: Path, tmp_path: Path) -> None:
    root, out = draw_partial_ilids(tmp_path / "data"), tmp_path / "tiny.onnx"
    code, output = run_export(
        checkpoint, out, "--dataset", "partial-ilids", "--root", str(root), "--notes", "Short."
    )
    assert code == 0, output
    facts = read_bundle(out).metadata
    assert (facts.name, facts.system, facts.backbone, facts.dimension) == (
        "oamn-tiny",
        "oamn",
        "osnet_x0_25",
        64,
    )
    assert [(figure.protocol, figure.unify) for figure in facts.figures] == [
        ("partial-ilids", "off"),
        ("partial-ilids", "auto"),
    ]
    assert facts.gate is not None
    assert facts.training.notes == "7 steps. Short."
    assert facts.terms == export_command.RESEARCH_TERMS
    assert 'name = "oamn-tiny"' in facts.training.recipe
    card = (tmp_path / "tiny.md").read_text(encoding="utf-8")
    assert read_bundle(out).fingerprint in card
    for figure in facts.figures:
        assert f"| partial-ilids | 6 | 6 | {figure.unify} | {figure.rank1:.1f} |" in card


def test_exported_bundle_keeps_no_folder_of_the_machine(checkpoint: Path, tmp_path: Path) -> None:
    root, out = draw_partial_ilids(tmp_path / "data"), tmp_path / "tiny.onnx"
    run_export(checkpoint, out, "--dataset", "partial-ilids", "--root", str(root))
    assert (
        read_bundle(out).metadata.training.command
        == "penumbra-train fit tiny.toml --root=data --out runs/tiny"
    )
    assert b"/secret" not in out.read_bytes()


def test_export_measures_the_same_figures_as_evaluate(checkpoint: Path, tmp_path: Path) -> None:
    root, out = draw_partial_ilids(tmp_path / "data"), tmp_path / "tiny.onnx"
    place = ["--dataset", "partial-ilids", "--root", str(root)]
    run_export(checkpoint, out, *place)
    answer = CliRunner().invoke(app, ["evaluate", str(out), str(checkpoint), *place, "--json"])
    rows = json.loads(answer.stdout)["results"]
    stored = [(figure.unify, figure.rank1, figure.map) for figure in read_bundle(out).metadata.figures]
    assert stored == [(row["unify"], row["rank1"], row["map"]) for row in rows if row["model"] == "tiny.onnx"]
    assert [row["rank1"] for row in rows[:2]] == [row["rank1"] for row in rows[2:]]


def test_export_keeps_figures_measured_before(checkpoint: Path, tmp_path: Path) -> None:
    root, out = draw_partial_ilids(tmp_path / "data"), tmp_path / "tiny.onnx"
    row = {"model": "tiny/checkpoint.pt", "fingerprint": None, "dataset": "partial-ilids", "unify": "off"}
    row |= {"rank1": 12.5, "rank5": 20.0, "rank10": 30.0, "map": 15.0, "queries": 6, "gallery": 6}
    figures = tmp_path / "figures.json"
    figures.write_text(json.dumps({"results": [row, row | {"model": "other/checkpoint.pt"}]}))
    place = ["--dataset", "partial-ilids", "--root", str(root), "--figures", str(figures)]
    code, output = run_export(checkpoint, out, *place)
    assert code == 0, output
    assert [figure.rank1 for figure in read_bundle(out).metadata.figures] == [12.5]


def test_figures_of_another_model_are_refused(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    figures.write_text(json.dumps({"results": []}))
    with pytest.raises(ValueError, match="no figures of tiny"):
        export_command.read_figures(figures, "tiny")
    figures.write_text("[]")
    with pytest.raises(ValueError, match="not an answer of"):
        export_command.read_figures(figures, "tiny")


def test_gate_may_compare_on_any_folder_of_pictures(checkpoint: Path, tmp_path: Path) -> None:
    for person in range(4):
        for shot in range(2):
            draw(tmp_path / "faces" / f"p{person}_{shot}.png", person, 10 * person + shot)
    code, output = run_export(checkpoint, tmp_path / "tiny.onnx", "--pictures", str(tmp_path / "faces"))
    assert code == 0, output
    report = read_bundle(tmp_path / "tiny.onnx").metadata.gate
    assert report is not None
    assert report.pictures == "4 queries and 4 gallery pictures of faces"


def test_export_without_pictures_for_the_gate_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    code, output = run_export(checkpoint, tmp_path / "tiny.onnx")
    assert code == 1
    assert "real pictures" in output
    assert not (tmp_path / "tiny.onnx").exists()


def test_export_that_fails_the_gate_writes_nothing(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = draw_partial_ilids(tmp_path / "data"), tmp_path / "out" / "tiny.onnx"
    monkeypatch.setattr(export_command, "to_onnx", lambda graph: tampered(to_onnx(graph)))
    code, output = run_export(checkpoint, out, "--dataset", "partial-ilids", "--root", str(root))
    assert code == 1
    assert "differ from PyTorch" in output
    assert not out.parent.exists()


def metadata(**changes: object) -> BundleMetadata:
    facts: dict[str, object] = {
        "name": "tiny",
        "system": "baseline",
        "backbone": "osnet_x0_25",
        "height": HEIGHT,
        "width": WIDTH,
        "dimension": 64,
        "has_grader": False,
        "has_attention": False,
        "training": Training(data=[], recipe=""),
        "gate": GateReport(
            batches=[1], max_abs_difference=0, min_cosine=1, same_top10=1, map_difference=0, pictures="none"
        ),
        "opset": 17,
        "licence": "none",
        "terms": "none",
    }
    return BundleMetadata.model_validate(facts | changes)


@pytest.mark.parametrize("wrong", [{"has_grader": True}, {"height": 128}, {"has_attention": True}], ids=str)
def test_metadata_that_contradicts_the_graph_is_refused_and_the_old_bundle_stays(
    tmp_path: Path, wrong: dict[str, object]
) -> None:
    content = to_onnx(BundleGraph(settled(Baseline("osnet_x0_25", PEOPLE, HEIGHT, WIDTH, 64))))
    out = tmp_path / "tiny.onnx"
    old = write_bundle(content, metadata(), out)
    with pytest.raises(BundleError):
        write_bundle(content, metadata(**wrong), out)
    assert read_bundle(out).fingerprint == old.fingerprint
    assert list(tmp_path.iterdir()) == [out]
    assert BundleEmbedder.open(out).fingerprint == old.fingerprint


def test_a_bundle_without_the_gates_report_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gate"):
        write_bundle(b"", metadata(gate=None), tmp_path / "tiny.onnx")
    assert not list(tmp_path.iterdir())
