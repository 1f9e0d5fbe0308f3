"""The V2 methods with somebody watching: each request is told when it is over."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from modelyard.server.api.access import Access
from modelyard.server.api.v2.call import Envelope, Handler, Incoming, Reply
from modelyard.server.api.v2.dispatch import V2
from modelyard.server.telemetry.telemetry import Telemetry
from modelyard.wire.messages import DecodeError, MultiOutputResponse, Status
from modelyard.wire.status import SUCCESS


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request that is over."""

    method: str
    """As the descriptor names it: `PostModelOutputs`."""
    latency_s: float
    first_s: float | None
    """Until its first answer; None where there was none."""
    answers: int
    status: Status
    """Of its last answer. Empty where the caller left before the end."""

    @property
    def is_fine(self) -> bool:
        """Did it succeed?"""
        return bool(self.status.code == SUCCESS)


class ObservedV2(V2):
    """Tells `observe` of every request; what it answers is as ever."""

    def __init__(
        self,
        access: Access,
        handlers: Mapping[str, Handler],
        observe: Callable[[Seen], None],
        telemetry: Telemetry | None = None,
    ) -> None:
        super().__init__(access, handlers, telemetry)
        self._observe = observe

    async def admit(self, name: str, envelope: Envelope) -> Reply | None:
        """See `V2.admit`; told where it is refused."""
        sight = _Sight(name, self._observe)
        reply = await super().admit(name, envelope)
        if reply is not None:
            sight.end(reply)
        return reply

    async def unary(self, name: str, incoming: Incoming, envelope: Envelope) -> Reply:
        """See `V2.unary`."""
        sight = _Sight(name, self._observe)
        reply = None
        try:
            reply = await super().unary(name, incoming, envelope)
            return reply
        finally:
            sight.end(reply)

    async def stream(
        self, name: str, incomings: AsyncIterator[Incoming], envelope: Envelope
    ) -> AsyncGenerator[Reply, None]:
        """See `V2.stream`."""
        sight = _Sight(name, self._observe)
        is_over = False
        reply = None
        try:
            async with aclosing(super().stream(name, incomings, envelope)) as replies:
                async for reply in replies:
                    sight.count()
                    yield reply
            is_over = True
        finally:
            sight.end(reply if is_over else None)


class _Sight:
    """One request, from when it is seen."""

    def __init__(self, name: str, observe: Callable[[Seen], None]) -> None:
        self._name = name
        self._observe = observe
        self._began = time.monotonic()
        self._first_s: float | None = None
        self._answers = 0

    def count(self) -> None:
        """One answer goes out."""
        self._answers += 1
        if self._first_s is None:
            self._first_s = time.monotonic() - self._began

    def end(self, reply: Reply | None) -> None:
        """It is over, with this answer as the last; None where its caller did not wait for it."""
        latency_s = time.monotonic() - self._began
        if reply is not None and self._first_s is None:
            self._first_s, self._answers = latency_s, 1
        self._observe(
            Seen(
                method=self._name,
                latency_s=latency_s,
                first_s=self._first_s,
                answers=self._answers,
                status=_read_status(reply),
            )
        )


def _read_status(reply: Reply | None) -> Status:
    """Answers of models pass by unread; here is time to read them."""
    if reply is None:
        return Status()
    if not isinstance(reply, bytes):
        return cast("Status", cast("Any", reply).status)
    try:
        return MultiOutputResponse.FromString(reply).status
    except DecodeError:
        return Status()
