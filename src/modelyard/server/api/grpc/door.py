"""The gRPC door: V2 methods over ASGI. It converts, calls dispatch, converts back."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from modelyard.errors import Cancelled, DeadlineExceeded, InvalidRequest, MethodNotImplemented, ModelyardError, TooLarge
from modelyard.server.api.doorway.caller_head import make_envelope
from modelyard.server.api.doorway.deadlines import read_deadline
from modelyard.server.api.doorway.inflow import Inflow
from modelyard.server.api.doorway.lifeline import Lifeline, Lookout
from modelyard.server.api.doorway.request_ids import make_request_id
from modelyard.server.api.doorway.types import Headers, Receive, Scope, Send
from modelyard.server.api.grpc.answer import Answer
from modelyard.server.api.grpc.compression import ACCEPTED_ENCODINGS
from modelyard.server.api.grpc.framing import MAX_MESSAGE_BYTES
from modelyard.server.api.grpc.metadata import (
    ACCEPT_ENCODING,
    CallHead,
    recall_head,
    retry_trailers,
)
from modelyard.server.api.grpc.requests import (
    CardinalityViolated,
    Incomings,
    read_incoming,
    read_only_message,
    take_plain,
)
from modelyard.server.api.grpc.straight import offer_grpc
from modelyard.server.api.v2.call import Envelope, Incoming, Reply
from modelyard.server.api.v2.dispatch import V2
from modelyard.server.api.v2.failures import log_failure
from modelyard.server.carriers.base import SHORTCUTS, Shortcuts
from modelyard.wire.methods import SERVICE, Method
from modelyard.wire.status import (
    GRPC_DEADLINE_EXCEEDED,
    GRPC_INTERNAL,
    GRPC_RESOURCE_EXHAUSTED,
    GRPC_UNIMPLEMENTED,
)

log = logging.getLogger(__name__)

_TRANSPORT_CODES: dict[type[ModelyardError], int] = {
    MethodNotImplemented: GRPC_UNIMPLEMENTED,
    CardinalityViolated: GRPC_UNIMPLEMENTED,
    DeadlineExceeded: GRPC_DEADLINE_EXCEEDED,
    TooLarge: GRPC_RESOURCE_EXHAUSTED,
    InvalidRequest: GRPC_INTERNAL,
}
"""Errors of the transport. Errors of the application are V2 statuses in messages, and the call is OK."""


class GrpcDoor:
    """Answers requests whose content type is gRPC's.

    Args:
        v2: The methods.
        max_message_bytes: The largest request message.
    """

    def __init__(self, v2: V2, *, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._v2 = v2
        self._methods = {f"/{SERVICE}/{name}": v2.find(name) for name in v2.handled}
        self._lookout = Lookout()
        self._max_message_bytes = max_message_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = recall_head(scope)
        request_id = make_request_id(head.caller.prefix)
        shortcuts: Shortcuts | None = scope.get(SHORTCUTS)
        answer = Answer(send, request_id, is_gzip=head.is_gzip, shortcuts=shortcuts)
        name = "-"
        try:
            method = self._methods.get(scope["path"]) or self._find(scope["path"])
            name = method.name
            deadline = read_deadline(head.deadline_of, scope["headers"])
            envelope = make_envelope(head.caller, scope["headers"], request_id, deadline)
            await self._call(method, envelope, head, receive, answer, shortcuts)
        except (Cancelled, OSError):
            log.debug("request.cancelled method=%s request_id=%s", name, request_id)
        except ModelyardError as error:
            log_failure(name, request_id, None, error)
            await answer.finish(_TRANSPORT_CODES.get(type(error), GRPC_INTERNAL), error.message)
        except Exception:
            log.exception("request.crashed method=%s request_id=%s", name, request_id)
            await answer.finish(GRPC_INTERNAL, f"a fault of the server, request id {request_id}")

    def _find(self, path: str) -> Method:
        service, _, name = path.removeprefix("/").rpartition("/")
        if service != SERVICE:
            raise MethodNotImplemented(f"there is no service {service!r} here, only {SERVICE}")
        return self._v2.find(name)

    async def _call(
        self,
        method: Method,
        envelope: Envelope,
        head: CallHead,
        receive: Receive,
        answer: Answer,
        shortcuts: Shortcuts | None,
    ) -> None:
        encoding = head.encoding
        if encoding not in ACCEPTED_ENCODINGS:
            text = f"grpc-encoding {encoding!r} is not supported"
            return await answer.finish(GRPC_UNIMPLEMENTED, text, [ACCEPT_ENCODING])
        with Lifeline(envelope.deadline, self._lookout, shortcuts) as lifeline:
            is_silent = shortcuts is not None and not shortcuts.has_body
            if is_silent and await self._is_refused(method, envelope, answer):
                return None
            if method.is_client_streaming:
                return await self._stream_both(method, envelope, encoding, receive, answer, lifeline)
            first = await receive()
            payload = take_plain(first.get("body", b""), self._max_message_bytes)
            if payload is None:
                if await self._is_refused(method, envelope, answer):
                    return None
                payload = await read_only_message(first, receive, encoding, self._max_message_bytes)
            incoming = read_incoming(method, payload)
            lifeline.watch(receive)
            if not method.is_server_streaming:
                if shortcuts is not None:
                    offer_grpc(self._v2, method, head, envelope, shortcuts, self._max_message_bytes)
                reply = await self._v2.unary(method.name, incoming, envelope)
                if isinstance(reply, bytes):
                    return await answer.only(reply)
                return await answer.only(reply.SerializeToString(), retry_trailers(reply))
            replies = self._v2.stream(method.name, _one(incoming), envelope)
            return await answer.finish(extra=await self._send_all(replies, answer))

    async def _is_refused(self, method: Method, envelope: Envelope, answer: Answer) -> bool:
        """Whoever has no good token is answered before more of the request is waited for."""
        refusal = await self._v2.admit(method.name, envelope)
        if refusal is not None:
            await answer.only(_serialise(refusal))
        return refusal is not None

    async def _stream_both(
        self,
        method: Method,
        envelope: Envelope,
        encoding: str,
        receive: Receive,
        answer: Answer,
        lifeline: Lifeline,
    ) -> None:
        inflow = Inflow(receive, lifeline)
        incomings = Incomings(method, inflow, encoding, self._max_message_bytes)
        inflow.start()
        try:
            extra = await self._send_all(self._v2.stream(method.name, incomings, envelope), answer)
        finally:
            await inflow.close()
        if incomings.error is not None:
            raise incomings.error
        await answer.finish(extra=extra)

    async def _send_all(self, replies: AsyncGenerator[Reply, None], answer: Answer) -> Headers:
        """Send the messages; what belongs into the trailers."""
        reply: Reply = b""
        async with aclosing(replies):
            async for reply in replies:
                await answer.message(_serialise(reply))
        return retry_trailers(reply)


async def _one(incoming: Incoming) -> AsyncIterator[Incoming]:
    yield incoming


def _serialise(reply: Reply) -> bytes:
    return reply if isinstance(reply, bytes) else reply.SerializeToString()
