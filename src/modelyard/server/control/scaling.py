"""How many replicas a version should have: a decision from what was seen, with no clock and no store of its own.

Needed is what would leave nobody waiting: requests in hand and in the queue, by what one replica works on at once.
More replicas come when more were needed the whole time for `UP_S`, fewer when fewer were the whole time for `DOWN_S`:
a spike starts nothing, a pause stops nothing, and between the two the number stays where it is.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

UP_S = 2.0
"""Queue time, in effect: requests that find no free replica for so long bring another one."""
DOWN_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Between how many, and after how long without a request none."""

    min_replicas: int
    max_replicas: int
    idle_s: float


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is seen of a version at one moment."""

    in_flight: int
    """Requests that replicas hold."""
    waiting: int
    """Requests in the queue."""
    open_streams: int
    """They ask for no replica of their own, but nobody is idle who holds one."""
    threads: int
    """How many requests a replica works on at once."""
    idle_s: float
    """Since the last request, or since its first replica was ready."""

    @property
    def needed(self) -> int:
        """How many replicas would leave nobody waiting."""
        return math.ceil((self.in_flight + self.waiting) / max(1, self.threads))


class Scaler:
    """One version: what was seen of it lately."""

    def __init__(self, *, up_s: float = UP_S, down_s: float = DOWN_S) -> None:
        self._up_s = up_s
        self._down_s = down_s
        self._seen: deque[tuple[float, int]] = deque()

    def decide(self, at: float, wanted: int, bounds: Bounds, load: Load) -> int:
        """How many are wanted from now on.

        Args:
            at: The moment, in seconds; never less than in the call before.
            wanted: How many are wanted now.
            bounds: What is allowed.
            load: What is seen now.
        """
        self._seen.append((at, load.needed))
        while len(self._seen) > 1 and self._seen[1][0] <= at - self._down_s:
            self._seen.popleft()
        if bounds.min_replicas == 0 and self._is_idle(bounds, load):
            return 0
        least = bounds.min_replicas if wanted == 0 else max(1, bounds.min_replicas)
        more = min(self._list_needed(at, self._up_s), default=0)
        fewer = max(self._list_needed(at, self._down_s), default=bounds.max_replicas)
        return max(least, min(bounds.max_replicas, max(more, min(wanted, fewer))))

    def _is_idle(self, bounds: Bounds, load: Load) -> bool:
        is_free = not (load.in_flight or load.waiting or load.open_streams)
        return is_free and load.idle_s > bounds.idle_s

    def _list_needed(self, at: float, span_s: float) -> list[int]:
        """How many were needed at each time within the span; nothing while it has not been watched for so long."""
        begin = at - span_s
        if self._seen[0][0] > begin:
            return []
        before = [needed for seen_at, needed in self._seen if seen_at <= begin]
        return [before[-1], *(needed for seen_at, needed in self._seen if seen_at > begin)]
