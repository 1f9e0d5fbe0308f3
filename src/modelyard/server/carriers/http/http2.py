"""A connection that speaks HTTP/2 (RFC 9113), and ends where the client breaks the rules."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from modelyard.server.carriers.base import HEADERS_S, STRAIGHT, STREAMS_PER_CONNECTION, WINDOW_BYTES
from modelyard.server.carriers.http.http2_frames import (
    ACK,
    DEFAULT_FRAME_BYTES,
    DEFAULT_WINDOW_BYTES,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    MAX_STREAM,
    MAX_WINDOW_BYTES,
    NO_ERROR,
    NUMBER,
    PING,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Http2Error,
    pack_frame,
    pack_goaway,
    pack_number,
    pack_settings,
)
from modelyard.server.carriers.http.http2_heads import RequestHeads
from modelyard.server.carriers.http.http2_owner import Member
from modelyard.server.carriers.http.http2_patience import Patience
from modelyard.server.carriers.http.http2_reader import FrameReader
from modelyard.server.carriers.http.http2_rules import OUR_SETTINGS, check_frame, check_growth, read_settings
from modelyard.server.carriers.http.http2_stream import Http2Stream
from modelyard.server.carriers.http.oddities import Oddities
from modelyard.server.carriers.http.port import Port

log = logging.getLogger(__name__)

CONNECTION_WINDOW_BYTES = 4 * WINDOW_BYTES
CREDIT_BYTES = WINDOW_BYTES
COPY_BYTES = 4096
"""Up to this size bytes are read from a copy: it costs less than to read them in the buffer."""
WRITE_BUFFER_BYTES = 256 * 1024
"""So much of answers waits in this process for a client that reads slowly."""
DRAIN_PING = b"drain..."


class Http2Connection(asyncio.BufferedProtocol):
    """Begins behind the client's preface.

    Args:
        port: The port that it came to.
    """

    def __init__(self, port: Port) -> None:
        self._port = port
        self._buffer = port.buffer
        self.loop = port.loop
        self.streams: dict[int, Http2Stream] = {}
        """Those that the application works on."""
        self.waiting: dict[Member, None] = {}
        """Those whose answers wait for room on the connection, in the order of their turns."""
        self.is_paused = False
        """Does the client not read what is written?"""
        self.initial_window = self.out_window = DEFAULT_WINDOW_BYTES
        self.max_frame = DEFAULT_FRAME_BYTES
        self.write: Callable[[bytes], None] = _write_nowhere
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader(self)
        self._oddities = Oddities(self.loop)
        self._last_stream = 0
        self._in_window = CONNECTION_WINDOW_BYTES
        self._owed = 0
        """Bytes that are not kept any more, and that the client was not told of."""
        self._takes_streams = True
        self._patience = Patience(self.loop.time())

    # What asyncio says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.BufferedProtocol`."""
        self._transport = transport = cast("asyncio.Transport", transport)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self.write = transport.write
        self._heads = RequestHeads(self._port.make_base_scope(transport, http_version="2"))
        window = pack_number(WINDOW_UPDATE, 0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES)
        self.write(pack_settings(OUR_SETTINGS) + window)
        if self._port.is_draining:
            self.drain()

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.BufferedProtocol`."""
        del exc
        self._close()
        self._transport = None
        self._port.remove(self)

    def pause_writing(self) -> None:
        """Part of `asyncio.BufferedProtocol`."""
        self.is_paused = True
        self._patience.paused_at = self.loop.time()

    def resume_writing(self) -> None:
        """Part of `asyncio.BufferedProtocol`."""
        self.is_paused = False
        self._patience.paused_at = None
        for stream in list(self.waiting):
            stream.pump()  # the end of an answer needs no window
        self.pump()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Part of `asyncio.BufferedProtocol`."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Part of `asyncio.BufferedProtocol`."""
        received = self._buffer[:nbytes]
        self.data_received(received if nbytes > COPY_BYTES else received.tobytes())

    def data_received(self, data: bytes | memoryview) -> None:
        """Bytes came; they are not kept."""
        try:
            self._reader.feed(data)
        except Http2Error as error:
            self._fail(error)

    # What the port says.

    @property
    def requests(self) -> int:
        """See `Connection`."""
        return len(self.streams)

    def look(self, now: float) -> None:
        """See `Connection`."""
        patience, reader, transport = self._patience, self._reader, self._transport
        if transport is not None and patience.is_gone(now, transport.get_write_buffer_size()):
            transport.abort()
        if reader.is_stopped:
            return
        patience.look(now, progress=reader.progress, is_inside=reader.is_inside, is_idle=not self.streams)
        if patience.is_dripping(now):
            self._fail(Http2Error(ENHANCE_YOUR_CALM, f"a frame that has not ended within {HEADERS_S:g} s"))
        elif patience.is_over(now):
            self._take_no_more()
        for stream in list(self.streams.values()):
            if stream.waits_to_begin:
                stream.open(self._port.app)
            stream.look(now)

    def drain(self) -> None:
        """See `Connection`: the client is told, and has its round trip to hear it before requests are refused."""
        if self._patience.drained_at is None and self._takes_streams:
            self._patience.drained_at = self.loop.time()
            self.write(pack_goaway(MAX_STREAM, NO_ERROR) + pack_frame(PING, 0, 0, DRAIN_PING))

    def cut(self) -> None:
        """See `Connection`."""
        self._take_no_more()
        for stream in list(self.streams.values()):
            if stream.waits_to_begin:
                stream.open(self._port.app)
            stream.cancel()

    # What streams say.

    def write_all(self, parts: list[bytes | memoryview]) -> None:
        """Write them without joining them."""
        if self._transport is not None and not self._reader.is_stopped:
            self._transport.writelines(parts)

    def give_back(self, size: int) -> None:
        """So much of what the client sent is not kept any more."""
        self._owed += size
        if self._owed >= CREDIT_BYTES:
            self._in_window += self._owed
            self.write(pack_number(WINDOW_UPDATE, 0, self._owed))
            self._owed = 0

    def pump(self) -> None:
        """Let those who wait send, by turns, while there is room."""
        while self.waiting and self.out_window > 0 and not self.is_paused:
            stream = next(iter(self.waiting))
            del self.waiting[stream]
            stream.pump()

    def forget(self, stream: Member) -> None:
        """The application is done with it."""
        self.streams.pop(stream.number, None)
        self.waiting.pop(stream, None)
        if not self._takes_streams and not self.streams:
            self._close()

    # What the reader says.

    def on_request(self, number: int, block: bytes, body: bytes) -> bool:
        """See `FrameHandler`: for what goes straight."""
        head, size = self._heads.known.get(block), len(body)
        if head is None or STRAIGHT not in head.memo or head.expects_continue or head.length not in (None, size):
            return False
        if number <= self._last_stream or not number & 1 or not self._takes_streams or size > self._in_window:
            return False
        if len(self.streams) >= STREAMS_PER_CONNECTION:
            return False
        self._last_stream = number
        self._in_window -= size
        stream = self.streams[number] = Http2Stream(self, number, head)
        if stream.take_whole(body):
            self.give_back(size)
        else:
            stream.open(self._port.app)
        return True

    def on_block(self, number: int, block: bytes, *, ends: bool) -> None:
        """See `FrameHandler`: a request begins, or one ends with trailers."""
        if not number & 1:
            raise Http2Error(PROTOCOL_ERROR, f"a request on stream {number}")
        if number <= self._last_stream:
            self._heads.decode(block)
            self._on_trailers(number, ends=ends)
            return
        self._last_stream = number
        try:
            head = self._heads.known.get(block) or self._heads.read(block, number)
            if ends and head.length:
                raise Http2Error(PROTOCOL_ERROR, "a body that is not as long as its content-length", number)
        except Http2Error as error:
            self._fail(error)
            return
        if not self._takes_streams:
            return
        if len(self.streams) >= STREAMS_PER_CONNECTION:
            self._oddities.count()
            self.write(pack_number(RST_STREAM, number, REFUSED_STREAM))
            return
        stream = self.streams[number] = Http2Stream(self, number, head)
        if ends:
            stream.end()
        elif STRAIGHT in head.memo and not head.expects_continue:
            stream.stand_by()
            return
        stream.open(self._port.app)

    def on_data(self, number: int, piece: bytes, counted: int, *, ends: bool, goes_on: bool = False) -> None:
        """See `FrameHandler`."""
        self._in_window -= counted
        if self._in_window < 0:
            raise Http2Error(FLOW_CONTROL_ERROR, "more data than the connection's window allows")
        stream = self.streams.get(number)
        if stream is None or stream.is_reset:
            if number > self._last_stream or not number & 1:
                raise Http2Error(PROTOCOL_ERROR, f"data of stream {number}, which was not opened")
            self.give_back(counted)
            return
        try:
            stream.take_data(piece, counted, ends=ends, goes_on=goes_on)
        except Http2Error as error:
            self._fail(error)
        if stream.waits_to_begin and not (stream.go_straight() if ends else stream.to_come == 0):
            stream.open(self._port.app)
        if not counted and not ends:
            self._oddities.count()

    def on_frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """See `FrameHandler`."""
        check_frame(kind, flags, number, payload)
        if kind == WINDOW_UPDATE:
            self._on_window_update(number, payload)
        elif kind == SETTINGS:
            self._on_settings(flags, payload)
        elif kind == PING:
            self._on_ping(flags, payload)
        elif kind == RST_STREAM:
            self._on_reset(number)

    def _on_trailers(self, number: int, *, ends: bool) -> None:
        stream = self.streams.get(number)
        if stream is None or stream.is_reset:
            self._oddities.count()
        elif not ends:
            raise Http2Error(PROTOCOL_ERROR, "trailers that do not end their request")
        else:
            self.on_data(number, b"", 0, ends=True)

    def _on_settings(self, flags: int, payload: bytes) -> None:
        self._oddities.count()
        if flags & ACK:
            return
        settings = read_settings(payload)
        self._answer(pack_frame(SETTINGS, ACK, 0))  # in front of data that only these settings allow
        self.max_frame = settings.get(MAX_FRAME_SIZE, self.max_frame)
        initial = settings.get(INITIAL_WINDOW_SIZE, self.initial_window)
        more, self.initial_window = initial - self.initial_window, initial
        for stream in list(self.streams.values()):
            stream.out_window += more
            stream.pump()
        self.pump()

    def _on_ping(self, flags: int, payload: bytes) -> None:
        if not flags & ACK:
            self._answer(pack_frame(PING, ACK, 0, payload))
        elif payload == DRAIN_PING and self._patience.drained_at is not None:
            self._take_no_more()

    def _on_reset(self, number: int) -> None:
        if number > self._last_stream:
            raise Http2Error(PROTOCOL_ERROR, f"a reset of stream {number}, which was not opened")
        self._oddities.count()
        stream = self.streams.get(number)
        if stream is not None and not stream.is_reset:
            stream.hang_up()

    def _on_window_update(self, number: int, payload: bytes) -> None:
        more = NUMBER.unpack(payload)[0] & MAX_WINDOW_BYTES
        if not number:
            self.out_window += more
            check_growth(more, self.out_window, 0)
        elif number > self._last_stream:
            raise Http2Error(PROTOCOL_ERROR, f"a window of stream {number}, which was not opened")
        elif (stream := self.streams.get(number)) is not None and not stream.is_reset:
            stream.out_window += more
            try:
                check_growth(more, stream.out_window, number)
            except Http2Error as error:
                self._fail(error)
            stream.pump()
        self.pump()

    def _answer(self, frame: bytes) -> None:
        """Answer a frame that wants it, unless the client sends those and reads nothing."""
        if self.is_paused:
            self._oddities.count()
        self.write(frame)

    # Ends.

    def _fail(self, error: Http2Error) -> None:
        if error.stream:
            self._oddities.count()
            stream = self.streams.get(error.stream)
            if stream is None:
                self.write(pack_number(RST_STREAM, error.stream, error.code))
            elif not stream.is_reset:
                stream.reset(error.code)
            return
        log.info("carrier.http2_error code=%d reason=%r", error.code, error.text)
        self.write(pack_goaway(self._last_stream, error.code, error.text))
        self._close()

    def _take_no_more(self) -> None:
        """Refuse new requests; hang up when the last of the others is answered."""
        if self._takes_streams:
            self._takes_streams = False
            self._patience.drained_at = None
            self.write(pack_goaway(self._last_stream, NO_ERROR))
            if not self.streams:
                self._close()

    def _close(self) -> None:
        """Hang up when what is written has gone out. The client closes too, or is cut off: a plain close could cost it
        what it has not read."""
        if self._reader.is_stopped:
            return
        self._reader.is_stopped = True
        self._patience.closed_at = self.loop.time()
        self._takes_streams = False
        self.write = _write_nowhere
        transport = self._transport
        if transport is not None and not transport.is_closing():
            if transport.can_write_eof():
                transport.write_eof()
            else:
                transport.close()
        for stream in list(self.streams.values()):
            if not stream.is_reset:
                stream.hang_up()


def _write_nowhere(frames: bytes) -> None:
    """Where the frames of a connection go that has ended."""
