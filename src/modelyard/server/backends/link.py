"""The gateway's end of the socket to one worker: many requests in flight, matched to their answers by id.

The worker runs an author's code, so nothing that comes from it is believed: the first frame has to be a HELLO that the
owner accepts, sizes and credit are limited, and what breaks the rules breaks the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, TypeAlias

from modelyard.errors import InternalError, ModelyardError, WorkerCrashed
from modelyard.server.backends.base import Taker
from modelyard.server.backends.exchange import LinkExchange
from modelyard.server.frame_link import FrameLink
from modelyard.wire.frames import (
    EMPTY,
    EXPRESS,
    FIRST,
    GENERATE,
    ITEM,
    LAST,
    MAX_PAYLOAD_BYTES,
    STREAM,
    Frame,
    Kind,
    Put,
    decode_credit,
    encode_credit,
    encode_frame,
    encode_parts,
    encode_time,
)
from modelyard.wire.handshake import Hello, State
from modelyard.wire.pieces import Part, Payload, Pieces
from modelyard.wire.shared import SharedMemory
from modelyard.wire.worker_errors import decode_error

MAX_HELLO_BYTES = 1 << 12
HELLO_S = 5.0
"""Who connects and does not say hello is cut off after this."""
RELEASE_S = 10.0
"""Memory that is shared with a worker goes back to the system where nothing large has come for so long."""
ONLY = FIRST | LAST
"""The message of a `predict`."""
Answer: TypeAlias = Coroutine[Any, Any, bytes]


class LinkOwner(Protocol):
    """Who made the socket, and hears what the worker says of itself."""

    def on_hello(self, link: WorkerLink, hello: Hello) -> bool:
        """Somebody connected and says who it is: may it stay?"""
        ...

    def on_state(self, state: State) -> None:
        """The worker's state. Raises `InternalError` where it cannot follow the one before."""
        ...

    def on_lost(self, link: WorkerLink) -> None:
        """The connection is gone; what was in flight has been failed."""
        ...


class _Awaited:
    """A `Taker` of somebody who awaits the answer, until they are cancelled."""

    __slots__ = ("_future",)

    def __init__(self, future: asyncio.Future[bytes]) -> None:
        self._future = future

    def take(self, answer: bytes) -> None:
        """See `Taker`."""
        if not self._future.done():
            self._future.set_result(answer)

    def fail(self, error: ModelyardError) -> None:
        """See `Taker`."""
        if not self._future.done():
            self._future.set_exception(error)


class WorkerLink(FrameLink):
    """A `Link` over a stream socket."""

    def __init__(self, owner: LinkOwner, *, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> None:
        super().__init__(min(MAX_HELLO_BYTES, max_payload_bytes))
        self._owner = owner
        self._max_payload_bytes = max_payload_bytes
        self._stranger: asyncio.TimerHandle | None = None
        self._is_admitted = False
        self._last_id = 0
        self._takers: dict[int, Taker] = {}
        """Who waits for the one answer of a request."""
        self._exchanges: dict[int, LinkExchange] = {}
        self._is_cut = False
        self._memory: SharedMemory | None = None
        self._put: Put | None = None
        self._release: asyncio.TimerHandle | None = None
        self._is_memory_used = False
        self.is_open = False
        """See `Link.is_open`."""
        self.closed = asyncio.Event()
        """Set when the connection is gone."""

    def call(self, payload: Payload, *, time_left_s: float | None = None, is_express: bool = False) -> Answer:
        """See `Link.call`. Raises what the worker reports, `WorkerCrashed`, `TooLarge`."""
        flags = ONLY | EXPRESS if is_express else ONLY
        return self._ask(payload, flags, time_left=encode_time(time_left_s))

    def send(
        self, payload: Payload, taker: Taker, *, time_left_s: float | None = None, is_express: bool = False
    ) -> int:
        """See `Link.send`."""
        flags = ONLY | EXPRESS if is_express else ONLY
        number = self._open(payload, flags, time_left=encode_time(time_left_s) if time_left_s is not None else 0)
        self._takers[number] = taker
        return number

    def recall(self, number: int) -> bool:
        """See `Link.recall`."""
        is_open = self._takers.pop(number, None) is not None
        if is_open:
            self.write(encode_frame(Kind.CANCEL, number))
        return is_open

    def stats(self) -> Answer:
        """See `Link.stats`."""
        return self._ask(b"", 0, kind=Kind.STATS)

    def reload(self, payload: bytes) -> Answer:
        """See `Link.reload`."""
        return self._ask(payload, 0, kind=Kind.RELOAD)

    def open(
        self, method: str, payload: Payload | None, *, time_left_s: float | None = None, is_express: bool = False
    ) -> LinkExchange:
        """See `Link.open`. Raises `WorkerCrashed` where the connection is gone, `TooLarge`."""
        flags = FIRST | (GENERATE | LAST if method == "generate" else STREAM)
        flags |= (EMPTY if payload is None else 0) | (EXPRESS if is_express else 0)
        request_id = self._open(payload or b"", flags, time_left=encode_time(time_left_s))
        exchange = LinkExchange(self, request_id, is_input_over=bool(flags & LAST))
        self._exchanges[request_id] = exchange
        return exchange

    def share(self, memory: SharedMemory) -> None:
        """Send what is large through this memory, which the worker has too, and take it from there."""
        self._memory = memory
        self._put = self._put_down
        self._decoder.fetch = self._fetch

    def stop_worker(self) -> None:
        """Ask the worker to finish what it holds and leave."""
        self.write(encode_frame(Kind.STOP))

    def cut(self) -> None:
        """The worker is about to be ended with what it still holds: those requests are told so."""
        self._is_cut = True

    # What exchanges need: `exchange.Port`.

    def post_message(self, request_id: int, payload: Payload, flags: int) -> None:
        """See `Port.post_message`."""
        self.write(*encode_parts(Kind.REQUEST, request_id, payload, flags, put=self._put))

    def grant(self, request_id: int, credit: int) -> None:
        """See `Port.grant`."""
        self.write(encode_credit(request_id, credit))

    def forget(self, request_id: int) -> None:
        """See `Port.forget`."""
        if self._exchanges.pop(request_id, None) is not None:
            self.write(encode_frame(Kind.CANCEL, request_id))

    # What the event loop calls: `FrameLink`.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The worker, or somebody, connected."""
        super().connection_made(transport)
        self._stranger = self._loop.call_later(HELLO_S, self.abort)

    def take(self, frame: Frame) -> None:
        """See `FrameLink.take`."""
        if not self._is_admitted:
            self._greet(frame)
        elif frame.kind is not ITEM:
            self._take_other(frame)
        elif (taker := self._takers.pop(frame.request_id, None)) is None:
            self._take_item(frame)
        else:
            taker.take(frame.payload)

    def _take_other(self, frame: Frame) -> None:
        if frame.kind is Kind.END:
            self._take_end(frame.request_id, None)
        elif frame.kind is Kind.ERROR:
            self._take_end(frame.request_id, decode_error(frame.payload))
        elif frame.kind is Kind.CREDIT:
            exchange = self._exchanges.get(frame.request_id)
            if exchange is not None:
                exchange.on_credit(decode_credit(frame.payload))
        elif frame.kind is Kind.STATE:
            self._owner.on_state(State.decode(frame.payload))
        elif frame.kind is Kind.TAKEN and self._memory is not None:
            self._memory.free(frame.payload)
        elif frame.kind is not Kind.PONG:
            raise InternalError(f"a worker may not send {frame.kind.name}")

    def on_lost(self) -> None:
        """The worker is gone: everything that it held fails."""
        self.is_open = False
        self._memory = self._put = None
        for timer in (self._stranger, self._release):
            if timer is not None:
                timer.cancel()
        takers, exchanges = self._takers, self._exchanges
        self._takers, self._exchanges = {}, {}
        describe = _cut if self._is_cut else _crashed
        for taker in takers.values():
            self._loop.call_soon(taker.fail, describe())  # when the owner knows: the slot is not to be given to others
        for exchange in exchanges.values():
            exchange.on_end(describe())
        self.closed.set()
        self._owner.on_lost(self)

    def _open(self, payload: Payload, flags: int, *, kind: Kind = Kind.REQUEST, time_left: int = 0) -> int:
        if not self.is_open:
            raise _crashed()
        self._last_id += 1
        limit, put = self._max_payload_bytes, self._put
        parts = encode_parts(kind, self._last_id, payload, flags, max_payload_bytes=limit, time_left=time_left, put=put)
        self.write(*parts)
        return self._last_id

    def _put_down(self, payload: Part | Pieces) -> bytes | None:
        """A large request goes into the memory, where there is room."""
        assert self._memory is not None
        self._use_memory()
        return self._memory.put(payload)

    def _fetch(self, place: bytes) -> bytes:
        """The worker has put an answer there."""
        assert self._memory is not None
        payload = self._memory.take(place, self._max_payload_bytes)
        self.write(encode_frame(Kind.TAKEN, payload=place))
        self._use_memory()
        return payload

    def _use_memory(self) -> None:
        self._is_memory_used = True
        if self._release is None:
            self._release = self._loop.call_later(RELEASE_S, self._release_memory)

    def _release_memory(self) -> None:
        """Give the memory back, unless it was used a while ago or something is under way, and may be used soon."""
        assert self._memory is not None
        is_used, self._is_memory_used = self._is_memory_used, False
        if is_used or self._takers or self._exchanges or not self._memory.is_empty:
            self._release = self._loop.call_later(RELEASE_S, self._release_memory)
        else:
            self._release = None
            self._memory.release()

    async def _ask(self, payload: Payload, flags: int, *, kind: Kind = Kind.REQUEST, time_left: int = 0) -> bytes:
        """The one answer of a request; the worker is told where nobody waits for it any more."""
        request_id = self._open(payload, flags, kind=kind, time_left=time_left)
        future: asyncio.Future[bytes] = self._loop.create_future()
        self._takers[request_id] = _Awaited(future)
        try:
            return await future
        finally:
            self.recall(request_id)

    def _greet(self, frame: Frame) -> None:
        if frame.kind is not Kind.HELLO:
            raise InternalError(f"a worker begins with HELLO, not {frame.kind.name}")
        if not self._owner.on_hello(self, Hello.decode(frame.payload)):
            raise InternalError("a connection was refused: wrong token, replica or protocol")
        self._is_admitted = self.is_open = True
        if self._stranger is not None:
            self._stranger.cancel()
        self._decoder.max_payload_bytes = self._max_payload_bytes

    def _take_item(self, frame: Frame) -> None:
        """An answer of many. Of a request that was forgotten none is waited for."""
        exchange = self._exchanges.get(frame.request_id)
        if exchange is not None:
            exchange.on_item(frame.payload)
            if frame.flags & LAST:
                self._take_end(frame.request_id, None)

    def _take_end(self, request_id: int, error: ModelyardError | None) -> None:
        """The end of a request. Of one that was forgotten nothing is left to end."""
        taker = self._takers.pop(request_id, None)
        if taker is not None:
            taker.fail(error or InternalError("the worker ended a request without an answer"))
        exchange = self._exchanges.pop(request_id, None)
        if exchange is not None:
            exchange.on_end(error)


def _cut() -> WorkerCrashed:
    return WorkerCrashed(
        "this replica was not wanted any more, and was ended after the time that a request has to finish in",
        hint="send the request again",
    )


def _crashed() -> WorkerCrashed:
    return WorkerCrashed(
        "the model's process died while it held this request", hint="the model's log says why; send the request again"
    )
