"""All protocols by name: which pictures train, ask and answer. No torch.

Each reader in ``training/data`` offers those of its data set, ``training/evaluation/validation.py``
Penumbra's own; here they are joined, and opened. ``penumbra-train datasets list`` prints them with what
each needs.

    >>> protocol = load("market1501-val", Path("data"))
    >>> len(protocol.query), len(protocol.gallery)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from training.data import (
    cuhk01,
    cuhk03,
    dukemtmc_reid,
    manifest,
    market1501,
    msmt17,
    occluded_dukemtmc,
    occluded_reid,
    opreid,
    p_dukemtmc,
    partial_ilids,
    partial_reid,
    person_folders,
)
from training.data.layout import list_pictures
from training.data.records import Counts, DatasetError, Offer, Picture, Protocol
from training.data.withdrawn import acknowledge
from training.evaluation import validation

__all__ = ["NAMES", "OFFERS", "Counts", "load", "of_folder"]

OFFERS: Final[Mapping[str, Offer]] = {
    offer.name: offer
    for offers in (
        market1501.PROTOCOLS,
        validation.PROTOCOLS,
        dukemtmc_reid.PROTOCOLS,
        occluded_dukemtmc.PROTOCOLS,
        p_dukemtmc.PROTOCOLS,
        cuhk03.PROTOCOLS,
        cuhk01.PROTOCOLS,
        msmt17.PROTOCOLS,
        partial_reid.PROTOCOLS,
        partial_ilids.PROTOCOLS,
        occluded_reid.PROTOCOLS,
        opreid.PROTOCOLS,
        person_folders.PROTOCOLS,
        manifest.PROTOCOLS,
    )
    for offer in offers
}

NAMES: Final[tuple[str, ...]] = tuple(OFFERS)


def load(name: str, root: Path, *, acknowledge_withdrawn: bool = False) -> Protocol:
    """A protocol from the data set under ``root``.

    Args:
        name: one of :data:`NAMES`; with ``:PLACE`` after it, the data set lies in that place under the
            root, e.g. ``manifest:site-3/people.csv``.
        root: the folder that holds the data set's own folder, or that folder itself.
        acknowledge_withdrawn: you know that a data set was withdrawn, and why; without, none of those opens.

    Raises:
        ValueError: there is no protocol of that name.
        DatasetError: the data set is not laid out as expected, or is withdrawn and that is not acknowledged.
    """
    plain, _, place = name.partition(":")
    try:
        offer = OFFERS[plain]
    except KeyError:
        raise ValueError(f"unknown protocol {plain!r}; one of {', '.join(NAMES)}") from None
    if offer.withdrawn:
        acknowledge(offer.name, acknowledge_withdrawn)
    return offer.build(root / place if place else root)


def of_folder(folder: Path) -> Protocol:
    """A protocol from any folder of pictures whose names begin with the person, then an underscore.

    Each person's first picture by name asks, the others answer; no camera rule.

    Raises:
        DatasetError: there are no pictures, a name has no underscore, or nobody has two pictures.
    """
    query: dict[str, Picture] = {}
    gallery: list[Picture] = []
    for path in list_pictures(folder):
        name, underscore, _ = path.name.partition("_")
        if not underscore:
            raise DatasetError(f"{path.name!r} in {folder} does not begin with a person and an underscore")
        if name in query:
            gallery.append(Picture(path, query[name].person, 0))
        else:
            query[name] = Picture(path, len(query), 0)
    if not gallery:
        raise DatasetError(f"nobody in {folder} has two pictures")
    return Protocol(folder.name, (), tuple(query.values()), tuple(gallery), False, "A folder of pictures.")
