"""When requests become a batch, and which: greedy, so that nobody waits for nothing.

An author thread that is free takes what has queued up meanwhile: the request whose turn it is, and behind it all with
equal parameters, up to so many inputs. Where the author allows a wait, a free thread waits so long for a batch that is
not full; less, where as many wait as were there before: then nobody is left to come.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from modelyard.worker.merging import Parcel, open_parcel
from modelyard.worker.task import Task


@dataclass(frozen=True, kw_only=True)
class BatchRule:
    """Key `batching` of config.yaml."""

    max_size: int
    """Inputs in one call of `predict`. A request with more is not cut: it is a batch of its own."""
    max_wait_s: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Member:
    """A request that waits, or that is in a batch."""

    task: Task
    parcel: Parcel | None
    """None for what has to be alone."""
    came_at: float

    @property
    def size(self) -> int:
        """Its inputs."""
        return len(self.parcel.inputs) if self.parcel else 1


Batch = list[Member]


class Batcher:
    """Requests that wait for an author thread: one thread puts, many take.

    As in `Lanes`, callers who have nothing else here go ahead, in turn with all others.
    """

    def __init__(self, rule: BatchRule, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rule = rule
        self._clock = clock
        self._express: deque[Member] = deque()
        self._others: deque[Member] = deque()
        self._sizes: dict[bytes, int] = {}
        """How many inputs wait, by the key of their requests."""
        self._is_express_next = True
        self._crowd = 0
        """How many requests were there when the last batch ended, itself among them."""
        self._changed = threading.Condition()

    def put(self, task: Task, *, is_express: bool) -> None:
        """Let a request wait."""
        parcel = open_parcel(task.see_first()) if task.method == "predict" else None
        member = Member(task=task, parcel=parcel, came_at=self._clock())
        with self._changed:
            (self._express if is_express else self._others).append(member)
            self._count(member, member.size)
            self._changed.notify()

    def drop(self, task: Task) -> bool:
        """Its caller went away; False where it does not wait any more."""
        with self._changed:
            for lane in (self._express, self._others):
                for member in lane:
                    if member.task is task:
                        lane.remove(member)
                        self._count(member, -member.size)
                        return True
        return False

    def wait(self, ran: int = 0) -> None:
        """Wait until it is time for a batch. Another thread may be there first.

        Args:
            ran: How many requests were in the batch that this thread just ran. They are not yet answered.
        """
        free_since = self._clock()
        with self._changed:
            if ran:
                self._crowd = ran + len(self._express) + len(self._others)
            while (left_s := self._find_wait(free_since)) != 0.0:
                self._changed.wait(left_s)

    def take(self) -> Batch:
        """The batch whose turn it is; empty where nobody waits."""
        with self._changed:
            lanes = self._order_lanes()
            if not lanes[0]:
                return []
            self._is_express_next = lanes[0] is self._others
            batch = self._take_matching(lanes)
            if self._express or self._others:
                self._changed.notify()
            return batch

    def _find_wait(self, free_since: float) -> float | None:
        """Seconds until a batch may begin: None until something comes."""
        waiting = len(self._express) + len(self._others)
        if not waiting:
            return None
        first = self._order_lanes()[0][0]
        if not self._rule.max_wait_s or first.parcel is None or waiting >= self._crowd > 1:
            return 0.0
        if self._sizes[first.parcel.key] >= self._rule.max_size:
            return 0.0
        return max(max(first.came_at, free_since) + self._rule.max_wait_s - self._clock(), 0.0)

    def _order_lanes(self) -> tuple[deque[Member], deque[Member]]:
        """The lane whose turn it is, and the other one. An empty lane has no turn."""
        is_express = bool(self._express) and (self._is_express_next or not self._others)
        return (self._express, self._others) if is_express else (self._others, self._express)

    def _take_matching(self, lanes: tuple[deque[Member], deque[Member]]) -> Batch:
        """The first, and what fits to it, in order. Who does not fit in any more ends it: nobody is overtaken by those
        who want the same."""
        first = lanes[0].popleft()
        self._count(first, -first.size)
        batch, room = [first], self._rule.max_size - first.size
        if first.parcel is None:
            return batch
        for lane in lanes:
            for _ in range(len(lane)):
                member = lane.popleft()
                if room > 0 and member.parcel and member.parcel.key == first.parcel.key:
                    if member.size <= room:
                        room -= member.size
                        batch.append(member)
                        self._count(member, -member.size)
                        continue
                    room = 0
                lane.append(member)
        return batch

    def _count(self, member: Member, inputs: int) -> None:
        if member.parcel is None:
            return
        size = self._sizes.get(member.parcel.key, 0) + inputs
        if size:
            self._sizes[member.parcel.key] = size
        else:
            del self._sizes[member.parcel.key]
