"""What a carrier is, and how every one of them says that an address cannot be had."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol, TypeAlias

from modelyard.errors import InvalidRequest

HEADER_BYTES = 16 * 1024
"""All headers of a request, and each of them."""
HEADERS_S = 10.0
"""Who has not sent the headers of a request by then is cut off."""
STREAMS_PER_CONNECTION = 128
CONNECTIONS = 1024
BODY_IDLE_S = 120.0
"""A plain HTTP body that says nothing for so long is given up. gRPC streams and REST streams may be silent."""
STREAM_PATHS = ("/v2/models/outputs/stream", "/v2/models/versions/upload")
STALL_S = 600.0
"""A client that does not take bytes which wait for it is given up after so long. Silent calls have none waiting."""
KEEP_ALIVE_S = 300.0
WINDOW_BYTES = 8 * 1024 * 1024
FRAME_BYTES = 256 * 1024


Pairs: TypeAlias = list[tuple[bytes, bytes]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
"""ASGI's."""
Straight: TypeAlias = Callable[["Shortcuts", bytes], bool]
"""Takes a request, given its whole body, and sees to it that it is answered (`reply`) and concluded (`conclude`) later,
without a task. False: it has done nothing, and the application is asked. It is asked itself where the body comes in one
piece, with the headers or soon after them."""
STRAIGHT = "straight"
"""Where the memo of a head has the `Straight` of its requests, where the application put one."""
SHORTCUTS = "modelyard.shortcuts"
"""Where the scope of a request has its `Shortcuts`, on a carrier that has them."""


class Shortcuts(Protocol):
    """What a carrier may offer beside ASGI. Nothing may depend on it: pure ASGI says the same, and costs more."""

    memo: dict[str, Any]
    """What the application made of the request's head. It is there again when the same head comes again, whatever its
    `content-length`, `grpc-timeout` and `request-timeout` are then."""
    task: asyncio.Task[None] | None
    """The one that the application answers in."""
    came_at: float
    """When the head came of a request that a `Straight` is given: `time.monotonic()`. Its body may have come later."""

    @property
    def headers(self) -> Pairs:
        """The request's, as its scope has them."""
        ...

    @property
    def has_body(self) -> bool:
        """Has something of the body come, or its end?"""
        ...

    def listen(self, callback: Callable[[], None]) -> None:
        """Have it called when the client goes away, at once where it has; also when all is over already."""
        ...

    def answer_late(self, answer: Callable[[Send], Awaitable[None]]) -> None:
        """Have a `Straight`'s answer sent by ASGI's `send`, in a task, and concluded behind that."""
        ...

    def conclude(self) -> None:
        """A `Straight` is done with the request: an answer that is not complete is broken off."""
        ...

    def conclude_soon(self) -> None:
        """As `conclude`, behind what runs now."""
        ...

    def reply(self, status: int, headers: Pairs, body: bytes, trailers: Pairs | None = None) -> bool:
        """Send a whole answer. False: nothing was sent, ASGI's `send` has to; large bodies and slow clients need it."""
        ...


class Carrier(Protocol):
    """Serves one application on one address. Signals are the caller's."""

    async def start(self, app: Any) -> str:
        """Bind, start up, and return the address really bound: `http://127.0.0.1:8080`. Raises `InvalidRequest` where
        the address cannot be had."""
        ...

    async def stop(self, grace_s: float) -> None:
        """Accept nothing more, let requests in flight run for up to `grace_s` seconds, cancel the rest. Idempotent."""
        ...


def open_listener(host: str, port: int) -> socket.socket:
    """A socket that listens, for several processes to accept from. Raises `InvalidRequest`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(CONNECTIONS)
    except OSError as error:
        listener.close()
        raise explain_refusal(error, host, port) from error
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    """Where it listens: `127.0.0.1:8080`, `[::1]:8080`."""
    host, port = listener.getsockname()[:2]
    return format_address(host, port)


def format_address(host: str, port: int) -> str:
    """As it stands in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def explain_refusal(error: OSError, host: str, port: int) -> InvalidRequest:
    """What to tell somebody whose address was refused by the system."""
    number = _find_errno(error)
    if number == errno.EADDRINUSE:
        return InvalidRequest(f"port {port} is in use", hint="take another with --port, or 0 for a free one")
    reason = os.strerror(number) if number else str(error)
    return InvalidRequest(f"cannot listen on {host} port {port}: {reason}")


def _find_errno(error: BaseException | None) -> int | None:
    """The number of an error of the system, which may lie under one that only has a text."""
    while error is not None:
        if isinstance(error, OSError) and error.errno:
            return error.errno
        error = error.__cause__ or error.__context__
    return None
