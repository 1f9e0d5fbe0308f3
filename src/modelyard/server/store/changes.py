"""Who waits for the store: control loops sleep until builds or deployments have changed, instead of asking often.

Changes reach waiters of this process only; a loop that shares the database with others also looks by itself now and
then, which is what the timeout is for.
"""

from __future__ import annotations

import asyncio
from weakref import WeakSet


class Waiter:
    """One listener: remembers whether something changed since it last returned."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self.has_changed = False
        """Has something changed since the last `wait`, or `note`?"""

    async def wait(self, *, timeout_s: float) -> bool:
        """Return when something has changed since the last call, or after `timeout_s` seconds; did it change?"""
        # Not `wait_for`: on Python 3.11 it loses a cancellation that arrives together with a change.
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        self.note()
        return True

    def note(self) -> None:
        """What has changed until now is known."""
        self.has_changed = False
        self._changed.clear()

    def wake(self) -> None:
        """Something has changed."""
        self.has_changed = True
        self._changed.set()


class Changes:
    """Tells all waiters. A waiter that nobody holds any more is forgotten. Not for other threads than the loop's."""

    def __init__(self) -> None:
        self._waiters: WeakSet[Waiter] = WeakSet()

    def subscribe(self) -> Waiter:
        """A new waiter, that has seen everything so far."""
        waiter = Waiter()
        self._waiters.add(waiter)
        return waiter

    def announce(self) -> None:
        """Builds or deployments have changed, and that is committed."""
        for waiter in self._waiters:
            waiter.wake()
