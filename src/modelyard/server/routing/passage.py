"""A request that nobody awaits, from the line to its answer."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from modelyard.errors import ModelBusy, ModelyardError
from modelyard.server.backends.base import Taker
from modelyard.server.routing.group import Group
from modelyard.server.routing.queues import out_of_time
from modelyard.server.routing.replicas import Slots
from modelyard.server.telemetry.tracing import Trace
from modelyard.wire.pieces import Payload


class Note(NamedTuple):
    """Of a request that is recorded: where, and which version answers."""

    trace: Trace
    version_id: str


class Passage:
    """Takes a slot, or waits in line for one, sends the request, and gives the slot back when that is over. A
    `Standby` and a `Taker`.

    Args:
        group: Of the version that is asked.
        caller: Who asks.
        payload: The request.
        taker: Who waits for the answer.
        deadline: `time.monotonic()` at which the caller gives up; None: it waits.
        note: Where its times are noted, if anywhere.
    """

    __slots__ = (
        "_began",
        "_beside",
        "_caller",
        "_deadline",
        "_group",
        "_note",
        "_number",
        "_payload",
        "_place",
        "_slots",
        "_taker",
        "_timer",
    )

    def __init__(
        self,
        group: Group,
        caller: str,
        payload: Payload,
        taker: Taker,
        deadline: float | None = None,
        note: Note | None = None,
    ) -> None:
        self._group = group
        self._caller = caller
        self._payload = payload
        self._taker = taker
        self._deadline = deadline
        self._timer: asyncio.TimerHandle | None = None
        """Until its deadline."""
        self._note = note
        self._began = 0.0
        """When it got its slot, or its place in the line: `time.monotonic()`."""
        self._place: int | None = None
        """In the line."""
        self._slots: Slots | None = None
        """What it holds, until it is over."""
        self._beside = 0
        """How many its replica held when it was sent there."""
        self._number = 0
        """What the link knows it by."""

    def begin(self) -> bool:
        """False: nothing was sent, and nothing waits."""
        group, caller, deadline = self._group, self._caller, self._deadline
        self._began = now = time.monotonic()
        if deadline is not None and deadline <= now:
            return False
        slots = group.take(caller, now)
        if slots is None:
            self._place = group.join(caller, len(self._payload), deadline, self)
            if self._place is None:
                return False
        else:
            try:
                self._send(slots)
            except ModelyardError:
                self._slots = None
                group.put_back(slots, caller)
                return False
            group.meter.straight += 1
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_later(deadline - now, self._expire)
        return True

    @property
    def is_waiting(self) -> bool:
        """See `Standby`."""
        return self._place is not None

    def serve(self, slots: Slots) -> None:
        """See `Standby`."""
        group, came = self._group, self._began
        self._step_out(is_served=True)
        self._began = now = time.monotonic()
        group.meter.wait_s.observe(now - came)
        try:
            self._send(slots)
        except ModelyardError as error:
            asyncio.get_running_loop().call_soon(self.fail, error)

    def refuse(self, error: ModelyardError) -> None:
        """See `Standby`."""
        self._step_out(is_served=False)
        pause_s = self._group.count_refusal(self._caller) if isinstance(error, ModelBusy) else 0.0
        asyncio.get_running_loop().call_later(pause_s, self._taker.fail, error)

    def take(self, answer: bytes) -> None:
        """See `Taker`. Whoever waits for the slot has it before; otherwise it is given back behind the answer, which
        need not wait for that."""
        ended = self._end_work()
        if self._group.line.turns.waiting:
            self._give_back(ended)
        try:
            self._taker.take(answer)
        finally:
            self._give_back(ended)

    def fail(self, error: ModelyardError) -> None:
        """See `Taker`."""
        self._give_back(self._end_work())
        self._taker.fail(error)

    def cancel(self) -> bool:
        """The caller went away: nobody is told how the request ends. False: it is over already."""
        if self._place is not None:
            self._step_out(is_served=False)
            return True
        if self._slots is None or not self._slots.link.recall(self._number):
            return False
        self._give_back(self._end_work())
        return True

    def _send(self, slots: Slots) -> None:
        self._slots, self._beside = slots, slots.in_flight
        is_express, deadline = self._group.may_overtake(self._caller), self._deadline
        left_s = None if deadline is None else deadline - self._began
        self._number = slots.link.send(self._payload, self, time_left_s=left_s, is_express=is_express)

    def _expire(self) -> None:
        """The deadline has passed."""
        self._timer = None
        when = "while it waited for the model" if self.is_waiting else "while the model worked on it"
        if self.cancel():
            self._taker.fail(out_of_time(when))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _step_out(self, *, is_served: bool) -> None:
        if not is_served:
            self._stop_timer()
        place, self._place = self._place, None
        if place is not None:
            self._group.line.leave(self._caller, place, is_served=is_served)
            if self._note is not None:
                self._note.trace.note_wait(self._began, time.monotonic())

    def _end_work(self) -> float:
        """The worker has done its part, now."""
        if self._timer is not None:
            self._stop_timer()
        ended = time.monotonic()
        if self._note is not None and self._slots is not None:
            self._note.trace.note_work(self._note.version_id, self._began, ended)
        return ended

    def _give_back(self, ended: float) -> None:
        slots, self._slots = self._slots, None
        if slots is not None:
            self._group.give_back(slots, self._caller, ended - self._began, self._beside)
