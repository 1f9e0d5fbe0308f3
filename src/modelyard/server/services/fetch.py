"""The safe fetcher: the only code of the server that opens a connection because a caller said so.

URL ── taken apart once ── allowed by name? ── resolved once ── every address checked ── connected to just those
                 └────────────────────── at most 3 redirects, each from the start ──────────────────┘
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from weakref import WeakValueDictionary

from modelyard.errors import InvalidInput
from modelyard.server.services.addresses import Address, explain_denied, parse_address
from modelyard.server.services.allow_list import AllowList
from modelyard.server.services.web_get import Limits, get
from modelyard.server.services.web_place import PORTS, Place, parse_place
from modelyard.server.settings import FetchSettings

MAX_REDIRECTS = 3
RESOLVERS = 8
"""Names that are looked up at once, in threads of their own: a slow name server takes none from others."""

T = TypeVar("T")
Resolver = Callable[[str], Sequence[str]]
"""From a name to its addresses. Blocks; raises OSError."""


class SafeFetcher:
    """Fetches what input URLs point to.

    Args:
        settings: What may be fetched, and how much of it.
        resolve: Looks names up; the system's resolver by default.
        tls: Which certificates are believed; the system's by default, read when the first URL needs them.

    Raises:
        InvalidRequest: The allow-list has an entry that means nothing.
    """

    def __init__(
        self, settings: FetchSettings, *, resolve: Resolver | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._settings = settings
        self._allowed = AllowList.parse(settings.allow)
        self._limits = Limits(max_size_bytes=settings.max_size_bytes, idle_timeout_s=settings.idle_timeout_s)
        self._resolve = resolve or resolve_name
        self._tls = tls
        self._threads = ThreadPoolExecutor(max_workers=RESOLVERS, thread_name_prefix="resolve")
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def aclose(self) -> None:
        """Let go of the threads; look-ups that still run end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def fetch(self, url: str, *, where: str, tenant: str) -> bytes:
        """The content behind a URL.

        Args:
            url: http or https.
            where: The field of the request that holds it: errors begin with it.
            tenant: Who asks: a user may fetch only so many at once; more wait for their turn, within the same time.

        Raises:
            InvalidInput: it may not be fetched, cannot be reached, or is too large or too slow.
        """
        if not self._settings.is_enabled:
            raise InvalidInput(
                f"{where}: this server does not fetch URLs", hint="send the content itself, in base64 or raw"
            )
        try:
            place = parse_place(url)
        except InvalidInput as error:
            raise InvalidInput(f"{where}: {error.message}", hint=error.hint) from None
        try:
            async with asyncio.timeout(self._settings.total_timeout_s), self._turn_of(tenant):
                return await self._follow(place)
        except TimeoutError:
            reason = f"it could not be fetched within {self._settings.total_timeout_s:g} s"
            raise InvalidInput(f"{where}: {place.shown}: {reason}") from None
        except InvalidInput as error:
            raise InvalidInput(f"{where}: {place.shown}: {error.message}", hint=error.hint) from None

    def _turn_of(self, tenant: str) -> asyncio.Semaphore:
        turn = self._turns.get(tenant)
        if turn is None:
            turn = self._turns[tenant] = asyncio.Semaphore(self._settings.concurrent_per_user)
        return turn

    async def _follow(self, place: Place) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            found = await get(place, await self._check(place), self._limits, await self._tls_for(place))
            if found.location is None:
                return found.content
            place = place.follow(found.location)
        raise InvalidInput(f"it redirects more than {MAX_REDIRECTS} times")

    async def _check(self, place: Place) -> list[Address]:
        """The addresses to connect to; raises InvalidInput where the port or one of them is not allowed."""
        is_allowed = self._allowed.allows_name(place.host, place.port)
        addresses = [place.address] if place.address is not None else await self._look_up(place.host)
        for address in addresses:
            if not (is_allowed or self._allowed.allows_address(address)):
                self._refuse_denied(place, address)
        return addresses

    def _refuse_denied(self, place: Place, address: Address) -> None:
        """Say no, without telling which private address a name has."""
        problem = explain_denied(address)
        if problem is not None:
            verb = "is" if place.address is not None else "has"
            raise InvalidInput(
                f"{place.host} {verb} {problem}; only public addresses are fetched",
                hint=f"the operator can allow it: modelyard up --fetch-allow {place.authority}",
            )
        if place.port not in PORTS.values():
            raise InvalidInput(
                f"{place.host} is asked on port {place.port}; only 80 and 443 are fetched",
                hint=f"the operator can allow it: modelyard up --fetch-allow {place.authority}",
            )

    async def _tls_for(self, place: Place) -> ssl.SSLContext | None:
        if self._tls is None and place.scheme == "https":
            # Reading all the system's certificates takes a good part of a second.
            self._tls = await self._in_thread(ssl.create_default_context)
        return self._tls

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _look_up(self, host: str) -> list[Address]:
        try:
            texts = await self._in_thread(lambda: self._resolve(host))
        except (OSError, UnicodeError):
            raise InvalidInput(f"the name {host} cannot be resolved") from None
        addresses = [address for text in texts if (address := parse_address(text)) is not None]
        if not addresses:
            raise InvalidInput(f"the name {host} has no address")
        return list(dict.fromkeys(addresses))


def resolve_name(host: str) -> list[str]:
    """The addresses that the system's resolver knows for a name. Blocks."""
    return [str(row[4][0]) for row in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
