"""Plain requests over REST, answered without a task of their own."""

from __future__ import annotations

from modelyard.errors import DeadlineExceeded
from modelyard.server.api.doorway.request_ids import make_request_id
from modelyard.server.api.doorway.straight import DoorErrand
from modelyard.server.api.doorway.types import Send
from modelyard.server.api.rest.answers import make_headers, render_answer, send_body, send_failure
from modelyard.server.api.rest.head import VisitHead
from modelyard.server.api.rest.requests import read_plain_body
from modelyard.server.api.rest.routes import Match
from modelyard.server.api.v2.call import Envelope, Reply
from modelyard.server.api.v2.dispatch import V2
from modelyard.server.carriers.base import STRAIGHT, Shortcuts


class RestErrand(DoorErrand):
    """See `Errand`."""

    __slots__ = ()

    def finish(self, reply: Reply) -> None:
        """See `Errand`."""
        status, body, headers = render_answer(self.call.method, reply)
        if self.answer(status, make_headers(body, self.request_id, headers=headers), body):
            return

        async def answer(send: Send) -> None:
            await send_body(send, status, body, self.request_id, headers=headers)

        self.shortcuts.answer_late(answer)

    async def tell(self, send: Send, error: DeadlineExceeded) -> None:
        """See `DoorErrand`."""
        await send_failure(send, error, self.request_id)


def offer_straight(v2: V2, match: Match, head: VisitHead, envelope: Envelope, shortcuts: Shortcuts) -> None:
    """Have the next requests with this head go straight, where it asks for nothing that takes more."""
    name, prefix = match.route.method.name, head.caller.prefix
    if STRAIGHT in shortcuts.memo or head.timeout is not None or head.is_head or not v2.sends(name):
        return

    def send(shortcuts: Shortcuts, body: bytes) -> bool:
        plain = read_plain_body(match, body)
        if plain is None:
            return False
        raw, named = plain
        errand = RestErrand(make_request_id(prefix), shortcuts)
        if not v2.send(name, raw, named, envelope, errand):
            return False
        shortcuts.listen(errand.hang_up)
        return True

    shortcuts.memo[STRAIGHT] = send
