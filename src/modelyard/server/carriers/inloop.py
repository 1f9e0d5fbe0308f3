"""Carries the application in the gateway's own event loop: the default."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from modelyard.server.carriers.base import CONNECTIONS, address_of, open_listener
from modelyard.server.carriers.http.lifespan import Lifespan
from modelyard.server.carriers.http.opening import Opening
from modelyard.server.carriers.http.port import Port


class InLoopCarrier:
    """HTTP/1.1, HTTP/2 and gRPC on one port, without a thread or a process of its own.

    Args:
        host: Address to listen on.
        port: 0 takes a free one.
        listener: A socket that listens already, instead of `host` and `port`. It stays its owner's.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, listener: socket.socket | None = None) -> None:
        self._host = host
        self._number = port
        self._listener = listener
        self._server: asyncio.Server | None = None

    async def start(self, app: Any) -> str:
        """See `Carrier`."""
        listener = self._listener.dup() if self._listener is not None else open_listener(self._host, self._number)
        try:
            self._lifespan = Lifespan(app)
            await self._lifespan.start_up()
            port = self._port = Port(app, max_connections=CONNECTIONS)
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: Opening(port), sock=listener, backlog=CONNECTIONS)
        except BaseException:
            listener.close()
            raise
        return f"http://{address_of(listener)}"

    async def stop(self, grace_s: float) -> None:
        """See `Carrier`."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        await self._port.drain(grace_s)
        await self._lifespan.shut_down()
