"""Enrolling any number of pictures, in calls of up to 64."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from typing import Final

from service.client.answers import EnrolAnswer, EnrolledPicture, Problem
from service.client.call import Call, gallery_path
from service.client.faults import ProblemError, UnexpectedAnswer
from service.client.requests import NewPicture, Part, part_of

__all__ = ["Enrolment", "enrol"]

PICTURES_PER_CALL: Final = 64
"""The most pictures that the service takes in one enrolment."""

BYTES_PER_CALL: Final = 32 * 1024 * 1024
"""Bytes after which an enrolment is cut even if it has fewer pictures; half of what the service takes."""

_FAULTS_OF_ONE_PICTURE: Final = frozenset(
    {
        "bad-picture",
        "empty-picture",
        "not-a-picture",
        "broken-picture",
        "unsupported-format",
        "picture-too-large",
        "box-outside",
        "body-too-large",
        "client-id-conflict",
        "embedding-failed",
    }
)
"""Problems of the picture itself. Sent alone, such a picture gets its own 4xx instead of an item."""

_BUSY: Final = frozenset({429, 503, 504})
"""Statuses of what has no fault, and can be sent again later."""

_PATIENCE: Final = 3
"""Calls that a service may turn away in a row; each was repeated for as long as the client waits."""


def enrol(
    gallery: str,
    pictures: Iterable[NewPicture],
    *,
    on_answer: Callable[[list[EnrolledPicture]], None] | None = None,
) -> Enrolment:
    """Enrol any number of pictures, 64 a call. One that failed does not raise.

    Args:
        gallery: where to.
        pictures: read lazily.
        on_answer: called after each call with what became of its pictures, for a progress bar.

    Returns:
        What became of each picture, in order.
    """
    return Enrolment(gallery, pictures, on_answer)


class Enrolment:
    """Cuts an enrolment into calls, and puts their answers together in the order of the pictures.

    A busy service takes some pictures of a call and turns others away (429, 503, 504). Those that have a
    client id are sent again, as long as each call gets some of its pictures in. Once any is in, a call that
    is turned away whole is told picture by picture too: raised, it would hide what became of the others.
    After :data:`_PATIENCE` of those in a row no more is sent, and that is told of all that are left.
    """

    def __init__(
        self,
        gallery: str,
        pictures: Iterable[NewPicture],
        on_answer: Callable[[list[EnrolledPicture]], None] | None,
    ) -> None:
        self._gallery = gallery
        self._coming = enumerate(pictures)
        self._waiting: deque[tuple[int, NewPicture]] = deque()
        self._sent: list[tuple[int, NewPicture]] = []
        self._known: dict[int, EnrolledPicture] = {}
        self._got_in = False
        self._in_vain = 0  # calls in a row that were turned away whole
        self._on_answer = on_answer

    def next_call(self) -> Call[list[EnrolledPicture]] | None:
        """What to send now: 64 pictures, or as many as are left or as fit; None at the end."""
        self._sent, size = [], 0
        parts: list[Part] = []
        while len(self._sent) < PICTURES_PER_CALL:
            if not self._waiting:
                self._waiting.extend(islice(self._coming, 1))
            if not self._waiting:
                break
            part = part_of(len(parts), self._waiting[0][1].picture)
            size += len(part[1][1])
            if parts and size > BYTES_PER_CALL:
                break
            self._sent.append(self._waiting.popleft())
            parts.append(part)
        if not self._sent:
            return None
        return _one_call(self._gallery, [picture for _, picture in self._sent], parts, self._got_in)

    def take(self, answered: list[EnrolledPicture]) -> None:
        """The answer to the last call.

        Raises:
            UnexpectedAnswer: it is not about as many pictures as were sent.
        """
        if len(answered) != len(self._sent):
            raise UnexpectedAnswer(
                f"{len(self._sent)} pictures were sent, the answer is about {len(answered)}"
            )
        self._got_in = self._got_in or any(outcome.problem is None for outcome in answered)
        some_got_in = not all(_turned_away(outcome) for outcome in answered)
        told: list[EnrolledPicture] = []
        again: list[tuple[int, NewPicture]] = []
        for (position, picture), outcome in zip(self._sent, answered, strict=True):
            if some_got_in and picture.client_id is not None and _turned_away(outcome):
                again.append((position, picture))
            else:
                self._known[position] = outcome
                told.append(outcome)
        self._in_vain = 0 if some_got_in else self._in_vain + 1
        if self._in_vain == _PATIENCE:
            for position, picture in chain(self._waiting, self._coming):
                self._known[position] = answered[-1].model_copy(update={"client_id": picture.client_id})
                told.append(self._known[position])
            self._waiting.clear()
        self._waiting.extendleft(reversed(again))
        if self._on_answer is not None:
            self._on_answer(told)

    def result(self) -> list[EnrolledPicture]:
        """What became of each picture, in order."""
        return [self._known[position] for position in sorted(self._known)]


def _one_call(
    gallery: str,
    pictures: Sequence[NewPicture],
    parts: Sequence[Part],
    others_got_in: bool,
) -> Call[list[EnrolledPicture]]:
    """One call that enrols up to 64 pictures.

    That every picture failed is no problem of the call: it is told picture by picture, as it is when
    some did not; that the service was busy also, where pictures of earlier calls got in. Faults of the call
    itself (an unknown gallery, say) are raised.
    """

    def each_failed(problem: ProblemError) -> list[EnrolledPicture] | None:
        if "items" in problem.document:
            return EnrolAnswer.model_validate(problem.document).items
        of_the_picture = len(pictures) == 1 and problem.slug in _FAULTS_OF_ONE_PICTURE
        if not of_the_picture and not (others_got_in and problem.status in _BUSY):
            return None
        told = Problem.model_validate({"status": problem.status, **problem.document})
        return [
            EnrolledPicture(client_id=picture.client_id, status="failed", problem=told)
            for picture in pictures
        ]

    return Call(
        "POST",
        gallery_path(gallery, "images"),
        lambda response: EnrolAnswer.model_validate_json(response.content).items,
        repeatable=all(picture.client_id is not None for picture in pictures),
        form={"items": json.dumps([picture.item() for picture in pictures], ensure_ascii=False)},
        files=parts,
        rescue=each_failed,
    )


def _turned_away(outcome: EnrolledPicture) -> bool:
    """Whether a picture failed because the service was busy, not because of itself."""
    return outcome.problem is not None and outcome.problem.status in _BUSY
