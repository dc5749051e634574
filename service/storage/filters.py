"""Which of a gallery's pictures a query looks at, or a list shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from service.storage.facts import Scalar


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions that a picture must all meet; what is empty or None asks nothing.

    Attributes:
        cameras, people: it is from one of these cameras, of one of these persons.
        exclude_cameras, exclude_people: it is from none of these; a picture without a camera passes.
        time_from, time_to: it was taken at or after, and before; one without a time does not pass. Aware.
        metadata: its own metadata has each of these members, with this value.
    """

    cameras: Sequence[str] = ()
    people: Sequence[str] = ()
    exclude_cameras: Sequence[str] = ()
    exclude_people: Sequence[str] = ()
    time_from: datetime | None = None
    time_to: datetime | None = None
    metadata: Mapping[str, Scalar] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything is asked."""
        lists = (self.cameras, self.people, self.exclude_cameras, self.exclude_people)
        return any((*lists, self.metadata)) or not (self.time_from is None and self.time_to is None)


EVERYTHING: Final = Filters()
"""No condition."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Conditions that a picture must all meet to be in a list; None asks nothing.

    Attributes:
        person, camera, client_id: it has this one.
        time_from, time_to: as of :class:`Filters`.
        pending: whether another model than the present one made its features.
    """

    person: str | None = None
    camera: str | None = None
    client_id: str | None = None
    time_from: datetime | None = None
    time_to: datetime | None = None
    pending: bool | None = None


ALL: Final = Listed()
"""Every picture."""
