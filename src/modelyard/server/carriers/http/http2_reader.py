"""Cuts what a client sends into the frames of HTTP/2, however it is split."""

from __future__ import annotations

from typing import Protocol

from modelyard.server.carriers.base import FRAME_BYTES, HEADER_BYTES
from modelyard.server.carriers.http.http2_frames import (
    CONTINUATION,
    DATA,
    DEFAULT_FRAME_BYTES,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FRAME_SIZE_ERROR,
    HEAD,
    HEAD_BYTES,
    HEADERS,
    MAX_STREAM,
    PADDED,
    PRIORITISED,
    PROTOCOL_ERROR,
    Http2Error,
)

MAX_CONTINUATIONS = 64
_ODD_OR_WHOLE = END_HEADERS | END_STREAM | PADDED | PRIORITISED
_PADDED_OR_END = PADDED | END_STREAM
_LATER = -1
_unpack_head = HEAD.unpack_from


class FrameHandler(Protocol):
    """What is told of frames. Its methods raise `Http2Error` for what ends the connection."""

    def on_request(self, number: int, block: bytes, body: bytes) -> bool:
        """A whole block of headers came, and behind it, in one piece, all of a body. False: it has done nothing, and
        has to be told of both."""
        ...

    def on_block(self, number: int, block: bytes, *, ends: bool) -> None:
        """A whole block of headers came, and with `ends` the end of the request."""
        ...

    def on_data(self, number: int, piece: bytes, counted: int, *, ends: bool, goes_on: bool = False) -> None:
        """A piece of a body came, which counts as so many bytes of the window: padding is not in the piece. With
        `goes_on` it is the beginning of something longer."""
        ...

    def on_frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """Another frame came."""
        ...


class FrameReader:
    """Data are passed on as they come, other frames when they are whole.

    Args:
        handler: Told of each.
    """

    __slots__ = (
        "_block",
        "_block_ends",
        "_block_number",
        "_continuations",
        "_data_ends",
        "_data_left",
        "_data_length",
        "_data_number",
        "_handler",
        "_padding",
        "_rest",
        "is_stopped",
        "progress",
    )

    def __init__(self, handler: FrameHandler) -> None:
        self._handler = handler
        self._rest = b""
        """The beginning of a frame."""
        self._data_number = 0
        self._data_length = 0
        self._data_left = 0
        """What is to come of a frame of data, its padding included."""
        self._padding = 0
        self._data_ends = False
        self._block: bytearray | None = None
        """Headers that go on in the next frame."""
        self._block_number = 0
        self._block_ends = False
        self._continuations = 0
        self.progress = 0
        """How many frames, and whole blocks of headers, were read."""
        self.is_stopped = False
        """The connection has ended: what comes is thrown away."""

    @property
    def is_inside(self) -> bool:
        """Has something begun, data excepted, that has not ended?"""
        return bool(self._rest) or self._block is not None

    def feed(self, data: bytes | memoryview) -> None:
        """Read what came; raises `Http2Error`. Nothing of it is kept: the buffer may be used again."""
        if self._rest:
            data = self._rest + data
            self._rest = b""
        at, size = 0, len(data)
        while at < size and not self.is_stopped:
            if self._data_left:
                at = self._pass_on(data, at, size)
                continue
            if size - at < HEAD_BYTES:
                break
            high, low, kind, flags, number = _unpack_head(data, at)
            length = high << 8 | low
            behind = 0
            if kind == HEADERS and flags & _ODD_OR_WHOLE == END_HEADERS:
                behind = self._read_request(data, at + HEAD_BYTES, length, size, number)
            elif kind == DATA and self._block is None:
                behind = self._read_data(data, at + HEAD_BYTES, length, size, flags, number & MAX_STREAM)
            behind = behind or self._read_other(data, at + HEAD_BYTES, length, size, kind, flags, number & MAX_STREAM)
            if behind < 0:
                break
            at = behind
        if at < size and not self.is_stopped:
            self._rest = bytes(data[at:])

    # Each reads what begins at a place, and returns where what is behind it begins: `_LATER` where not all is there.

    def _read_request(self, data: bytes | memoryview, at: int, length: int, size: int, number: int) -> int:
        """A request whose head and body are a frame each, and there: most are. 0: it is another, or the handler has not
        taken it."""
        end = at + length
        body_at = end + HEAD_BYTES
        if body_at >= size or length > HEADER_BYTES or number > MAX_STREAM or self._block is not None:
            return 0
        high, low, kind, flags, other = _unpack_head(data, end)
        length = high << 8 | low
        behind = body_at + length
        if kind != DATA or flags & _PADDED_OR_END != END_STREAM or other != number:
            return 0
        if behind > size or not 0 < length < DEFAULT_FRAME_BYTES:
            return 0
        if not self._handler.on_request(number, bytes(data[at:end]), bytes(data[body_at:behind])):
            return 0
        self.progress += 2
        return behind

    def _read_data(self, data: bytes | memoryview, at: int, length: int, size: int, flags: int, number: int) -> int:
        """A small frame of data that is there, or the beginning of another."""
        if length < DEFAULT_FRAME_BYTES and 0 < length <= size - at and not flags & PADDED:
            behind = at + length
            self.progress += 1
            self._handler.on_data(number, bytes(data[at:behind]), length, ends=bool(flags & END_STREAM))
            return behind
        if flags & PADDED and size == at:
            return _LATER
        return self._begin_body(data, length, flags, number, at)

    def _read_other(
        self, data: bytes | memoryview, at: int, length: int, size: int, kind: int, flags: int, number: int
    ) -> int:
        """A frame that is not data."""
        self._check(kind, length)
        if at + length > size:
            return _LATER
        self._on_frame(kind, flags, number, bytes(data[at : at + length]))
        return at + length

    def _check(self, kind: int, length: int) -> None:
        if length > HEADER_BYTES:
            raise Http2Error(FRAME_SIZE_ERROR, f"a frame of {length} bytes that is not data")
        if self._block is not None and kind != CONTINUATION:
            raise Http2Error(PROTOCOL_ERROR, "headers that go on in a frame that is not theirs")

    # Data that are not a small frame in one piece.

    def _begin_body(self, data: bytes | memoryview, length: int, flags: int, number: int, at: int) -> int:
        """Where the body begins."""
        if flags & PADDED:
            return self._begin_padded(data[at], length, flags, number, at)
        return self._begin_data(length, flags, number, at)

    def _begin_data(self, length: int, flags: int, number: int, at: int) -> int:
        """Where the body begins."""
        if length > FRAME_BYTES:
            raise Http2Error(FRAME_SIZE_ERROR, f"a frame of {length} bytes; the largest accepted is {FRAME_BYTES}")
        self._data_number, self._data_length, self._data_left, self._padding = number, length, length, 0
        self._data_ends = bool(flags & END_STREAM)
        self.progress += 1
        if not length:
            self._handler.on_data(number, b"", 0, ends=self._data_ends)
        return at

    def _begin_padded(self, padding: int, length: int, flags: int, number: int, at: int) -> int:
        """Where the body begins, behind the byte that says how long the padding is."""
        if padding >= length:
            raise Http2Error(PROTOCOL_ERROR, "padding that is longer than its frame")
        self._begin_data(length, flags, number, at)
        self._data_left -= 1
        self._padding = padding
        self._handler.on_data(number, b"", 1, ends=self._data_ends and not self._data_left)
        return at + 1

    def _pass_on(self, data: bytes | memoryview, at: int, size: int) -> int:
        """Pass on what is there of a frame of data, and of those of the same body right behind it: an event for each
        would cost more than a copy. Where the rest begins."""
        if self._padding:
            return self._pass_on_padded(data, at, size)
        pieces: list[bytes | memoryview] = []
        counted = 0
        while True:
            end = at + self._data_left
            if end > size:
                end = size
            pieces.append(data[at:end])
            counted += end - at
            self._data_left -= end - at
            at = end
            if self._data_left or self._data_ends or not self._goes_on(data, at, size):
                break
            at += HEAD_BYTES
        goes_on = bool(self._data_left) or self._data_length == DEFAULT_FRAME_BYTES
        ends = self._data_ends and not self._data_left
        piece = bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)
        self._handler.on_data(self._data_number, piece, counted, ends=ends, goes_on=goes_on)
        return at

    def _goes_on(self, data: bytes | memoryview, at: int, size: int) -> bool:
        """Does a frame that goes on with the same body begin there? It has begun then."""
        if size - at <= HEAD_BYTES:
            return False
        high, low, kind, flags, number = _unpack_head(data, at)
        length = high << 8 | low
        if kind != DATA or flags & PADDED or number & MAX_STREAM != self._data_number or not 0 < length <= FRAME_BYTES:
            return False
        self._data_length = self._data_left = length
        self._data_ends = bool(flags & END_STREAM)
        self.progress += 1
        return True

    def _pass_on_padded(self, data: bytes | memoryview, at: int, size: int) -> int:
        there = min(self._data_left, size - at)
        self._data_left -= there
        body = max(0, there - max(0, self._padding - self._data_left))
        ends = self._data_ends and not self._data_left
        self._handler.on_data(
            self._data_number, bytes(data[at : at + body]), there, ends=ends, goes_on=bool(self._data_left)
        )
        return at + there

    # Others.

    def _on_frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == HEADERS:
            if flags & (PADDED | PRIORITISED):
                payload = _strip(flags, payload)
            if flags & END_HEADERS:
                self._handler.on_block(number, payload, ends=bool(flags & END_STREAM))
            else:
                self._block, self._block_number, self._continuations = bytearray(payload), number, 0
                self._block_ends = bool(flags & END_STREAM)
                return
        elif kind == CONTINUATION:
            self._go_on(flags, number, payload)
            if self._block is not None:
                return
        else:
            self._handler.on_frame(kind, flags, number, payload)
        self.progress += 1

    def _go_on(self, flags: int, number: int, payload: bytes) -> None:
        block = self._block
        if block is None or number != self._block_number:
            raise Http2Error(PROTOCOL_ERROR, "a CONTINUATION of nothing")
        block += payload
        self._continuations += 1
        if len(block) > HEADER_BYTES or self._continuations > MAX_CONTINUATIONS:
            raise Http2Error(ENHANCE_YOUR_CALM, f"headers of more than {HEADER_BYTES} bytes, or in too many pieces")
        if flags & END_HEADERS:
            self._block = None
            self._handler.on_block(number, bytes(block), ends=self._block_ends)


def _strip(flags: int, payload: bytes) -> bytes:
    """Headers without padding and priority."""
    start, end = 0, len(payload)
    if flags & PADDED:
        if not payload:
            raise Http2Error(FRAME_SIZE_ERROR, "padding of no length")
        start, end = 1, end - payload[0]
    if flags & PRIORITISED:
        start += 5
    if start > end:
        raise Http2Error(PROTOCOL_ERROR, "padding and priority that are longer than their frame")
    return payload[start:end]
