"""From what the galleries say to what REST answers."""

from __future__ import annotations

from dataclasses import asdict

from models import occlusion
from service import gallery
from service.api.faults import ProblemDocument, document
from service.api.schemas.duplicates import Duplicate
from service.api.schemas.galleries import Gallery, Statistics
from service.api.schemas.galleries import Reindexing as ReindexingAnswer
from service.api.schemas.people import Person
from service.api.schemas.pictures import EnrolledItem, Occlusion, Picture, Scores
from service.api.schemas.queries import (
    Evidence,
    MatchedImage,
    QueryAnswer,
    QueryOverlay,
    QueryPicture,
    QueryUnderstood,
    Result,
    ResultOverlay,
    Timings,
)
from service.api.schemas.verification import VerifyAnswer
from service.overlays import QueryOverlays
from service.reindexing import Reindexing
from service.storage.pictures import KeptBytes
from service.storage.records import (
    DuplicateRecord,
    GalleryRecord,
    GalleryStatistics,
    PersonRecord,
    PictureRecord,
)


def grade(graded: gallery.Grade) -> Occlusion:
    """A grade: the type's name, and the four scores by place."""
    scores = None
    if graded.scores is not None:
        top, bottom, left, right = (round(float(score), 6) for score in graded.scores)
        scores = Scores(top=top, bottom=bottom, left=left, right=right)
    return Occlusion(type=occlusion.NAMES[graded.occlusion], scores=scores)


def gallery_record(record: GalleryRecord) -> Gallery:
    """A gallery with its counts."""
    return Gallery(
        name=record.name,
        images=record.images,
        people=record.people,
        pending=record.pending,
        keep_pictures=record.keep_pictures,
        retention_days=record.retention_days,
        index=record.index,
        created_at=record.created_at,
        match_rate=record.rule.match_rate,
        uncertain_rate=record.rule.uncertain_rate,
        prior=record.rule.prior,
    )


def statistics(found: GalleryStatistics, kept: KeptBytes) -> Statistics:
    """What is in a gallery, with its codes by their names."""
    return Statistics(
        images=found.images,
        people=found.people,
        pending=found.pending,
        by_occlusion={occlusion.NAMES[code]: count for code, count in sorted(found.by_occlusion.items())},
        feature_bytes=found.feature_bytes,
        picture_bytes=kept.pictures,
        thumbnail_bytes=kept.thumbnails,
        first_enrolled=found.first_enrolled,
        last_enrolled=found.last_enrolled,
    )


def reindexing(found: Reindexing) -> ReindexingAnswer:
    """How far a gallery's pictures are brought to the present model."""
    return ReindexingAnswer(**asdict(found))


def enrolled(outcome: gallery.EnrolOutcome) -> EnrolledItem:
    """What became of one picture."""
    problem = outcome.problem
    return EnrolledItem(
        id=outcome.id,
        client_id=outcome.client_id,
        status=outcome.status,
        occlusion=None if outcome.grade is None else grade(outcome.grade),
        person=outcome.person,
        differs=list(outcome.differs),
        duplicate_of=outcome.duplicate_of,
        problem=None if problem is None else ProblemDocument(**document(problem)),
    )


def picture(record: PictureRecord, fingerprint: str) -> Picture:
    """An enrolled picture, as the present model (``fingerprint``) sees it."""
    return Picture(
        id=record.id,
        person=record.person,
        camera=record.camera,
        time=record.time,
        client_id=record.client_id,
        metadata=dict(record.metadata),
        enrolled_at=record.enrolled_at,
        occlusion=grade(gallery.Grade(record.occlusion, record.scores)),
        kept=record.kept,
        pending=record.fingerprint != fingerprint,
    )


def duplicate(record: DuplicateRecord) -> Duplicate:
    """A picture with the content of an earlier one."""
    return Duplicate(
        id=record.id,
        person=record.person,
        client_id=record.client_id,
        duplicate_of=record.first,
        duplicate_of_person=record.first_person,
    )


def person(record: PersonRecord) -> Person:
    """A person with their count."""
    return Person(name=record.name, images=record.images)


def matched(match: gallery.Match) -> MatchedImage:
    """The gallery picture of a result."""
    return MatchedImage(
        id=match.image,
        camera=match.camera,
        time=match.time,
        client_id=match.client_id,
        metadata=dict(match.metadata),
        occlusion=grade(match.grade),
    )


def verification(found: gallery.Verification) -> VerifyAnswer:
    """Whether it is the same person; how likely is for calibrated models to say."""
    verdict = found.verdict
    return VerifyAnswer(
        score=found.score,
        probability=None if verdict is None else round(verdict.probability, 6),
        decision=None if verdict is None else verdict.decision,
        pictures=[QueryPicture(occlusion=grade(seen)) for seen in found.pictures],
        image=None if found.image is None else matched(found.image),
        compared=found.compared,
        model=found.fingerprint,
    )


def query_answer(answer: gallery.QueryAnswer, drawn: QueryOverlays | None = None) -> QueryAnswer:
    """A ranked answer, with what was drawn of it."""
    over_results = () if drawn is None else drawn.results
    pictures = [QueryPicture(occlusion=grade(picture)) for picture in answer.pictures]
    times = answer.timings
    return QueryAnswer(
        query=QueryUnderstood(
            occlusion=pictures[0].occlusion,
            pictures=pictures,
            compared_images=answer.compared,
            overlay=None if drawn is None else QueryOverlay(**asdict(drawn.query)),
        ),
        results=[
            Result(
                rank=match.rank,
                person=match.person,
                score=match.score,
                probability=None if match.verdict is None else round(match.verdict.probability, 6),
                decision=None if match.verdict is None else match.verdict.decision,
                image=matched(match),
                compared=match.compared,
                distance=None if match.distance is None else round(match.distance, 6),
                overlay=ResultOverlay(**asdict(over_results[place])) if place < len(over_results) else None,
                evidence=[
                    Evidence(
                        score=other.score,
                        image=matched(other),
                        compared=other.compared,
                        distance=None if other.distance is None else round(other.distance, 6),
                    )
                    for other in match.evidence
                ],
            )
            for place, match in enumerate(answer.results)
        ],
        pending=answer.pending,
        model=answer.fingerprint,
        timings=Timings(
            decode=round(times.decode, 3),
            queue=round(times.queue, 3),
            embed=round(times.embed, 3),
            search=round(times.search, 3),
            total=round(times.total, 3),
        ),
    )
