"""What both ends of a relay have: a socket of frames, and bytes that travel on credit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from modelyard.errors import InternalError
from modelyard.server.carriers.relay.messages import MAX_FRAME_BYTES, PIECE_BYTES, WINDOW_BYTES
from modelyard.server.frame_link import FrameLink
from modelyard.wire.frames import LAST, Kind, encode_credit, encode_parts
from modelyard.wire.pieces import Part

Item = TypeVar("Item")


class RelayLink(FrameLink):
    """A `FrameLink` between a front and the house."""

    def __init__(self) -> None:
        super().__init__(MAX_FRAME_BYTES)

    @property
    def is_open(self) -> bool:
        """Is the other side there?"""
        return self._transport is not None

    def post(self, kind: Kind, request_id: int = 0, payload: Part = b"", flags: int = 0) -> None:
        """Send one frame; nothing where the connection is gone."""
        self.write(*encode_parts(kind, request_id, payload, flags))

    def grant(self, request_id: int, size_bytes: int) -> None:
        """Allow the other side so many more bytes of a body."""
        self.write(encode_credit(request_id, size_bytes))


class Inbox(Generic[Item]):
    """What has come of one body and was not taken yet. One reader.

    Args:
        grant: Called with the bytes that were taken, from time to time: the other side may send so many more.
    """

    __slots__ = ("_grant", "_held_bytes", "_items", "_taken_bytes", "_waiter")

    def __init__(self, grant: Callable[[int], None]) -> None:
        self._grant = grant
        self._items: deque[tuple[Item, int]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._held_bytes = 0
        self._taken_bytes = 0

    def put(self, item: Item, size_bytes: int = 0) -> None:
        """Raises `InternalError` for more than the other side was allowed to send."""
        self._held_bytes += size_bytes
        if self._held_bytes > WINDOW_BYTES + PIECE_BYTES:
            raise InternalError("a relay sent more than it was allowed to")
        self._items.append((item, size_bytes))
        _wake(self._waiter)

    async def get(self) -> Item:
        """The next; waits for it as long as it takes."""
        while not self._items:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        item, size = self._items.popleft()
        self._held_bytes -= size
        self._taken_bytes += size
        if self._taken_bytes >= WINDOW_BYTES // 2:
            self._grant(self._taken_bytes)
            self._taken_bytes = 0
        return item


class Outbox:
    """One body on its way out, as fast as the other side takes it. One sender."""

    __slots__ = ("_credit", "_is_closed", "_link", "_request_id", "_waiter")

    def __init__(self, link: RelayLink, request_id: int) -> None:
        self._link = link
        self._request_id = request_id
        self._credit = WINDOW_BYTES
        self._waiter: asyncio.Future[None] | None = None
        self._is_closed = False

    async def post(self, kind: Kind, body: bytes, *, is_last: bool) -> None:
        """Send bytes, in pieces. Raises `OSError` where the other side does not want them any more."""
        view = memoryview(body)
        while True:
            piece, view = view[:PIECE_BYTES], view[PIECE_BYTES:]
            await self._wait()
            self._credit -= len(piece)
            is_end = is_last and not view
            self._link.post(kind, self._request_id, piece, LAST if is_end else 0)
            if not view:
                return

    def check_open(self) -> None:
        """Raise `OSError` where the other side has gone."""
        if self._is_closed or not self._link.is_open:
            raise ConnectionResetError("the caller went away")

    def add_credit(self, size_bytes: int) -> None:
        """The other side takes more."""
        self._credit += size_bytes
        _wake(self._waiter)

    def close(self) -> None:
        """The other side takes nothing more."""
        self._is_closed = True
        _wake(self._waiter)

    async def _wait(self) -> None:
        await self._link.wait_writable()
        while self._credit <= 0 and not self._is_closed:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        self.check_open()


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
