"""Frames that ask for work and bring none: how many of them a connection may send."""

from __future__ import annotations

import asyncio

from modelyard.server.carriers.http.http2_frames import ENHANCE_YOUR_CALM, Http2Error

ALLOWED, ALLOWED_PER_S = 1000.0, 200.0


class Oddities:
    """Counts resets, settings, empty frames and the like: a few are normal, a flood is an attack.

    Args:
        loop: Has the clock.
    """

    __slots__ = ("_left", "_loop", "_seen_at")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._left = ALLOWED
        self._seen_at = loop.time()

    def count(self) -> None:
        """One more; raises `Http2Error` where there are too many."""
        self._left -= 1
        if self._left >= 0:
            return
        now = self._loop.time()
        self._left = min(ALLOWED, self._left + (now - self._seen_at) * ALLOWED_PER_S)
        self._seen_at = now
        if self._left < 0:
            raise Http2Error(ENHANCE_YOUR_CALM, "too many frames that bring nothing")
