"""Requests that wait for an author thread, in two lanes: those of callers who have nothing else here, and all others.

A worker holds a few requests more than it works on, so that it is never idle. Where all of them are of one caller who
floods the model, the first request of another would come after them, for all that the gateway is fair: EXPRESS (see
`wire/frames.py`) lets it go ahead. The lanes are served in turn, so neither waits for ever.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress

from modelyard.worker.task import Task


class Lanes:
    """A queue for one thread that puts and many that take."""

    def __init__(self) -> None:
        self._sleepers: list[threading.Lock] = []
        """What each thread that waits is stopped by. `queue.SimpleQueue` would wake them all, one after the other."""
        self._express: deque[Task] = deque()
        self._others: deque[Task] = deque()
        self._is_express_next = True

    def __len__(self) -> int:
        return len(self._express) + len(self._others)

    def put(self, task: Task, *, is_express: bool) -> None:
        """Let a task wait, and wake who waits for one."""
        self.put_quietly(task, is_express=is_express)
        self.rouse(1)

    def put_quietly(self, task: Task, *, is_express: bool) -> None:
        """Let a task wait, for a thread that is awake."""
        (self._express if is_express else self._others).append(task)

    def rouse(self, count: int) -> None:
        """Wake so many threads of those that wait; the last to sleep first."""
        with suppress(IndexError):  # where none waits: who is awake looks before it sleeps
            for _ in range(count):
                self._sleepers.pop().release()

    def take(self) -> Task:
        """The task whose turn it is; waits where there is none."""
        while (task := self.take_now()) is None:
            self.wait()
        return task

    def wait(self) -> None:
        """Wait until there may be a task."""
        bed = threading.Lock()
        bed.acquire()
        self._sleepers.append(bed)
        if self:
            try:
                self._sleepers.remove(bed)
            except ValueError:
                pass  # somebody is about to wake it
            else:
                return
        bed.acquire()

    def take_now(self) -> Task | None:
        """The task whose turn it is; None where there is none."""
        if not self._express:
            if not self._others:
                return None
            try:
                task = self._others.popleft()
            except IndexError:  # another thread was quicker
                return None
            self._is_express_next = True
            return task
        while self._express or self._others:
            is_express = self._is_express_next
            for lane in (self._express, self._others) if is_express else (self._others, self._express):
                try:
                    task = lane.popleft()
                except IndexError:
                    continue
                self._is_express_next = lane is self._others
                return task
        return None
