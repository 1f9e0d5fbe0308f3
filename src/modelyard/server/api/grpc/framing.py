"""gRPC's length-prefixed messages, out of any split of the byte stream and back."""

from __future__ import annotations

import struct
from collections import deque

from modelyard.errors import InvalidRequest, TooLarge
from modelyard.server.api.grpc.compression import decompress

PREFIX = struct.Struct(">BI")
MAX_MESSAGE_BYTES = 256 * 1024 * 1024
"""Published clients send upload parts of 127 MiB in one message."""


class MessageReader:
    """Takes bytes as they come, gives whole messages. Each byte is copied once.

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

    async def take(self) -> bytes | None:
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
        payload = self._cut(length)
        return await decompress(payload, self._encoding, self._max_bytes) if self._is_compressed else payload

    def _read_prefix(self) -> None:
        flag, length = PREFIX.unpack(self._cut(PREFIX.size))
        if flag > 1:
            raise InvalidRequest(f"the compression flag of a message is {flag}; 0 and 1 are defined")
        if length > self._max_bytes:
            raise TooLarge(f"a message of {length} bytes; the largest accepted is {self._max_bytes}")
        self._is_compressed = flag == 1
        self._length = length

    def _cut(self, size: int) -> bytes:
        """The next `size` bytes, which are there."""
        pieces: list[bytes] = []
        self._buffered -= size
        while size:
            chunk = self._chunks[0]
            piece = chunk[self._offset : self._offset + size] if self._offset or size < len(chunk) else chunk
            pieces.append(piece)
            size -= len(piece)
            self._offset += len(piece)
            if self._offset == len(chunk):
                self._chunks.popleft()
                self._offset = 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def frame_prefix(size_bytes: int, *, is_compressed: bool = False) -> bytes:
    """The five bytes in front of a message."""
    return PREFIX.pack(is_compressed, size_bytes)
