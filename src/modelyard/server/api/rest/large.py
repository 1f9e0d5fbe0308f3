"""Large values of bytes, which go around the parsers: from base64 in JSON to the bytes of a message, and back.

A mark (`wire/marks.py`) stands for each in the JSON that is parsed and in the message that is made of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pybase64

from modelyard.errors import InvalidRequest
from modelyard.server.api.rest.fill import fill
from modelyard.server.api.rest.json_text import read_object
from modelyard.server.api.rest.render import parse_reply, render
from modelyard.server.api.v2.call import Reply
from modelyard.wire.marks import SECRET, make_mark, put_values, read_mark, take_values
from modelyard.wire.messages import Message, MultiOutputResponse
from modelyard.wire.methods import Method
from modelyard.wire.outline import LARGE_BYTES
from modelyard.wire.pieces import Pieces

_STEP_BYTES = LARGE_BYTES // 2
"""A text of `LARGE_BYTES` has a whole step inside it, wherever it begins."""
_MARKS = re.compile(re.escape(pybase64.b64encode(SECRET)) + rb"[A-Za-z0-9+/]{4}")


def read_large(method: Method, body: bytes, more: Message) -> Pieces | None:
    """The request that is the JSON object in `body`, serialised; None where nothing in it is large, or something is
    wrong: whoever reads all of it says what.

    Args:
        method: Whose request it is.
        body: JSON in UTF-8.
        more: What is merged into it: what the path says.
    """
    texts = list(_find_texts(body))
    if not texts:
        return None
    message = method.request_type()
    try:
        fill(message, read_object(_replace(body, texts)))
        view = memoryview(body)
        values = [pybase64.b64decode(view[start:end], validate=True) for start, end in texts]
    except (InvalidRequest, ValueError):
        return None
    message.MergeFrom(more)
    return put_values(message.DESCRIPTOR, message.SerializeToString(), values)


def render_reply(method: Method, reply: Reply) -> tuple[Any, bytes]:
    """The response message, and all of it as JSON. Where it is large, its large values are marks in the message."""
    values: Sequence[memoryview] = ()
    if isinstance(reply, bytes) and len(reply) > LARGE_BYTES and method.response_type is MultiOutputResponse:
        reply, values = take_values(method.response_type.DESCRIPTOR, reply)
    message = parse_reply(method, reply)
    body = render(message)
    return message, b"".join(_put_back(body, values)) if values else body


def _find_texts(body: bytes) -> Iterator[tuple[int, int]]:
    """Where large stretches without quotes and backslashes begin and end, that have quotes at both ends. Between two
    texts there may be such a one, too: with a mark in its place what is there is no JSON."""
    at, size = 0, len(body)
    while at + _STEP_BYTES <= size:
        if body.find(b'"', at, at + _STEP_BYTES) >= 0:
            at += _STEP_BYTES
            continue
        start, end = body.rfind(b'"', 0, at) + 1, body.find(b'"', at)
        if end < 0:
            return
        if start and end - start >= LARGE_BYTES and body.find(b"\\", start, end) < 0:
            yield start, end
        at = end + 1


def _replace(body: bytes, texts: Sequence[tuple[int, int]]) -> bytes:
    """With marks in place of these."""
    view, at = memoryview(body), 0
    parts: list[bytes | memoryview] = []
    for number, (start, end) in enumerate(texts):
        parts += (view[at:start], pybase64.b64encode(make_mark(number)))
        at = end
    return b"".join((*parts, view[at:]))


def _put_back(body: bytes, values: Sequence[memoryview]) -> Iterator[bytes | memoryview]:
    """JSON with the values in place of their marks."""
    view, at = memoryview(body), 0
    for found in _MARKS.finditer(body):
        yield view[at : found.start()]
        yield pybase64.b64encode(values[read_mark(pybase64.b64decode(found[0]))])
        at = found.end()
    yield view[at:]
