"""Frames: how gateway and worker talk over one socket. A little header, then the payload, untouched.

0        4      5       6          8                16
| length | kind | flags | time left | request id    | payload (length bytes) ...
| u32    | u8   | u8    | u16       | u64           |        (big endian)

worker                                gateway
  HELLO {protocol, token, replica}  ─►
  STATE {state, message, methods}   ─►
                                    ◄─  REQUEST (FIRST|LAST, predict by default, GENERATE or STREAM)
  ITEM ... ITEM (LAST) | END | ERROR ─►
  CREDIT (more requests of a stream) ─►  ◄─ CREDIT (more items), CANCEL, PING, STOP
                                    ◄─  RELOAD {paths} (answered as a request is; only by a worker that watches)
                                    ◄─  STATS (answered as a request is: `wire/stats.py`)
  TAKEN (a slot is free again)      ─►  ◄─ TAKEN (`wire/shared.py`)
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import NamedTuple, TypeAlias

from modelyard.errors import InternalError, TooLarge
from modelyard.wire.pieces import Part, Pieces

PROTOCOL = 1
"""Said in HELLO. A gateway refuses a worker that speaks another."""
MAX_PAYLOAD_BYTES = 1 << 30
HEADER = struct.Struct("!IBBHQ")
HEADER_BYTES = HEADER.size
BUFFER_BYTES = 1 << 18
SEND_BUFFER_BYTES = 1 << 20
"""What both ends ask the system to keep of what they send. It gives as much as it is set to allow, mostly twice of what
it gives unasked: a large payload takes half as many switches between the two, or fewer."""
LARGE_BYTES = 1 << 16
"""A payload above this travels, and is received, without being copied together with others."""

FIRST, LAST, EMPTY, GENERATE, STREAM, EXPRESS, SHARED = 1, 2, 4, 8, 16, 32, 64
"""Flags. FIRST opens a request; LAST: nothing follows in this direction; EMPTY: the frame carries no message (a message
of zero bytes is a message); GENERATE, STREAM: the method, on FIRST; EXPRESS, on FIRST: of a caller who has nothing else
here, to be begun before what waits of others; SHARED: the message lies in memory that both have, and the payload says
where (`wire/shared.py`)."""

Put: TypeAlias = Callable[[Part | Pieces], bytes | None]
"""Takes a large payload elsewhere, and says where it lies; None where there is no room for it."""

_TIME_BITS, _MAX_SHIFT = 12, 15

WINDOW = 64
"""Credit that both sides start with on each stream. A message may be sent while any is left."""
CREDIT_BYTES = 1 << 17
_CREDIT = struct.Struct("!I")


class Kind(IntEnum):
    """What a frame is."""

    HELLO = 1
    STATE = 2
    REQUEST = 3
    ITEM = 4
    END = 5
    ERROR = 6
    CANCEL = 7
    CREDIT = 8
    STOP = 9
    PING = 10
    PONG = 11
    RELOAD = 12
    STATS = 13
    TAKEN = 14


OF_REQUESTS = (Kind.REQUEST, Kind.CREDIT, Kind.CANCEL)
"""What a gateway sends of requests, the most frequent first."""
ITEM = Kind.ITEM
"""By a name of its own, for those who look at each frame: Python 3.11 looks a member of an enumeration up slowly."""
_KINDS: list[Kind | None] = [None] * 256
for _kind in Kind:
    _KINDS[_kind] = _kind


class Frame(NamedTuple):
    """One frame as it was received."""

    kind: Kind
    flags: int
    request_id: int
    payload: bytes
    time_left: int = 0
    """On FIRST: how long its caller still waits, see `encode_time`."""


_make_frame = partial(tuple.__new__, Frame)
"""As `Frame`, without the function of Python that a named tuple has for it."""


def encode_frame(kind: Kind, request_id: int = 0, payload: bytes = b"", flags: int = 0) -> bytes:
    """One frame in one piece: for small payloads."""
    return HEADER.pack(len(payload), kind, flags, 0, request_id) + payload


def encode_parts(
    kind: Kind,
    request_id: int,
    payload: Part | Pieces,
    flags: int = 0,
    *,
    max_payload_bytes: int = MAX_PAYLOAD_BYTES,
    time_left: int = 0,
    put: Put | None = None,
) -> tuple[Part, ...]:
    """One frame as the parts to write: one where it is small, header and payload (not copied) where it is large. What
    is large may be put elsewhere: `FrameDecoder.fetch` is the other side of that.

    Raises:
        TooLarge: The payload is above `max_payload_bytes`.
    """
    size = len(payload)
    if size > LARGE_BYTES:
        check_size(size, max_payload_bytes)
        place = None if put is None else put(payload)
        if place is not None:
            payload, size, flags = place, len(place), flags | SHARED
    head = HEADER.pack(size, kind, flags, time_left, request_id)
    if isinstance(payload, Pieces):
        return head, *payload.parts
    return (head + payload,) if size <= LARGE_BYTES else (head, payload)


def check_size(size_bytes: int, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> None:
    """Raise `TooLarge` for a payload that may not travel."""
    if size_bytes > max_payload_bytes:
        raise TooLarge(f"a message of {size_bytes:,} bytes is above the limit of {max_payload_bytes:,} bytes")


def encode_credit(request_id: int, credit: int) -> bytes:
    """The frame that allows the other side `credit` more."""
    return encode_frame(Kind.CREDIT, request_id, _CREDIT.pack(credit))


def decode_credit(payload: bytes) -> int:
    """How much a CREDIT frame allows.

    Raises:
        InternalError: The payload is not a credit.
    """
    if len(payload) != _CREDIT.size:
        raise InternalError(f"a credit frame has {_CREDIT.size} bytes, not {len(payload)}")
    return int(_CREDIT.unpack(payload)[0])


def encode_time(seconds: float | None) -> int:
    """A length of time in the two bytes of a header: 12 bits of milliseconds, 4 of how far they are shifted. Rounded
    up, by less than a thousandth above 4 s; a day and a half at most; 0 stands for no limit."""
    if seconds is None:
        return 0
    count = max(1, math.ceil(seconds * 1000))
    shift = max(0, count.bit_length() - _TIME_BITS)
    count = -(-count >> shift)
    if count >> _TIME_BITS:
        shift, count = shift + 1, count >> 1
    return (shift << _TIME_BITS) | count if shift <= _MAX_SHIFT else (1 << (_TIME_BITS + 4)) - 1


def decode_time(code: int) -> float | None:
    """The seconds of `encode_time`; None for no limit."""
    if not code:
        return None
    return ((code & ((1 << _TIME_BITS) - 1)) << (code >> _TIME_BITS)) / 1000


def cost_of(size_bytes: int) -> int:
    """What a message takes of the credit: one, and one more for each 128 KiB. So 64 is 64 messages, or 8 MiB."""
    return 1 + size_bytes // CREDIT_BYTES


class FrameDecoder:
    """Makes frames of a byte stream, however it is split. Receive into `writable()`, then tell `advance()`.

    Small frames are cut out of one buffer; the payload of a large one is received where it will stay.
    """

    def __init__(self, *, max_payload_bytes: int = MAX_PAYLOAD_BYTES, buffer_bytes: int = BUFFER_BYTES) -> None:
        self.max_payload_bytes = max_payload_bytes
        self.fetch: Callable[[bytes], bytes] = _fetch_nothing
        """Gives the message of a frame that is SHARED, whose payload says where it lies."""
        self._buffer = bytearray(max(buffer_bytes, 4 * HEADER_BYTES))
        self._view = memoryview(self._buffer)
        self._large_bytes = min(LARGE_BYTES, len(self._buffer) // 4)
        self._start = 0
        self._end = 0
        self._large: _LargePayload | None = None

    @property
    def is_between_frames(self) -> bool:
        """Has everything that was received been given out? At the end of a stream it should be so."""
        return self._large is None and self._start == self._end

    def writable(self) -> memoryview:
        """Where the next bytes are to be received; never empty."""
        if self._large is not None:
            return self._large.writable()
        return self._view[self._end :] if self._end else self._view

    def advance(self, size: int) -> list[Frame]:
        """Take note of `size` bytes received; return the frames that are now whole.

        Raises:
            TooLarge: A frame announces more than the limit. The stream cannot be read on.
            InternalError: A frame is of no known kind. The stream cannot be read on.
        """
        if self._large is not None:
            return self._advance_large(self._large, size)
        frames: list[Frame] = []
        start, end, view = self._start, self._end + size, self._view
        while end - start >= HEADER_BYTES:
            size, number, flags, time_left, request_id = HEADER.unpack_from(view, start)
            kind = _KINDS[number]
            if kind is None:
                raise InternalError(f"a frame of unknown kind {number}")
            if size > self.max_payload_bytes:
                check_size(size, self.max_payload_bytes)
            body = start + HEADER_BYTES
            if body + size > end:
                if size > self._large_bytes:
                    self._large = _LargePayload(Frame(kind, flags, request_id, b"", time_left), size, view[body:end])
                    start = end
                break
            payload = bytes(view[body : body + size])
            if flags & SHARED:
                payload = self.fetch(payload)
            frames.append(_make_frame((kind, flags, request_id, payload, time_left)))
            start = body + size
        if start == end:
            self._start = self._end = 0
        else:
            self._make_room(start, end)
        return frames

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes that were received elsewhere (copies them)."""
        frames: list[Frame] = []
        rest = memoryview(data)
        while rest:
            room = self.writable()
            taken = rest[: len(room)]
            room[: len(taken)] = taken
            rest = rest[len(taken) :]
            frames += self.advance(len(taken))
        return frames

    def _advance_large(self, large: _LargePayload, size: int) -> list[Frame]:
        frame = large.advance(size)
        if frame is None:
            return []
        self._large = None
        return [frame._replace(payload=self.fetch(frame.payload)) if frame.flags & SHARED else frame]

    def _make_room(self, start: int, end: int) -> None:
        """Keep the beginning of a frame; move it to the front when it stands in the second half. It is short (a quarter
        and a header at most), so there is always room, and few bytes move for many received."""
        if start >= len(self._buffer) // 2:
            self._buffer[: end - start] = self._view[start:end]
            start, end = 0, end - start
        self._start, self._end = start, end


def _fetch_nothing(place: bytes) -> bytes:
    raise InternalError(f"a message is said to lie at {place.hex()}, and no memory is shared")


class _LargePayload:
    """A payload received straight into the bytes that are handed out: BytesIO gives its bytes without a copy."""

    def __init__(self, head: Frame, size: int, beginning: memoryview) -> None:
        self._head = head
        self._bytes = io.BytesIO(bytes(size))
        self._view = self._bytes.getbuffer()
        self._filled = len(beginning)
        self._view[: self._filled] = beginning

    def writable(self) -> memoryview:
        return self._view[self._filled :]

    def advance(self, size: int) -> Frame | None:
        self._filled += size
        if self._filled < len(self._view):
            return None
        self._view.release()
        return self._head._replace(payload=self._bytes.getvalue())
