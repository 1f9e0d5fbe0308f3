"""Slows down who is refused and comes again at once: a loop without a pause would take the gateway's time from all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

FREE = 50
"""Refusals of one caller that are told at once; so many more each second."""
PAUSE_S = 0.1
"""How long the next ones wait,"""
GAP_S = 0.002
"""and how far apart they are told. Many at once would hold up, together, whoever comes meanwhile,"""
SPREAD_S = 1.0
"""unless this is not enough for that."""
KEPT_S = 1.0
"""Who was not refused for so long begins anew."""


@dataclass(slots=True)
class _Refused:
    at: float
    """When it was refused last."""
    used: float = 0.0
    """Of what is told at once; it comes back with time."""
    told_at: float = 0.0
    """When the last that waits is told."""


class Brake:
    """Counts the refusals of each caller.

    Args:
        clock: `time.monotonic`.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._swept_at = clock()
        self._callers: dict[str, _Refused] = {}

    def count(self, caller: str) -> float:
        """A refusal: how many seconds until it is to be told."""
        now = self._clock()
        if now - self._swept_at >= KEPT_S:
            self._swept_at = now
            self._callers = {name: one for name, one in self._callers.items() if now - one.at < KEPT_S}
        one = self._callers.get(caller)
        if one is None:
            one = self._callers[caller] = _Refused(at=now)
        one.used = max(0.0, one.used - (now - one.at) * FREE)
        one.at = now
        if one.used + 1 <= FREE:
            one.used += 1
            return 0.0
        one.told_at = min(max(now, one.told_at + GAP_S - PAUSE_S), now + SPREAD_S) + PAUSE_S
        return one.told_at - now
