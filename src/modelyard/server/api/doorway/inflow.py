"""A request's body as it comes, a little ahead of its reader, so that a caller who goes away is noticed."""

from __future__ import annotations

import asyncio
from collections import deque

from modelyard.errors import Cancelled
from modelyard.server.api.doorway.lifeline import Lifeline
from modelyard.server.api.doorway.types import Event, Receive

LOOKAHEAD_BYTES = 65_536
"""Reading stops while this much waits for the reader: the transport's flow control then holds the sender back."""


class Inflow:
    """Reads ASGI's events in a task of its own. One reader.

    Args:
        receive: ASGI's receive.
        lifeline: Told when the caller goes away.
        first: An event that was received already.
    """

    def __init__(self, receive: Receive, lifeline: Lifeline, first: Event | None = None) -> None:
        self._receive = receive
        self._lifeline = lifeline
        self._chunks: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._has_ended = False
        self._is_gone = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        if first is not None:
            self._take(first)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read; whoever starts calls `close`."""
        self._task = asyncio.get_running_loop().create_task(self._pump())

    async def close(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def read(self) -> bytes:
        """The next bytes; empty at the end of the body. Raises `Cancelled` where the caller went away before it."""
        while not self._chunks:
            if self._is_gone:
                raise Cancelled("the caller went away")
            if self._has_ended:
                return b""
            self._changed.clear()
            await self._changed.wait()
        chunk = self._chunks.popleft()
        self._waiting_bytes -= len(chunk)
        self._room.set()
        return chunk

    async def _pump(self) -> None:
        while not self._is_gone:
            while self._waiting_bytes >= LOOKAHEAD_BYTES:
                self._room.clear()
                await self._room.wait()
            self._take(await self._receive())
        self._lifeline.hang_up()

    def _take(self, event: Event) -> None:
        if event["type"] == "http.disconnect":
            self._is_gone = True
        else:
            chunk = event.get("body", b"")
            if chunk:
                self._chunks.append(chunk)
                self._waiting_bytes += len(chunk)
            self._has_ended = not event.get("more_body", False)
        self._changed.set()
