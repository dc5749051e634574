"""Calls about galleries."""

from __future__ import annotations

from typing import Literal

from service.client.answers import Gallery, Reindexing, Statistics
from service.client.call import Call, gallery_path, nothing, reader
from service.client.calls.pages import Pages


def create_gallery(
    name: str,
    *,
    keep_pictures: bool = False,
    retention_days: int | None = None,
    index: Literal["auto", "flat", "clustered"] = "auto",
    match_rate: float | None = None,
    uncertain_rate: float | None = None,
    prior: float | None = None,
) -> Call[Gallery]:
    """Make a gallery. ``ProblemError`` 409 if the name is taken.

    Its rates and its prior, where given, count where a call does not say otherwise
    (:class:`service.client.Decisions`).
    """
    body = {
        "name": name,
        "keep_pictures": keep_pictures,
        "retention_days": retention_days,
        "index": index,
        "match_rate": match_rate,
        "uncertain_rate": uncertain_rate,
        "prior": prior,
    }
    return Call("POST", "/v1/galleries", reader(Gallery), repeatable=False, json=body)


def galleries(*, page_size: int = 100) -> Pages[Gallery]:
    """All galleries, fetched page by page."""
    return Pages("/v1/galleries", Gallery, page_size)


def gallery(name: str) -> Call[Gallery]:
    """One gallery. ``ProblemError`` 404 if there is none of that name."""
    return Call("GET", gallery_path(name), reader(Gallery), repeatable=True)


def change_gallery(name: str, **changes: bool | float | str | None) -> Call[Gallery]:
    """Change a gallery's settings.

    They are ``keep_pictures``, ``retention_days``, ``index``, ``match_rate``, ``uncertain_rate``, ``prior``.
    Only what is named changes; None leaves a rate or the prior to the model's calibration again, and keeps
    pictures for as long as nobody erases them.
    """
    return Call("PATCH", gallery_path(name), reader(Gallery), repeatable=False, json=changes)


def delete_gallery(name: str) -> Call[None]:
    """Erase a gallery with everything in it."""
    return Call("DELETE", gallery_path(name), nothing, repeatable=True)


def statistics(name: str) -> Call[Statistics]:
    """What is in a gallery."""
    return Call("GET", f"{gallery_path(name)}/statistics", reader(Statistics), repeatable=True)


def reindex(name: str, leave_behind: bool = False) -> Call[Reindexing]:
    """Begin to bring a gallery's pictures to the present model, in the background of the service.

    Args:
        leave_behind: let it take over from the previous model although pictures are left that it cannot find.
    """
    parameters = {"leave_behind": "true"} if leave_behind else {}
    return Call(
        "POST", f"{gallery_path(name)}/reindex", reader(Reindexing), repeatable=True, params=parameters
    )


def reindexing(name: str) -> Call[Reindexing]:
    """How far :func:`reindex` is."""
    return Call("GET", f"{gallery_path(name)}/reindex", reader(Reindexing), repeatable=True)
