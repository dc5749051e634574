"""Whose a token is, and what its key permits.

While there is no active key nobody is asked for one (and the service binds to loopback only); from the
first key on, everybody is.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from service.api.rate_limit import RateLimit
from service.clock import now
from service.problems import Forbidden, RateLimited, Unauthorised, Unavailable
from service.storage.faults import TAKEN_OVER
from service.storage.fence import ClaimLost
from service.storage.keys import KeyRecord, Keys, Role

__all__ = ["ANONYMOUS", "Access", "Gatekeeper", "Standing", "network_of"]

_log = logging.getLogger(__name__)

Result = TypeVar("Result")

_REMEMBERED_S: Final = 1.0
"""How long a key's state is taken for granted: a revoked key ends within this time."""

_MOST_REMEMBERED: Final = 10_000

_THREADS: Final = 8
"""Of the gatekeeper's own: look-ups that hang, in a catalog that is frozen, take nobody else's."""

_AT_A_TIME: Final = 4
"""Look-ups at a time for addresses that are refused too often: threads are left for everybody else."""

_NO_ANSWER: Final = "The catalog does not answer, so no key can be checked; try again."

_NOT_ACTIVE: Final = "the key is unknown, revoked or expired"


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
        deadline_s: how long a key is looked for.
    """

    def __init__(
        self,
        keys: Keys,
        rate_limit: RateLimit | None,
        refusals: RateLimit,
        *,
        anonymous: bool,
        deadline_s: float,
    ) -> None:
        self._keys = keys
        self._refusals = refusals
        self._anonymous = anonymous
        self._rate_limit = rate_limit
        self._found: dict[str, tuple[float, KeyRecord]] = {}
        self._any: tuple[float, bool] | None = None
        self._suspect = asyncio.Semaphore(_AT_A_TIME)
        self._deadline_s = deadline_s
        self._threads = ThreadPoolExecutor(_THREADS, "keys")

    def close(self) -> None:
        """Look for no key any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

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
            Unavailable: the catalog cannot be asked, or does not answer in time.
        """
        limit = asyncio.timeout(self._deadline_s)
        try:
            async with limit:
                return await self._admit(token, network_of(address))
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise Unavailable(_NO_ANSWER) from error
        except ClaimLost as error:
            raise Unavailable(TAKEN_OVER) from error
        except SQLAlchemyError as error:
            _log.exception("keys cannot be looked up")
            raise Unavailable(_NO_ANSWER) from error

    async def count(self, access: Access, address: str) -> None:
        """Count a call of a key, or without one, of an address.

        Raises:
            RateLimited: there were too many.
        """
        if self._rate_limit is not None:
            who = network_of(address) if access.key is None else access.key.id
            await self._rate_limit.check(who)

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
                self._any = (moment, await self._ask(self._keys.any))
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
            return await self._ask(lambda: self._keys.find(token))
        async with self._suspect:
            return await self._ask(lambda: self._keys.find(token))

    async def _ask(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

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
