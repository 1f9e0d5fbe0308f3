"""A quick model that several callers share: each gets a few requests at each replica, so that none waits for another's
burst.

What makes a flood at such a model quick, many requests in each turn of the gateway and in each waking of the worker, is
what the request of another caller waits for: a turn of 64 takes ten times as long as a lone request. So each caller
gets a share instead, as long as others come, unless that holds the model up: one that works on many at once, or puts
them together, is quick as well, and takes its time for each.
"""

from __future__ import annotations

from modelyard.server.routing.pace import Pace

SHARE = 2
"""Requests of each caller at each replica; of one that merges more into a call, as many as that."""
SHARED_S = 2.0
"""For so long after another caller came a version counts as shared."""
FEW, BRIEF_S = SHARE + 1, 0.002
"""Beside so few at a replica a request takes what it takes by itself. Where that is longer, there are too few."""
DOUBTS = 16
"""So many more that take longer than that do not."""
PATIENCE_S = 0.05
"""How often it is looked whether the line moves: where the same one waits longest twice, shares hold it up."""


class Sharing:
    """One version's callers. Times are `time.monotonic()`.

    Args:
        pace: Of the version.
    """

    __slots__ = ("_doubts", "_pace", "_paused_until", "last_caller", "until")

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self.last_caller: str | None = None
        """Who came last."""
        self.until = 0.0
        """The version counts as shared until then."""
        self._paused_until = 0.0
        self._doubts = 0

    def meet(self, caller: str, now: float) -> None:
        """Another caller comes than the last one."""
        if self.last_caller is not None:
            self.until = now + SHARED_S
        self.last_caller = caller

    def divides(self, now: float) -> bool:
        """Has each caller a share, and no more?"""
        return self._paused_until <= now < self.until and self._pace.is_quick

    def add(self, held_s: float, beside: int, now: float) -> None:
        """A request is over, which held a slot for so long, as one of so many at its replica."""
        if beside > FEW or not self.divides(now):
            return
        self._doubts = max(0, self._doubts + (1 if held_s >= BRIEF_S else -1))
        if self._doubts >= DOUBTS:
            self.pause(now)

    def pause(self, now: float) -> None:
        """Shares hold the model up: none for a while."""
        self._doubts, self._paused_until = 0, now + SHARED_S
