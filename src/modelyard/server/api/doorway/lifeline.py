"""Ends the work on a request when its caller goes away or its deadline passes."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType

from modelyard.errors import Cancelled, DeadlineExceeded, ModelyardError
from modelyard.server.api.doorway.types import Receive

WATCH_AFTER_S = 0.02
"""A watcher costs as much as a small request: only those that take longer than this get one."""


class Lifeline:
    """A `with` block that is cancelled by `hang_up` or the deadline, and then raises `Cancelled` or `DeadlineExceeded`.

    Args:
        deadline: A `time.monotonic()` value; None for no limit.
    """

    __slots__ = ("_deadline", "_reason", "_task", "_timers", "_watcher")

    def __init__(self, deadline: float | None) -> None:
        self._deadline = deadline
        self._reason: ModelyardError | None = None
        self._task: asyncio.Task[object] | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._watcher: asyncio.Task[None] | None = None

    def __enter__(self) -> Lifeline:
        self._task = asyncio.current_task()
        if self._deadline is not None:
            left_s = max(0.0, self._deadline - time.monotonic())
            error = DeadlineExceeded("the deadline has passed")
            self._timers.append(asyncio.get_running_loop().call_later(left_s, self._end, error))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        for timer in self._timers:
            timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if self._reason is None or task is None:
            return
        others = task.uncancel()
        if kind is asyncio.CancelledError and not others:
            raise self._reason from None

    def watch(self, receive: Receive) -> None:
        """Look for a disconnect from here on. Only where all that matters of the request has been read: what else
        arrives is thrown away."""
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(WATCH_AFTER_S, self._start_watcher, receive))

    def hang_up(self) -> None:
        """The caller went away."""
        self._end(Cancelled("the caller went away"))

    def _end(self, reason: ModelyardError) -> None:
        if self._task is not None and self._reason is None:
            self._reason = reason
            self._task.cancel()

    def _start_watcher(self, receive: Receive) -> None:
        self._watcher = asyncio.get_running_loop().create_task(self._watch(receive))

    async def _watch(self, receive: Receive) -> None:
        event = await receive()
        while event["type"] != "http.disconnect":
            await asyncio.sleep(0)  # a server that repeats the end of the body may not hold the loop
            event = await receive()
        self.hang_up()
