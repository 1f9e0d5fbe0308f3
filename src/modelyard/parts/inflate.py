"""Gzip, read strictly: one member, its CRC and length checked, nothing after it, never more than was allowed."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from modelyard.errors import InvalidArchive

READ_BYTES = 256 * 1024
BLOCK_BYTES = 1024 * 1024


class Inflater:
    """A forward-only reader of what a gzip file holds.

    Args:
        file: The compressed file, at its start.
        max_bytes: How much may come out before the archive is refused.
        reason: Says where `max_bytes` comes from, for the refusal.
    """

    def __init__(self, file: BinaryIO, *, max_bytes: int, reason: str) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._reason = reason
        self._engine = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self._ready = memoryview(b"")
        self._total_bytes = 0

    def read(self, size: int) -> memoryview:
        """1 to `size` bytes, empty at the sound end of the gzip stream.

        Raises:
            InvalidArchive: Truncated, damaged, over the limit, or followed by more bytes.
        """
        if not self._ready:
            self._ready = memoryview(self._inflate())
        block, self._ready = self._ready[:size], self._ready[size:]
        return block

    def read_exactly(self, size: int) -> bytes:
        """`size` bytes, fewer only at the end. For headers: `size` is small."""
        content = bytearray()
        while len(content) < size and (block := self.read(size - len(content))):
            content += block
        return bytes(content)

    def _inflate(self) -> bytes:
        while not self._engine.eof:
            compressed = self._engine.unconsumed_tail or self._file.read(READ_BYTES)
            try:
                block = self._engine.decompress(compressed, BLOCK_BYTES)
            except zlib.error as error:
                raise InvalidArchive(f"the archive's gzip data is damaged: {error}") from None
            if block:
                return self._count(block)
            if not compressed and not self._engine.eof:
                raise InvalidArchive("the archive ends in the middle of its gzip data: it was cut off")
        if self._engine.unused_data or self._file.read(1):
            raise InvalidArchive("there are bytes after the end of the gzip data; an archive is one gzip member")
        return b""

    def _count(self, block: bytes) -> bytes:
        self._total_bytes += len(block)
        if self._total_bytes > self._max_bytes:
            raise InvalidArchive(self._reason)
        return block
