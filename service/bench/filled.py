"""Catalogs with as many pictures as one likes, to be measured."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import insert
from sqlalchemy.orm import Session

from models import occlusion
from service.storage.catalog import Catalog
from service.storage.catalog.made import made_by
from service.storage.tables import FeaturesRow, ImageRow, PersonRow
from service.storage.ulid import new_ulid

__all__ = ["fill"]

_AT_ONCE: Final = 1024
_PICTURES_A_PERSON: Final = 10


def fill(
    catalog: Catalog,
    gallery: str,
    fingerprint: str,
    pictures: int,
    dimension: int,
    advance: Callable[[int], object] | None = None,
) -> None:
    """Fill a gallery past the service, which would have to embed: with rows as it would have written them.

    Args:
        gallery: its name.
        fingerprint: of the model that the features are said to be of.
        pictures: how many, ten of each person.
        dimension: D of the features, which are random.
        advance: told how many pictures more there are.
    """
    number = catalog.galleries.key(gallery).number
    random = np.random.default_rng(0)
    for start in range(0, pictures, _AT_ONCE):
        features = _features(random, min(_AT_ONCE, pictures - start), dimension)
        codes = random.integers(0, occlusion.COUNT, len(features))
        catalog.database.transact(partial(_insert, number, fingerprint, start, codes, features))
        if advance is not None:
            advance(len(features))


def _insert(
    gallery: int,
    fingerprint: str,
    first: int,
    codes: npt.NDArray[np.int64],
    features: npt.NDArray[np.float16],
    session: Session,
) -> None:
    people = [
        PersonRow(gallery=gallery, name=f"{first}-{number}")
        for number in range(1 + (len(features) - 1) // _PICTURES_A_PERSON)
    ]
    session.add_all(people)
    session.flush()
    now = datetime.now(UTC)
    made = [made_by(fingerprint, int(code), None, one) for code, one in zip(codes, features, strict=True)]
    rows = [
        {
            "id": new_ulid(),
            "gallery": gallery,
            "person": people[place // _PICTURES_A_PERSON].number,
            "digest": f"{first + place:064x}",
            "own_metadata": {},
            "kept": False,
            "enrolled_at": now,
            **made[place].columns,
        }
        for place in range(len(features))
    ]
    in_order = insert(ImageRow).returning(ImageRow.number, sort_by_parameter_order=True)
    numbers = session.scalars(in_order, rows)
    session.execute(
        insert(FeaturesRow),
        [{"image": number, "features": one.features} for number, one in zip(numbers, made, strict=True)],
    )


def _features(random: np.random.Generator, count: int, dimension: int) -> npt.NDArray[np.float16]:
    drawn = random.standard_normal((count, occlusion.COUNT, dimension), dtype=np.float32)
    drawn /= np.linalg.norm(drawn, axis=2, keepdims=True)
    return drawn.astype(np.float16)
