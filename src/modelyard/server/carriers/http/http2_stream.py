"""One request of an HTTP/2 connection, and its answer."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from modelyard.server.carriers.base import BODY_IDLE_S, STALL_S, WINDOW_BYTES
from modelyard.server.carriers.http.exchange import JOIN_BYTES, Event, Exchange, Headers
from modelyard.server.carriers.http.http2_frames import (
    CANCEL,
    DATA,
    DEFAULT_FRAME_BYTES,
    END_STREAM,
    FLOW_CONTROL_ERROR,
    INTERNAL_ERROR,
    NO_ERROR,
    PROTOCOL_ERROR,
    RST_STREAM,
    STREAM_CLOSED,
    WINDOW_UPDATE,
    Http2Error,
    pack_answer,
    pack_block,
    pack_head,
    pack_number,
)
from modelyard.server.carriers.http.http2_heads import Head, encode_block, encode_fields
from modelyard.server.carriers.http.http2_owner import StreamOwner

CREDIT_BYTES = WINDOW_BYTES // 4
"""So much has to be taken of a body before the client is told that it may send more."""
QUEUE_BYTES = 65_536
"""So much of an answer is taken of an application whose client has no room: short answers do not hold it up."""
TURN_BYTES = 262_144
"""So much of an answer is sent before another has its turn."""
BODILESS = frozenset({204, 205, 304})
_EMPTY: deque[tuple[memoryview, int]] = deque()
"""The queue of the many streams that never have one."""
NEW, STARTED, WHOLE, COMPLETE = range(4)
"""What was sent: nothing, headers, the body (trailers are to come), all."""


class Http2Stream(Exchange):
    """See `Exchange`.

    Args:
        connection: Whose it is.
        number: Its number there.
        head: The request's headers.
    """

    __slots__ = (
        "_block",
        "_connection",
        "_expects_continue",
        "_has_no_body",
        "_has_trailers",
        "_is_concluded",
        "_owed",
        "_queue",
        "_queued",
        "_room",
        "_state",
        "_trailers",
        "head",
        "in_window",
        "is_reset",
        "number",
        "out_window",
        "progressed_at",
        "to_come",
    )

    def __init__(self, connection: StreamOwner, number: int, head: Head) -> None:
        super().__init__(connection.loop, head.memo)
        self._connection = connection
        self.number = number
        self.head = head
        self.is_reset = False
        """Did either side end it before its time?"""
        self.in_window = WINDOW_BYTES
        """What the client may send before it is told that there is room again."""
        self.out_window = connection.initial_window
        """What it takes, in the same way. A change of the client's settings can make it negative."""
        self.progressed_at = 0.0
        """When something of the queue was sent, or came into it; the loop's time."""
        self._owed = 0
        """Bytes that the application took and that the client was not told of."""
        self.to_come = head.length
        """How much of the body has not come; None where the client did not say how long it is."""
        self._expects_continue = head.expects_continue
        self._state = NEW
        self._block = b""
        """The headers of the answer, until something else goes with them."""
        self._has_trailers = False
        self._has_no_body = False
        self._trailers = b""
        self._queue = _EMPTY
        """What of the body waits for room, with the flags of the frame that ends each piece."""
        self._queued = 0
        self._room: asyncio.Future[None] | None = None
        """The application waits until less is queued."""
        self._is_concluded = False

    # The request.

    def open(self, app: Any) -> None:
        """Have the application answer."""
        self.waits_to_begin = False
        scope = self.head.scope.copy()
        scope["headers"] = scope["headers"].copy()
        self.begin(app, scope)

    def take_data(self, piece: bytes, counted: int, *, ends: bool, goes_on: bool = False) -> None:
        """Some of the body came, which counts as so many bytes of the window; raises `Http2Error`."""
        if self._has_ended:
            self._connection.give_back(counted)
            raise Http2Error(STREAM_CLOSED, "something behind the end of the request", self.number)
        size = len(piece)
        self.in_window -= counted
        if counted > size:
            self.on_taken(counted - size)
        if self.in_window < 0:
            self._connection.give_back(size)
            raise Http2Error(FLOW_CONTROL_ERROR, "more data than the stream's window allows", self.number)
        if size:
            self.feed(piece, goes_on=goes_on)
        if self.to_come is not None:
            self.to_come -= size
            if self.to_come < 0 or (ends and self.to_come):
                raise Http2Error(PROTOCOL_ERROR, "a body that is not as long as its content-length", self.number)
        if ends:
            self.end()

    def look(self, now: float) -> None:
        """Break it off where the client keeps it waiting; `now` is the loop's time."""
        reads_not = bool(self._queue) and now - self.progressed_at > STALL_S
        sends_not = self.waits_since is not None and now - self.waits_since > BODY_IDLE_S
        if not self.is_reset and (reads_not or (sends_not and not self.head.may_be_silent)):
            self.reset(CANCEL)

    def on_wait(self) -> None:
        """See `Exchange`."""
        if self._expects_continue and not self._has_ended and self._state == NEW:
            self._expects_continue = False
            self._connection.write(pack_block(encode_block(100, []), 0, self.number, self._connection.max_frame))

    def on_taken(self, size: int) -> None:
        """See `Exchange`."""
        self._connection.give_back(size)
        if self._has_ended:
            return
        self._owed += size
        if self._owed >= CREDIT_BYTES:
            self.in_window += self._owed
            self._connection.write(pack_number(WINDOW_UPDATE, self.number, self._owed))
            self._owed = 0

    def hang_up(self) -> None:
        """See `Exchange`."""
        self.is_reset = True
        connection = self._connection
        connection.give_back(self._buffered)
        super().hang_up()
        self._queue.clear()
        self._queued = 0
        self._tell_sender()
        if self._is_concluded or self.waits_to_begin:
            self.waits_to_begin = False
            connection.forget(self)

    def cancel(self) -> None:
        """See `Exchange`."""
        if self._is_concluded:
            self.reset(CANCEL)
            return
        super().cancel()
        if self.task is not None:
            self.task.add_done_callback(self._on_cancelled)

    @property
    def headers(self) -> Headers:
        """See `Shortcuts`."""
        headers: Headers = self.head.scope["headers"]
        return headers

    # The answer.

    def reply(self, status: int, headers: Headers, body: bytes, trailers: Headers | None = None) -> bool:
        """See `Shortcuts`."""
        connection, size = self._connection, len(body)
        if not 0 < size < JOIN_BYTES or size > connection.max_frame or connection.is_paused:
            return False
        if size > self.out_window or size > connection.out_window or self.is_reset:
            return False
        if self._state != NEW or status in BODILESS or self.head.is_head:
            return False
        block = encode_block(status, headers)
        ending = b"" if trailers is None else encode_fields(trailers)
        if len(block) > DEFAULT_FRAME_BYTES or len(ending) > DEFAULT_FRAME_BYTES:
            return False
        connection.write(pack_answer(self.number, block, body, ending))
        self.out_window -= size
        connection.out_window -= size
        self._state = COMPLETE
        self._end_answer()
        return True

    async def send(self, event: Event) -> None:
        """See `Exchange`."""
        if self.is_reset:
            raise ConnectionResetError("the client has gone")
        kind = event["type"]
        if kind == "http.response.body":
            self._take_body(event.get("body", b""), has_more=event.get("more_body", False))
            if self._queued > QUEUE_BYTES:
                await self._wait_for_room()
        elif kind == "http.response.start":
            self._start(event)
        elif kind == "http.response.trailers" and self._state == WHOLE:
            self._trailers = pack_block(
                encode_fields(event["headers"]), END_STREAM, self.number, self._connection.max_frame
            )
            self._state = COMPLETE
            if not self._queue and not self._waits_to_be_read(0):
                self._write(self._trailers)
        else:
            raise RuntimeError(f"{kind} does not belong here")
        if self._state == COMPLETE and not self._is_gone:
            self._end_answer()

    def conclude(self) -> None:
        """See `Exchange`."""
        if self._is_concluded:
            return
        self._is_concluded = True
        if self.is_reset:
            self._connection.forget(self)
            return
        if self._state == NEW:
            self._block = encode_block(500, [(b"content-length", b"0")])
            self._state = COMPLETE
            if not self._waits_to_be_read(END_STREAM):
                self._write(b"", END_STREAM)
        if self._state != COMPLETE:
            self.reset(INTERNAL_ERROR)
        elif not self._queue:
            self._finish()

    def reset(self, code: int = CANCEL) -> None:
        """End it before its time."""
        self._connection.write(pack_number(RST_STREAM, self.number, code))
        self.hang_up()

    def pump(self) -> None:
        """There may be room for what waits: send a piece of it, and take the next turn for the rest."""
        connection = self._connection
        if not self._queue:
            return
        piece, ends = self._queue[0]
        room = min(len(piece), max(0, self.out_window), max(0, connection.out_window), TURN_BYTES)
        if connection.is_paused or (len(piece) and not room):
            if self.out_window > 0 or not len(piece):
                connection.waiting.setdefault(self)
            return
        if room == len(piece):
            self._queue.popleft()
        else:
            self._queue[0] = (piece[room:], ends)
            piece, ends = piece[:room], 0
        self._queued -= room
        self.progressed_at = self._loop.time()
        if room or ends:
            self._write_data(piece, ends)
        if self._queued <= QUEUE_BYTES:
            self._tell_sender()
        if self._queue:
            connection.waiting[self] = None
            return
        if self._trailers:
            self._write(self._trailers)
        if self._is_concluded:
            self._finish()

    def _start(self, event: Event) -> None:
        if self._state != NEW:
            raise RuntimeError("the answer has started")
        status = event["status"]
        self._block = encode_block(status, event.get("headers", []))
        self._has_trailers = event.get("trailers", False)
        self._has_no_body = status in BODILESS or self.head.is_head
        self._state = STARTED

    def _take_body(self, body: bytes, *, has_more: bool) -> None:
        """Write it, or queue it where there is no room."""
        if self._state != STARTED:
            raise RuntimeError("a body without headers in front of it, or behind its end")
        connection = self._connection
        size = 0 if self._has_no_body else len(body)
        ends = 0 if has_more or self._has_trailers else END_STREAM
        if not has_more:
            self._state = WHOLE if self._has_trailers else COMPLETE
        if self._queue and not size:
            self._queue[-1] = (self._queue[-1][0], ends)
        elif self._queue:
            self._enqueue(memoryview(body), ends)
        elif not size:
            if (ends and not self._waits_to_be_read(ends)) or (self._block and has_more):
                self._write(b"", ends)
        elif size <= self.out_window and size <= connection.out_window and not connection.is_paused:
            self._write_data(body, ends)
        else:
            self._enqueue(memoryview(body), ends)
            self.pump()
            connection.pump()

    def _enqueue(self, piece: memoryview, ends: int) -> None:
        if not self._queue:
            self._queue = deque()
            self.progressed_at = self._loop.time()
            self._flush()
        self._queue.append((piece, ends))
        self._queued += len(piece)

    def _waits_to_be_read(self, ends: int) -> bool:
        """Does the end of an answer without a body wait, too? Else who reads nothing could have any number of them."""
        if not self._connection.is_paused:
            return False
        self._enqueue(memoryview(b""), ends)
        self._connection.waiting.setdefault(self)
        return True

    async def _wait_for_room(self) -> None:
        self._room = self._loop.create_future()
        try:
            await self._room
        finally:
            self._room = None
        if self.is_reset:
            raise ConnectionResetError("the client has gone")

    def _on_cancelled(self, task: asyncio.Task[None]) -> None:
        """A task that is cancelled before its first step does not conclude."""
        del task
        self.conclude()

    def _tell_sender(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _finish(self) -> None:
        """All has been sent."""
        if self._buffered:
            self._connection.give_back(self._buffered)
            self._buffered = 0
        if not self._has_ended:
            self._connection.write(pack_number(RST_STREAM, self.number, NO_ERROR))
        self._connection.forget(self)

    def _write_data(self, body: bytes | memoryview, ends: int) -> None:
        """There is room for it."""
        connection, size = self._connection, len(body)
        self.out_window -= size
        connection.out_window -= size
        max_frame = connection.max_frame
        if size <= max_frame and size <= JOIN_BYTES:
            self._write(pack_head(size, DATA, ends, self.number) + body)
            return
        view = memoryview(body)
        pieces = [view[start : start + max_frame] for start in range(0, size, max_frame)]
        parts: list[bytes | memoryview] = [pack_head(max_frame, DATA, 0, self.number)] * (2 * len(pieces))
        parts[1::2] = pieces
        parts[-2] = pack_head(len(pieces[-1]), DATA, ends, self.number)
        self._flush()
        connection.write_all(parts)

    def _write(self, frames: bytes, ends: int = 0) -> None:
        """Write them behind the headers, where those have not gone out."""
        if self._block:
            connection = self._connection
            frames = pack_block(self._block, ends, self.number, connection.max_frame) + frames
            self._block = b""
        elif ends and not frames:
            frames = pack_head(0, DATA, ends, self.number)
        self._connection.write(frames)

    def _flush(self) -> None:
        if self._block:
            self._write(b"")
