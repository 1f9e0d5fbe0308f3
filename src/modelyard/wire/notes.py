"""What the gateway tells a worker of a request besides the request: a field in front of the message.

| tag | length | lines: request id, traceparent, tracestate, what is asked back | PostModelOutputsRequest ...

The field has a number that the public message does not use, so the bytes are a `PostModelOutputsRequest` as before: put
together without being parsed, and parsed without being copied. Only the field at the very front is believed: what a
caller sends comes behind it.

Where the gateway traces a request, the worker puts a field of the same number behind its answer: how many inputs
were in the call that answered it. The gateway takes it off again.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import NamedTuple

_FIELD = 2000
_TAG = bytes([_FIELD << 3 & 0x7F | 2 | 0x80, _FIELD >> 4])
_HEAD_BYTES = len(_TAG) + 2
TAG = _FIELD << 3 | 2
MAX_BYTES = 1 << 14
_ASKED = "batch"
_COUNT_BYTES = 4
_COUNT_TAG = bytes([_FIELD << 3 & 0x7F | 5 | 0x80, _FIELD >> 4])
"""Of a number of four bytes."""


class Note(NamedTuple):
    """What a worker knows of a request."""

    request_id: str = ""
    """As in the answer's `x-request-id` and `status.req_id`."""
    traceparent: str = ""
    """W3C trace context of the caller or of the gateway; empty where nobody traces."""
    tracestate: str = ""
    """What tracing systems add to it."""
    asks_batch: bool = False
    """Is the size of its batch wanted behind the answer?"""


NO_NOTE = Note()
_ends: dict[bytes, int] = {}
"""By their heads, of which there are no more than two bytes can tell."""
_make_note = partial(tuple.__new__, Note)
"""As `Note`, without the function of Python that a named tuple has for it."""


def encode_note(request_id: str, traceparent: str = "", tracestate: str = "", *, asks_batch: bool = False) -> bytes:
    """The field, to be put in front of a serialised request."""
    if not traceparent:
        return encode_id(request_id)
    return encode_id(f"{request_id}\n{traceparent}\n{tracestate}\n{_ASKED if asks_batch else ''}")


def encode_id(request_id: str) -> bytes:
    """The same of a request that nobody traces: its one line. Empty where that is far too long."""
    told = request_id.encode()
    size = len(told)
    return _make_head(size) + told if size < MAX_BYTES else b""


@lru_cache(maxsize=256)
def _make_head(size: int) -> bytes:
    return _TAG + bytes((size & 0x7F | 0x80, size >> 7))


def read_note(payload: bytes) -> Note:
    """The note in front of a payload; an empty one where there is none."""
    head = payload[:_HEAD_BYTES]
    end = _ends.get(head) or _read_end(head)
    if not end:
        return NO_NOTE
    text = payload[_HEAD_BYTES:end].decode("utf-8", "replace")
    if "\n" not in text:
        return _make_note((text, "", "", False))
    request_id, traceparent, tracestate, asked, *_ = *text.split("\n"), "", ""
    return Note(request_id, traceparent, tracestate, asked == _ASKED)


def _read_end(head: bytes) -> int:
    """Where a note ends that begins so; 0 where none begins."""
    if len(head) < _HEAD_BYTES or not head.startswith(_TAG):
        return 0
    end = _ends[head] = _HEAD_BYTES + (head[2] & 0x7F | head[3] << 7)
    return end


def add_batch(answer: bytes, inputs: int) -> bytes:
    """The answer, and behind it the size of its batch."""
    return answer + _COUNT_TAG + inputs.to_bytes(_COUNT_BYTES, "little")


def take_batch(answer: bytes) -> tuple[bytes, int]:
    """The answer without the size behind it, and the size; 0 where there is none."""
    end = len(answer) - _COUNT_BYTES
    start = end - len(_COUNT_TAG)
    if start < 0 or answer[start:end] != _COUNT_TAG:
        return answer, 0
    return answer[:start], int.from_bytes(answer[end:], "little")
