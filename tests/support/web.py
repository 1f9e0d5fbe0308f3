"""A small real web server on the loopback, whose answers are written down to the byte."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Web:
    """Answers by path; notes what it was asked."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self.requests: list[bytes] = []
        """Every request's head."""
        self.names: list[str] = []
        """The name in every TLS greeting."""
        self.running = 0
        self.most_at_once = 0
        self._scripts: dict[str, Script] = {}

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def put(self, path: str, body: bytes = b"", *, status: int = 200, **headers: str) -> None:
        """Answer a path with this; `content_type="x"` becomes `content-type: x`."""
        given = {"content_length": str(len(body)), **headers}
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items() if value)

        async def answer(writer: asyncio.StreamWriter) -> None:
            writer.write(f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode("latin-1") + body)

        self._scripts[path] = answer

    def script(self, path: str, script: Script) -> None:
        """Answer a path by whatever this writes."""
        self._scripts[path] = script

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head)
            path = head.split(b" ")[1].decode().partition("?")[0]
            await self._scripts[path](writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.running -= 1
            writer.close()


@asynccontextmanager
async def open_web(*, tls: ssl.SSLContext | None = None) -> AsyncIterator[Web]:
    """A web server for the time of the block; connections that are open at its end are cut."""
    webs: list[Web] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await webs[0].serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    webs.append(Web(server.sockets[0].getsockname()[1]))
    if tls is not None:
        tls.sni_callback = lambda _socket, name, _context: webs[0].names.append(name)
    try:
        yield webs[0]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
