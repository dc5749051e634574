"""Talk to a running service from Python: :class:`Client`, and :class:`AsyncClient` for asyncio.

    from pathlib import Path

    from service.client import Client, NewPicture

    with Client("http://127.0.0.1:8321") as client:
        client.create_gallery("shop")
        client.enrol("shop", [NewPicture(Path("anna.jpg"), person="anna", client_id="anna.jpg")])
        for match in client.query("shop", [Path("who.jpg")], top_k=3).results:
            print(match.rank, match.person, match.score)

Each thing the service does is described once, by a function that gives a :class:`service.client.call.Call`: a
value that says what to send and how to read the answer. A method of either client sends what the function of
its name describes, has its parameters and docstring, and knows nothing of what is in a call.

What is tried again, with growing waits: calls that change nothing when they are repeated (every read,
every query, erasing, and enrolling where each picture has a client id), when the service is overloaded
(429; its ``Retry-After`` is honoured) or no connection could be made; and single pictures with a client
id that a busy service turned away while it took others of the same call. Nothing else is.
"""

from service.client.answers import (
    BatchAnswer,
    Duplicate,
    EmbedAnswer,
    Embedding,
    EnrolledPicture,
    Evidence,
    Gallery,
    MatchedImage,
    Model,
    Occlusion,
    Person,
    Picture,
    Problem,
    QueryAnswer,
    QueryOverlay,
    QueryPicture,
    QueryResult,
    QueryUnderstood,
    Reindexing,
    ResultOverlay,
    Statistics,
    Verification,
)
from service.client.asynchronous import (
    AsyncClient,
)
from service.client.connection import (
    DEFAULT_URL,
)
from service.client.faults import (
    BadAddress,
    BadKey,
    ClientError,
    NotInUrl,
    ProblemError,
    ServiceUnreachable,
    UnexpectedAnswer,
)
from service.client.requests import (
    BatchQuery,
    Box,
    Decisions,
    Filters,
    NewPicture,
    PictureSource,
)
from service.client.retries import (
    Retries,
)
from service.client.waiting import (
    Client,
)

__all__ = [
    "DEFAULT_URL",
    "AsyncClient",
    "BadAddress",
    "BadKey",
    "BatchAnswer",
    "BatchQuery",
    "Box",
    "Client",
    "ClientError",
    "Decisions",
    "Duplicate",
    "EmbedAnswer",
    "Embedding",
    "EnrolledPicture",
    "Evidence",
    "Filters",
    "Gallery",
    "MatchedImage",
    "Model",
    "NewPicture",
    "NotInUrl",
    "Occlusion",
    "Person",
    "Picture",
    "PictureSource",
    "Problem",
    "ProblemError",
    "QueryAnswer",
    "QueryOverlay",
    "QueryPicture",
    "QueryResult",
    "QueryUnderstood",
    "Reindexing",
    "ResultOverlay",
    "Retries",
    "ServiceUnreachable",
    "Statistics",
    "UnexpectedAnswer",
    "Verification",
]
