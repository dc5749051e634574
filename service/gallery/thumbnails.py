"""Making a kept picture's thumbnail, once."""

from __future__ import annotations

import logging

from service.embedding.thumbnail import make_thumbnail
from service.problems import PictureError
from service.storage.pictures import PictureStore

__all__ = ["keep_thumbnail", "stored_thumbnail"]

_log = logging.getLogger(__name__)


def keep_thumbnail(pictures: PictureStore, gallery: int, id: str, content: bytes) -> None:
    """Make and store the thumbnail of a picture that is being kept.

    No picture is refused for its thumbnail's sake: one that could not be made or stored is made when it is
    asked for.
    """
    try:
        stored_thumbnail(pictures, gallery, id, content)
    except PictureError as problem:
        _log.warning("picture %s has no thumbnail: %s", id, problem.detail)


def stored_thumbnail(pictures: PictureStore, gallery: int, id: str, content: bytes) -> bytes:
    """Make a picture's thumbnail and store it, where that can be done.

    Raises:
        PictureError: it cannot be made.
    """
    made = make_thumbnail(content)
    try:
        pictures.write_thumbnail(gallery, id, made)
    except OSError as error:
        _log.warning("the thumbnail of picture %s cannot be stored: %s", id, error)
    return made
