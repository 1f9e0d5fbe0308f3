"""Keeps a control loop going: a fault in one round is logged, and the loop starts again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

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
