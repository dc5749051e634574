"""What the previous model made, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from service.storage.catalog import Catalog
from service.storage.records import MadeBefore, PendingPicture
from tests.integration.service.storage.test_catalog import (
    MODEL,
    OTHER_MODEL,
    catalog,
    gallery,
    image,
    sqlite_url,
    url,
)

__all__ = ["catalog", "sqlite_url", "url"]  # fixtures

HALVES = np.arange(9 * 4, dtype=np.float16).reshape(9, 4)


def features_of(catalog: Catalog, number: int) -> dict[int, npt.NDArray[np.float16]]:
    return {
        id: features
        for batch in catalog.previous.batches([number], OTHER_MODEL)
        for id, features in zip(batch.ids.tolist(), batch.features, strict=True)
    }


def renew(catalog: Catalog, one: PendingPicture) -> None:
    made = image(99)
    catalog.pending.renew(one, MODEL, made.occlusion, made.scores, made.features, keep=True)


def test_what_was_made_before_is_found_whole_and_once_until_it_is_dropped(catalog: Catalog) -> None:
    number, other = gallery(catalog), gallery(catalog, "other")
    old = [replace(image(seed, kept=True), features=HALVES + seed) for seed in range(3)]
    catalog.pictures.enrol(number, OTHER_MODEL, old)
    pending = catalog.pending.kept(number, MODEL, 10, 0)
    renew(catalog, pending[1])
    before = MadeBefore(OTHER_MODEL, 4, None, HALVES + 3)
    (both,) = catalog.pictures.enrol(number, MODEL, [image(7, before=before)])
    catalog.pictures.enrol(other, MODEL, [image(8)])

    found = features_of(catalog, number)
    assert list(found) == [one.number for one in pending] + [both.number]
    for seed, features in enumerate(found.values()):
        assert (features == HALVES + seed).all()
    graded, _ = catalog.previous.graded(number, [both.number, pending[1].number], OTHER_MODEL)
    assert graded.ids.tolist() == [pending[1].number, both.number]
    assert graded.occlusions.tolist() == [1, 4]
    assert catalog.previous.answerable(OTHER_MODEL, MODEL) == {number}
    assert catalog.previous.unmade(number, OTHER_MODEL) == 0
    assert (catalog.pending.count(number, MODEL), catalog.pending.count(number, OTHER_MODEL)) == (2, 2)
    assert catalog.pending.by_gallery(OTHER_MODEL) == [(other, "other", 1), (number, "shop", 2)]

    # erased pictures take it along; of those of the present model alone the one before knows nothing
    catalog.pictures.delete("shop", both.id)
    assert len(features_of(catalog, number)) == 3
    catalog.pictures.enrol(number, MODEL, [image(9)])
    assert catalog.previous.answerable(OTHER_MODEL, MODEL) == set()
    assert catalog.previous.unmade(number, OTHER_MODEL) == 1
    catalog.previous.drop(number)
    assert catalog.previous.unmade(number, OTHER_MODEL) == 2
    assert list(features_of(catalog, number)) == [pending[0].number, pending[2].number]
    assert (OTHER_MODEL, pending[1].digest) in {
        (one.fingerprint, one.digest) for one in catalog.erased.noted(100)
    }


def test_going_back_gives_the_rows_what_they_had(catalog: Catalog) -> None:
    number = gallery(catalog)
    old = [replace(image(seed, kept=True), features=HALVES + seed) for seed in range(3)]
    catalog.pictures.enrol(number, OTHER_MODEL, old)
    for one in catalog.pending.kept(number, MODEL, 2, 0):
        renew(catalog, one)
    catalog.previous.restore(OTHER_MODEL)
    assert catalog.pending.counts(number, OTHER_MODEL).kept == 0
    (batch,) = catalog.features.batches(OTHER_MODEL)
    assert batch.occlusions.tolist() == [0, 1, 2]
    for seed, features in enumerate(batch.features):
        assert (features == HALVES + seed).all()
    catalog.previous.keep_only(())
    assert len(features_of(catalog, number)) == 3


@pytest.mark.parametrize("by", ["picture", "person", "gallery", "client id met again", "reindex"])
def test_whatever_takes_features_away_notes_for_the_cache_what_both_models_made(
    catalog: Catalog, by: str
) -> None:
    """The one before too: who comes after may not know that it was ever served."""
    number, third = gallery(catalog), "c" * 64
    one = image(7, before=MadeBefore(OTHER_MODEL, 4, None, HALVES), client_id="x", kept=True)
    catalog.pictures.enrol(number, MODEL, [one, image(8, before=MadeBefore(OTHER_MODEL, 4, None, HALVES))])
    if by == "picture":
        catalog.pictures.delete("shop", one.id)
    elif by == "person":
        catalog.people.delete("shop", one.person)
    elif by == "gallery":
        catalog.galleries.delete("shop")
    elif by == "client id met again":
        catalog.pictures.enrol(number, third, [replace(one, before=MadeBefore(MODEL, 4, None, HALVES))])
    else:
        (pending,) = catalog.pending.kept(number, third, 10, 0)
        made = image(99)
        catalog.pending.renew(pending, third, made.occlusion, made.scores, made.features, keep=True)
    noted = {(note.fingerprint, note.digest) for note in catalog.erased.noted(100)}
    other = {(model, image(8).digest) for model in (MODEL, OTHER_MODEL) if by == "gallery"}
    assert noted == {(MODEL, one.digest), (OTHER_MODEL, one.digest)} | other
