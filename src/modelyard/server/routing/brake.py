"""Slows down who is refused and comes again at once: a loop without a pause would take the gateway's time from all."""

from __future__ import annotations

import time
from collections.abc import Callable

FREE = 50
"""Refusals of one caller in a second that are told at once."""
PAUSE_S = 0.1
"""How long the next ones wait."""


class Brake:
    """Counts the refusals of each caller, second by second.

    Args:
        clock: `time.monotonic`.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._counts: dict[str, int] = {}

    def count(self, caller: str) -> float:
        """A refusal: how many seconds until it is to be told."""
        now = self._clock()
        if now - self._since >= 1:
            self._since = now
            self._counts.clear()
        count = self._counts[caller] = self._counts.get(caller, 0) + 1
        return PAUSE_S if count > FREE else 0.0
