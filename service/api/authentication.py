"""Who may do what: keys as bearer tokens, roles, galleries, and how often.

While there is no active key nobody is asked for one (and the service binds to loopback only); from the
first key on, everybody is.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.storage import storage_from_string
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Scope

from service.api.known_parameters import KnownParameters
from service.clock import jumps, now, seconds_until
from service.problems import Forbidden, RateLimited, Unauthorised, Unavailable
from service.storage.breaker import CircuitBreaker
from service.storage.faults import TAKEN_OVER
from service.storage.fence import ClaimLost
from service.storage.keys import KeyRecord, Keys, Role

__all__ = [
    "ADMIN",
    "ANONYMOUS",
    "ENROL",
    "QUERY",
    "Access",
    "Gatekeeper",
    "KeyFirst",
    "RateLimit",
    "Standing",
    "access_of",
    "address_of",
    "may",
    "network_of",
    "permit_gallery",
]

_log = logging.getLogger(__name__)

_REMEMBERED_S: Final = 1.0
"""How long a key's state is taken for granted: a revoked key ends within this time."""

_MOST_REMEMBERED: Final = 10_000

_AT_A_TIME: Final = 4
"""Look-ups at a time for addresses that are refused too often: threads are left for everybody else."""

_NOT_ACTIVE: Final = "the key is unknown, revoked or expired"

_SHARED_S: Final = 0.5
"""Longest that counting in Redis may take; then it is left alone for a while."""

_BEARER: Final = HTTPBearer(auto_error=False, description="A key made by `penumbra keys create`.")


@dataclass(frozen=True, slots=True)
class Access:
    """In whose name a request is answered; ``key`` is None where nobody is asked for one."""

    key: KeyRecord | None

    @property
    def galleries(self) -> tuple[str, ...] | None:
        """Of which it may be known that they are there; None: all."""
        return None if self.key is None else self.key.galleries

    def check(self, role: Role, gallery: str | None) -> None:
        """See whether the key permits a call; without one, everything is permitted.

        Args:
            role: that the call needs.
            gallery: that it is about; None: about none.

        Raises:
            Forbidden: the key's role is less, or it is bound to other galleries.
        """
        if self.key is None:
            return
        if not self.key.may(role):
            raise Forbidden(f"the key {self.key.id} has the role {self.key.role}; this needs the role {role}")
        if gallery is not None and not self.key.reaches(gallery):
            raise Forbidden(f"the key {self.key.id} is not for the gallery {gallery!r}")


ANONYMOUS: Final = Access(None)


class RateLimit:
    """How often one key (or, without keys, one address) may ask: a moving window.

    In Redis where there is one, so that replicas count together; where Redis does not answer, each process
    counts for itself.

    Args:
        rate: e.g. ``"600/minute"``; see the package ``limits``.
        redis_url: or None.
    """

    def __init__(self, rate: str, redis_url: str | None) -> None:
        self._rate: RateLimitItem = parse(rate)
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._breaker = CircuitBreaker()
        self._jumps = jumps()
        self._shared: MovingWindowRateLimiter | None = None
        if redis_url is not None:
            storage = storage_from_string(f"async+{redis_url}", implementation="redispy")
            assert isinstance(storage, Storage)
            self._shared = MovingWindowRateLimiter(storage)

    async def check(self, who: str, *, count: bool = True) -> None:
        """Count a request.

        Args:
            count: False: only look whether one more would be too many.

        Raises:
            RateLimited: there were too many in the window.
        """
        wait = await self._count_together(who, count)
        if wait is None:
            if self._jumps != (seen := jumps()):
                # requests are counted by the wall clock: after a jump back they would be in the future
                self._jumps = seen
                self._own = MovingWindowRateLimiter(MemoryStorage())
            wait = await self._count(self._own, who, count)
        if wait:
            raise RateLimited(f"more than {self._rate}", retry_after_s=wait)

    async def _count_together(self, who: str, count: bool) -> int | None:
        """As :meth:`_count`, in Redis; None where there is none, or it does not answer."""
        if self._shared is None or not self._breaker.allows():
            return None
        try:
            async with asyncio.timeout(_SHARED_S):
                wait = await self._count(self._shared, who, count)
        except Exception as error:  # whatever the driver raises: Redis is away
            if self._breaker.failed():
                _log.warning("requests are counted in this process alone: %r", error)
            return None
        self._breaker.succeeded()
        return wait

    async def _count(self, limiter: MovingWindowRateLimiter, who: str, count: bool) -> int:
        """0 where it is within the rate, else how long to wait, seconds."""
        if await (limiter.hit if count else limiter.test)(self._rate, who):
            return 0
        reset = (await limiter.get_window_stats(self._rate, who)).reset_time
        return max(1, min(round(seconds_until(reset)), self._rate.get_expiry()))


class Gatekeeper:
    """Looks keys up, and remembers them for a moment.

    Args:
        keys: the truth.
        rate_limit: or None for no limit.
        refusals: how many calls of one address are refused for want of a key, and how many of one key that
            does not permit them, before the answer is to wait. Keys of such an address are looked up all the
            same, a few at a time: behind a proxy the others there have it too.
        anonymous: whether anybody may ask while there is no active key. Where other machines reach the
            service, the last key's end must not open it to them.
    """

    def __init__(
        self, keys: Keys, rate_limit: RateLimit | None, refusals: RateLimit, *, anonymous: bool
    ) -> None:
        self._keys = keys
        self._refusals = refusals
        self._anonymous = anonymous
        self._rate_limit = rate_limit
        self._found: dict[str, tuple[float, KeyRecord]] = {}
        self._any: tuple[float, bool] | None = None
        self._suspect = asyncio.Semaphore(_AT_A_TIME)

    async def identify(self, token: str | None, address: str) -> Access:
        """As :meth:`recognise`, counting a caller who is refused.

        Raises:
            RateLimited: there were too many such callers at this address.
            Unauthorised, Unavailable: see there.
        """
        try:
            return await self.recognise(token, address)
        except Unauthorised:
            await self._refusals.check(network_of(address))
            raise

    async def recognise(self, token: str | None, address: str) -> Access:
        """Whose token this is.

        Args:
            token: as sent, or None.
            address: of the caller.

        Raises:
            Unauthorised: a key is needed and there is none, or it is unknown, revoked or expired.
            Unavailable: the catalog cannot be asked.
        """
        try:
            return await self._admit(token, network_of(address))
        except ClaimLost as error:
            raise Unavailable(TAKEN_OVER) from error
        except SQLAlchemyError as error:
            _log.exception("keys cannot be looked up")
            raise Unavailable("The catalog does not answer, so no key can be checked; try again.") from error

    async def count(self, access: Access, address: str) -> None:
        """Count a call of a key, or without one, of an address.

        Raises:
            RateLimited: there were too many.
        """
        if self._rate_limit is not None:
            await self._rate_limit.check(access.key.id if access.key is not None else address)

    async def permit(self, access: Access, role: Role, gallery: str | None) -> None:
        """See whether a key permits a call, and count those that it does not, see :meth:`Access.check`.

        Raises:
            Forbidden: it does not.
            RateLimited: it does not, as too many before.
        """
        try:
            access.check(role, gallery)
        except Forbidden:
            if access.key is not None:
                await self._refusals.check(access.key.id)
            raise

    async def _admit(self, token: str | None, network: str) -> Access:
        moment = time.monotonic()
        if token is None:
            if self._any is None or moment - self._any[0] > _REMEMBERED_S:
                self._any = (moment, await asyncio.to_thread(self._keys.any))
            if self._any[1] or not self._anonymous:
                raise Unauthorised("this service needs a key: send it as `Authorization: Bearer KEY`")
            return ANONYMOUS
        remembered = self._found.get(token)
        if remembered is None or moment - remembered[0] > _REMEMBERED_S:
            found = await self._look_up(token, None if remembered is not None else network)
            if found is None or not found.active(now()):
                self._found.pop(token, None)
                raise Unauthorised(_NOT_ACTIVE)
            if len(self._found) >= _MOST_REMEMBERED:
                self._found.clear()
            remembered = self._found[token] = (moment, found)
        key = remembered[1]
        if not key.active(now()):
            raise Unauthorised(_NOT_ACTIVE)
        return Access(key)

    async def _look_up(self, token: str, stranger_of: str | None) -> KeyRecord | None:
        """The token's key.

        Args:
            stranger_of: the network of a token that was not found good here before, else None.
        """
        if stranger_of is None or not await self._refused_too_often(stranger_of):
            return await asyncio.to_thread(self._keys.find, token)
        async with self._suspect:
            return await asyncio.to_thread(self._keys.find, token)

    async def _refused_too_often(self, network: str) -> bool:
        try:
            await self._refusals.check(network, count=False)
        except RateLimited:
            return True
        return False


@dataclass(frozen=True, slots=True)
class Standing:
    """A caller who was let in, to be asked again where the request goes on for long."""

    gatekeeper: Gatekeeper
    token: str | None
    address: str
    role: Role
    gallery: str | None

    async def ask_again(self, *, count: bool) -> None:
        """See whether the caller would still be let in.

        Args:
            count: count a call.

        Raises:
            Unauthorised, Forbidden: not any more. It is not counted among refusals.
            RateLimited: there were too many calls.
            Unavailable: the catalog cannot be asked.
        """
        access = await self.gatekeeper.recognise(self.token, self.address)
        access.check(self.role, self.gallery)
        if count:
            await self.gatekeeper.count(access, self.address)


def network_of(address: str) -> str:
    """What calls are counted by: an IPv4 address, or the /64 that one caller has of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # a socket of this machine has none
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def address_of(scope: Scope) -> str:
    """Who sent a request: the other end of its connection."""
    client = scope.get("client")
    return "unknown" if client is None else str(client[0])


def may(role: Role) -> Callable[..., Awaitable[None]]:
    """A dependency: the caller's key has this role and, where the path names a gallery, reaches it."""

    async def check(
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    ) -> None:
        if getattr(request.state, "access", None) is not None:
            return  # KeyFirst has asked
        gatekeeper: Gatekeeper = request.app.state.assembly.gatekeeper
        address = address_of(request.scope)
        token = credentials.credentials if credentials is not None else None
        access = await gatekeeper.identify(token, address)
        request.state.access = access
        gallery = request.path_params.get("gallery")
        request.state.standing = Standing(gatekeeper, token, address, role, gallery)
        with _turning_away(request):
            await gatekeeper.count(access, address)
            await gatekeeper.permit(access, role, gallery)

    return check


async def permit_gallery(request: Request, role: Role, gallery: str) -> None:
    """What :func:`may` sees to where the path names the gallery, for one that the body names.

    Raises:
        Forbidden, RateLimited: see :meth:`Gatekeeper.permit`.
    """
    gatekeeper: Gatekeeper = request.app.state.assembly.gatekeeper
    with _turning_away(request):
        await gatekeeper.permit(access_of(request), role, gallery)


@contextmanager
def _turning_away(request: Request) -> Iterator[None]:
    """Let the audit trail know of calls that are too many (:mod:`service.api.audit`)."""
    try:
        yield
    except RateLimited:
        request.state.turned_away = True
        raise


async def may_watch(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
) -> None:
    """A dependency: anybody may look where ``public_metrics`` says so, else whoever has a key."""
    if not request.app.state.assembly.settings.public_metrics:
        await may("query")(request, credentials)


QUERY: Final = Depends(may("query"))
ENROL: Final = Depends(may("enrol"))
ADMIN: Final = Depends(may("admin"))


class KeyFirst(KnownParameters):
    """A route that asks for the key before it reads the body.

    FastAPI reads a JSON body before it runs dependencies: without this, whoever has no key could have the
    service wait for one and hold it.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own, behind those of the route's dependencies that :func:`may` made."""
        answer = super().get_route_handler()
        checks = [
            wanted.dependency
            for wanted in self.dependencies
            if wanted in (QUERY, ENROL, ADMIN) and wanted.dependency is not None
        ]

        async def ask_first(request: Request) -> Response:
            for check in checks:
                await check(request, await _BEARER(request))
            return await answer(request)

        return ask_first


def access_of(request: Request) -> Access:
    """In whose name the request is answered; :func:`may` has seen to it."""
    access: Access = request.state.access
    return access
