"""The house's end: a private socket where fronts bring their requests, and the application that answers them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelyard.errors import InternalError
from modelyard.server.carriers.relay.link import Inbox, Outbox, RelayLink
from modelyard.server.carriers.relay.messages import (
    INLINE_BYTES,
    Head,
    Headers,
    decode_hello,
    decode_opening,
    encode,
    make_scope,
)
from modelyard.wire.frames import FIRST, LAST, Frame, Kind, decode_credit

HELLO_S = 5.0
CLOSE_S = 1.0
GONE = {"type": "http.disconnect"}

log = logging.getLogger(__name__)


class RelayHouse:
    """Serves one application to any number of fronts.

    Args:
        app: The ASGI application; it gets `http` scopes alone.
        path: Where the socket is made, in a folder that only this user may enter.
    """

    def __init__(self, app: Any, path: Path) -> None:
        self.app = app
        self._path = path
        self._server: asyncio.Server | None = None
        self.links: set[HouseLink] = set()
        """The connections of fronts."""
        self.requests: set[asyncio.Task[None]] = set()
        """The requests in flight."""
        self._changed = asyncio.Event()

    async def open(self) -> None:
        """Make the socket."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: HouseLink(self), str(self._path))

    async def close(self) -> None:
        """Cancel what is in flight, wait for it, and remove the socket. Idempotent."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for task in self.requests:
            task.cancel()
        await asyncio.gather(*self.requests, return_exceptions=True)
        for link in list(self.links):
            link.abort()
        await self.wait_until(lambda: not self.links, CLOSE_S)
        self._path.unlink(missing_ok=True)

    async def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a condition on fronts and requests; False where the time passed."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return condition()
        return True

    def has_front(self, number: int) -> bool:
        """Is this front connected?"""
        return any(link.number == number for link in self.links)

    def ask_to_stop(self) -> None:
        """Tell the fronts to accept nothing more and to finish what they have."""
        for link in self.links:
            link.post(Kind.STOP)

    def note_change(self) -> None:
        """A front or a request came or went."""
        self._changed.set()

    def add_request(self, task: asyncio.Task[None]) -> None:
        """A request is in flight until its task ends."""
        self.requests.add(task)
        task.add_done_callback(self._forget_request)

    def _forget_request(self, task: asyncio.Task[None]) -> None:
        self.requests.discard(task)
        self.note_change()

    def add(self, link: HouseLink) -> None:
        """A front connected."""
        self.links.add(link)

    def discard(self, link: HouseLink) -> None:
        """A front has gone."""
        self.links.discard(link)
        self.note_change()


class HouseLink(RelayLink):
    """The connection of one front."""

    def __init__(self, house: RelayHouse) -> None:
        super().__init__()
        self._house = house
        self._exchanges: dict[int, HouseExchange] = {}
        self.number: int | None = None
        """Which front it is; None until it has said so."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A front connected."""
        super().connection_made(transport)
        self._house.add(self)
        self._loop.call_later(HELLO_S, self._expect_hello)

    def take(self, frame: Frame) -> None:
        """See `FrameLink.take`."""
        if self.number is None:
            return self._greet(frame)
        if frame.kind is Kind.REQUEST and frame.flags & FIRST:
            return self._begin(frame)
        exchange = self._exchanges.get(frame.request_id)
        if exchange is not None:
            exchange.take(frame)
        return None

    def on_lost(self) -> None:
        """See `FrameLink.on_lost`."""
        for exchange in self._exchanges.values():
            exchange.hang_up()
        self._exchanges.clear()
        self._house.discard(self)

    def _greet(self, frame: Frame) -> None:
        if frame.kind is not Kind.HELLO:
            raise InternalError("a front has to say hello first")
        self.number = decode_hello(frame.payload).number
        self._house.note_change()

    def _expect_hello(self) -> None:
        if self.number is None:
            self.abort()

    def _begin(self, frame: Frame) -> None:
        if frame.request_id in self._exchanges:
            raise InternalError(f"a front opened request {frame.request_id} twice")
        exchange = HouseExchange(self, frame.request_id)
        scope = exchange.open(frame.payload)
        self._exchanges[frame.request_id] = exchange
        task = asyncio.get_running_loop().create_task(self._answer(scope, exchange))
        self._house.add_request(task)

    async def _answer(self, scope: dict[str, Any], exchange: HouseExchange) -> None:
        try:
            await self._house.app(scope, exchange.receive, exchange.send)
        except OSError:
            log.debug("relay.caller_gone")
        except Exception:  # the boundary of a request
            log.exception("relay.request_crashed")
        finally:
            self._exchanges.pop(exchange.request_id, None)
            exchange.end()


class HouseExchange:
    """One request as the application sees it: ASGI's receive and send."""

    def __init__(self, link: HouseLink, request_id: int) -> None:
        self.request_id = request_id
        self._link = link
        self._inbox: Inbox[dict[str, Any]] = Inbox(self._grant)
        self._outbox = Outbox(link, request_id)
        self._start: Any = None
        self._is_started = False
        self._held: bytes | None = None
        self._is_over = False
        self._is_gone = False

    def open(self, payload: bytes) -> dict[str, Any]:
        """Read the first frame; the scope."""
        opening = decode_opening(payload)
        if opening.body or not opening.has_more:
            event = {"type": "http.request", "body": opening.body, "more_body": opening.has_more}
            self._inbox.put(event, len(opening.body))
        return make_scope(opening)

    def take(self, frame: Frame) -> None:
        """More of the request."""
        match frame.kind:
            case Kind.REQUEST:
                event = {"type": "http.request", "body": frame.payload, "more_body": not frame.flags & LAST}
                self._inbox.put(event, len(frame.payload))
            case Kind.CREDIT:
                self._outbox.add_credit(decode_credit(frame.payload))
            case Kind.CANCEL:
                self.hang_up()
            case kind:
                raise InternalError(f"a front may not send {kind.name}")

    def hang_up(self) -> None:
        """The caller went away."""
        self._is_gone = True
        self._outbox.close()
        self._inbox.put(GONE)

    async def receive(self) -> dict[str, Any]:
        """ASGI's receive."""
        event = await self._inbox.get()
        if event is GONE:
            self._inbox.put(GONE)
        return event

    async def send(self, event: Any) -> None:
        """ASGI's send. Raises `OSError` when the caller went away. The whole of a small answer leaves as one frame."""
        self._outbox.check_open()
        match event["type"]:
            case "http.response.start":
                self._start = event
            case "http.response.body":
                await self._send_body(event.get("body", b""), is_last=not event.get("more_body", False))
            case "http.response.trailers":
                await self._send_trailers(list(event.get("headers", ())))
            case other:
                raise ValueError(f"ASGI event {other!r}")

    def end(self) -> None:
        """The application has returned: without a whole answer, the front is told so."""
        if not self._is_over and not self._is_gone:
            self._link.post(Kind.ERROR, self.request_id)
        self._is_over = True

    async def _send_body(self, body: bytes, *, is_last: bool) -> None:
        awaits_trailers = is_last and self._has_trailers
        if awaits_trailers and len(body) <= INLINE_BYTES:
            self._held = body
            return
        is_end = is_last and not awaits_trailers
        if not self._is_started:
            inline = body if len(body) <= INLINE_BYTES else b""
            body = b"" if inline else body
            self._send_head(inline, None, has_more=bool(body) or not is_end)
            self._is_over = is_end and not body
            if not body:
                return
        await self._outbox.post(Kind.ITEM, body, is_last=is_end)
        self._is_over = is_end

    async def _send_trailers(self, trailers: Headers) -> None:
        held, self._held = self._held or b"", None
        self._is_over = True
        if not self._is_started:
            self._send_head(held, trailers, has_more=False)
            return
        if held:
            await self._outbox.post(Kind.ITEM, held, is_last=False)
        self._link.post(Kind.END, self.request_id, encode(trailers), LAST)

    def _send_head(self, body: bytes, trailers: Headers | None, *, has_more: bool) -> None:
        head = Head(
            status=self._start["status"],
            headers=list(self._start.get("headers", ())),
            has_trailers=self._has_trailers,
            body=body,
            has_more=has_more,
            trailers=trailers,
        )
        self._is_started = True
        self._link.post(Kind.ITEM, self.request_id, encode(head), FIRST | (0 if has_more else LAST))

    @property
    def _has_trailers(self) -> bool:
        return bool(self._start and self._start.get("trailers"))

    def _grant(self, size_bytes: int) -> None:
        self._link.grant(self.request_id, size_bytes)
