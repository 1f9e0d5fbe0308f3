"""Requests over REST, answered without a task of their own."""

from __future__ import annotations

from modelyard.errors import DeadlineExceeded
from modelyard.server.api.doorway.straight import DoorErrand, offer_straight
from modelyard.server.api.doorway.types import Send
from modelyard.server.api.rest.answers import make_headers, render_answer, send_body, send_failure
from modelyard.server.api.rest.bodies import Bodies
from modelyard.server.api.rest.head import VisitHead
from modelyard.server.api.rest.requests import is_for_model
from modelyard.server.api.rest.routes import Match
from modelyard.server.api.v2.call import Envelope, Reply
from modelyard.server.api.v2.dispatch import V2
from modelyard.server.carriers.base import Shortcuts


class RestErrand(DoorErrand):
    """See `Errand`."""

    __slots__ = ()

    def finish(self, reply: Reply) -> None:
        """See `Errand`."""
        status, body, headers = render_answer(self.call.method, reply)
        if self.answer(status, make_headers(body, self.request_id, headers=headers), body):
            return
        self.shortcuts.answer_late(lambda send: send_body(send, status, body, self.request_id, headers=headers))

    async def tell(self, send: Send, error: DeadlineExceeded) -> None:
        """See `DoorErrand`."""
        await send_failure(send, error, self.request_id)


def offer_rest(v2: V2, match: Match, head: VisitHead, envelope: Envelope, shortcuts: Shortcuts) -> None:
    """Have the next requests with this head go straight, where it asks for nothing that takes more."""
    if is_for_model(match) and not head.is_head:
        read = Bodies(match).read
        offer_straight(v2, match.route.method, head.caller, envelope, shortcuts, read, RestErrand, head.deadline_of)
