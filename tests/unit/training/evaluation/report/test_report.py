from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.drawn_datasets import draw_market1501
from tests.handmade_bundle import write_handmade_bundle
from training.cli import app
from training.evaluation.report.charts import cmc_chart, histograms

RUN = CliRunner()


class Page(HTMLParser):
    """Tags with their attributes, in order."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def count(self, css_class: str) -> int:
        return sum(css_class == attributes.get("class") for _, attributes in self.tags)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """The report on two bundles, of which one grades and attends, and what ``--json`` says beside it."""
    folder = tmp_path_factory.mktemp("report")
    root = draw_market1501(folder, people=20, cameras=2, per_camera=3)
    bundles = [
        write_handmade_bundle(folder / "graded.onnx", attention=True),
        write_handmade_bundle(folder / "plain.onnx", grader=False, dimension=3),
    ]
    arguments = ["evaluate", *map(str, bundles), "--dataset", "market1501-val-occluded", "--root", str(root)]
    answer = RUN.invoke(app, [*arguments, "--report", str(folder / "out"), "--json"])
    assert answer.exit_code == 0, answer.output
    return folder / "out", json.loads(answer.stdout)


def test_the_page_stands_on_its_own(written: tuple[Path, dict[str, object]]) -> None:
    out, _ = written
    text = (out / "index.html").read_text(encoding="utf-8")
    sources = [a["src"] for tag, a in Page(text).tags if tag == "img"]
    assert sources
    for source in sources:
        assert source is not None
        with Image.open(out / source) as picture:
            picture.verify()
    assert set(re.findall(r"https?://[^\"'\s)]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "<script" not in text
    assert "pictures of real people" in text


def test_every_result_has_its_figures_and_sheets(written: tuple[Path, dict[str, object]]) -> None:
    out, answer = written
    text = (out / "index.html").read_text(encoding="utf-8")
    results = answer["results"]
    assert isinstance(results, list)
    # Figures with an interval stand row by row, in the order of the JSON.
    names = ("rank1", "rank5", "rank10", "rank20", "map", "minp")
    shown = [float(value) for value in re.findall(r">([\d.]+)<small>\d", text)]
    wanted = [row[name] for row in results for name in names]
    assert shown[: len(wanted)] == pytest.approx(wanted, abs=0.051)
    for row in results:
        title = f"{row['model']}, {row['unify']}"
        assert f"{title}: best queries" in text
        if row["map"] < 100:
            assert f"{title}: worst queries" in text
    comparisons = answer["comparisons"]
    assert isinstance(comparisons, list)
    assert text.count("<tr><td") >= len(results) + len(comparisons)
    better = re.findall(r"<h3>found better by (.+?) than by (.+?)</h3>", text)
    pairs = {
        (f"{row['model']}, {row['unify']}", f"{row['against']['model']}, {row['against']['unify']}")
        for row in comparisons
    }
    assert {tuple(sorted(pair)) for pair in better} <= {tuple(sorted(pair)) for pair in pairs}
    assert any(pair in better or pair[::-1] in better for pair in pairs)
    assert (
        Page(text).count("sheet") == text.count("queries</h3>") - text.count("over") + len(better) or better
    )


def test_frames_tell_right_from_wrong(written: tuple[Path, dict[str, object]]) -> None:
    out, _ = written
    text = (out / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.count("cell right") == len(re.findall(r'class="mark">✓ ', text)) > 0
    assert page.count("cell wrong") == len(re.findall(r'class="mark">✗ ', text)) > 0
    assert page.count("cell query") == page.count("line")


def test_maps_are_shown_where_the_model_has_them(written: tuple[Path, dict[str, object]]) -> None:
    out, _ = written
    text = (out / "index.html").read_text(encoding="utf-8")
    assert "graded.onnx: attention" in text
    assert "plain.onnx has no spatial attention" in text
    assert "plain.onnx pools over no feature map" in text
    assert text.count("mean picture") == 2
    assert "softmax over cosines with prototypes" in text


def test_features_without_pictures_have_curves_and_no_sheets(tmp_path: Path) -> None:
    folder = tmp_path / "features"
    folder.mkdir()
    for name, camera in (("query", 1), ("gallery", 2)):
        np.save(folder / f"{name}.npy", np.eye(4, dtype=np.float32) + 0.1)
        rows = "".join(f"{person},{camera}\n" for person in range(4))
        (folder / f"{name}.csv").write_text(f"person,camera\n{rows}")
    answer = RUN.invoke(app, ["evaluate", str(folder), "--report", str(tmp_path / "out")])
    assert answer.exit_code == 0, answer.output
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert Page(text).count("chart") == 3
    assert Page(text).count("sheet") == 0
    assert "pictures of real people" not in text
    assert not (tmp_path / "out" / "pictures").exists()


def points(svg: str, series: int) -> np.ndarray:
    """The line of one series in the drawing's own units, [k, 2]."""
    lines = re.findall(r'<path d="([^"]+)"[^>]*style="([^"]+)"', svg)
    drawn = [d for d, style in lines if f"stroke: var(--series-{series})" in style and "fill: none" in style]
    return np.array(
        [[float(v) for v in pair.split()] for pair in re.findall(r"[ML] ([\d.]+ [\d.]+)", drawn[0])]
    )


def test_the_drawn_curve_is_the_measured_one() -> None:
    measured = [np.cumsum(np.linspace(6, 1, 20)), np.linspace(20, 90, 20)]
    svg = cmc_chart([("one", measured[0]), ("other", measured[1])])
    lines = [points(svg, 0), points(svg, 1)]
    assert [len(line) for line in lines] == [20, 20]
    drawn = np.concatenate([line[:, 1] for line in lines])
    percent = np.concatenate(measured)
    slope, start = np.polyfit(percent, drawn, 1)
    assert slope < 0  # up is less in SVG
    assert drawn == pytest.approx(slope * percent + start, abs=0.02)


def test_drawings_take_the_pages_colours_and_share_no_names() -> None:
    generator = np.random.default_rng(0)
    panels = [("none (3)", *generator.normal(size=(2, 50)).astype(np.float32))]
    drawings = [histograms(panels, "one & other"), cmc_chart([("one", np.linspace(1, 90, 20))])]
    for svg in drawings:
        assert svg.startswith("<svg ")
        assert "#0100" not in svg
        assert "#0200" not in svg
        assert 'role="img"' in svg
    assert 'aria-label="one &amp; other"' in drawings[0]
    names = [set(re.findall(r'id="([^"]+)"', svg)) for svg in drawings]
    assert not names[0] & names[1]
