"""The front's end: an ASGI application that knows nothing and passes every request on to the house."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelyard.errors import InternalError
from modelyard.server.carriers.relay.link import Inbox, Outbox, RelayLink
from modelyard.server.carriers.relay.messages import (
    Head,
    Headers,
    Hello,
    Opening,
    decode_head,
    decode_trailers,
    encode,
    make_opening,
)
from modelyard.wire.frames import FIRST, LAST, Frame, Kind, decode_credit

WATCH_AFTER_S = 0.02
"""Only requests that take longer than this are watched for a caller who goes away."""
SOCKET_VARIABLE, NUMBER_VARIABLE = "MODELYARD_RELAY_SOCKET", "MODELYARD_RELAY_NUMBER"
"""How a front is told of its house where it cannot be given arguments."""

log = logging.getLogger(__name__)


def end_process() -> None:
    """End this process: a front without its house has nothing to do."""
    os.kill(os.getpid(), signal.SIGTERM)


class FrontLink(RelayLink):
    """The connection to the house.

    Args:
        on_stop: The house says that it is over.
        on_lost: The house has gone.
    """

    def __init__(self, number: int, *, on_stop: Callable[[], None], on_lost: Callable[[], None]) -> None:
        super().__init__()
        self._number = number
        self._on_stop = on_stop
        self._on_lost = on_lost
        self._last_id = 0
        self._exchanges: dict[int, FrontExchange] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The house is there."""
        super().connection_made(transport)
        self.post(Kind.HELLO, payload=encode(Hello(number=self._number, pid=os.getpid())))

    def open(self, opening: Opening) -> FrontExchange:
        """Begin a request."""
        self._last_id += 1
        exchange = FrontExchange(self, self._last_id)
        self._exchanges[self._last_id] = exchange
        self.post(Kind.REQUEST, self._last_id, encode(opening), FIRST | (0 if opening.has_more else LAST))
        return exchange

    def forget(self, request_id: int, *, is_over: bool) -> None:
        """A request is done with; where the house still works on it, it is told."""
        if self._exchanges.pop(request_id, None) is not None and not is_over:
            self.post(Kind.CANCEL, request_id)

    def take(self, frame: Frame) -> None:
        """See `FrameLink.take`."""
        if frame.kind is Kind.STOP:
            self._on_stop()
            return
        exchange = self._exchanges.get(frame.request_id)
        if exchange is not None:
            exchange.take(frame)

    def on_lost(self) -> None:
        """See `FrameLink.on_lost`."""
        for exchange in self._exchanges.values():
            exchange.fail()
        self._on_lost()


class FrontExchange:
    """One request on its way."""

    def __init__(self, link: FrontLink, request_id: int) -> None:
        self._link = link
        self._request_id = request_id
        self._inbox: Inbox[Any] = Inbox(self._grant)
        self.outbox = Outbox(link, request_id)
        self._is_over = False
        self.is_gone = False
        """Has the caller gone away?"""

    def take(self, frame: Frame) -> None:
        """Something of the answer came."""
        match frame.kind:
            case Kind.ITEM if frame.flags & FIRST:
                head = decode_head(frame.payload)
                self._inbox.put(head, len(head.body))
            case Kind.ITEM:
                self._inbox.put(frame.payload, len(frame.payload))
                if frame.flags & LAST:
                    self._inbox.put([])
            case Kind.END:
                self._inbox.put(decode_trailers(frame.payload))
            case Kind.ERROR:
                self.fail()
            case Kind.CREDIT:
                self.outbox.add_credit(decode_credit(frame.payload))
            case kind:
                raise InternalError(f"a house may not send {kind.name}")

    def hang_up(self) -> None:
        """The caller went away: the house is told at once, and nothing more is passed on."""
        self.is_gone = True
        self._link.forget(self._request_id, is_over=self._is_over)
        self.fail()

    def fail(self) -> None:
        """There will be no whole answer."""
        self._is_over = True
        self.outbox.close()
        self._inbox.put(None)

    async def answer(self, send: Any) -> None:
        """Pass the answer on. Raises `OSError` where it ends before its end."""
        head = await self._inbox.get()
        if not isinstance(head, Head):
            raise ConnectionResetError("the house did not answer")
        start = {"type": "http.response.start", "status": head.status, "headers": head.headers}
        await send({**start, "trailers": True} if head.has_trailers else start)
        if not head.has_more:
            self._is_over = True
        if head.body or not head.has_more:
            await send({"type": "http.response.body", "body": head.body, "more_body": head.has_more})
        if not head.has_more:
            await self._finish(send, head.trailers)
            return
        while isinstance(part := await self._inbox.get(), bytes):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        if part is None:
            raise ConnectionResetError("the house broke off its answer")
        self._is_over = True
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        await self._finish(send, part if head.has_trailers else None)

    def close(self) -> None:
        """Done, or given up."""
        self.outbox.close()
        self._link.forget(self._request_id, is_over=self._is_over)

    async def _finish(self, send: Any, trailers: Headers | None) -> None:
        if trailers is not None:
            await send({"type": "http.response.trailers", "headers": trailers, "more_trailers": False})

    def _grant(self, size_bytes: int) -> None:
        self._link.grant(self._request_id, size_bytes)


class FrontApp:
    """The application that a front's server carries. It connects at ASGI's lifespan start-up.

    Args:
        path: The house's socket.
        number: Which front this is.
        on_stop: Called when the house says that it is over.
        on_lost: Called when the house has gone: there is nothing left to do here.
    """

    def __init__(
        self, path: Path, number: int, *, on_stop: Callable[[], None], on_lost: Callable[[], None] = end_process
    ) -> None:
        self._path = path
        self._number = number
        self._on_stop = on_stop
        self._on_lost = on_lost
        self._link: FrontLink | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        match scope["type"]:
            case "http":
                await self._relay(scope, receive, send)
            case "lifespan":
                await self._live(receive, send)
            case "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": "there is no WebSocket here"})
            case other:
                raise NotImplementedError(f"ASGI scope {other!r}")

    async def _relay(self, scope: Any, receive: Any, send: Any) -> None:
        event = await receive()
        if event["type"] == "http.disconnect" or self._link is None:
            return
        opening, rest = make_opening(scope, event)
        exchange = self._link.open(opening)
        pump = _Pump(receive, exchange)
        pump.start(rest, has_more=event.get("more_body", False))
        try:
            await exchange.answer(send)
        except OSError:
            if not exchange.is_gone:
                raise
        finally:
            pump.stop()
            exchange.close()

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        await self._connect()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._link is not None:
            self._link.abort()
        await send({"type": "lifespan.shutdown.complete"})

    async def _connect(self) -> None:
        _, self._link = await asyncio.get_running_loop().create_unix_connection(
            lambda: FrontLink(self._number, on_stop=self._on_stop, on_lost=self._on_lost), str(self._path)
        )


class _Pump:
    """Passes on the rest of a request's body, and then looks for a caller who goes away."""

    def __init__(self, receive: Any, exchange: FrontExchange) -> None:
        self._receive = receive
        self._exchange = exchange
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self, rest: bytes, *, has_more: bool) -> None:
        """Begin: at once where more of the body comes, in a while where none does."""
        loop = asyncio.get_running_loop()
        if rest or has_more:
            self._task = loop.create_task(self._run(rest, has_more=has_more))
        else:
            self._timer = loop.call_later(WATCH_AFTER_S, self._begin_watch)

    def stop(self) -> None:
        """Read no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin_watch(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def _run(self, rest: bytes, *, has_more: bool) -> None:
        try:
            if rest:
                await self._exchange.outbox.post(Kind.REQUEST, rest, is_last=not has_more)
            while has_more:
                event = await self._receive()
                if event["type"] == "http.disconnect":
                    self._exchange.hang_up()
                    return
                has_more = event.get("more_body", False)
                await self._exchange.outbox.post(Kind.REQUEST, event.get("body", b""), is_last=not has_more)
        except OSError:  # the answer is there, or the house has gone: nobody reads the body
            return
        await self._watch()

    async def _watch(self) -> None:
        event = await self._receive()
        while event["type"] != "http.disconnect":
            await asyncio.sleep(0)  # a server that repeats the end of the body may not hold the loop
            event = await self._receive()
        self._exchange.hang_up()
