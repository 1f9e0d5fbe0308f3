"""What front and house tell each other: ASGI's scopes and events in MessagePack, inside frames (`wire/frames.py`).

front                                              house
  HELLO {number}                                ─►
  REQUEST (FIRST, LAST) Opening                 ─►
  REQUEST (LAST) bytes of the body              ─►  ◄─  CREDIT (more of the body, in bytes)
  CANCEL (the caller went away)                 ─►
                                                ◄─  ITEM (FIRST, LAST) Head
                                                ◄─  ITEM (LAST) bytes of the answer
  CREDIT (more of the answer, in bytes)         ─►  ◄─  END trailers, ERROR
                                                ◄─  STOP (finish what you have, accept nothing more)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import msgspec

from modelyard.errors import InternalError

Headers: TypeAlias = list[tuple[bytes, bytes]]
Message = TypeVar("Message")
TRAILERS = "http.response.trailers"

INLINE_BYTES = 1 << 16
"""A body up to this travels in the frame that opens a request, or its answer: nearly all need one frame each way."""
PIECE_BYTES = 1 << 18
"""Larger ones travel in pieces of this."""
WINDOW_BYTES = 1 << 20
"""What may be on its way in one direction of one request, before the other side has taken some."""
MAX_FRAME_BYTES = 4 * WINDOW_BYTES


class Hello(msgspec.Struct, array_like=True, frozen=True):
    """The first message of a front."""

    number: int
    pid: int


class Opening(msgspec.Struct, array_like=True, frozen=True):
    """ASGI's scope of one request, and the beginning of its body."""

    method: str
    path: str
    raw_path: bytes | None
    query_string: bytes
    root_path: str
    scheme: str
    http_version: str
    headers: Headers
    client: tuple[str, int] | None
    server: tuple[str, int | None] | None
    has_trailers: bool
    body: bytes
    has_more: bool


class Head(msgspec.Struct, array_like=True, frozen=True):
    """The beginning of an answer, or all of it."""

    status: int
    headers: Headers
    has_trailers: bool
    body: bytes
    has_more: bool
    trailers: Headers | None


encode = msgspec.msgpack.Encoder().encode
_decode_opening = msgspec.msgpack.Decoder(Opening).decode
_decode_head = msgspec.msgpack.Decoder(Head).decode
_decode_headers = msgspec.msgpack.Decoder(Headers).decode
_decode_hello = msgspec.msgpack.Decoder(Hello).decode


def decode_hello(payload: bytes) -> Hello:
    """Raises `InternalError`."""
    return _decode(_decode_hello, payload)


def decode_opening(payload: bytes) -> Opening:
    """Raises `InternalError`."""
    return _decode(_decode_opening, payload)


def decode_head(payload: bytes) -> Head:
    """Raises `InternalError`."""
    return _decode(_decode_head, payload)


def decode_trailers(payload: bytes) -> Headers:
    """Raises `InternalError`."""
    return _decode(_decode_headers, payload)


def _decode(decode: Callable[[bytes], Message], payload: bytes) -> Message:
    try:
        return decode(payload)
    except msgspec.MsgspecError as error:
        raise InternalError(f"a message between front and house cannot be read: {error}") from None


def make_opening(scope: Any, event: Any) -> tuple[Opening, bytes]:
    """The first message of a request out of its scope and first event; what of the body does not fit follows it."""
    body: bytes = event.get("body", b"")
    inline = body if len(body) <= INLINE_BYTES else b""
    rest = b"" if inline else body
    opening = Opening(
        method=scope["method"],
        path=scope["path"],
        raw_path=scope.get("raw_path"),
        query_string=scope["query_string"],
        root_path=scope.get("root_path", ""),
        scheme=scope.get("scheme", "http"),
        http_version=scope["http_version"],
        headers=list(scope["headers"]),
        client=scope.get("client"),
        server=scope.get("server"),
        has_trailers=TRAILERS in scope.get("extensions", {}),
        body=inline,
        has_more=bool(rest) or event.get("more_body", False),
    )
    return opening, rest


def make_scope(opening: Opening) -> dict[str, Any]:
    """The scope that the application is given."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "method": opening.method,
        "path": opening.path,
        "raw_path": opening.raw_path,
        "query_string": opening.query_string,
        "root_path": opening.root_path,
        "scheme": opening.scheme,
        "http_version": opening.http_version,
        "headers": opening.headers,
        "client": opening.client,
        "server": opening.server,
        "extensions": {TRAILERS: {}} if opening.has_trailers else {},
        "state": {},
    }
