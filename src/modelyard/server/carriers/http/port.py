"""What the connections of one port share: the application, the clock, and who they are."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often connections are looked at for what takes too long."""
BUFFER_BYTES = 256 * 1024
END_S = 5.0
"""How long connections may take to end when their requests were cancelled."""


class Connection(Protocol):
    """One client's connection, as the port knows it."""

    @property
    def requests(self) -> int:
        """How many requests are being answered."""
        ...

    def look(self, now: float) -> None:
        """Break off what takes too long; `now` is the loop's time."""
        ...

    def drain(self) -> None:
        """Take no new requests, answer those that are there, and then hang up."""
        ...

    def cut(self) -> None:
        """Cancel the requests that are there, and hang up."""
        ...


class Port:
    """Made once for a carrier.

    Args:
        app: The ASGI application.
        max_connections: More than these are closed at once.
    """

    def __init__(self, app: Any, *, max_connections: int) -> None:
        self.app = app
        self.loop = asyncio.get_running_loop()
        self.is_draining = False
        self.buffer = memoryview(bytearray(BUFFER_BYTES))
        """Where every connection receives; what came is read, or copied, before the next one receives."""
        self._connections: set[Connection] = set()
        self._max_connections = max_connections
        self._has_room_been_short = False
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._timer = self.loop.call_later(LOOK_S, self._look)

    def add(self, connection: Connection) -> bool:
        """Know it from now on. False: there are too many, it has to be closed."""
        if len(self._connections) >= self._max_connections:
            if not self._has_room_been_short:
                log.warning("carrier.full connections=%d", self._max_connections)
            self._has_room_been_short = True
            return False
        self._has_room_been_short = False
        self._connections.add(connection)
        self._emptied.clear()
        return True

    def replace(self, before: Connection, after: Connection) -> None:
        """`after` goes on with the connection of `before`."""
        self._connections.discard(before)
        self._connections.add(after)

    def remove(self, connection: Connection) -> None:
        """It has ended."""
        self._connections.discard(connection)
        if not self._connections:
            self._emptied.set()

    def make_base_scope(self, transport: asyncio.BaseTransport, *, http_version: str) -> dict[str, Any]:
        """What the scopes of a connection's requests have in common; `headers` and so on are each request's own."""
        client, server = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": http_version,
            "scheme": "http",
            "root_path": "",
            "client": tuple(client[:2]) if client else None,
            "server": tuple(server[:2]) if server else None,
        }

    async def drain(self, grace_s: float) -> None:
        """Let requests finish for up to `grace_s` seconds, cancel what is left, and wait for the last connection."""
        self.is_draining = True
        for connection in list(self._connections):
            connection.drain()
        if not await self._wait_until_empty(grace_s):
            left = sum(connection.requests for connection in self._connections)
            log.warning("carrier.cut requests=%d grace_s=%s", left, grace_s)
            for connection in list(self._connections):
                connection.cut()
            if not await self._wait_until_empty(END_S):
                log.warning("carrier.left connections=%d", len(self._connections))
        self._timer.cancel()

    async def _wait_until_empty(self, limit_s: float) -> bool:
        try:
            await asyncio.wait_for(self._emptied.wait(), limit_s)
        except TimeoutError:
            return False
        return True

    def _look(self) -> None:
        now = self.loop.time()
        for connection in list(self._connections):
            connection.look(now)
        self._timer = self.loop.call_later(LOOK_S, self._look)
