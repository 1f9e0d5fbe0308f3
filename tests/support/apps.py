"""Small ASGI applications for tests of what carries one."""

from __future__ import annotations

import asyncio
from typing import Any


async def read_body(receive: Any) -> bytes:
    """All of it."""
    pieces, has_more = [], True
    while has_more:
        event = await receive()
        assert event["type"] == "http.request", event
        pieces.append(event["body"])
        has_more = event["more_body"]
    return b"".join(pieces)


async def start(send: Any, status: int = 200, headers: Any = (), *, trailers: bool = False) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers), "trailers": trailers})


async def say(send: Any, body: bytes, *, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def answer(send: Any, *pieces: bytes, status: int = 200, headers: Any = ()) -> None:
    """A whole answer."""
    await start(send, status, headers)
    for left, piece in zip(reversed(range(len(pieces))), pieces, strict=True):
        await say(send, piece, more=left > 0)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers a body with itself."""
    await answer(send, await read_body(receive))


def answering(*pieces: bytes, status: int = 200, headers: Any = ()) -> Any:
    """An application that always answers the same, and does not look at bodies."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, *pieces, status=status, headers=headers)

    return app


async def read_some(scope: Any, receive: Any, send: Any) -> None:
    """Reads as much of a body as its path says."""
    match scope["path"]:
        case "/once":
            await answer(send, (await receive()).get("body", b""))
        case "/none":
            await answer(send, b"no")
        case "/fail":
            await receive()
            raise LookupError
        case "/listen":
            await Listening()(scope, receive, send)
        case "/slow":
            for _ in range(3):
                await asyncio.sleep(0)
                await receive()
            await answer(send, await read_body(receive))
        case "/trailers":
            await start(send, trailers=True)
            await say(send, await read_body(receive), more=True)
            await say(send, b"x" * 100_000)
            await send({"type": "http.response.trailers", "headers": [(b"x", b"y")]})
        case _:
            await echo(scope, receive, send)


PATHS = ("/once", "/none", "/fail", "/listen", "/slow", "/trailers", "/")
"""Of `read_some`."""


class Held:
    """Waits to be let go on, and then reads the body and answers with it; notes what becomes of it."""

    def __init__(self) -> None:
        self.begun = 0
        self.ends: list[str] = []
        """Of each that ended: the kind of its last event, or the name of its error."""
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun += 1
        try:
            await self.go.wait()
            await echo(scope, receive, send)
        except BaseException as error:
            self.ends.append(type(error).__name__)
            raise
        self.ends.append("answered")


class Listening:
    """Waits for its client to leave, and then tries to answer all the same."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.errors: list[BaseException] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while not self.events or self.events[-1]["type"] != "http.disconnect":
            self.events.append(await receive())
        try:
            await answer(send, b"too late")
        except OSError as error:
            self.errors.append(error)
