"""One end of a socket of frames, in the event loop."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import cast

from modelyard.errors import ModelyardError
from modelyard.wire.frames import SEND_BUFFER_BYTES, Frame, FrameDecoder
from modelyard.wire.pieces import Part

HIGH_WATER_BYTES = 1 << 20

log = logging.getLogger(__name__)


class FrameLink(asyncio.BufferedProtocol):
    """Frames in and out. What breaks the rules breaks the connection.

    Args:
        max_payload_bytes: The largest frame that is taken.
    """

    def __init__(self, max_payload_bytes: int) -> None:
        self._decoder = FrameDecoder(max_payload_bytes=max_payload_bytes)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._outgoing: list[Part] = []
        self._writable = asyncio.Event()
        self._writable.set()

    def take(self, frame: Frame) -> None:
        """A frame came. Raises a `ModelyardError` for one that may not come."""
        raise NotImplementedError

    def on_lost(self) -> None:
        """The connection is gone."""
        raise NotImplementedError

    def write(self, *parts: Part) -> None:
        """Send a frame, in the pieces that `encode_parts` gives; nothing where the connection is gone.

        Small frames wait for the end of this turn of the loop: all of a turn leave in one system call, and wake the
        other side once. A large payload is written at once, behind what is there, and not copied.
        """
        if self._transport is None:
            return
        self._outgoing.append(parts[0])
        if len(parts) > 1:
            self._flush()
            self._transport.writelines(parts[1:])
        elif len(self._outgoing) == 1:
            self._loop.call_soon(self._flush)

    async def wait_writable(self) -> None:
        """Wait while the socket is full."""
        if not self._writable.is_set():
            await self._writable.wait()

    def abort(self) -> None:
        """Cut the connection; `on_lost` is called soon."""
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls: `asyncio.BufferedProtocol`.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is at the other end."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

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
            log.warning("link.broken reason=%r", error.message)
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

    def _flush(self) -> None:
        outgoing = self._outgoing
        if outgoing and self._transport is not None:
            self._transport.write(outgoing[0] if len(outgoing) == 1 else b"".join(outgoing))
        outgoing.clear()
