"""The author threads, and whose turn it is: as many requests run the author's code at once as the config says.

`predict` and `generate` go to a fixed number of threads, in the order of `Lanes`. A `stream` may be open for hours and
wait for its caller most of that time, so it has a thread of its own, and a turn only while the author's code runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from modelyard.errors import ModelBusy
from modelyard.wire.frames import EXPRESS, FIRST, Frame, Kind, decode_credit, decode_time
from modelyard.wire.worker_errors import encode_error
from modelyard.worker.batching import Batch, Batcher
from modelyard.worker.lanes import Lanes
from modelyard.worker.link import Link
from modelyard.worker.shifts import Shifts
from modelyard.worker.task import Task
from modelyard.worker.turns import Turns


@dataclass(frozen=True, kw_only=True)
class Batches:
    """How requests are answered together, where the config asks for it."""

    batcher: Batcher
    run: Callable[[Batch, Callable[[Task], None]], None]
    """Calls back with each request that is over; not always before it returns."""


class Crew:
    """A fixed number of threads and the requests that they work on. `take` is called by one thread at a time."""

    def __init__(self, run: Callable[[Task], None], link: Link, shifts: Shifts, batches: Batches | None = None) -> None:
        self._run = run
        self._link = link
        self._shifts = shifts
        self._batches = batches
        self._lanes: Lanes | Batcher = batches.batcher if batches else Lanes()
        self._tasks: dict[int, Task] = {}
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._turns = Turns()
        self._threads = 0
        self._is_stopping = False
        self.last_begun = 0
        """The number of the request that was begun last."""
        shifts.connect(self._rouse)

    def start(self, threads: int) -> None:
        """Start the threads. They are daemons: the process does not wait for an author's endless loop."""
        self._threads = threads
        self._turns.add(threads)
        work = self._work if self._batches is None else self._work_in_batches
        for number in range(threads):
            threading.Thread(target=work, name=f"author-{number}", daemon=True).start()

    def take(self, frame: Frame) -> bool:
        """Take a frame of a request; drop it where there is no such request any more.

        Returns:
            Does a request wait for an author thread because of it?
        """
        if frame.flags & FIRST and frame.kind is Kind.REQUEST:
            return self._begin(frame)
        task = self._tasks.get(frame.request_id)
        if task is None:
            return False
        if frame.kind is Kind.REQUEST:
            task.add_message(frame.flags, frame.payload)
        elif frame.kind is Kind.CREDIT:
            task.add_credit(decode_credit(frame.payload))
        elif frame.kind is Kind.CANCEL:
            task.cancel()
            if self._batches and self._batches.batcher.drop(task):
                self._finish(task)
        return False

    def drain(self) -> None:
        """Take no more, and wait until everything is answered."""
        with self._changed:
            self._is_stopping = True
            while self._tasks:
                self._changed.wait()

    @contextmanager
    def pause(self, timeout_s: float) -> Iterator[int]:
        """Let no request begin, and wait for those that run; at most so long. Gives how many still run."""
        taken = 0
        deadline = time.monotonic() + timeout_s
        try:
            while taken < self._threads and self._turns.take_within(max(deadline - time.monotonic(), 0.0)):
                taken += 1
            yield self._threads - taken
        finally:
            self._turns.add(taken)

    def _begin(self, frame: Frame) -> bool:
        task = Task(
            frame.request_id,
            frame.flags,
            frame.payload,
            self._link.grant,
            self._turns,
            time_left_s=decode_time(frame.time_left) if frame.time_left else None,
        )
        with self._lock:
            is_stopping = self._is_stopping
            if not is_stopping:
                self._tasks[task.request_id] = task
                self.last_begun = task.request_id
        if is_stopping:
            busy = ModelBusy("this replica is stopping", hint="send the request again")
            self._link.send(Kind.ERROR, task.request_id, encode_error(busy))
            return False
        if task.method == "stream":
            self._shifts.begin(is_short=False)
            threading.Thread(target=self._serve, args=(task,), name="author-stream", daemon=True).start()
            return False
        is_express = bool(frame.flags & EXPRESS)
        if isinstance(self._lanes, Batcher):
            self._lanes.put(task, is_express=is_express)
            return True
        self._lanes.put_quietly(task, is_express=is_express)
        if self._shifts.begin(is_short=task.method == "predict"):
            self._lanes.rouse(1)
        return True

    def _work(self) -> None:
        """Work on what waits; where nothing does, read, if this is the thread to do it, or sleep."""
        assert isinstance(self._lanes, Lanes)
        lanes, shifts, link = self._lanes, self._shifts, self._link
        while True:
            task = lanes.take_now()
            if task is None:
                link.flush()
                if not shifts.take_over():
                    lanes.wait()
                continue
            if shifts.is_quick and lanes:
                link.hold()
            elif link.is_held:
                link.let_go()
            self._serve(task)

    def _work_in_batches(self) -> None:
        """A batch is taken when it can begin, and not before: until then it grows."""
        assert self._batches is not None
        batcher, run = self._batches.batcher, self._batches.run
        batch: Batch = []
        while True:
            batcher.wait(len(batch))
            self._turns.take()
            try:
                batch = batcher.take()
                if batch:
                    run(batch, self._finish)
            finally:
                self._turns.give_back()

    def _serve(self, task: Task) -> None:
        began = time.monotonic()
        self._turns.take()
        try:
            self._run(task)
        finally:
            self._turns.give_back()
            self._finish(task)
            ended = task.answered_at or time.monotonic()  # sending wakes the gateway, which may take the core at once
            self._shifts.finish(is_short=task.method == "predict", seconds=ended - began)

    def _rouse(self) -> None:
        """Requests are not quick any more: nothing that waits may depend on the one thread that has it."""
        if isinstance(self._lanes, Lanes):
            self._lanes.rouse(len(self._lanes))
        self._link.flush()

    def _finish(self, task: Task) -> None:
        with self._lock:
            self._tasks.pop(task.request_id, None)
            if self._is_stopping and not self._tasks:
                self._changed.notify_all()
