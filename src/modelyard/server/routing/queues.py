"""Requests that wait for a slot: bounded, each caller in turn, each until its deadline at most."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from modelyard.errors import DeadlineExceeded, ModelyardError
from modelyard.server.routing.replicas import Slots
from modelyard.server.routing.turns import Turns


@dataclass(frozen=True, kw_only=True)
class QueueLimits:
    """What may wait for the replicas of one version."""

    size: int = 1024
    """Requests."""
    size_bytes: int = 256 * 1024 * 1024
    """Their payloads together. One that is larger by itself waits alone."""

    def cost_of(self, payload_bytes: int) -> int:
        """What a request takes of `size`: one, and more where it is larger than its share of the bytes."""
        return min(self.size, 1 + payload_bytes * self.size // self.size_bytes)


class Standby(Protocol):
    """Who waits in a line."""

    @property
    def is_waiting(self) -> bool:
        """Does it still want a slot?"""
        ...

    def serve(self, slots: Slots) -> None:
        """It has got one, which is taken in its name. Called by who gave it back: it raises nothing."""
        ...

    def refuse(self, error: ModelyardError) -> None:
        """It will not get any. Raises nothing either."""
        ...


class _Awaited:
    """Somebody who awaits a slot."""

    __slots__ = ("_future",)

    def __init__(self, future: asyncio.Future[Slots]) -> None:
        self._future = future

    @property
    def is_waiting(self) -> bool:
        """See `Standby`."""
        return not self._future.done()

    def serve(self, slots: Slots) -> None:
        """See `Standby`."""
        self._future.set_result(slots)

    def refuse(self, error: ModelyardError) -> None:
        """See `Standby`."""
        _fail(self._future, error)


class WaitingLine:
    """The queue of one version. Whoever is served gets a slot that is already taken in its name.

    Args:
        limits: Its bound.
        give_back: Called with a slot that was given to somebody who had just left.
    """

    def __init__(self, limits: QueueLimits, give_back: Callable[[Slots, str], None]) -> None:
        self.limits = limits
        self.turns: Turns[Standby] = Turns(size=limits.size)
        self.waited_s = 0.0
        """How long all that got a slot here had waited for it, together."""
        self._came: dict[int, float] = {}
        """When those that wait came, by their numbers: the first waits longest."""
        self._give_back = give_back
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def came_first_at(self) -> float | None:
        """When the one came that waits longest, as the loop's clock says; None where nobody waits."""
        return next(iter(self._came.values()), None)

    @property
    def first(self) -> int | None:
        """The number of the one that waits longest."""
        return next(iter(self._came), None)

    def __len__(self) -> int:
        return len(self.turns)

    async def wait(
        self, caller: str, cost: int, deadline: float | None, refuse: Callable[[str], ModelyardError]
    ) -> Slots:
        """Wait for a slot.

        Args:
            caller: Whose request it is: callers are served in turn.
            cost: See `QueueLimits.cost_of`.
            deadline: `time.monotonic()` at which the caller gives up; None waits as long as it takes.
            refuse: Makes the error of a request that there is no room for, of the caller whose it is.

        Raises:
            DeadlineExceeded: The deadline passed, before or while waiting. No slot was used.
            ModelyardError: What `refuse` made: there is no room, or it was given to a caller who has less waiting.
        """
        check_deadline(deadline)
        loop = self._get_loop()
        future: asyncio.Future[Slots] = loop.create_future()
        number = self.join(caller, cost, _Awaited(future), refuse)
        if number is None:
            raise refuse(caller)
        timer = None if deadline is None else loop.call_later(deadline - time.monotonic(), _expire, future)
        is_served = False
        try:
            slots = await future
            is_served = True
            return slots
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._give_back(future.result(), caller)
            raise
        finally:
            self.leave(caller, number, is_served=is_served)
            if timer is not None:
                timer.cancel()

    def join(self, caller: str, cost: int, standby: Standby, refuse: Callable[[str], ModelyardError]) -> int | None:
        """As `wait`, for one that is called instead of awaiting; it has to `leave`, however its waiting ends.

        Returns:
            Its number; None where there is no room.
        """
        gone = self.turns.make_room(caller, cost)
        if gone is None:
            return None
        for other, one in gone:
            one.refuse(refuse(other))
        number = self.turns.add(caller, standby, cost)
        self._came[number] = self._get_loop().time()
        return number

    def leave(self, caller: str, number: int, *, is_served: bool) -> None:
        """One does not wait any more."""
        came = self._came.pop(number)
        if is_served:
            self.waited_s += self._get_loop().time() - came
        else:
            self.turns.remove(caller, number)

    def serve(self, slots: Slots, hold: Callable[[Slots, str], None], without: dict[str, int] | None = None) -> bool:
        """Let the next that still waits, of none of the callers in `without`, hold a slot; False: nobody is there."""
        while (found := self.turns.take(without)) is not None:
            caller, standby = found
            if standby.is_waiting:
                hold(slots, caller)
                standby.serve(slots)
                return True
        return False

    def fail(self, error: type[ModelyardError], message: str) -> None:
        """Send everybody away."""
        for standby in self.turns.take_all():
            standby.refuse(error(message))

    def _get_loop(self) -> asyncio.AbstractEventLoop:
        """A line is one loop's. It is kept: to ask for the running one is a system call."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop


def check_deadline(deadline: float | None) -> None:
    """Raise `DeadlineExceeded` for a request whose time is up: it is not worth beginning."""
    if deadline is not None and deadline <= time.monotonic():
        raise out_of_time("before the model could begin")


def out_of_time(when: str) -> DeadlineExceeded:
    """The error of a request whose deadline passed."""
    return DeadlineExceeded(f"the deadline of the request passed {when}")


def _expire(future: asyncio.Future[Slots]) -> None:
    _fail(future, out_of_time("while it waited for the model"))


def _fail(future: asyncio.Future[Slots], error: ModelyardError) -> None:
    if not future.done():
        future.set_exception(error)
