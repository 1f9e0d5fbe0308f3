"""Requests that wait for a slot: bounded, first come first served, each until its deadline at most."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

from modelyard.errors import DeadlineExceeded, ModelBusy, ModelyardError
from modelyard.server.routing.replicas import Slots


class WaitingLine:
    """The queue of one version. Whoever is served gets a slot that is already taken in its name."""

    def __init__(self, *, size: int) -> None:
        self._size = size
        self._next_number = 0
        self._waiting: OrderedDict[int, asyncio.Future[Slots]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self, deadline: float | None) -> Slots:
        """Wait for a slot.

        Args:
            deadline: `time.monotonic()` at which the caller gives up; None waits as long as it takes.

        Raises:
            ModelBusy: The queue is full.
            DeadlineExceeded: The deadline passed, before or while waiting. No slot was used.
        """
        check_deadline(deadline)
        if len(self._waiting) >= self._size:
            raise ModelBusy(
                f"the model is busy: {self._size} requests wait already, and no more may",
                hint="try again later, or give the model more replicas",
            )
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Slots] = loop.create_future()
        number = self._next_number
        self._next_number += 1
        self._waiting[number] = future
        timer = None if deadline is None else loop.call_later(deadline - time.monotonic(), _expire, future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().give_back()
            raise
        finally:
            self._waiting.pop(number, None)
            if timer is not None:
                timer.cancel()

    def serve(self, slots: Slots) -> bool:
        """Take a slot for the first that still waits; False where nobody does."""
        while self._waiting:
            _, future = self._waiting.popitem(last=False)
            if not future.done():
                slots.take()
                future.set_result(slots)
                return True
        return False

    def fail(self, error: type[ModelyardError], message: str) -> None:
        """Send everybody away."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error(message))


def check_deadline(deadline: float | None) -> None:
    """Raise `DeadlineExceeded` for a request whose time is up: it is not worth beginning."""
    if deadline is not None and deadline <= time.monotonic():
        raise out_of_time("before the model could begin")


def out_of_time(when: str) -> DeadlineExceeded:
    """The error of a request whose deadline passed."""
    return DeadlineExceeded(f"the deadline of the request passed {when}")


def _expire(future: asyncio.Future[Slots]) -> None:
    if not future.done():
        future.set_exception(out_of_time("while it waited for the model"))
