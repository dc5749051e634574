"""What can go wrong, as one small hierarchy: every layer raises these, REST answers them (RFC 9457).

A :class:`Problem` names what was wrong and what to do about it in ``detail``; its class gives the HTTP
status, the slug of its type and its title. Anything else that is raised is a fault of this program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

TYPE_PREFIX: Final = "https://penumbra.invalid/problems/"


class Problem(Exception):
    """A fault that is told to the caller.

    Attributes:
        status: HTTP status, 400 to 599.
        slug: last part of the problem's type.
        title: the kind of problem in words, the same for every occurrence.
        detail: this occurrence in words.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def type(self) -> str:
        """The problem's type, a URI that identifies it and is not meant to be opened."""
        return TYPE_PREFIX + self.slug

    @property
    def headers(self) -> dict[str, str]:
        """Response headers that belong to this problem."""
        return {}

    @property
    def members(self) -> dict[str, Any]:
        """What its document has beside the members that every problem has."""
        return {}


# Pictures


class PictureError(Problem):
    """The bytes sent are no picture that can be taken; alone at fault in its batch."""

    status = 422
    slug = "bad-picture"
    title = "Picture cannot be used"


class EmptyPicture(PictureError):
    """No bytes at all."""

    slug = "empty-picture"
    title = "Picture is empty"


class NotAPicture(PictureError):
    """The bytes are in no picture format known here."""

    slug = "not-a-picture"
    title = "Not a picture"


class BrokenPicture(PictureError):
    """A picture format, but truncated or damaged."""

    slug = "broken-picture"
    title = "Picture is truncated or damaged"


class UnsupportedFormat(PictureError):
    """A picture, in a format that is not accepted."""

    status = 415
    slug = "unsupported-format"
    title = "Picture format not accepted"


class PictureTooLarge(PictureError):
    """More bytes or more pixels than accepted."""

    status = 413
    slug = "picture-too-large"
    title = "Picture too large"


class BoxOutside(PictureError):
    """The box is not wholly within the picture."""

    slug = "box-outside"
    title = "Box outside of the picture"


# Requests


class _Invalid(Problem):
    """``errors``: by field, where it was found field by field: ``field`` and ``message`` of each."""

    status = 422

    def __init__(self, detail: str, errors: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(detail)
        self.errors = errors

    @property
    def members(self) -> dict[str, Any]:
        return {"errors": [dict(one) for one in self.errors]} if self.errors else {}


class BadRequest(_Invalid):
    """The request is not what the interface takes."""

    slug = "invalid-request"
    title = "Request does not validate"


class BadItems(_Invalid):
    """The form field ``items`` is not what enrolling takes."""

    slug = "bad-items"
    title = "Items do not validate"


class NoneEnrolled(Problem):
    """Not one of several pictures could be enrolled; the answer carries each one's problem."""

    status = 422
    slug = "none-enrolled"
    title = "No picture enrolled"


class HeadTooLarge(Problem):
    """The request's line and headers have more bytes than accepted."""

    status = 431
    slug = "head-too-large"
    title = "Request head too large"


class BodyTooLarge(Problem):
    """The request's body has more bytes than accepted."""

    status = 413
    slug = "body-too-large"
    title = "Request body too large"


class BodyStalled(Problem):
    """The request's body did not come: nothing of it for as long as is waited, or too little."""

    status = 408
    slug = "body-stalled"
    title = "Request body did not come"

    def __init__(self, found: str) -> None:
        super().__init__(f"{found}, so it is not waited for.")


# Access


class Unauthorised(Problem):
    """A key is needed: none was sent, or one that is unknown, revoked or expired."""

    status = 401
    slug = "unauthorised"
    title = "A valid key is needed"

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(Problem):
    """The key's role does not comprise this, or it is bound to other galleries."""

    status = 403
    slug = "forbidden"
    title = "Not with this key"


class Misdirected(Problem):
    """The request is for another host than this machine, and nobody is asked for a key."""

    status = 421
    slug = "misdirected"
    title = "Not an address of this service"


class ForeignPage(Problem):
    """A page of another site sends something, and nobody is asked for a key."""

    status = 403
    slug = "foreign-page"
    title = "Sent by a page of another site"


class UnknownKey(Problem):
    """There is no key of that id."""

    status = 404
    slug = "unknown-key"
    title = "Unknown key"


# Galleries


class UnknownGallery(Problem):
    """There is no gallery of that name."""

    status = 404
    slug = "unknown-gallery"
    title = "Unknown gallery"


class UnknownImage(Problem):
    """There is no picture of that id in the gallery."""

    status = 404
    slug = "unknown-image"
    title = "Unknown image"


class UnknownPerson(Problem):
    """There is no person of that name in the gallery."""

    status = 404
    slug = "unknown-person"
    title = "Unknown person"


class PicturesPending(Problem):
    """No enrolled picture of the person can be compared: another model made their features."""

    status = 409
    slug = "pictures-pending"
    title = "Pictures pending"

    def __init__(self, gallery: str, person: str) -> None:
        super().__init__(
            f"{person!r} is enrolled, but another model made the features of all their pictures. Where they "
            f"are kept, `penumbra galleries reindex {gallery}`, or POST /v1/galleries/{gallery}/reindex, "
            "makes them again; else enrol them again."
        )


class PictureNotKept(Problem):
    """The gallery keeps what the model makes of its pictures, but not the pictures."""

    status = 404
    slug = "picture-not-kept"
    title = "Picture not kept"


class PictureLost(Problem):
    """The picture was kept, and its file is gone from the picture store, damaged or unreadable."""

    status = 404
    slug = "picture-lost"
    title = "Kept picture is lost"


class PersonExists(Problem):
    """Another person of the gallery has that name; merging the two is asked for by ``merge``."""

    status = 409
    slug = "person-exists"
    title = "Person exists"


class GalleryExists(Problem):
    """A gallery of that name is there already."""

    status = 409
    slug = "gallery-exists"
    title = "Gallery exists"


class ClientIdConflict(Problem):
    """A client id was used before in this gallery, for another picture."""

    status = 409
    slug = "client-id-conflict"
    title = "Client id used for another picture"


# Load and state


class TryLater(Problem):
    """Nothing is wrong with the request. ``retry_after_s``: whole seconds after which to try again."""

    usual_wait_s: ClassVar[int] = 1

    def __init__(self, detail: str, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.retry_after_s = self.usual_wait_s if retry_after_s is None else retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """``Retry-After`` in seconds."""
        return {"Retry-After": str(self.retry_after_s)}


class Overloaded(TryLater):
    """The queue is full."""

    status = 429
    slug = "overloaded"
    title = "Too many requests waiting"


class RateLimited(Overloaded):
    """This key (without keys: this address) asked, or was refused, more often than it may."""

    slug = "rate-limited"
    title = "Too many requests"


class DeadlineExceeded(Problem):
    """The work was not done within the deadline."""

    status = 504
    slug = "deadline-exceeded"
    title = "Deadline exceeded"


class Unavailable(TryLater):
    """The service is starting, stopping, or a part it needs does not answer."""

    status = 503
    slug = "unavailable"
    title = "Service unavailable"
    usual_wait_s = 2


class PicturesAway(Unavailable):
    """The picture store does not answer."""

    def __init__(self) -> None:
        super().__init__("The picture store does not answer for now; try again.")


class IndexBehind(Unavailable):
    """The index has yet to follow a change; until it has, nothing else is changed."""

    def __init__(self) -> None:
        super().__init__(
            "The index cannot follow an earlier change for now, and nothing else is changed until it has. "
            "Nothing of this request was stored; try again."
        )


class NotFollowed(Unavailable):
    """The change is in the catalog, and the index has yet to follow."""

    def __init__(self) -> None:
        super().__init__(
            "The catalog has stored this, and the index cannot follow for now; it will. Send the request "
            "again to hear when it has: a picture with a client_id is not enrolled twice."
        )


class StorageFull(TryLater):
    """There is no room for what is to be stored; nothing of it was."""

    status = 507
    slug = "storage-full"
    title = "Storage full"
    usual_wait_s = 60


class EmbeddingFailed(Problem):
    """The model failed on this picture, though it decoded well."""

    status = 500
    slug = "embedding-failed"
    title = "Model failed on this picture"
