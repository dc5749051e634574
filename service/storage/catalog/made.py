"""What a model made of a picture: columns of its row, and the features, which lie in a table of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import update
from sqlalchemy.orm import Session

from service.storage.tables import FeaturesRow, ImageRow

__all__ = ["COLUMNS", "Made", "made_by", "made_of", "write_made"]

COLUMNS: Final = ("fingerprint", "occlusion", "scores")
"""Those of :class:`ImageRow` that depend on the model."""


@dataclass(frozen=True)
class Made:
    """What a model made of a picture, as the tables have it.

    Attributes:
        columns: :data:`COLUMNS` and their values.
        features: that of its :class:`FeaturesRow`.
    """

    columns: dict[str, Any]
    features: bytes


def made_by(
    fingerprint: str,
    code: int,
    scores: npt.NDArray[np.float32] | None,
    features: npt.NDArray[np.float16],
) -> Made:
    """What a model made, as the tables will have it.

    Args:
        fingerprint: the model's.
        code: graded code c(i).
        scores: float32 [4], the grader's; None without a grader.
        features: float16 [9, D], F(i, u).
    """
    columns = {
        "fingerprint": fingerprint,
        "occlusion": code,
        "scores": None if scores is None else scores.astype("<f4").tobytes(),
    }
    return Made(columns, features.astype("<f2").tobytes())


def made_of(session: Session, row: ImageRow) -> Made:
    """What the tables have of a picture."""
    columns = {column: getattr(row, column) for column in COLUMNS}
    return Made(columns, session.get_one(FeaturesRow, row.number).features)


def write_made(session: Session, row: ImageRow, made: Made) -> None:
    """Put another model's in the place of what the tables have of a picture."""
    for column, value in made.columns.items():
        setattr(row, column, value)
    session.execute(update(FeaturesRow).where(FeaturesRow.image == row.number).values(features=made.features))
