from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.sampler import IdentitySampler


@settings(max_examples=50, deadline=None)
@given(
    counts=st.lists(st.integers(2, 9), min_size=4, max_size=20),
    people=st.integers(2, 4),
    pictures=st.integers(2, 4),
    epoch=st.integers(0, 5),
)
def test_a_batch_holds_k_pictures_of_each_of_p_different_people(
    counts: list[int], people: int, pictures: int, epoch: int
) -> None:
    identities = np.repeat(np.arange(len(counts)), counts)
    sampler = IdentitySampler(identities, people, pictures, seed=1)
    batches = sampler.epoch(epoch)
    assert batches.shape == (len(sampler), people * pictures)
    for batch in batches:
        of = identities[batch].reshape(people, pictures)
        assert (of == of[:, :1]).all()
        assert len(set(of[:, 0])) == people


def test_an_epoch_shows_nearly_every_picture() -> None:
    identities = np.repeat(np.arange(60), 12)
    rows = IdentitySampler(identities, 32, 2, seed=3).epoch(0)
    assert len(np.unique(rows)) > 0.9 * len(identities)


def test_an_epoch_depends_on_seed_and_number_alone() -> None:
    identities = np.repeat(np.arange(10), 6)
    one, other = (IdentitySampler(identities, 4, 2, seed=7) for _ in range(2))
    one.epoch(0)
    np.testing.assert_array_equal(one.epoch(3), other.epoch(3))
    assert not np.array_equal(one.epoch(3), one.epoch(4))
    assert not np.array_equal(one.epoch(3), IdentitySampler(identities, 4, 2, seed=8).epoch(3))


def test_too_few_people_or_pictures_are_named_before_training() -> None:
    with pytest.raises(ValueError, match="needs 8 people, the data has 3"):
        IdentitySampler(np.repeat(np.arange(3), 4), 8, 2, seed=0)
    with pytest.raises(ValueError, match="identity 2 has one picture only"):
        IdentitySampler(np.array([0, 0, 1, 1, 2]), 2, 2, seed=0)


def test_one_picture_of_each_means_plain_shuffled_batches() -> None:
    """Also where a person has one picture only, and where there are fewer people than a batch is large."""
    identities = np.repeat(np.arange(5), (1, 2, 3, 4, 5))
    sampler = IdentitySampler(identities, 7, 1, seed=2)
    batches = sampler.epoch(0)
    assert batches.shape == (len(sampler), 7) == (2, 7)
    assert len(np.unique(batches)) == 14
    np.testing.assert_array_equal(batches, IdentitySampler(identities, 7, 1, seed=2).epoch(0))
    with pytest.raises(ValueError, match="needs 16 pictures, the data has 15"):
        IdentitySampler(identities, 16, 1, seed=2)
