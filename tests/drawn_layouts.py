"""Small trees in the exact layout of each published data set, with drawn pictures of 8 × 16 pixels."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image


def draw_tree(folder: Path, names: Iterable[str]) -> Path:
    """A picture under each name, its folders with it; each has one colour of its own. Returns ``folder``."""
    for place, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = np.random.default_rng(place).integers(0, 256, 3).astype(np.uint8)
        Image.fromarray(np.full((16, 8, 3), colour)).save(path)
    return folder


def market1501_with_distractors(root: Path) -> Path:
    """All halves, junk and distractors among them, and the folder of extra distractors."""
    names = [
        "bounding_box_train/0002_c1s1_000451_03.jpg",
        "bounding_box_train/0002_c2s1_000301_01.jpg",
        "bounding_box_train/0007_c3s3_077419_03.jpg",
        "query/0001_c1s1_001051_00.jpg",
        "query/0003_c5s3_015240_00.jpg",
        "bounding_box_test/-1_c1s1_000401_03.jpg",
        "bounding_box_test/0000_c1s1_000151_01.jpg",
        "bounding_box_test/0001_c2s1_000301_00.jpg",
        "bounding_box_test/0003_c6s3_076842_00.jpg",
        "gt_bbox/0001_c1s1_001076_00.jpg",
        "gt_bbox/0000_c1s1_001101_00.jpg",
        "images/0000_c4s2_000151_01.jpg",
        "images/._0000_c4s2_000151_01.jpg",
        "images/-1_c1s1_000401_03.jpg",
        "images/00000017.jpg",
    ]
    draw_tree(root / "Market-1501-v15.09.15", names)
    return root


def duke(root: Path, folder: str) -> Path:
    """DukeMTMC-reID's layout, or under another folder's name that of Occluded-DukeMTMC."""
    names = [
        "bounding_box_train/0001_c2_f0046182.jpg",
        "bounding_box_train/0001_c5_f0046302.jpg",
        "bounding_box_train/0011_c8_f0012345.jpg",
        "query/0005_c2_f0046985.jpg",
        "bounding_box_test/0005_c5_f0051781.jpg",
        "bounding_box_test/0006_c8_f0099999.jpg",
    ]
    draw_tree(root / folder, names)
    return root


def opreid(root: Path) -> Path:
    """OPReID as the reader supposes it."""
    names = [
        "bounding_box_train/0001_c12_0001.jpg",
        "query/1745_c5973_0001.jpg",
        "bounding_box_test/1745_c17_0002.jpg",
        "bounding_box_test/1746_c17_0001.jpg",
    ]
    draw_tree(root / "OPReID", names)
    return root


def cuhk01(root: Path, people: int) -> Path:
    """``CUHK01/campus``: two pictures in each of two views."""
    names = [f"{person:04d}{shot:03d}.png" for person in range(1, 1 + people) for shot in range(1, 5)]
    draw_tree(root / "CUHK01" / "campus", names)
    return root


def msmt17(root: Path, version: int) -> Path:
    """MSMT17 with its four lists; people of both halves are numbered from 0."""
    train, test = ("train", "test") if version == 1 else ("mask_train_v2", "mask_test_v2")
    lists = {
        "list_train.txt": (train, ["0000/0000_000_01_0303morning_0008_0.jpg 0",
                                   "0001/0001_001_15_0303noon_0017_2.jpg 1"]),
        "list_val.txt": (train, ["0000/0000_012_04_0303morning_0050_1.jpg 0"]),
        "list_query.txt": (test, ["0000/0000_000_02_0113afternoon_0001_0.jpg 0"]),
        "list_gallery.txt": (test, ["0000/0000_001_03_0114noon_0001_0_ex.jpg 0",
                                    "0001/0001_001_03_0114noon_0009_0.jpg 1"]),
    }  # fmt: skip
    folder = root / f"MSMT17_V{version}"
    for name, (half, lines) in lists.items():
        draw_tree(folder / half, [line.split()[0] for line in lines])
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return root


def partial_reid(root: Path) -> Path:
    """Partial-REID: three flat folders."""
    parts = ("whole_body_images", "occluded_body_images", "partial_body_images")
    names = [f"{part}/{person:03d}_{shot:03d}.jpg" for part in parts for person in (1, 2) for shot in (1, 2)]
    draw_tree(root / "Partial-REID_Dataset", names)
    return root


def occluded_reid(root: Path) -> Path:
    """Occluded-REID: a folder for each person, TIFF."""
    parts = ("whole_body_images", "occluded_body_images")
    names = [
        f"{part}/{person:03d}/{person:03d}_{shot:02d}.tif"
        for part in parts
        for person in (1, 2)
        for shot in (1, 2)
    ]
    draw_tree(root / "Occluded_REID", names)
    return root


def p_dukemtmc(root: Path) -> Path:
    """P-DukeMTMC-reID: halves, sides, a folder for each person."""
    names = [
        f"{half}/{side}/{person:04d}/{person:04d}_c{camera}_f{camera:07d}.jpg"
        for half, people in (("train", (1, 3)), ("test", (2, 9)))
        for side, camera in (("whole_body_images", 1), ("occluded_body_images", 2))
        for person in people
    ]
    draw_tree(root / "P-DukeMTMC-reid", names)
    return root
