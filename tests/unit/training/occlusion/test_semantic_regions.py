from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
import torch

from training.data.parts import LOWER_TORSO, PARTS, UPPER_TORSO
from training.occlusion.semantic_regions import draw_kept_regions

CPU = torch.device("cpu")


@pytest.mark.parametrize("kept", [2, 4, 6])
def test_random_torso_keeps_half_above_and_half_below(kept: int) -> None:
    torch.manual_seed(kept)
    seen = set()
    for _ in range(300):
        chosen = draw_kept_regions(kept, "torso", CPU)
        assert int(chosen[[code - 1 for code in UPPER_TORSO]].sum()) == kept // 2
        assert int(chosen[[code - 1 for code in LOWER_TORSO]].sum()) == kept // 2
        seen.add(tuple(chosen.tolist()))
    above = len(list(combinations(UPPER_TORSO, kept // 2)))
    below = len(list(combinations(LOWER_TORSO, kept // 2)))
    assert len(seen) == above * below


def test_random_baseline_keeps_any_regions_equally_often() -> None:
    torch.manual_seed(0)
    counts: Counter[int] = Counter()
    for _ in range(1400):
        chosen = draw_kept_regions(4, "baseline", CPU)
        assert int(chosen.sum()) == 4
        counts.update(chosen.nonzero().flatten().tolist())
    assert len(counts) == len(PARTS)
    assert all(abs(count - 800) < 100 for count in counts.values())  # 5 standard deviations
