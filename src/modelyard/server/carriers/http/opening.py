"""The first bytes of a connection say which HTTP it speaks."""

from __future__ import annotations

import asyncio
from typing import cast

from modelyard.server.carriers.base import HEADERS_S
from modelyard.server.carriers.http.http1 import Http1Connection
from modelyard.server.carriers.http.http2 import Http2Connection
from modelyard.server.carriers.http.port import Port

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Opening(asyncio.Protocol):
    """A connection that has not yet said which HTTP it speaks; it then goes on as that.

    Args:
        port: The port that it came to.
    """

    requests = 0

    def __init__(self, port: Port) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._first = b""
        self._opened_at = port.loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        self._transport = transport = cast("asyncio.Transport", transport)
        if not self._port.add(self):
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        first = self._first = self._first + data
        if first.startswith(PREFACE):
            self._go_on_as(Http2Connection(self._port), first[len(PREFACE) :])
        elif not PREFACE.startswith(first):
            self._go_on_as(Http1Connection(self._port), first)

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.Protocol`."""
        del exc
        self._port.remove(self)

    def look(self, now: float) -> None:
        """See `Connection`."""
        if now - self._opened_at > HEADERS_S and self._transport is not None:
            self._transport.abort()

    def drain(self) -> None:
        """See `Connection`."""
        self.cut()

    def cut(self) -> None:
        """See `Connection`."""
        if self._transport is not None:
            self._transport.close()

    def _go_on_as(self, connection: Http1Connection | Http2Connection, rest: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        self._port.replace(self, connection)
        transport.pause_reading()  # a transport that reads goes on as it began, into a buffer or not
        transport.set_protocol(connection)
        transport.resume_reading()
        connection.connection_made(transport)
        if rest:
            connection.data_received(rest)
