"""Requests that doors answer without a task of their own, on a carrier that offers that (docs/adr/0034)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from modelyard.errors import DeadlineExceeded, InvalidRequest
from modelyard.server.api.doorway.caller_head import CallerHead
from modelyard.server.api.doorway.deadlines import DeadlineOf
from modelyard.server.api.doorway.request_ids import make_request_id
from modelyard.server.api.doorway.types import Headers, Send
from modelyard.server.api.v2.call import Envelope, Incoming
from modelyard.server.api.v2.dispatch import V2
from modelyard.server.api.v2.errand import Errand
from modelyard.server.api.v2.failures import log_failure
from modelyard.server.carriers.base import STRAIGHT, Shortcuts
from modelyard.wire.methods import Method


class DoorErrand(Errand):
    """An errand whose answer goes out through `Shortcuts`."""

    __slots__ = ("shortcuts",)

    def __init__(self, request_id: str, deadline: float | None, shortcuts: Shortcuts) -> None:
        super().__init__(request_id, deadline)
        self.shortcuts = shortcuts

    def hang_up(self) -> None:
        """The caller went away."""
        if self.cancel():
            self.abandon()

    def abandon(self) -> None:
        """See `Errand`."""
        self.shortcuts.conclude_soon()

    def answer(self, status: int, headers: Headers, body: bytes, trailers: Headers | None = None) -> bool:
        """Send all of it, and be done. False: that takes a task, `Shortcuts.answer_late`."""
        is_sent = self.shortcuts.reply(status, headers, body, trailers)
        if is_sent:
            self.shortcuts.conclude()
        return is_sent

    def give_up(self, error: DeadlineExceeded) -> None:
        """See `Errand`."""
        log_failure(self.call.method.name, self.request_id, None, error)
        self.shortcuts.answer_late(lambda send: self.tell(send, error))

    @abstractmethod
    async def tell(self, send: Send, error: DeadlineExceeded) -> None:
        """Answer that the deadline passed."""


def offer_straight(
    v2: V2,
    method: Method,
    head: CallerHead,
    envelope: Envelope,
    shortcuts: Shortcuts,
    read: Callable[[bytes], Incoming | None],
    make_errand: Callable[[str, float | None, Shortcuts], DoorErrand],
    deadline_of: DeadlineOf | None,
) -> None:
    """Have the next requests with this head go straight.

    Args:
        v2: Where they are sent.
        method: What they call.
        head: What the head says of the caller.
        envelope: Of the request that came with it.
        shortcuts: Of that request.
        read: The request that is in a body; None where it takes more. May raise `InvalidRequest`: whoever asks says so.
        make_errand: Made of each, from its id, its deadline and its shortcuts.
        deadline_of: When each is given up; None: it is waited for.
    """
    name, prefix = method.name, head.prefix
    if STRAIGHT in shortcuts.memo or not v2.sends(name):
        return

    def send(shortcuts: Shortcuts, body: bytes) -> bool:
        try:
            incoming = read(body)
            deadline = None if deadline_of is None else deadline_of(shortcuts.headers, shortcuts.came_at)
        except InvalidRequest:
            return False
        if incoming is None:
            return False
        errand = make_errand(make_request_id(prefix), deadline, shortcuts)
        if not v2.send(name, incoming, envelope, errand):
            return False
        shortcuts.listen(errand.hang_up)
        return True

    shortcuts.memo[STRAIGHT] = send
