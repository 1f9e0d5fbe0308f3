"""gRPC requests, answered without a task of their own."""

from __future__ import annotations

from functools import partial

from modelyard.errors import DeadlineExceeded
from modelyard.server.api.doorway.straight import DoorErrand, offer_straight
from modelyard.server.api.doorway.types import Send
from modelyard.server.api.grpc.answer import COPY_BELOW_BYTES, STATUS_OK, Answer
from modelyard.server.api.grpc.compression import IDENTITY
from modelyard.server.api.grpc.framing import frame_prefix
from modelyard.server.api.grpc.metadata import CallHead, answer_headers, retry_trailers
from modelyard.server.api.grpc.requests import take_plain
from modelyard.server.api.v2.call import UNREAD, Envelope, Incoming, Reply
from modelyard.server.api.v2.dispatch import V2
from modelyard.server.api.v2.plain import PlainReader
from modelyard.server.carriers.base import Shortcuts
from modelyard.wire.messages import DecodeError
from modelyard.wire.methods import Method
from modelyard.wire.status import GRPC_DEADLINE_EXCEEDED


class GrpcErrand(DoorErrand):
    """See `Errand`."""

    __slots__ = ()

    def finish(self, reply: Reply) -> None:
        """See `Errand`."""
        trailers = [STATUS_OK]
        if isinstance(reply, bytes):
            payload = reply
        else:
            payload = reply.SerializeToString()
            trailers += retry_trailers(reply)
        size = len(payload)
        is_small = size < COPY_BELOW_BYTES
        if is_small and self.answer(200, answer_headers(self.request_id), frame_prefix(size) + payload, trailers):
            return
        self.shortcuts.answer_late(lambda send: Answer(send, self.request_id).only(payload, trailers[1:]))

    async def tell(self, send: Send, error: DeadlineExceeded) -> None:
        """See `DoorErrand`."""
        await Answer(send, self.request_id).finish(GRPC_DEADLINE_EXCEEDED, error.message)


def offer_grpc(
    v2: V2, method: Method, head: CallHead, envelope: Envelope, shortcuts: Shortcuts, max_message_bytes: int
) -> None:
    """Have the next requests with this head go straight, where it asks for nothing that takes more."""
    if head.encoding == IDENTITY:
        read = partial(_read_body, method, max_message_bytes, PlainReader())
        offer_straight(v2, method, head.caller, envelope, shortcuts, read, GrpcErrand, head.deadline_of)


def _read_body(method: Method, max_message_bytes: int, plain: PlainReader, body: bytes) -> Incoming | None:
    """As `read_incoming`, of a small message; one that is plain is not parsed."""
    raw = take_plain(body, max_message_bytes)
    if not isinstance(raw, bytes):
        return None
    named = plain.read(raw)
    try:
        return Incoming(method.request_type.FromString(raw) if named is None else UNREAD, raw, named)
    except DecodeError:
        return None
