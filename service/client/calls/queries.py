"""Calls that show the service pictures and store none of them: query, verify, embed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from service.client.answers import EmbedAnswer, QueryAnswer, Verification
from service.client.call import Call, gallery_path, reader
from service.client.requests import Box, Decisions, Filters, PictureSource, parts_of


def query(
    gallery: str,
    pictures: Sequence[PictureSource],
    *,
    top_k: int = 10,
    by: Literal["person", "image"] = "person",
    unify: str = "auto",
    boxes: Sequence[Box | None] | None = None,
    filters: Filters | None = None,
    decisions: Decisions | None = None,
    rerank: bool = False,
    overlays: bool = False,
    evidence: int = 1,
) -> Call[QueryAnswer]:
    """Who in the gallery is the person in these 1 to 16 pictures?

    Args:
        gallery: where to look.
        pictures: all of one person.
        top_k: results at most.
        by: rank people by their best picture, or pictures.
        unify: ``auto``, ``off``, ``fuse``, or the name of what is hidden in the query
            (``models.occlusion``).
        boxes: one for each picture, or None for those that show nothing else.
        filters: which of the gallery's pictures are looked at.
        decisions: false-match rates and prior of this call.
        rerank: put the best pictures in the order of their k-reciprocal distance.
        overlays: have what was compared, and where the model looked, drawn over the pictures.
        evidence: pictures shown of each person, 1 to 5: the best, and so many more.
    """
    form = {"top_k": str(top_k), "by": by, "unify": unify, "rerank": str(rerank).lower()}
    if overlays:
        form["overlays"] = "true"
    if evidence != 1:
        form["evidence"] = str(evidence)
    if filters is not None:
        form |= filters.form()
    if decisions is not None:
        form |= decisions.form()
    if boxes is not None:
        form["boxes"] = json.dumps(boxes)
    path = gallery_path(gallery, "query")
    return Call("POST", path, reader(QueryAnswer), repeatable=True, form=form, files=parts_of(pictures))


def embed(
    pictures: Sequence[PictureSource],
    *,
    occlusions: Sequence[str] = ("none",),
    boxes: Sequence[Box | None] | None = None,
) -> Call[EmbedAnswer]:
    """Embeddings and grades of 1 to 64 pictures; nothing is kept.

    Args:
        pictures: of whomever.
        occlusions: what is hidden before the picture is embedded (``models.occlusion``), one vector each.
        boxes: as for :func:`query`.
    """
    form = {"occlusions": json.dumps(list(occlusions))}
    if boxes is not None:
        form["boxes"] = json.dumps(boxes)
    files = parts_of(pictures)
    return Call("POST", "/v1/embed", reader(EmbedAnswer), repeatable=True, form=form, files=files)


def verify(
    pictures: Sequence[PictureSource],
    *,
    gallery: str | None = None,
    person: str | None = None,
    unify: str = "auto",
    boxes: Sequence[Box | None] | None = None,
    decisions: Decisions | None = None,
) -> Call[Verification]:
    """How alike two pictures are; or one picture and an enrolled ``person`` of a ``gallery``."""
    given = {"gallery": gallery, "person": person, "unify": unify}
    form = {name: value for name, value in given.items() if value is not None}
    if decisions is not None:
        form |= decisions.form()
    if boxes is not None:
        form["boxes"] = json.dumps(boxes)
    files = parts_of(pictures)
    return Call("POST", "/v1/verify", reader(Verification), repeatable=True, form=form, files=files)
