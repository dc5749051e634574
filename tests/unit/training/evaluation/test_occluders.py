from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from models import occlusion
from models.networks.normalisation import MEAN
from tests.drawn_datasets import draw_market1501
from training.data.records import Occluder
from training.evaluation import protocols
from training.evaluation.occluders import BLANK, cover, draw, read_picture


def test_occluders_do_not_depend_on_process_order_or_company(tmp_path: Path) -> None:
    draw_market1501(tmp_path)
    plain = protocols.load("market1501-val", tmp_path)
    covered = protocols.load("market1501-val-occluded", tmp_path)
    donors = plain.gallery + plain.query
    assert cover(plain.query[::-1], donors[::-1])[::-1] == covered.query
    assert cover(plain.query[:1], donors) == covered.query[:1]
    program = (
        f"from pathlib import Path; root = Path({str(tmp_path)!r}); "
        "from training.evaluation import protocols; "
        "print([p.occluder for p in protocols.load('market1501-val-occluded', root).query])"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str([p.occluder for p in covered.query])


def test_another_seed_gives_other_occluders(tmp_path: Path) -> None:
    draw_market1501(tmp_path)
    plain = protocols.load("market1501-val", tmp_path)
    donors = plain.query + plain.gallery
    assert cover(plain.query, donors, seed=1) != cover(plain.query, donors, seed=2)


def test_patches_come_from_a_corner_of_somebody_elses_picture(tmp_path: Path) -> None:
    draw_market1501(tmp_path, people=40)
    covered = protocols.load("market1501-val-occluded", tmp_path).query
    for query in covered:
        occluder = query.occluder
        assert occluder is not None
        assert occluder.patch_of is not None
        assert not occluder.patch_of.name.startswith(f"{query.person:04d}_")
        top, left, bottom, right = occluder.box
        assert top == 0.0 or bottom == 1.0
        assert left == 0.0 or right == 1.0
        assert (bottom - top) * (right - left) <= 0.2 + 1e-9
    assert len({query.occluder.code for query in covered if query.occluder}) > 4


def test_only_the_types_rectangle_changes_and_shows_the_patch() -> None:
    picture = Image.new("RGB", (64, 128), (10, 20, 30))
    donor = Image.new("RGB", (64, 128), (200, 0, 0))
    for code in range(1, occlusion.COUNT):
        pixels = np.asarray(draw(picture, donor, Occluder(code, Path("x"), (0.0, 0.0, 0.2, 0.3))))
        hidden = occlusion.visibility_masks(128, 64)[code] == 0
        assert (pixels[hidden] == (200, 0, 0)).all()
        assert (pixels[~hidden] == (10, 20, 30)).all()


def test_blank_queries_hide_the_same_rectangles_by_the_colour_of_unification(tmp_path: Path) -> None:
    draw_market1501(tmp_path)
    covered = protocols.load("market1501-val-occluded", tmp_path)
    blank = protocols.load("market1501-val-blank", tmp_path)
    assert (blank.gallery, blank.train) == (covered.gallery, covered.train)
    assert tuple(round(255 * part) for part in MEAN) == BLANK
    for one, other in zip(covered.query, blank.query, strict=True):
        assert one.occluder is not None
        assert other.occluder == Occluder(one.occluder.code)
        with Image.open(other.path) as image:
            plain = np.asarray(image.convert("RGB"))
        pixels = np.asarray(read_picture(other))
        hidden = occlusion.visibility_masks(*plain.shape[:2])[one.occluder.code] == 0
        assert (pixels[hidden] == BLANK).all()
        assert np.array_equal(pixels[~hidden], plain[~hidden])


def test_a_picture_without_occluder_is_read_as_it_is(tmp_path: Path) -> None:
    draw_market1501(tmp_path)
    picture = protocols.load("market1501-val", tmp_path).query[0]
    with Image.open(picture.path) as image:
        assert np.array_equal(np.asarray(read_picture(picture)), np.asarray(image.convert("RGB")))
