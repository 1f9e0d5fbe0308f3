"""Requests that wait for an author thread, in two lanes: those of callers who have nothing else here, and all others.

A worker holds a few requests more than it works on, so that it is never idle. Where all of them are of one caller who
floods the model, the first request of another would come after them, for all that the gateway is fair: EXPRESS (see
`wire/frames.py`) lets it go ahead. The lanes are served in turn, so neither waits for ever.
"""

from __future__ import annotations

from collections import deque
from queue import SimpleQueue

from modelyard.worker.task import Task


class Lanes:
    """A queue for one thread that puts and many that take."""

    def __init__(self) -> None:
        self._there: SimpleQueue[None] = SimpleQueue()
        """One for each task in the lanes: waiting for it is waiting for a task."""
        self._express: deque[Task] = deque()
        self._others: deque[Task] = deque()
        self._is_express_next = True

    def put(self, task: Task, *, is_express: bool) -> None:
        """Let a task wait."""
        (self._express if is_express else self._others).append(task)
        self._there.put(None)

    def take(self) -> Task:
        """The task whose turn it is; waits where there is none."""
        self._there.get()
        while True:  # whoever got here has a task in one of the lanes, though others may take from them meanwhile
            is_express = self._is_express_next
            for lane in (self._express, self._others) if is_express else (self._others, self._express):
                try:
                    task = lane.popleft()
                except IndexError:
                    continue
                self._is_express_next = lane is self._others
                return task
