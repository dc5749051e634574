from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models.networks.heads import HeadOutput, build_head
from models.networks.normalisation import normalise
from training.data.store import PictureStore
from training.occlusion import mining
from training.occlusion.mining import mine, mined_file, true_class_logarithms
from training.occlusion.selection import influence
from training.occlusion.sliding import SlidingMask

HEIGHT, WIDTH, PEOPLE = 32, 32, 3
MASK = SlidingMask(HEIGHT, WIDTH, 10, 11)


def _store(count: int = 7) -> PictureStore:
    generator = torch.Generator().manual_seed(1)
    return PictureStore(
        torch.randint(0, 256, (count, 3, HEIGHT, WIDTH), dtype=torch.uint8, generator=generator),
        torch.arange(count) % PEOPLE,
        torch.zeros(count, dtype=torch.int64),
        PEOPLE,
    )


class Small(nn.Module):
    """A network as small as the test, with a head like any other's."""

    height, width = HEIGHT, WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Conv2d(3, 8, 5, stride=3)
        self.head = build_head("bnneck", 8, PEOPLE, dropout=0.5)
        nn.init.normal_(self.head.classifier.weight, std=20.0)

    def forward(self, pictures: torch.Tensor) -> HeadOutput:
        return self.head(torch.relu(self.backbone(pictures)))


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(2)
    return Small().eval()


def test_mining_equals_occluding_and_classifying_one_by_one(network: Any, tmp_path: Path) -> None:
    store = _store()
    mined = mine(network, store, MASK, tmp_path, quiet=True)
    assert mined.shape == (7, 1 + 3 * 3)
    assert mined.dtype == torch.float16
    for row in range(len(store.pictures)):
        views = [normalise(store.pictures[row : row + 1])]
        for top in (0, 11, 22):
            for left in (0, 11, 22):
                view = views[0].clone()
                view[..., top : top + 10, left : left + 10] = 0.0
                views.append(view)
        with torch.no_grad():
            probabilities = network(torch.cat(views)).logits.softmax(dim=1)[:, store.identities[row]]
        torch.testing.assert_close(mined[row].float().exp(), probabilities, atol=2e-3, rtol=2e-3)


def test_only_masks_over_what_the_model_looks_at_have_influence() -> None:
    """A classifier that sees the upper left corner alone."""

    def classify(pictures: torch.Tensor) -> torch.Tensor:
        seen = pictures[:, :, :10, :10].abs().mean(dim=(1, 2, 3))
        return torch.stack((seen, torch.zeros_like(seen), torch.zeros_like(seen)), dim=1)

    store = _store(2)
    logarithms = true_class_logarithms(classify, store.pictures, torch.zeros(2, dtype=torch.int64), MASK)
    taken = influence(logarithms)
    assert (taken[:, 0] > 0.05).all()
    assert (taken[:, 1:] < 1e-6).all()


def test_an_interrupted_mining_goes_on_where_it_stopped(
    network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = _store()
    whole = mine(network, store, MASK, tmp_path / "whole", quiet=True)
    monkeypatch.setattr(mining, "_BLOCK", 2)
    asked: list[int] = []

    def counted(classify: Any, pictures: torch.Tensor, *others: Any) -> torch.Tensor:
        asked.append(len(pictures))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return true_class_logarithms(classify, pictures, *others)

    monkeypatch.setattr(mining, "true_class_logarithms", counted)
    with pytest.raises(KeyboardInterrupt):
        mine(network, store, MASK, tmp_path / "cut", quiet=True)
    half = np.load(mined_file(tmp_path / "cut", MASK))
    assert np.isnan(half).any(axis=1).tolist() == [False] * 4 + [True] * 3
    asked[:] = [0] * 5
    resumed = mine(network, store, MASK, tmp_path / "cut", quiet=True)
    assert asked[5:] == [2, 1]
    torch.testing.assert_close(resumed, whole, atol=2e-3, rtol=2e-3)
    mine(network, store, MASK, tmp_path / "cut", quiet=True)
    assert asked[5:] == [2, 1]


def test_masks_do_not_mix_and_strangers_are_refused(network: Any, tmp_path: Path) -> None:
    store = _store()
    mine(network, store, MASK, tmp_path, quiet=True)
    other = SlidingMask(HEIGHT, WIDTH, 12, 11)
    assert not mined_file(tmp_path, other).exists()
    with pytest.raises(ValueError, match="mined on other pictures"):
        mine(network, _store(9), MASK, tmp_path, quiet=True)
    more = PictureStore(store.pictures, store.identities, store.cameras, PEOPLE + 1)
    with pytest.raises(ValueError, match="knows 3 people, the pictures show 4"):
        mine(network, more, other, tmp_path, quiet=True)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
