"""Storing pictures within one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from service.clock import now
from service.problems import UnknownGallery
from service.storage.catalog.duplicates import first_of_content
from service.storage.catalog.erased import note_features
from service.storage.catalog.made import Made, made_by, write_made
from service.storage.catalog.previous import keep_before
from service.storage.catalog.rows import read_scores
from service.storage.database import STORES
from service.storage.facts import facts_of
from service.storage.records import Enrolled, NewImage, Said
from service.storage.tables import FactRow, FeaturesRow, GalleryRow, ImageRow, PersonRow

__all__ = ["enrol_in"]


def enrol_in(session: Session, gallery: int, fingerprint: str, images: Sequence[NewImage]) -> list[Enrolled]:
    """What :meth:`service.storage.catalog.pictures.PictureCatalog.enrol` does, in a caller's transaction."""
    # Of two that store one client id, the second waits here and then finds the first one's.
    if session.get(GalleryRow, gallery, with_for_update={"key_share": True}) is None:
        raise UnknownGallery("the gallery was deleted while pictures were being enrolled")
    client_ids = {image.client_id for image in images if image.client_id is not None}
    known = {
        row.client_id: (row, name)
        for row, name in session.execute(
            select(ImageRow, PersonRow.name)
            .join(PersonRow, PersonRow.number == ImageRow.person)
            .where(ImageRow.gallery == gallery, ImageRow.client_id.in_(client_ids))
        )
    }
    names = {image.person for image in images}
    people = {
        row.name: row
        for row in session.scalars(
            select(PersonRow).where(PersonRow.gallery == gallery, PersonRow.name.in_(names))
        )
    }
    first = first_of_content(session, gallery, {image.digest for image in images})
    answers = []
    moment = now()
    session.info[STORES] = True
    for image in images:
        before = known.get(image.client_id) if image.client_id is not None else None
        if before is not None:
            answers.append(_meet_again(session, *before, image, fingerprint, first))
            continue
        person = people.get(image.person)
        if person is None:
            person = people[image.person] = PersonRow(gallery=gallery, name=image.person)
            session.add(person)
            session.flush()
        made = _made(image, fingerprint)
        row = ImageRow(
            id=image.id,
            gallery=gallery,
            person=person.number,
            digest=image.digest,
            camera=image.camera,
            time=image.time,
            client_id=image.client_id,
            own_metadata=dict(image.metadata),
            kept=image.kept,
            enrolled_at=moment,
            **made.columns,
        )
        session.add(row)
        session.flush()
        session.execute(insert(FeaturesRow).values(image=row.number, features=made.features))
        _keep_facts(session, row, image)
        _keep_before(session, row, image)
        if image.client_id is not None:
            known[image.client_id] = (row, image.person)
        first.setdefault(image.digest, row.id)
        answers.append(_answer("enrolled", row, image.person, indexable=True, first=first))
    return answers


def _meet_again(
    session: Session, row: ImageRow, name: str, image: NewImage, fingerprint: str, first: Mapping[str, str]
) -> Enrolled:
    """A client id that is known: the same picture again, or another one under its id."""
    if row.digest != image.digest:
        return _answer("conflict", row, name, indexable=False, first={})
    pending = row.fingerprint != fingerprint
    if pending:
        note_features(session, ImageRow.number == row.number)
        write_made(session, row, _made(image, fingerprint))
        session.flush()
        _keep_before(session, row, image)
    return _answer(
        "exists", row, name, indexable=pending, first=first, differs=_differences(row, name, image)
    )


def _differences(row: ImageRow, name: str, image: NewImage) -> tuple[Said, ...]:
    told: dict[Said, bool] = {
        "person": image.person != name,
        "camera": image.camera is not None and image.camera != row.camera,
        "time": image.time is not None and image.time != row.time,
        "metadata": bool(image.metadata) and _text(image.metadata) != _text(row.own_metadata),
    }
    return tuple(said for said, differs in told.items() if differs)


def _text(metadata: Mapping[str, Any]) -> str:
    """Of equal metadata the same: Python takes 1 and True for equal, JSON does not."""
    return json.dumps(dict(metadata), sort_keys=True)


def _made(image: NewImage, fingerprint: str) -> Made:
    return made_by(fingerprint, image.occlusion, image.scores, image.features)


def _keep_facts(session: Session, row: ImageRow, image: NewImage) -> None:
    facts = [{"fact": fact, "image": row.number} for fact in facts_of(row.gallery, image.metadata)]
    if facts:
        session.execute(insert(FactRow), facts)


def _keep_before(session: Session, row: ImageRow, image: NewImage) -> None:
    before = image.before
    if before is not None:
        made = made_by(before.fingerprint, before.occlusion, before.scores, before.features)
        keep_before(session, row.number, made)


def _answer(
    status: Literal["enrolled", "exists", "conflict"],
    row: ImageRow,
    name: str,
    indexable: bool,
    first: Mapping[str, str],
    differs: tuple[Said, ...] = (),
) -> Enrolled:
    other = first.get(row.digest)
    return Enrolled(
        status,
        row.id,
        row.number,
        row.person,
        row.occlusion,
        read_scores(row.scores),
        indexable,
        name,
        None if other == row.id else other,
        differs,
    )
