"""gRPC's length-prefixed messages, out of any split of the byte stream and back."""

from __future__ import annotations

import struct
from collections import deque

from modelyard.errors import InvalidRequest, TooLarge
from modelyard.server.api.grpc.compression import decompress
from modelyard.wire.pieces import Part, Payload, Pieces

PREFIX = struct.Struct(">BI")
MAX_MESSAGE_BYTES = 256 * 1024 * 1024
"""Published clients send upload parts of 127 MiB in one message."""
JOINED_BYTES = 1 << 18
"""A message up to this size is joined: to find out what it says in pieces costs more than to copy and parse it."""
SMALL_PIECE_BYTES = 1 << 13
"""One that comes in smaller pieces than this is joined, too: each has a price."""


class MessageReader:
    """Takes bytes as they come, gives whole messages: large ones in the pieces that came, small ones joined.

    Args:
        encoding: The request's `grpc-encoding`, for messages that say they are compressed.
        max_bytes: The largest message, before and after decompression.
    """

    __slots__ = ("_buffered", "_chunks", "_encoding", "_is_compressed", "_length", "_max_bytes", "_offset")

    def __init__(self, encoding: str, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._encoding = encoding
        self._max_bytes = max_bytes
        self._chunks: deque[bytes] = deque()
        self._offset = 0
        self._buffered = 0
        self._length: int | None = None
        self._is_compressed = False

    @property
    def is_between_messages(self) -> bool:
        """Is there nothing of an unfinished message?"""
        return self._length is None and self._buffered == 0

    def feed(self, chunk: bytes) -> None:
        """Add what arrived."""
        if chunk:
            self._chunks.append(chunk)
            self._buffered += len(chunk)

    async def take(self) -> Payload | None:
        """The next whole message; None until more has arrived.

        Raises:
            TooLarge: the message is, or becomes when decompressed, larger than `max_bytes`.
            InvalidRequest: a wrong prefix, or compressed bytes that are not.
        """
        if self._length is None:
            if self._buffered < PREFIX.size:
                return None
            self._read_prefix()
        length = self._length
        if length is None or self._buffered < length:
            return None
        self._length = None
        parts = self._cut(length)
        if self._is_compressed:
            return await decompress(b"".join(parts), self._encoding, self._max_bytes)
        is_joined = length <= JOINED_BYTES or length < len(parts) * SMALL_PIECE_BYTES
        return b"".join(parts) if is_joined else Pieces(parts)

    def _read_prefix(self) -> None:
        flag, length = PREFIX.unpack(b"".join(self._cut(PREFIX.size)))
        if flag > 1:
            raise InvalidRequest(f"the compression flag of a message is {flag}; 0 and 1 are defined")
        if length > self._max_bytes:
            raise TooLarge(f"a message of {length} bytes; the largest accepted is {self._max_bytes}")
        self._is_compressed = flag == 1
        self._length = length

    def _cut(self, size: int) -> list[Part]:
        """The next `size` bytes, which are there."""
        pieces: list[Part] = []
        self._buffered -= size
        while size:
            chunk = self._chunks[0]
            is_whole = not self._offset and size >= len(chunk)
            piece = chunk if is_whole else memoryview(chunk)[self._offset : self._offset + size]
            pieces.append(piece)
            size -= len(piece)
            self._offset += len(piece)
            if self._offset == len(chunk):
                self._chunks.popleft()
                self._offset = 0
        return pieces


def frame_prefix(size_bytes: int, *, is_compressed: bool = False) -> bytes:
    """The five bytes in front of a message."""
    return PREFIX.pack(is_compressed, size_bytes)
