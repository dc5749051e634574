"""Penumbra's own protocols on parts of Market-1501 and CUHK03, for choosing and comparing. No torch.

=========================  =======================================================================
market1501-val             every fifth of the 751 training identities, from the first: 151 people;
                           the other 600 train. Each person's and camera's first picture asks
market1501-val-occluded    the same, each query covered by an occluder (fixed seed)
market1501-val-blank       the same, but the mean colour in place of the occluders
cuhk03-val                 every fifth identity; camera A asks, camera B answers
=========================  =======================================================================

None is comparable with published figures: each protocol's note says so.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from training.data import cuhk03, market1501
from training.data.own_pictures import ask_first
from training.data.records import Counts, Offer, Picture, Protocol, people
from training.evaluation import occluders

__all__ = ["PROTOCOLS", "split_people"]

_MARKET_NOTE: Final = (
    "Validation people from Market-1501's training half: not comparable with published Market-1501 figures."
)
_CUHK_NOTE: Final = "Every fifth identity of CUHK03 (detected): not comparable with published CUHK03 figures."


def split_people(pictures: tuple[Picture, ...]) -> tuple[tuple[Picture, ...], tuple[Picture, ...]]:
    """Training and validation pictures: of the sorted identities every fifth, from the first, validates."""
    chosen = set(people(pictures)[::5])
    return (
        tuple(picture for picture in pictures if picture.person not in chosen),
        tuple(picture for picture in pictures if picture.person in chosen),
    )


def _market1501_val(root: Path) -> Protocol:
    train, validation = split_people(market1501.read(root, market1501.TRAIN))
    query, gallery = ask_first(validation)  # sorted by name
    return Protocol("market1501-val", train, query, gallery, camera_rule=True, note=_MARKET_NOTE)


def _market1501_val_occluded(root: Path) -> Protocol:
    plain = _market1501_val(root)
    covered = occluders.cover(plain.query, plain.query + plain.gallery)
    note = f"{_MARKET_NOTE} Each query is covered by a drawn occluder (seed {occluders.SEED})."
    return Protocol(
        "market1501-val-occluded", plain.train, covered, plain.gallery, camera_rule=True, note=note
    )


def _market1501_val_blank(root: Path) -> Protocol:
    occluded = _market1501_val_occluded(root)
    note = f"{_MARKET_NOTE} Of each query a quarter or a half is blank (seed {occluders.SEED})."
    return replace(occluded, name="market1501-val-blank", query=occluders.blank(occluded.query), note=note)


def _cuhk03_val(root: Path) -> Protocol:
    train, validation = split_people(cuhk03.read(root))
    return Protocol(
        "cuhk03-val",
        train,
        tuple(picture for picture in validation if picture.camera == cuhk03.CAMERA_A),
        tuple(picture for picture in validation if picture.camera == cuhk03.CAMERA_B),
        camera_rule=True,
        note=_CUHK_NOTE,
    )


_MARKET: Final = f"{market1501.FOLDER}/{market1501.TRAIN}/"
_MARKET_COUNTS: Final = Counts(10524, 600, 644, 151, 1768, 150)

PROTOCOLS: Final = (
    Offer("market1501-val", _market1501_val, _MARKET, _MARKET_COUNTS, market1501.TERMS),
    Offer("market1501-val-occluded", _market1501_val_occluded, _MARKET, _MARKET_COUNTS, market1501.TERMS),
    Offer("market1501-val-blank", _market1501_val_blank, _MARKET, _MARKET_COUNTS, market1501.TERMS),
    Offer(
        "cuhk03-val",
        _cuhk03_val,
        f"{cuhk03.FOLDER}/",
        Counts(11273, 1173, 1384, 294, 1440, 294),
        cuhk03.TERMS,
    ),
)
