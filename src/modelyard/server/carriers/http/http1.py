"""A connection that speaks HTTP/1.1: its requests are answered one after the other."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import Final, cast

from modelyard.server.carriers.base import BODY_IDLE_S, HEADERS_S, KEEP_ALIVE_S, STRAIGHT
from modelyard.server.carriers.http.exchange import Scope
from modelyard.server.carriers.http.http1_answer import make_plain_answer
from modelyard.server.carriers.http.http1_exchange import Http1Exchange
from modelyard.server.carriers.http.http1_head import Refusal
from modelyard.server.carriers.http.http1_outlet import Outlet
from modelyard.server.carriers.http.http1_reader import RequestReader
from modelyard.server.carriers.http.port import Port

log = logging.getLogger(__name__)

KEPT_BYTES: Final = 64 * 1024
"""Reading stops while so much waits behind the request that is answered."""
REST_BYTES: Final = 64 * 1024
"""So much of a body is read for nothing, where the answer came before its end, to keep the connection."""


class Http1Connection(asyncio.Protocol):
    """Speaks HTTP/1.0, too.

    Args:
        port: The port that it came to.
    """

    __slots__ = (
        "_base_scope",
        "_context",
        "_exchange",
        "_head_since",
        "_idle_since",
        "_is_answered",
        "_is_cut",
        "_is_draining",
        "_kept",
        "_loop",
        "_port",
        "_reader",
        "_transport",
        "is_paused",
        "outlet",
    )

    _transport: asyncio.Transport
    outlet: Outlet

    def __init__(self, port: Port) -> None:
        self._port = port
        self._loop = port.loop
        self._context = contextvars.copy_context()
        self._reader = RequestReader()
        self._exchange: Http1Exchange | None = None
        self._is_answered = False
        """Has the request been answered, while the rest of its body is still to come?"""
        self._kept = b""
        """What came behind the request that is being answered."""
        self._idle_since = self._loop.time()
        self._head_since: float | None = None
        self.is_paused = False
        """Does this end not read?"""
        self._is_draining = port.is_draining
        self._is_cut = False

    # What asyncio says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)
        self.outlet = Outlet(self._transport, self._loop)
        self._base_scope: Scope = self._port.make_base_scope(transport, http_version="1.1")

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        if self.outlet.is_ending:
            self.outlet.discard(len(data))
        elif self._reader.is_whole:
            self._keep(data)
        else:
            self._read(data)

    def eof_received(self) -> None:
        """Part of `asyncio.Protocol`. Who says no more is taken for one who hears no more: the connection closes."""
        self._leave()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - however it was lost
        """Part of `asyncio.Protocol`."""
        self.outlet.is_ending = True
        self._reader.close()
        self._leave()
        self._port.remove(self)

    def pause_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        self.outlet.block()

    def resume_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        self.outlet.free()

    # What the port says.

    @property
    def requests(self) -> int:
        """See `Connection`."""
        return 0 if self._exchange is None else 1

    def look(self, now: float) -> None:
        """See `Connection`."""
        exchange = self._exchange
        if self.outlet.look(now):
            return
        if exchange is not None:
            if exchange.waits_to_begin:
                self._open(exchange)
            since = exchange.waits_since
            if since is not None and now - since > BODY_IDLE_S and not exchange.is_silent:
                self._refuse(Refusal(408, f"nothing of the request's body came for {BODY_IDLE_S:.0f} seconds"))
        elif self._head_since is not None:
            if now - self._head_since > HEADERS_S:
                self._refuse(Refusal(408, f"the request's headers took longer than {HEADERS_S:.0f} seconds"))
        elif now - self._idle_since > KEEP_ALIVE_S:
            self._end(lingers=False)

    def drain(self) -> None:
        """See `Connection`."""
        self._is_draining = True
        if self._exchange is None and self._head_since is None and not self.outlet.is_ending:
            self._end(lingers=self._is_answered)

    def cut(self) -> None:
        """See `Connection`."""
        exchange = self._exchange
        if exchange is None or exchange.waits_to_begin:
            self.outlet.abort()
            return
        self._is_draining = self._is_cut = True
        if exchange.task is not None:
            exchange.task.add_done_callback(self._on_cut)
        exchange.cancel()

    # What the exchange says.

    def has_to_close(self, *, is_last: bool) -> bool:
        """See `Line`."""
        reader = self._reader
        has_rest = is_last and not reader.is_whole and not self._has_small_rest()
        return has_rest or not reader.keeps_alive or self._is_draining

    def on_room(self) -> None:
        """See `Line`."""
        if len(self._kept) <= KEPT_BYTES:
            self._resume()

    def conclude(self, exchange: Http1Exchange) -> None:
        """See `Line`: go on with the next request, or end."""
        is_whole, answer = self._reader.is_whole, exchange.answer
        closes = answer.closes or self._is_draining or not (is_whole or self._has_small_rest())
        self._exchange = None
        if self.outlet.is_ending or self._transport.is_closing():
            return
        if not answer.is_begun:
            status, reason = (503, "the server stops") if self._is_cut else (500, "the server failed")
            self._transport.write(make_plain_answer(status, reason, is_head=exchange.head.is_head))
            self._end(lingers=not is_whole)
        elif not answer.is_complete:
            self.outlet.abort()
        elif closes:
            self._end(lingers=bool(self._kept) or not is_whole)
        else:
            self._go_on()

    # How requests begin.

    def _read(self, data: bytes) -> None:
        try:
            while data:
                data = self._read_one(data)
        except Refusal as refusal:
            self._refuse(refusal)

    def _read_one(self, data: bytes) -> bytes:
        """Read on in one request, and return what is to be read after it now."""
        reader = self._reader
        rest = reader.read(data)
        if self._is_answered:
            reader.body.clear()
            if reader.is_whole:
                self._is_answered = False
                reader.restart()
            return rest
        if not reader.has_head:
            if self._head_since is None and reader.is_begun:
                self._head_since = self._loop.time()
        elif self._exchange is None:
            self._begin()
        else:
            self._pass_on(self._exchange)
        if rest:
            self._keep(rest)
        return b""

    def _begin(self) -> None:
        head = self._reader.head
        self._head_since = None
        exchange = self._exchange = Http1Exchange(self, head, self._loop)
        if STRAIGHT in head.memo and not head.expects_continue:
            exchange.stand_by()
        else:
            self._open(exchange)
        self._pass_on(exchange)

    def _open(self, exchange: Http1Exchange) -> None:
        """Have the application answer."""
        head = exchange.head
        exchange.waits_to_begin = False
        exchange.begin(self._port.app, {**self._base_scope, **head.scope, "headers": head.headers.copy()})

    def _pass_on(self, exchange: Http1Exchange) -> None:
        reader = self._reader
        if reader.body:
            exchange.feed(reader.take_body(), goes_on=bool(reader.left_bytes))
        if reader.is_whole:
            exchange.end()
        elif exchange.is_full:
            self._pause()
        if exchange.waits_to_begin and exchange.has_body and not (reader.is_whole and exchange.go_straight()):
            self._open(exchange)

    def _keep(self, data: bytes) -> None:
        self._kept += data
        if len(self._kept) > KEPT_BYTES:
            self._pause()

    def _go_on(self) -> None:
        """The next request: one that came already, or one to wait for, behind what is left of this one."""
        self._idle_since = self._loop.time()
        if self.is_paused:
            self._resume()
        if not self._reader.is_whole:
            self._is_answered = True
            return
        self._reader.restart()
        if self._kept:
            kept, self._kept = self._kept, b""
            self._context.run(self._read, kept)  # without what the last request has set in its own

    def _has_small_rest(self) -> bool:
        """Is so much of a body there, which is not whole, that the rest may as well be read?"""
        reader = self._reader
        is_held_back = self._exchange is not None and self._exchange.expects_continue
        return reader.left_bytes is not None and reader.left_bytes <= REST_BYTES and not is_held_back

    # How it ends.

    def _refuse(self, refusal: Refusal) -> None:
        """Say why, where no answer has begun, and end."""
        log.debug("carrier.refused status=%d reason=%s", refusal.status, refusal)
        exchange = self._exchange
        answer = None if exchange is None else exchange.answer
        self._hang_up()
        if answer is not None and answer.is_begun and not answer.is_complete:
            self.outlet.abort()
            return
        if not self._is_answered and (answer is None or not answer.is_begun):
            is_head = exchange is not None and exchange.head.is_head
            self._transport.write(make_plain_answer(refusal.status, str(refusal), is_head=is_head))
        self._end(lingers=True)

    def _end(self, *, lingers: bool) -> None:
        self._kept = b""
        self.outlet.end(lingers=lingers)
        if lingers:
            self._resume()

    def _leave(self) -> None:
        self._hang_up()
        self.outlet.free()

    def _hang_up(self) -> None:
        exchange = self._exchange
        if exchange is not None:
            exchange.hang_up()
            if exchange.waits_to_begin:  # nobody will conclude it
                self._exchange = None

    def _on_cut(self, _: object) -> None:
        if self._exchange is None:
            self._transport.close()
        else:  # cancelled before it began
            self._exchange = None
            self.outlet.abort()

    def _pause(self) -> None:
        if not self.is_paused:
            self.is_paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self.is_paused:
            self.is_paused = False
            self._transport.resume_reading()
