"""Compressed request messages, under a cap: a small message may not become a huge one."""

from __future__ import annotations

import zlib

from modelyard.errors import InvalidRequest, TooLarge
from modelyard.server.threads import in_thread

IDENTITY = "identity"
_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
ACCEPTED_ENCODINGS = (IDENTITY, *_WINDOW_BITS)
GZIP = "gzip"
COMPRESSED_BYTES = range(1024, 1 << 20)
"""Answers of these sizes are worth it. Compressing larger ones would hold up the requests of others."""
INLINE_BYTES = 1 << 20
"""A message that becomes larger is decompressed in a thread: it would hold up the requests of others, too."""
_QUICK = 1


def compress(payload: bytes) -> bytes:
    """The message as gzip, quickly rather than well."""
    machine = zlib.compressobj(_QUICK, zlib.DEFLATED, _WINDOW_BITS[GZIP])
    return machine.compress(payload) + machine.flush()


async def decompress(payload: bytes, encoding: str, max_bytes: int) -> bytes:
    """The message; raises `TooLarge` beyond `max_bytes` and `InvalidRequest` for bytes that are not `encoding`."""
    if encoding not in _WINDOW_BITS:
        raise InvalidRequest("a message says that it is compressed, but the request names no grpc-encoding")
    if len(payload) < INLINE_BYTES:
        try:
            return _inflate(payload, encoding, min(max_bytes, INLINE_BYTES))
        except TooLarge:
            if max_bytes <= INLINE_BYTES:
                raise
    return await in_thread(_inflate, payload, encoding, max_bytes)


def _inflate(payload: bytes, encoding: str, max_bytes: int) -> bytes:
    machine = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        message = machine.decompress(payload, max_bytes + 1)
    except zlib.error:
        raise InvalidRequest(f"a message is not valid {encoding}") from None
    if len(message) > max_bytes:
        raise TooLarge(f"a message of more than {max_bytes} bytes when decompressed")
    if not machine.eof or machine.unused_data:
        raise InvalidRequest(f"a message is not valid {encoding}: it is cut short, or something follows it")
    return message
