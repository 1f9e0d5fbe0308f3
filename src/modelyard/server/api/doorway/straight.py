"""Requests that doors answer without a task of their own, on a carrier that offers that (docs/adr/0034)."""

from __future__ import annotations

from abc import abstractmethod

from modelyard.errors import DeadlineExceeded
from modelyard.server.api.doorway.types import Headers, Send
from modelyard.server.api.v2.errand import Errand
from modelyard.server.api.v2.failures import log_failure
from modelyard.server.carriers.base import Shortcuts


class DoorErrand(Errand):
    """An errand whose answer goes out through `Shortcuts`."""

    __slots__ = ("shortcuts",)

    def __init__(self, request_id: str, shortcuts: Shortcuts) -> None:
        super().__init__(request_id)
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

        async def tell(send: Send) -> None:
            await self.tell(send, error)

        self.shortcuts.answer_late(tell)

    @abstractmethod
    async def tell(self, send: Send, error: DeadlineExceeded) -> None:
        """Answer that the deadline passed."""
