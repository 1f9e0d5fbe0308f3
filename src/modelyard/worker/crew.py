"""The author threads, and whose turn it is: as many requests run the author's code at once as the config says.

`predict` and `generate` go to a fixed number of threads, in the order of `Lanes`. A `stream` may be open for hours and
wait for its caller most of that time, so it has a thread of its own, and a turn only while the author's code runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from modelyard.errors import ModelBusy
from modelyard.wire.frames import EXPRESS, FIRST, Frame, Kind, decode_credit, decode_time
from modelyard.wire.worker_errors import encode_error
from modelyard.worker.lanes import Lanes
from modelyard.worker.link import Link
from modelyard.worker.task import Task


class Crew:
    """A fixed number of threads and the requests that they work on. `take` is called by the reader thread alone."""

    def __init__(self, run: Callable[[Task], None], link: Link) -> None:
        self._run = run
        self._link = link
        self._lanes = Lanes()
        self._tasks: dict[int, Task] = {}
        self._changed = threading.Condition(threading.Lock())
        self._turns = threading.Semaphore(0)
        self._threads = 0
        self._is_stopping = False

    def start(self, threads: int) -> None:
        """Start the threads. They are daemons: the process does not wait for an author's endless loop."""
        self._threads = threads
        self._turns.release(threads)
        for number in range(threads):
            threading.Thread(target=self._work, name=f"author-{number}", daemon=True).start()

    def take(self, frame: Frame) -> None:
        """Take a frame that belongs to a request. What belongs to none any more is dropped."""
        if frame.kind is Kind.REQUEST and frame.flags & FIRST:
            self._begin(frame)
            return
        task = self._tasks.get(frame.request_id)
        if task is None:
            return
        if frame.kind is Kind.REQUEST:
            task.add_message(frame.flags, frame.payload)
        elif frame.kind is Kind.CREDIT:
            task.add_credit(decode_credit(frame.payload))
        elif frame.kind is Kind.CANCEL:
            task.cancel()

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
            while taken < self._threads and self._turns.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
                taken += 1
            yield self._threads - taken
        finally:
            if taken:
                self._turns.release(taken)

    def _begin(self, frame: Frame) -> None:
        task = Task(
            frame.request_id,
            frame.flags,
            frame.payload,
            self._link.grant,
            self._turns,
            time_left_s=decode_time(frame.time_left),
        )
        with self._changed:
            is_stopping = self._is_stopping
            if not is_stopping:
                self._tasks[task.request_id] = task
        if is_stopping:
            busy = ModelBusy("this replica is stopping", hint="send the request again")
            self._link.send(Kind.ERROR, task.request_id, encode_error(busy))
        elif task.method == "stream":
            threading.Thread(target=self._serve, args=(task,), name="author-stream", daemon=True).start()
        else:
            self._lanes.put(task, is_express=bool(frame.flags & EXPRESS))

    def _work(self) -> None:
        while True:
            self._serve(self._lanes.take())

    def _serve(self, task: Task) -> None:
        try:
            with self._turns:
                self._run(task)
        finally:
            self._finish(task)

    def _finish(self, task: Task) -> None:
        with self._changed:
            self._tasks.pop(task.request_id, None)
            if self._is_stopping and not self._tasks:
                self._changed.notify_all()
