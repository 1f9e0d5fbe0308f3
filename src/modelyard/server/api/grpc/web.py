"""gRPC-Web: the gRPC door for browsers, which see no trailers: the status travels as the body's last frame.

application/grpc-web        the frames of gRPC, then one with flag 0x80 that holds the trailers as text
application/grpc-web-text   the same in base64
"""

from __future__ import annotations

import binascii

from modelyard.errors import InvalidRequest
from modelyard.server.api.doorway.shortcuts import without_shortcuts
from modelyard.server.api.doorway.types import Application, Event, Headers, Receive, Scope, Send
from modelyard.server.api.grpc.framing import PREFIX

WEB_TYPE = b"application/grpc-web"
WEB_TEXT_TYPE = b"application/grpc-web-text"
WEB_TYPES = frozenset({WEB_TYPE, WEB_TYPE + b"+proto", WEB_TEXT_TYPE, WEB_TEXT_TYPE + b"+proto"})
TRAILER_FLAG = 0x80
STATUS_HEADERS = (b"grpc-status", b"grpc-message")


class GrpcWebDoor:
    """Turns a gRPC-Web request into a gRPC one, and the answer back.

    Args:
        grpc: The gRPC door.
    """

    def __init__(self, grpc: Application) -> None:
        self._grpc = grpc

    async def __call__(self, scope: Scope, receive: Receive, send: Send, kind: bytes) -> None:
        """Answer one request; `kind` is its content type."""
        is_text = kind.startswith(WEB_TEXT_TYPE)
        answer = _WebAnswer(send, kind, is_text=is_text)
        await self._grpc(without_shortcuts(scope), _TextBody(receive).receive if is_text else receive, answer.send)


class _WebAnswer:
    """ASGI's send for the gRPC door."""

    def __init__(self, send: Send, kind: bytes, *, is_text: bool) -> None:
        self._send = send
        self._kind = kind
        self._is_text = is_text
        self._trailers: Headers | None = None
        """Those of an answer that has nothing else: gRPC puts them into the headers."""

    async def send(self, event: Event) -> None:
        match event["type"]:
            case "http.response.start":
                await self._start(event)
            case "http.response.body":
                await self._send_body(event.get("body", b""), has_more=event.get("more_body", False))
            case _:
                await self._finish(list(event["headers"]))

    async def _start(self, event: Event) -> None:
        headers = [(name, value) for name, value in event["headers"] if name not in (b"content-type", *STATUS_HEADERS)]
        if not event.get("trailers"):
            self._trailers = [(name, value) for name, value in event["headers"] if name in STATUS_HEADERS]
        headers.insert(0, (b"content-type", self._kind))
        await self._send({"type": "http.response.start", "status": event["status"], "headers": headers})

    async def _send_body(self, body: bytes, *, has_more: bool) -> None:
        if body:
            await self._send({"type": "http.response.body", "body": self._encode(body), "more_body": True})
        if not has_more and self._trailers is not None:
            await self._finish(self._trailers)

    async def _finish(self, trailers: Headers) -> None:
        text = b"".join(name + b": " + value + b"\r\n" for name, value in trailers)
        frame = PREFIX.pack(TRAILER_FLAG, len(text)) + text
        await self._send({"type": "http.response.body", "body": self._encode(frame), "more_body": False})

    def _encode(self, body: bytes) -> bytes:
        """Each piece is padded for itself, so that it can be read as soon as it comes."""
        return binascii.b2a_base64(body, newline=False) if self._is_text else body


class _TextBody:
    """ASGI's receive for the gRPC door, out of base64 that may be cut anywhere and padded anywhere."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._rest = b""

    async def receive(self) -> Event:
        event = await self._receive()
        if event["type"] != "http.request":
            return event
        text = self._rest + event.get("body", b"")
        has_more = event.get("more_body", False)
        whole = len(text) // 4 * 4
        self._rest = text[whole:]
        if self._rest and not has_more:
            raise InvalidRequest("the request's base64 ends inside a group of four characters")
        return {"type": "http.request", "body": _decode(text[:whole]), "more_body": has_more}


def _decode(text: bytes) -> bytes:
    """Base64 of whole groups; padding may end a piece anywhere. Raises `InvalidRequest`."""
    pieces = []
    start = 0
    while start < len(text):
        padding = text.find(b"=", start)
        end = len(text) if padding < 0 else padding // 4 * 4 + 4
        try:
            pieces.append(binascii.a2b_base64(text[start:end], strict_mode=True))
        except binascii.Error as error:
            raise InvalidRequest(f"the request is not base64: {error}") from None
        start = end
    return b"".join(pieces)
