from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from service.embedding.features import PictureFeatures
from service.storage.memory import MemoryCache


def features(digest: str, codes: list[int], dimension: int = 64) -> PictureFeatures:
    vectors: dict[int, npt.NDArray[np.float32]] = {
        code: np.full(dimension, code + 0.1, dtype=np.float32) for code in codes
    }
    return PictureFeatures(digest, 4, np.array([0.1, 0.8, 0.05, 0.05], np.float32), vectors)


async def test_codes_put_one_after_the_other_are_all_known() -> None:
    cache = MemoryCache(1 << 20)
    await cache.put("model", features("d", [0]))
    await cache.put("model", features("d", [4, 8]))
    found = await cache.get("model", "d")
    assert found is not None
    assert sorted(found.embeddings) == [0, 4, 8]
    assert (found.embeddings[8] == np.float32(8.1)).all()
    assert found.occlusion == 4


async def test_models_and_pictures_are_kept_apart() -> None:
    cache = MemoryCache(1 << 20)
    await cache.put("model", features("d", [0]))
    assert await cache.get("other model", "d") is None
    assert await cache.get("model", "e") is None


async def test_the_least_recently_used_goes_first() -> None:
    one = features("a", [0])
    cache = MemoryCache(1 << 20)
    await cache.put("m", one)
    cache = MemoryCache(3 * cache.size_bytes)
    for digest in "abc":
        await cache.put("m", features(digest, [0]))
    await cache.get("m", "a")
    await cache.put("m", features("d", [0]))
    assert await cache.get("m", "b") is None
    assert await cache.get("m", "a") is not None


@settings(max_examples=50, deadline=None)
@given(
    puts=st.lists(
        st.tuples(st.sampled_from("abcdef"), st.lists(st.integers(0, 8), min_size=1, unique=True)),
        max_size=30,
    ),
    limit=st.integers(0, 12_000),
)
async def test_the_bound_in_bytes_holds_whatever_is_put(
    puts: list[tuple[str, list[int]]], limit: int
) -> None:
    cache = MemoryCache(limit)
    for digest, codes in puts:
        await cache.put("m", features(digest, codes))
        assert cache.size_bytes <= limit
    held = [found for digest in "abcdef" if (found := await cache.get("m", digest)) is not None]
    assert sum(v.nbytes for found in held for v in found.embeddings.values()) <= cache.size_bytes
    assert bool(held) == (cache.size_bytes > 0)


async def test_a_row_of_a_batch_does_not_keep_the_batch_in_memory() -> None:
    batch = np.zeros((1000, 64), np.float32)
    cache = MemoryCache(1 << 20)
    await cache.put("m", PictureFeatures("d", 0, None, {0: batch[3]}))
    batch[3] = 7
    found = await cache.get("m", "d")
    assert found is not None
    assert found.scores is None
    assert found.embeddings[0].base is None
    assert (found.embeddings[0] == 0).all()


async def test_what_is_forgotten_is_missed_and_gives_its_room_back() -> None:
    cache = MemoryCache(10**6)
    for digest in ("a", "b"):
        await cache.put("m", PictureFeatures(digest, 0, None, {0: np.ones(8, np.float32)}))
    one = cache.size_bytes // 2
    assert await cache.forget("m", ["a", "unknown"])
    assert await cache.get("m", "a") is None
    assert await cache.get("m", "b") is not None
    assert cache.size_bytes == one
