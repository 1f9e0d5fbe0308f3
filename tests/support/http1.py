"""HTTP/1.1 byte by byte over a raw socket: what well-behaved clients never send, too."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import Any

from modelyard.server.carriers.http.http1 import Http1Connection
from modelyard.server.carriers.http.port import Port

TIMEOUT_S = 30.0


@dataclass
class Answer:
    """What came for one request."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await asyncio.wait_for(self.writer.drain(), TIMEOUT_S)

    async def read(self, *, is_head: bool = False) -> Answer:
        """The next answer."""
        async with asyncio.timeout(TIMEOUT_S):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lines = head.split("\r\n")[:-2]
            headers: dict[str, str] = {}
            for line in lines[1:]:
                name, _, value = line.partition(": ")
                assert name not in headers, line
                headers[name] = value
            status = int(lines[0].split(" ")[1])
            has_body = not is_head and status >= 200 and status not in (204, 304)
            return Answer(status, headers, await self._read_body(headers) if has_body else b"")

    async def ask(self, data: bytes, *, is_head: bool = False) -> Answer:
        await self.send(data)
        return await self.read(is_head=is_head)

    async def read_to_end(self) -> bytes:
        """All that comes until the other end closes properly."""
        return await asyncio.wait_for(self._reader.read(), TIMEOUT_S)

    async def close(self) -> None:
        if not self.writer.is_closing() or self.writer.transport.get_write_buffer_size():
            self.writer.transport.abort()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)

    async def _read_body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            assert "transfer-encoding" not in headers
            return await self._reader.readexactly(int(headers["content-length"]))
        if headers.get("transfer-encoding") != "chunked":
            assert headers["connection"] == "close"
            return await self._reader.read()
        body = b""
        while size := int((await self._reader.readuntil(b"\r\n"))[:-2], 16):
            chunk = await self._reader.readexactly(size + 2)
            assert chunk[-2:] == b"\r\n"
            body += chunk[:-2]
        assert await self._reader.readexactly(2) == b"\r\n"
        return body


class Http1Server:
    """An application behind HTTP/1.1 alone."""

    def __init__(self, app: Any) -> None:
        self.port = Port(app, max_connections=100)
        self.connections: list[Http1Connection] = []
        self._clients: list[Client] = []

    async def open(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Door(self), "127.0.0.1", 0)

    async def dial(self, *, receive_bytes: int | None = None) -> Client:
        """A new client; `receive_bytes` is what its socket takes while it does not read, about."""
        sock = socket.socket()
        if receive_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, self._server.sockets[0].getsockname())
        client = Client(*await asyncio.open_connection(sock=sock, limit=receive_bytes or 65_536))
        self._clients.append(client)
        return client

    def look(self, later_s: float = 0.0) -> None:
        """As if the port looked at its connections so much later."""
        for connection in list(self.connections):
            connection.look(self.port.loop.time() + later_s)

    async def close(self) -> None:
        """Let everybody go; fails where a connection stays."""
        for client in self._clients:
            await client.close()
        self._server.close()
        await self.port.drain(TIMEOUT_S)
        assert not self.connections


class _Door(asyncio.Protocol):
    def __init__(self, server: Http1Server) -> None:
        self._server = server

    def connection_made(self, transport: Any) -> None:
        connections, port = self._server.connections, self._server.port

        class Known(Http1Connection):
            def connection_lost(self, error: Exception | None) -> None:
                super().connection_lost(error)
                connections.remove(self)

        connection = Known(port)
        assert port.add(connection)
        connections.append(connection)
        transport.set_protocol(connection)
        connection.connection_made(transport)
