"""What the gateway tells a worker of a request besides the request: a field in front of the message.

| tag | length | request id, line feed, traceparent | PostModelOutputsRequest ...

The field has a number that the public message does not use, so the bytes are a `PostModelOutputsRequest` as before: put
together without being parsed, and parsed without being copied. Only the field at the very front is believed: what a
caller sends comes behind it.
"""

from __future__ import annotations

from typing import NamedTuple

_FIELD = 2000
_TAG = bytes([_FIELD << 3 & 0x7F | 2 | 0x80, _FIELD >> 4])
_HEAD_BYTES = len(_TAG) + 2
TAG = _FIELD << 3 | 2
MAX_BYTES = 1 << 14


class Note(NamedTuple):
    """What a worker knows of a request."""

    request_id: str = ""
    """As in the answer's `x-request-id` and `status.req_id`."""
    traceparent: str = ""
    """W3C trace context of the caller or of the gateway; empty where nobody traces."""


NO_NOTE = Note()


def encode_note(request_id: str, traceparent: str = "") -> bytes:
    """The field, to be put in front of a serialised request."""
    text = f"{request_id}\n{traceparent}".encode() if traceparent else request_id.encode()
    size = len(text)
    return _TAG + bytes((size & 0x7F | 0x80, size >> 7)) + text if size < MAX_BYTES else b""


def read_note(payload: bytes) -> Note:
    """The note in front of a payload; an empty one where there is none."""
    if payload[: len(_TAG)] != _TAG or len(payload) < _HEAD_BYTES:
        return NO_NOTE
    end = _HEAD_BYTES + (payload[2] & 0x7F | payload[3] << 7)
    request_id, _, traceparent = payload[_HEAD_BYTES:end].decode("utf-8", "replace").partition("\n")
    return Note(request_id, traceparent)
