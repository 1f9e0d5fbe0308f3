"""What both ends of a relay have: a socket of frames, and bytes that travel on credit."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from modelyard.errors import InternalError, ModelyardError
from modelyard.server.carriers.relay.messages import MAX_FRAME_BYTES, PIECE_BYTES, WINDOW_BYTES
from modelyard.wire.frames import (
    LAST,
    Frame,
    FrameDecoder,
    Kind,
    encode_credit,
    encode_parts,
)

HIGH_WATER_BYTES = 1 << 20
Item = TypeVar("Item")

log = logging.getLogger(__name__)


class RelayLink(asyncio.BufferedProtocol):
    """Frames in and out. What breaks the rules breaks the connection."""

    def __init__(self) -> None:
        self._decoder = FrameDecoder(max_payload_bytes=MAX_FRAME_BYTES)
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def is_open(self) -> bool:
        """Is the other side there?"""
        return self._transport is not None

    def write(self, kind: Kind, request_id: int = 0, payload: bytes = b"", flags: int = 0) -> None:
        """Send one frame; nothing where the connection is gone."""
        if self._transport is not None:
            for part in encode_parts(kind, request_id, payload, flags):
                self._transport.write(part)

    def grant(self, request_id: int, size_bytes: int) -> None:
        """Allow the other side so many more bytes of a body."""
        if self._transport is not None:
            self._transport.write(encode_credit(request_id, size_bytes))

    async def wait_writable(self) -> None:
        """Wait while the socket is full."""
        if not self._writable.is_set():
            await self._writable.wait()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def take(self, frame: Frame) -> None:
        """A frame came. Raises a `ModelyardError` for one that may not come."""
        raise NotImplementedError

    def on_lost(self) -> None:
        """The connection is gone."""
        raise NotImplementedError

    # What the event loop calls: `asyncio.BufferedProtocol`.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The two are connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        del sizehint
        return self._decoder.writable()

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came."""
        try:
            for frame in self._decoder.advance(nbytes):
                self.take(frame)
        except ModelyardError as error:
            log.warning("relay.broken reason=%r", error.message)
            self.abort()

    def pause_writing(self) -> None:
        """The socket is full."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The socket has room again."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side is gone."""
        del exc
        self._transport = None
        self._writable.set()
        self.on_lost()


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
            self._link.write(kind, self._request_id, cast("bytes", piece), LAST if is_end else 0)
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
