"""How many replicas a version should have: a decision from what was seen, with no clock and no store of its own.

Two things are seen, once a second. *Concurrency*: requests and open streams, by what one replica works on at once.
*Queue time*: how long requests wait for a slot, smoothed.

more   the concurrency asked for more the whole time for `UP_S`: as many as leave nobody waiting, at once;
       or the queue time was `QUEUE_UP_S` or more for `QUEUE_S`, with all replicas there: one more. It finds what looks
       at single moments miss: requests that come in bursts.
fewer  the concurrency asked for fewer, and the queue time was below `QUEUE_DOWN_S`, the whole time for `DOWN_S`: as
       many as the busiest moment of that time needed
none   where that is allowed: nobody asked for the idle time, and no stream was open

Between them the number stays where it is: a spike starts nothing, a pause stops nothing.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from modelyard.server.routing.demand import Demand

UP_S = 2.0
QUEUE_UP_S = 0.2
QUEUE_S = 10.0
QUEUE_DOWN_S = 0.05
DOWN_S = 60.0
SMOOTH_S = 2.0
"""The time constant of the queue time."""
QUEUE_MOST_S = 1.0
"""No longer wait counts: after a minute without any replica the wait that is over is soon forgotten."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Between how many, and after how long without a request none."""

    min_replicas: int
    max_replicas: int
    idle_s: float


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is seen of a version at one moment."""

    demand: Demand
    threads: int
    """How many requests a replica works on at once."""
    idle_s: float
    """Since the last request, or since its first replica was ready."""

    @property
    def needed(self) -> int:
        """How many replicas would leave nobody waiting: an open stream counts as a request."""
        seen = self.demand
        return math.ceil((seen.in_flight + seen.waiting + seen.open_streams) / max(1, self.threads))


class QueueTime:
    """How long requests wait for a slot: those that got one since the last look, and the one that waits longest now."""

    def __init__(self) -> None:
        self._value_s = 0.0
        self._at: float | None = None
        self._before = Demand()

    def see(self, at: float, demand: Demand) -> float:
        """The smoothed value, with what is seen now."""
        served = demand.served - self._before.served
        waited_s = demand.waited_s - self._before.waited_s
        passed_s = at - self._at if self._at is not None else 0.0
        self._at, self._before = at, demand
        mean_s = waited_s / served if served > 0 else 0.0
        now_s = min(max(mean_s, demand.oldest_s, 0.0), QUEUE_MOST_S)
        self._value_s += (now_s - self._value_s) * (1 - math.exp(-passed_s / SMOOTH_S))
        return self._value_s


@dataclass(frozen=True, kw_only=True)
class _Look:
    at: float
    needed: int
    queue_s: float
    replicas: int
    """How many were there, of those wanted."""


class Scaler:
    """One version: what was seen of it lately."""

    def __init__(self, *, up_s: float = UP_S, queue_s: float = QUEUE_S, down_s: float = DOWN_S) -> None:
        self._up_s, self._queue_s, self._down_s = up_s, queue_s, down_s
        self._queue = QueueTime()
        self._looks: deque[_Look] = deque()

    def decide(self, at: float, wanted: int, bounds: Bounds, load: Load) -> int:
        """How many are wanted from now on.

        Args:
            at: The moment, in seconds; never less than in the call before.
            wanted: How many are wanted now.
            bounds: What is allowed.
            load: What is seen now.
        """
        self._look(at, wanted, load)
        if bounds.min_replicas == 0 and load.demand.is_none and load.idle_s > bounds.idle_s:
            return 0
        least = bounds.min_replicas if wanted == 0 else max(1, bounds.min_replicas)
        more = max(self._count_by_concurrency(at), self._count_by_queue(at, wanted))
        fewer = self._count_enough(at, wanted)
        return max(least, min(bounds.max_replicas, max(more, min(wanted, fewer))))

    def _look(self, at: float, wanted: int, load: Load) -> None:
        self._looks.append(
            _Look(
                at=at,
                needed=load.needed,
                queue_s=self._queue.see(at, load.demand),
                replicas=min(wanted, load.demand.replicas),
            )
        )
        while len(self._looks) > 1 and self._looks[1].at <= at - self._down_s:
            self._looks.popleft()

    def _count_by_concurrency(self, at: float) -> int:
        """What was needed the whole time."""
        return min((one.needed for one in self._list(at, self._up_s)), default=0)

    def _count_by_queue(self, at: float, wanted: int) -> int:
        """One more, where requests have waited too long for a while although all replicas were there."""
        looks = self._list(at, self._queue_s)
        is_long = bool(looks) and all(one.replicas == wanted and one.queue_s >= QUEUE_UP_S for one in looks)
        return wanted + 1 if is_long else 0

    def _count_enough(self, at: float, wanted: int) -> int:
        """What sufficed the whole time; all that there are where that is not known."""
        looks = self._list(at, self._down_s)
        if not looks or any(one.queue_s >= QUEUE_DOWN_S for one in looks):
            return wanted
        return max(one.needed for one in looks)

    def _list(self, at: float, span_s: float) -> list[_Look]:
        """What was seen within the span; nothing while it has not been watched for so long."""
        begin = at - span_s
        if self._looks[0].at > begin:
            return []
        before = [one for one in self._looks if one.at <= begin]
        return [before[-1], *(one for one in self._looks if one.at > begin)]
