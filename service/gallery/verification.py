"""Verifying: are two pictures of one person, or a picture and an enrolled person?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models import occlusion
from service.embedding.box import Box
from service.embedding.together import embed_together
from service.gallery.grade import Grade
from service.gallery.parts import Parts
from service.gallery.query import Queries, QueryOptions
from service.gallery.ranking import Match, cosine
from service.matching import unification
from service.matching.decision import NO_WISHES, Rule, Verdict, compared_codes, judge
from service.problems import BadRequest, PicturesPending
from service.storage.filters import Filters

__all__ = ["Verification", "Verifier"]


@dataclass(frozen=True, slots=True)
class Verification:
    """How alike two pictures are, or a picture and a person.

    Attributes:
        score: cosine, -1 to 1.
        pictures: grade of each picture sent, in order.
        compared: what was hidden on both sides.
        image: the enrolled picture that matched best; None where two pictures were sent.
        fingerprint: of the model that compared.
        verdict: what the score means; None where the model is not calibrated for this ``unify``.
    """

    score: float
    pictures: tuple[Grade, ...]
    compared: str
    image: Match | None
    fingerprint: str
    verdict: Verdict | None = None


class Verifier:
    """Compares two."""

    def __init__(self, parts: Parts, queries: Queries) -> None:
        self._parts = parts
        self._queries = queries

    async def pictures(
        self,
        contents: Sequence[bytes],
        unify: str,
        boxes: Sequence[Box | None] = (),
        rule: Rule = NO_WISHES,
    ) -> Verification:
        """How alike two pictures are, each hidden where the other is (design §4).

        Args:
            contents: two picture files; ``unify`` may state the first one's occlusion.
            unify: as for a query.
            boxes: as for a query.
            rule: how to decide.

        Raises:
            PictureError, Overloaded, DeadlineExceeded: from the embedder, for either.
            BadRequest: not two pictures, ``unify`` is not a choice, the rates contradict the
                calibration's, or there is no calibration.
        """
        if len(contents) != 2:
            raise BadRequest(f"two pictures are compared, not {len(contents)}")
        if unify == unification.FUSE:
            raise BadRequest(
                "unify=fuse holds scores against a gallery: send one picture with the fields 'gallery' and "
                "'person', or choose another unify for two pictures"
            )
        if unify not in unification.PAIR_CHOICES:
            raise BadRequest(f"unify must be one of {', '.join(unification.PAIR_CHOICES)}, not {unify!r}")
        fault = rule.in_vain([self._parts.calibration]) or rule.contradicts(
            NO_WISHES, self._parts.calibration
        )
        if fault is not None:
            raise BadRequest(fault)
        views = await embed_together(self._parts.embedder, contents, (occlusion.NONE,), boxes)
        code = unification.query_occlusion(unify, views[0].occlusion)
        part = occlusion.NONE if unify == unification.OFF else views[1].occlusion
        if {code, part} != {occlusion.NONE}:
            views = await embed_together(
                self._parts.embedder, contents, sorted({code, part, occlusion.NONE}), boxes
            )
        first, second = views
        score = cosine(float(first.embeddings[part] @ second.embeddings[code]))
        return Verification(
            score=score,
            pictures=tuple(Grade(view.occlusion, view.scores) for view in views),
            compared=unification.hidden_on_both_sides(unify, [code], part),
            image=None,
            fingerprint=self._parts.embedder.fingerprint,
            verdict=judge(
                self._parts.calibration,
                unify,
                rule,
                score,
                compared_codes(unify, [first.occlusion]),
                second.occlusion,
                comparisons=1,
                people=1,
            ),
        )

    async def person(
        self,
        gallery: str,
        person: str,
        content: bytes,
        unify: str,
        boxes: Sequence[Box | None] = (),
        rule: Rule = NO_WISHES,
    ) -> Verification:
        """How alike a picture is to the best matching picture of an enrolled person.

        Raises:
            UnknownGallery, UnknownPerson: there is none.
            PicturesPending: no picture of theirs is of the model that answers.
            PictureError, Overloaded, DeadlineExceeded: from the embedder.
        """
        key = await self._parts.key(gallery)
        await self._parts.read(lambda: self._parts.catalog.people.get(key.number, person))
        options = QueryOptions(1, "image", unify, boxes, Filters(people=[person]), rule)
        answer = await self._queries.answer(gallery, [content], options)
        if not answer.results:
            await self._parts.read(lambda: self._parts.catalog.people.get(key.number, person))  # gone since?
            raise PicturesPending(gallery, person)
        (match,) = answer.results
        return Verification(
            match.score, answer.pictures, match.compared, match, answer.fingerprint, match.verdict
        )
