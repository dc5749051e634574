"""The bytes of a kept picture, or the problem that tells why they cannot be had."""

from __future__ import annotations

import logging

from service.problems import PictureLost, PicturesAway
from service.storage.pictures import KeptFileLost, PictureStore, PictureStoreAway

__all__ = ["kept_bytes"]

_log = logging.getLogger(__name__)


def kept_bytes(pictures: PictureStore, gallery: int, id: str) -> bytes:
    """What is kept of a picture.

    Raises:
        PictureLost: its file is gone or cannot be read, though the store answers.
        PicturesAway: the picture store does not answer for now.
    """
    try:
        return pictures.read(gallery, id)
    except KeptFileLost as error:
        _log.warning("%s", error)
        raise PictureLost(
            f"image {id!r} was kept, but its file is lost: it is not in the picture store"
        ) from error
    except PictureStoreAway as error:
        _log.warning("%s", error)
        raise PicturesAway from error
