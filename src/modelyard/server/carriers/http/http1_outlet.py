"""The side of an HTTP/1.1 connection that writes: how much may wait for the client, and how the connection ends."""

from __future__ import annotations

import asyncio
from typing import Final

from modelyard.server.carriers.base import STALL_S
from modelyard.server.carriers.http.exchange import JOIN_BYTES

WRITE_BYTES: Final = 256 * 1024
"""So much of answers waits in this process for a client that reads slowly."""
LINGER_S: Final = 2.0
"""So long a client that still sends may take to read that it need not: data that meets a closed socket takes the answer
from it."""
LINGER_BYTES: Final = 8 * 1024 * 1024


class Outlet:
    """Made for a connection.

    Args:
        transport: The connection's.
        loop: Has the clock.
    """

    __slots__ = (
        "_discarded",
        "_lingers_since",
        "_loop",
        "_room",
        "_stalled_since",
        "_transport",
        "_waiting",
        "is_blocked",
        "is_ending",
    )

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        transport.set_write_buffer_limits(high=WRITE_BYTES)
        self._transport = transport
        self._loop = loop
        self._room = asyncio.Event()
        self._waiting = 0
        self._stalled_since = 0.0
        self._lingers_since: float | None = None
        self._discarded = 0
        self.is_blocked = False
        """Has the client to take some before there is room for more?"""
        self.is_ending = False
        """Has the last been written?"""

    def write(self, pieces: list[bytes], size: int) -> None:
        """Send these. Large ones, by the `size` that they have about, are not copied."""
        if size > JOIN_BYTES:
            self._transport.writelines(pieces)
        else:
            self._transport.write(b"".join(pieces))

    def block(self) -> None:
        """There is no room."""
        self.is_blocked = True
        self._room.clear()

    def free(self) -> None:
        """There is room, or nobody to make any."""
        self.is_blocked = False
        self._room.set()

    async def wait_for_room(self) -> None:
        """Wait until the client has taken enough, or has gone."""
        await self._room.wait()

    def look(self, now: float) -> bool:
        """Break off what takes too long. Is there nothing else to look at?"""
        transport = self._transport
        waiting = transport.get_write_buffer_size()
        if waiting != self._waiting:
            self._waiting = waiting
            self._stalled_since = now
            if self._lingers_since is not None:
                self._lingers_since = now
        elif waiting and now - self._stalled_since > STALL_S:
            transport.abort()
            return True
        if self._lingers_since is not None and now - self._lingers_since > LINGER_S:
            transport.close()
        return self.is_ending

    def end(self, *, lingers: bool) -> None:
        """Close when all is written; where it lingers, once the client has had time to read that."""
        transport = self._transport
        self.is_ending = True
        if not lingers:
            transport.close()
            return
        self._lingers_since = self._loop.time()
        if transport.can_write_eof():
            transport.write_eof()

    def discard(self, size: int) -> None:
        """So much arrived that nobody will read."""
        self._discarded += size
        if self._discarded > LINGER_BYTES:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, so that the client sees that something is missing."""
        self.is_ending = True
        self._transport.abort()
