"""The frames of HTTP/2 (RFC 9113), as bytes."""

from __future__ import annotations

from struct import Struct

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITISED = 0x20

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0x0, 0x1, 0x2, 0x3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL = 0x5, 0x6, 0x7, 0x8
COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 0x9, 0xB

MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 0x3, 0x4, 0x5, 0x6
ENABLE_PUSH = 0x2

HEAD = Struct(">HBBBI")
"""Length in two parts, kind, flags, stream: nine bytes in front of each payload."""
HEAD_BYTES = HEAD.size
_pack_small = Struct(">xHBBI").pack
"""The same, of a length that two bytes hold."""
_LAST_HEADERS = END_HEADERS | END_STREAM
SETTING = Struct(">HI")
NUMBER = Struct(">I")
PING_BYTES, PRIORITY_BYTES = 8, 5
DEFAULT_WINDOW_BYTES = 65_535
DEFAULT_FRAME_BYTES = 16_384
MAX_FRAME_BYTES = (1 << 24) - 1
MAX_WINDOW_BYTES = MAX_STREAM = (1 << 31) - 1


class Http2Error(Exception):
    """The client broke a rule: the connection ends, or the one stream that is named.

    Args:
        code: One of the codes above.
        text: What was wrong, for the client's log.
        stream: The stream; 0 for the whole connection.
    """

    def __init__(self, code: int, text: str, stream: int = 0) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.stream = stream


def pack_head(length: int, kind: int, flags: int, stream: int) -> bytes:
    """The nine bytes in front of a payload."""
    return HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream)


def pack_frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A whole frame."""
    return pack_head(len(payload), kind, flags, stream) + payload


def pack_block(block: bytes, flags: int, stream: int, max_frame: int) -> bytes:
    """A block of headers as HEADERS, and as many CONTINUATION as the client's largest frame makes necessary."""
    size = len(block)
    if size <= max_frame:
        return HEAD.pack(size >> 8, size & 0xFF, HEADERS, flags | END_HEADERS, stream) + block
    frames = [pack_frame(HEADERS, flags, stream, block[:max_frame])]
    for start in range(max_frame, len(block), max_frame):
        is_last = start + max_frame >= len(block)
        piece = block[start : start + max_frame]
        frames.append(pack_frame(CONTINUATION, END_HEADERS if is_last else 0, stream, piece))
    return b"".join(frames)


def pack_answer(stream: int, block: bytes, body: bytes, ending: bytes) -> bytes:
    """A whole answer, of which nothing is of 64 KiB or too large for its client: headers, body, and trailers where it
    has them."""
    head = _pack_small(len(block), HEADERS, END_HEADERS, stream)
    if not ending:
        return b"".join((head, block, _pack_small(len(body), DATA, END_STREAM, stream), body))
    data = _pack_small(len(body), DATA, 0, stream)
    return b"".join((head, block, data, body, _pack_small(len(ending), HEADERS, _LAST_HEADERS, stream), ending))


def pack_number(kind: int, stream: int, number: int) -> bytes:
    """RST_STREAM with its code, WINDOW_UPDATE with its increment."""
    return HEAD.pack(0, NUMBER.size, kind, 0, stream) + NUMBER.pack(number)


def pack_settings(settings: dict[int, int]) -> bytes:
    """SETTINGS."""
    return pack_frame(SETTINGS, 0, 0, b"".join(SETTING.pack(*one) for one in settings.items()))


def pack_goaway(last_stream: int, code: int, text: str = "") -> bytes:
    """GOAWAY."""
    return pack_frame(GOAWAY, 0, 0, NUMBER.pack(last_stream) + NUMBER.pack(code) + text.encode())
