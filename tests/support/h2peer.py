"""The other end of an HTTP/2 connection, in memory: a published client, and one that sends whatever it is told to."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from hpack import Encoder

from modelyard.server.carriers.http.http2 import WRITE_BUFFER_BYTES, Http2Connection
from modelyard.server.carriers.http.port import Port
from support.http2 import DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PREFACE, Answer

TIMEOUT_S = 10.0
PADDED = 8
Dial = Callable[..., "Client"]
"""A fixture that makes clients: `tests/unit/carriers/conftest.py`."""
Fields = list[tuple[bytes, bytes]]


def frame(kind: int, flags: int = 0, number: int = 0, payload: bytes = b"") -> bytes:
    """A frame, however wrong."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + number.to_bytes(4, "big") + payload


def padded(flags: int, number: int, payload: bytes, padding: int, kind: int = DATA) -> bytes:
    """A frame with padding."""
    return frame(kind, flags | PADDED, number, bytes([padding]) + payload + bytes(padding))


def read_frames(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Kind, flags, stream and payload of each."""
    while data:
        size = int.from_bytes(data[:3], "big")
        yield data[3], data[4], int.from_bytes(data[5:9], "big"), data[9 : 9 + size]
        data = data[9 + size :]


class Wire(asyncio.Transport):
    """What the server writes. A client that does not read leaves it here, and the server is told to pause."""

    def __init__(self, protocol: Http2Connection) -> None:
        super().__init__()
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self.written = bytearray()
        """What the client has not read."""
        self.is_read = True
        self.has_ended = False
        """Did the server say that it writes no more?"""
        self.is_lost = False
        self._has_paused = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("1.2.3.4", 5), "sockname": ("5.6.7.8", 9)}.get(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high == WRITE_BUFFER_BYTES

    def get_write_buffer_size(self) -> int:
        return 0 if self.is_read else len(self.written)

    def write(self, data: Any) -> None:
        assert not self.has_ended, "something was written behind the end"
        if self.is_lost:
            return
        self.written += data
        if not self.is_read and len(self.written) > WRITE_BUFFER_BYTES and not self._has_paused:
            self._has_paused = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def read(self) -> bytes:
        """What the client reads."""
        data = bytes(self.written)
        self.written.clear()
        if self._has_paused:
            self._has_paused = False
            self._protocol.resume_writing()
        return data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.has_ended = True

    def is_closing(self) -> bool:
        return self.is_lost

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if not self.is_lost:
            self.is_lost = True
            self._loop.call_soon(self._protocol.connection_lost, None)


class Peer:
    """An application behind one connection, and the raw bytes of its client."""

    def __init__(self, app: Any) -> None:
        self.tasks: set[asyncio.Task[Any]] = set()
        """Those in which the application works."""
        self.errors: list[BaseException] = []
        """What came out of those, and of callbacks: there should be nothing."""
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.errors.append(RuntimeError(context)))
        self.port = Port(self._watch(app), max_connections=10)
        self.connection = Http2Connection(self.port)
        self.wire = Wire(self.connection)
        self.encoder = Encoder()
        assert self.port.add(self.connection)
        self.connection.connection_made(self.wire)

    def feed(self, data: bytes) -> None:
        """The server receives it, as much at a time as it takes; the buffer is another connection's then."""
        while data and not self.wire.is_lost:
            buffer = self.connection.get_buffer(-1)
            piece, data = data[: len(buffer)], data[len(buffer) :]
            buffer[: len(piece)] = piece
            self.connection.buffer_updated(len(piece))
            buffer[: len(piece)] = b"\xaa" * len(piece)

    def ask(
        self, number: int, *extra: tuple[str, str], path: str = "/", method: str = "POST", ends: bool = True
    ) -> None:
        """The headers of a request."""
        fields = [(":method", method), (":scheme", "http"), (":authority", "h"), (":path", path), *extra]
        self.feed(frame(HEADERS, END_HEADERS | (END_STREAM if ends else 0), number, self.encoder.encode(fields)))

    def read(self) -> list[tuple[int, int, int, bytes]]:
        """The frames that the server wrote since."""
        return list(read_frames(self.wire.read()))

    def look(self, later_s: float = 0.0) -> None:
        """As if the port looked so much later."""
        self.connection.look(self.port.loop.time() + later_s)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Let the application work until the condition holds."""
        end = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < end, "it did not happen"
            await self.turn()

    async def turn(self, turns: int = 1) -> None:
        """Let everything that can go on go on."""
        for _ in range(turns):
            await asyncio.sleep(0)

    async def close(self) -> None:
        """The client hangs up; fails where something of it stays."""
        self.wire.abort()
        await Peer.turn(self, 3)
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await Peer.turn(self, 3)
        assert (self.connection.requests, self.connection.waiting, self.errors) == (0, {}, [])
        await self.port.drain(1)

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        self.tasks.remove(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.errors.append(error)

    def _watch(self, app: Any) -> Any:
        async def watched(scope: Any, receive: Any, send: Any) -> None:
            self.tasks.add(task := cast("asyncio.Task[Any]", asyncio.current_task()))
            task.add_done_callback(self._on_done)
            await app(scope, receive, send)

        return watched


@dataclass
class Got(Answer):
    """What the published client got for one request."""

    information: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """Of the pieces that its body came in."""


class Client(Peer):
    """The library h2, which fails where the server breaks a rule: a window, the order of frames.

    Args:
        settings: The client's, from its first frame on.
        grants: Is more granted for what was read?
    """

    def __init__(self, app: Any, settings: dict[int, int] | None = None, *, grants: bool = True) -> None:
        super().__init__(app)
        config = H2Configuration(client_side=True, header_encoding="latin-1", validate_outbound_headers=False)
        self.h2 = H2Connection(config)
        if settings:
            self.h2.local_settings = type(self.h2.local_settings)(client=True, initial_values=settings)
            self.h2.max_inbound_frame_size = self.h2.local_settings.max_frame_size
        self.h2.initiate_connection()
        self.grants = grants
        self.answers: dict[int, Got] = defaultdict(Got)
        self.order: list[int] = []
        """The streams of the pieces that came."""
        self._rests: dict[int, tuple[bytes, Fields | None]] = {}
        self.feed(self.h2.data_to_send().removeprefix(PREFACE))
        self.exchange()

    def open(self, path: str = "/", *extra: tuple[str, str], method: str = "POST", ends: bool = False) -> int:
        """A request; its stream."""
        number = self.h2.get_next_available_stream_id()
        fields = [(":method", method), (":scheme", "http"), (":authority", "h"), (":path", path), *extra]
        self.h2.send_headers(number, fields, end_stream=ends)
        self.exchange()
        return number

    def post(self, body: bytes, path: str = "/", *extra: tuple[str, str], trailers: Fields | None = None) -> int:
        """A request with a body, which is sent as there is room for it."""
        number = self.open(path, *extra)
        self._rests[number] = body, trailers
        self.exchange()
        return number

    async def get(self, number: int) -> Got:
        """The answer, when it is whole."""
        answer = self.answers[number]
        await self.until(lambda: answer.is_whole or answer.reset is not None)
        return answer

    async def turn(self, turns: int = 1) -> None:
        for _ in range(turns):
            self.exchange()
            await super().turn()

    def exchange(self) -> None:
        """Let both ends read what the other has written."""
        while self._send_more() or (self.wire.is_read and self.wire.written):
            if self.wire.is_read:
                for event in self.h2.receive_data(self.wire.read()):
                    self._on_event(event)

    def _send_more(self) -> bool:
        for number in list(self._rests):
            self._send_body(number)
        data = self.h2.data_to_send()
        self.feed(data)
        return bool(data)

    def _send_body(self, number: int) -> None:
        body, trailers = self._rests.pop(number)
        if self.answers[number].reset is not None:
            return
        room = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
        is_last = len(body) <= room
        if room or is_last:
            self.h2.send_data(number, body[:room], end_stream=is_last and trailers is None)
        if not is_last:
            self._rests[number] = body[room:], trailers
        elif trailers is not None:
            self.h2.send_headers(number, trailers, end_stream=True)

    def _on_event(self, event: Any) -> None:
        answer = self.answers[getattr(event, "stream_id", None) or 0]
        match event:
            case InformationalResponseReceived():
                answer.information.append(int(dict(event.headers)[":status"]))
            case ResponseReceived():
                answer.headers = dict(event.headers)
            case DataReceived():
                answer.body += event.data
                answer.sizes.append(len(event.data))
                self.order.append(event.stream_id)
                if self.grants and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case TrailersReceived():
                answer.trailers = dict(event.headers)
            case StreamEnded():
                answer.is_whole = True
            case StreamReset():
                answer.reset = int(event.error_code)


def goaways(frames: list[tuple[int, int, int, bytes]]) -> list[tuple[int, int]]:
    """The last stream and the code of each GOAWAY."""
    found = [payload for kind, _, _, payload in frames if kind == GOAWAY]
    return [(int.from_bytes(one[:4], "big"), int.from_bytes(one[4:8], "big")) for one in found]
