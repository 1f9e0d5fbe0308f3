"""A REST request as V2 messages: from the body, the query and the path, or from a line of a stream each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import lru_cache

from modelyard.errors import Cancelled, TooLarge
from modelyard.server.api.doorway.inflow import Inflow
from modelyard.server.api.doorway.types import Event, Receive
from modelyard.server.api.rest.fill import fill
from modelyard.server.api.rest.json_text import read_object
from modelyard.server.api.rest.large import read_large
from modelyard.server.api.rest.query import fill_from_query, set_field
from modelyard.server.api.rest.routes import REMEMBERED, Match
from modelyard.server.api.rest.usual import Usual, find_only_text, make_usual, read_usual
from modelyard.server.api.v2.call import Incoming
from modelyard.server.api.v2.plain import Named, make_plain, read_plain
from modelyard.wire.messages import Message, PostModelOutputsRequest
from modelyard.wire.methods import Method
from modelyard.wire.outline import LARGE_BYTES, parse_outline

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_PREDICT_BODY_BYTES = 192 * 1024 * 1024
"""Base64 of 128 MiB, and room; also the longest line of a stream."""
WHOLE = "*"


async def read_body(first: Event, receive: Receive, max_bytes: int) -> bytes:
    """The whole body; raises `TooLarge` and `Cancelled`."""
    chunks = []
    size = 0
    event = first
    while True:
        if event["type"] == "http.disconnect":
            raise Cancelled("the caller went away")
        chunk = event.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise TooLarge(f"the request body is larger than {max_bytes} bytes")
        chunks.append(chunk)
        if not event.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        event = await receive()


def make_incoming(match: Match, query: bytes, body: bytes) -> Incoming:
    """The request. What the path says wins over the body and the query."""
    if not is_for_model(match):
        return Incoming(_make_message(match, query, body, None))
    usual = read_usual(body)
    plain = None if usual is None else make_plain_request(match, usual)
    if plain is None:
        return make_other(match, body, usual)
    return Incoming(PostModelOutputsRequest.FromString(plain[0]), *plain)


def is_for_model(match: Match) -> bool:
    """Is the whole body a request for a model?"""
    return match.route.method.request_type is PostModelOutputsRequest and match.route.binding.body == WHOLE


def make_other(match: Match, body: bytes, usual: Usual | None) -> Incoming:
    """A request for a model that is not plain; raises `InvalidRequest`.

    Args:
        match: The path.
        body: JSON.
        usual: It, where it has the usual shape.
    """
    large = _make_large(match, body) if usual is None else None
    return large or Incoming(_make_message(match, b"", body, usual))


def make_plain_request(match: Match, usual: Usual) -> tuple[bytes, Named] | None:
    """A request that says nothing but a text, put together as bytes; None for any other."""
    text, (names, named) = find_only_text(usual), read_names(match)
    raw = make_plain(names, text.encode()) if text and named else None
    return (raw, named) if raw and named else None


def _make_large(match: Match, body: bytes) -> Incoming | None:
    """A request of which something is large: that is put beside what the rest of it says."""
    raw = read_large(match.route.method, body, _named_by(match)) if len(body) >= LARGE_BYTES else None
    return None if raw is None else Incoming(parse_outline(PostModelOutputsRequest, raw), raw)


def _make_message(match: Match, query: bytes, body: bytes, usual: Usual | None) -> Message:
    message: Message | None = None if usual is None else make_usual(usual)
    if message is None:
        message = _read_body_of(match, body)
    if query and match.route.binding.body != WHOLE:
        fill_from_query(message, query)
    fill_from_path(message, match)
    return message


def _read_body_of(match: Match, body: bytes) -> Message:
    method, where = match.route.method, match.route.binding.body
    if where == WHOLE and body:
        return _read_strictly(method, body)
    message = method.request_type()
    if where and body:
        fill(getattr(message, where), read_object(body))
    return message


def read_message(method: Method, body: bytes, *, what: str = "the request body") -> Message:
    """The request message that is the JSON object in `body`; raises `InvalidRequest`."""
    usual = read_usual(body) if method.request_type is PostModelOutputsRequest else None
    message: Message | None = None if usual is None else make_usual(usual)
    return _read_strictly(method, body, what=what) if message is None else message


def _read_strictly(method: Method, body: bytes, *, what: str = "the request body") -> Message:
    message = method.request_type()
    fill(message, read_object(body, what=what))
    return message


def fill_from_path(message: Message, match: Match) -> None:
    """Set what the path's variables name: all of them are texts, and none is empty."""
    message.MergeFrom(_named_by(match))


@lru_cache(maxsize=REMEMBERED)
def _named_by(match: Match) -> Message:
    """A request with nothing but what the path says."""
    named = match.route.method.request_type()
    for name, value in zip(match.route.variables, match.values, strict=True):
        set_field(named, name, [value])
    return named


@lru_cache(maxsize=REMEMBERED)
def read_names(match: Match) -> tuple[bytes, Named | None]:
    """What the path says, serialised; and read, where a request that says it may be plain."""
    names: bytes = _named_by(match).SerializeToString()
    sample = make_plain(names, b"any text")
    return names, read_plain(sample) if sample else None


async def read_lines(match: Match, inflow: Inflow) -> AsyncIterator[Incoming]:
    """A message for each line of newline-delimited JSON, as they come; empty lines are left out."""
    number = 0
    async for line in _split_lines(inflow):
        if not line.strip():
            continue
        number += 1
        if large := _make_large(match, line):
            yield large
            continue
        message = read_message(match.route.method, line, what=f"message {number} of the stream")
        fill_from_path(message, match)
        yield Incoming(message)


async def _split_lines(inflow: Inflow) -> AsyncIterator[bytes]:
    pieces: list[bytes] = []
    size = 0
    while chunk := await inflow.read():
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            yield b"".join((*pieces, line))
            pieces, size = [], 0
        pieces.append(rest)
        size += len(rest)
        if size > MAX_PREDICT_BODY_BYTES:
            raise TooLarge(f"a line of the stream is longer than {MAX_PREDICT_BODY_BYTES} bytes")
    if pieces:
        yield b"".join(pieces)
