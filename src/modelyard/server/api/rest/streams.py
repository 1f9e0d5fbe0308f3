"""A stream of responses over HTTP: server-sent events where the client asks for them, else a line of JSON each."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from modelyard.errors import ModelyardError
from modelyard.server.api.doorway.request_ids import ANSWER_HEADER
from modelyard.server.api.doorway.types import Headers, Send
from modelyard.server.api.rest.answers import retry_headers
from modelyard.server.api.rest.head import EVENT_STREAM
from modelyard.server.api.rest.large import render_reply
from modelyard.server.api.rest.render import render
from modelyard.server.api.v2.call import Reply
from modelyard.wire.messages import BaseResponse
from modelyard.wire.methods import Method
from modelyard.wire.status import http_status_of, status_of

LINES = b"application/x-ndjson"


class StreamAnswer:
    """Sends each message as it comes. The HTTP status is the first message's.

    Args:
        send: ASGI's send.
        request_id: For the headers.
        is_events: As server-sent events.
    """

    def __init__(self, send: Send, request_id: str, *, is_events: bool) -> None:
        self._send = send
        self._request_id = request_id
        self._is_events = is_events
        self.has_started = False

    async def send_all(self, method: Method, replies: AsyncGenerator[Reply, None]) -> None:
        """Send the whole stream."""
        async with aclosing(replies):
            async for reply in replies:
                message, body = render_reply(method, reply)
                if not self.has_started:
                    await self._start(http_status_of(message.status.code), retry_headers(message.status))
                await self._write(body)
        await self._start(200)
        await self._end()

    async def end_with(self, error: ModelyardError) -> None:
        """End a stream that has started: the error's status is its last message."""
        await self._write(render(BaseResponse(status=status_of(error, request_id=self._request_id))))
        await self._end()

    async def _start(self, status: int, more: Headers | None = None) -> None:
        if self.has_started:
            return
        self.has_started = True
        headers = [
            (b"content-type", EVENT_STREAM if self._is_events else LINES),
            (b"cache-control", b"no-store"),
            (ANSWER_HEADER, self._request_id.encode("ascii")),
            (b"x-content-type-options", b"nosniff"),
            *(more or ()),
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _write(self, body: bytes) -> None:
        framed = b"data: " + body + b"\n\n" if self._is_events else body + b"\n"
        await self._send({"type": "http.response.body", "body": framed, "more_body": True})

    async def _end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
