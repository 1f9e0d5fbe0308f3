"""The answer of one gRPC call: headers with the first message, then messages, then the status."""

from __future__ import annotations

from modelyard.server.api.doorway.types import Event, Headers, Send
from modelyard.server.api.grpc.compression import COMPRESSED_BYTES, compress
from modelyard.server.api.grpc.framing import frame_prefix
from modelyard.server.api.grpc.metadata import answer_headers, status_headers
from modelyard.server.carriers.base import Shortcuts
from modelyard.wire.status import GRPC_OK

STATUS_OK = (b"grpc-status", b"0")
COPY_BELOW_BYTES = 65_536
"""Larger messages go out behind their prefix in a send of their own: a copy costs more than a send."""


class Answer:
    """Writes to ASGI's send, which waits where the client does not read.

    Args:
        send: It.
        request_id: Told in the headers.
        is_gzip: Are messages compressed?
        shortcuts: Where the carrier has them.
    """

    __slots__ = ("_has_started", "_is_gzip", "_request_id", "_send", "_shortcuts")

    def __init__(
        self, send: Send, request_id: str, *, is_gzip: bool = False, shortcuts: Shortcuts | None = None
    ) -> None:
        self._is_gzip = is_gzip
        self._shortcuts = shortcuts
        self._send = send
        self._request_id = request_id
        self._has_started = False

    async def message(self, payload: bytes) -> None:
        """Send one message."""
        await self._start()
        prefix, payload = self._frame(payload)
        if len(payload) < COPY_BELOW_BYTES:
            payload = prefix + payload
        else:
            await self._send({"type": "http.response.body", "body": prefix, "more_body": True})
        await self._send({"type": "http.response.body", "body": payload, "more_body": True})

    async def finish(self, code: int = GRPC_OK, message: str = "", extra: Headers | None = None) -> None:
        """Send the status, and `extra` with it: as trailers, or with the headers where nothing came before an error."""
        trailers = status_headers(code, message)
        if not self._has_started and code != GRPC_OK:
            headers = [*answer_headers(self._request_id), *trailers, *(extra or ())]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await self._start()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        headers = [*trailers, *(extra or ())]
        await self._send({"type": "http.response.trailers", "headers": headers, "more_trailers": False})

    async def only(self, payload: bytes, extra: Headers | None = None) -> None:
        """The whole of a successful answer that has one message; `extra` goes into its trailers."""
        if len(payload) >= COPY_BELOW_BYTES:
            await self.message(payload)
            await self.finish(extra=extra)
            return
        send, self._has_started = self._send, True
        body = b"".join(self._frame(payload)) if self._is_gzip else frame_prefix(len(payload)) + payload
        trailers = [STATUS_OK, *extra] if extra else [STATUS_OK]
        if self._shortcuts is not None:
            headers = answer_headers(self._request_id, is_gzip=self._is_gzip)
            if self._shortcuts.reply(200, headers, body, trailers):
                return
        await send(self._make_start())
        await send({"type": "http.response.body", "body": body, "more_body": False})
        await send({"type": "http.response.trailers", "headers": trailers})

    def _frame(self, payload: bytes) -> tuple[bytes, bytes]:
        """The prefix and the message as it travels."""
        if not self._is_gzip or len(payload) not in COMPRESSED_BYTES:
            return frame_prefix(len(payload)), payload
        packed = compress(payload)
        return frame_prefix(len(packed), is_compressed=True), packed

    async def _start(self) -> None:
        if not self._has_started:
            self._has_started = True
            await self._send(self._make_start())

    def _make_start(self) -> Event:
        headers = answer_headers(self._request_id, is_gzip=self._is_gzip)
        return {"type": "http.response.start", "status": 200, "headers": headers, "trailers": True}
