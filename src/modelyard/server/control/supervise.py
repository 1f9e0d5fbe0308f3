"""What the control loops have in common: they go on after a fault, and sleep until the store has changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from modelyard.server.store.changes import Waiter

log = logging.getLogger(__name__)
PAUSE_S = 1.0


async def keep_running(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run a loop for ever; after a fault, again after a pause. Ends only by cancellation."""
    while True:
        try:
            await run()
        except Exception:  # the boundary of a loop: a fault must not end the server
            log.exception("control.failed loop=%s", name)
        await asyncio.sleep(PAUSE_S)


async def sleep_until_changed(waiter: Waiter, *, timeout_s: float) -> None:
    """Return when the store has changed, or after `timeout_s` seconds. A cancellation always ends it.

    On Python 3.11 a cancellation that arrives together with a change would be lost in `asyncio.wait_for`, and the loop
    would go on: hence a task of its own, which is waited for in another way.
    """
    waiting = asyncio.create_task(waiter.wait(timeout_s=timeout_s))
    try:
        await asyncio.wait({waiting})
    finally:
        waiting.cancel()
