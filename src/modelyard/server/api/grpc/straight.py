"""Plain gRPC requests, answered without a task of their own."""

from __future__ import annotations

from modelyard.errors import DeadlineExceeded
from modelyard.server.api.doorway.request_ids import make_request_id
from modelyard.server.api.doorway.straight import DoorErrand
from modelyard.server.api.doorway.types import Send
from modelyard.server.api.grpc.answer import COPY_BELOW_BYTES, STATUS_OK, Answer
from modelyard.server.api.grpc.compression import IDENTITY
from modelyard.server.api.grpc.framing import PREFIX, frame_prefix
from modelyard.server.api.grpc.metadata import CallHead, answer_headers, retry_trailers
from modelyard.server.api.v2.call import Envelope, Reply
from modelyard.server.api.v2.dispatch import V2
from modelyard.server.api.v2.plain import read_plain
from modelyard.server.carriers.base import STRAIGHT, Shortcuts
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

        async def answer(send: Send) -> None:
            await Answer(send, self.request_id).only(payload, trailers[1:])

        self.shortcuts.answer_late(answer)

    async def tell(self, send: Send, error: DeadlineExceeded) -> None:
        """See `DoorErrand`."""
        await Answer(send, self.request_id).finish(GRPC_DEADLINE_EXCEEDED, error.message)


def offer_straight(v2: V2, method: Method, head: CallHead, envelope: Envelope, shortcuts: Shortcuts) -> None:
    """Have the next requests with this head go straight, where it asks for nothing that takes more."""
    if STRAIGHT in shortcuts.memo or head.timeout is not None or head.encoding != IDENTITY or not v2.sends(method.name):
        return
    name, prefix = method.name, head.caller.prefix

    def send(shortcuts: Shortcuts, body: bytes) -> bool:
        size = len(body) - PREFIX.size
        if size < 0 or PREFIX.unpack_from(body) != (0, size):
            return False
        raw = body[PREFIX.size :]
        named = read_plain(raw)
        if named is None:
            return False
        errand = GrpcErrand(make_request_id(prefix), shortcuts)
        if not v2.send(name, raw, named, envelope, errand):
            return False
        shortcuts.listen(errand.hang_up)
        return True

    shortcuts.memo[STRAIGHT] = send
