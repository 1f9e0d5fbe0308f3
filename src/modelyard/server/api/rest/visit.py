"""One request at the REST door: what came, and how to answer it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from modelyard.errors import ModelyardError
from modelyard.server.api.doorway.caller_head import make_envelope
from modelyard.server.api.doorway.deadlines import read_deadline
from modelyard.server.api.doorway.request_ids import make_request_id
from modelyard.server.api.doorway.types import Event, Headers, Receive, Scope, Send
from modelyard.server.api.rest.answers import JSON_TYPE, render_answer, send_body, send_error, send_failure
from modelyard.server.api.rest.head import recall_head
from modelyard.server.api.rest.streams import StreamAnswer
from modelyard.server.api.v2.call import Envelope, Reply
from modelyard.server.api.v2.failures import log_failure
from modelyard.server.carriers.base import SHORTCUTS, Shortcuts
from modelyard.wire.methods import Method

DRAINED_BYTES = 80 * 1024 * 1024
"""More than a piece of our client's uploads."""
DRAIN_IDLE_S = 5.0


class Visit:
    """From the first header to the last byte of the answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.shortcuts: Shortcuts | None = scope.get(SHORTCUTS)
        self._receive = receive
        self._has_body = True
        self.is_conversation = False
        """May the caller wait for answers before the body ends? Then what is left of it is not waited for."""
        self.head = recall_head(scope)
        self.request_id = make_request_id(self.head.caller.prefix)
        self.name = "-"
        self._send = send
        self._stream: StreamAnswer | None = None

    async def receive(self) -> Event:
        """ASGI's receive."""
        event = await self._receive()
        self._has_body = bool(event.get("more_body")) and event["type"] != "http.disconnect"
        return event

    async def drain(self) -> None:
        """Read, and forget, what is left of the body, within bounds: HTTP/1.1 clients send all of it before they look
        at the answer, and one that says why nothing is taken would never be read."""
        drained = 0
        if self.is_conversation:
            return
        with suppress(TimeoutError):
            while self._has_body and drained < DRAINED_BYTES:
                async with asyncio.timeout(DRAIN_IDLE_S):
                    drained += len((await self.receive()).get("body", b""))

    def make_envelope(self) -> Envelope:
        """What dispatch needs; raises `InvalidRequest` for a wrong timeout."""
        deadline = read_deadline(self.head.deadline_of, self.scope["headers"])
        return make_envelope(self.head.caller, self.scope["headers"], self.request_id, deadline)

    async def reply(self, method: Method, reply: Reply) -> None:
        """Send a response message under the HTTP status that its V2 status stands for."""
        status, body, headers = render_answer(method, reply)
        await send_body(
            self._send,
            status,
            body,
            self.request_id,
            headers=headers,
            is_head=self.head.is_head,
            shortcuts=self.shortcuts,
        )

    async def stream(self, method: Method, replies: AsyncGenerator[Reply, None]) -> None:
        """Send response messages as they come."""
        self._stream = StreamAnswer(self._send, self.request_id, is_events=self.head.accepts_events)
        await self._stream.send_all(method, replies)

    async def fail(self, error: ModelyardError) -> None:
        """Answer an error; inside a stream, as its last message."""
        log_failure(self.name, self.request_id, None, error)
        if self._stream is not None and self._stream.has_started:
            await self._stream.end_with(error)
        else:
            await self.drain()
            await send_failure(self._send, error, self.request_id, is_head=self.head.is_head)

    async def refuse(self, status: int, text: str, headers: Headers | None = None) -> None:
        """Answer an error of HTTP itself."""
        await self.drain()
        await send_error(
            self._send, status, text, request_id=self.request_id, headers=headers, is_head=self.head.is_head
        )

    async def page(self, status: int, body: bytes, content_type: bytes = JSON_TYPE) -> None:
        """Answer with a page that is no V2 message."""
        await send_body(self._send, status, body, self.request_id, content_type=content_type, is_head=self.head.is_head)
