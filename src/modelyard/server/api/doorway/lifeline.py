"""Ends the work on a request when its caller goes away or its deadline passes."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType

from modelyard.errors import Cancelled, DeadlineExceeded, ModelyardError
from modelyard.server.api.doorway.types import Receive
from modelyard.server.carriers.base import Shortcuts

LOOK_S = 0.015
"""A watcher costs as much as a small request: only those that take longer than this get one, within twice the time."""
LATE_S = 0.005
"""Who works on a request may end it at its deadline, and say more of it, before the door does."""


class Lookout:
    """Sees which requests take long. One timer for all of a door: one for each would cost more than the rest of it.

    A door answers in one event loop. It is kept: to ask for the running one is a system call.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._young: list[Lifeline] = []
        self._old: list[Lifeline] = []
        self._is_looking = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the door answers in."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def add(self, lifeline: Lifeline) -> None:
        """Have it watched if it is still there in a while."""
        self._young.append(lifeline)
        if not self._is_looking:
            self._is_looking = True
            self.loop.call_later(LOOK_S, self._look)

    def _look(self) -> None:
        late, self._old, self._young = self._old, self._young, []
        for lifeline in late:
            lifeline.start_watching()
        self._is_looking = bool(self._old)
        if self._is_looking:
            self.loop.call_later(LOOK_S, self._look)


class Lifeline:
    """A `with` block that is cancelled by `hang_up`, or soon after the deadline, and then raises `Cancelled` or
    `DeadlineExceeded`.

    Args:
        deadline: A `time.monotonic()` value; None for no limit.
        lookout: The door's.
        shortcuts: Where the carrier has them: they know the task, and tell at once, without another, who leaves.
    """

    __slots__ = ("_deadline", "_lookout", "_reason", "_receive", "_shortcuts", "_task", "_timer", "_watcher")

    def __init__(self, deadline: float | None, lookout: Lookout, shortcuts: Shortcuts | None = None) -> None:
        self._deadline = deadline
        self._lookout = lookout
        self._reason: ModelyardError | None = None
        self._receive: Receive | None = None
        self._shortcuts = shortcuts
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None

    def __enter__(self) -> Lifeline:
        shortcuts = self._shortcuts
        self._task = asyncio.current_task(self._lookout.loop) if shortcuts is None else shortcuts.task
        if self._deadline is not None:
            left_s = max(0.0, self._deadline - time.monotonic())
            over = DeadlineExceeded("the deadline of the request passed")
            self._timer = self._lookout.loop.call_later(left_s + LATE_S, self._end, over)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task, self._task = self._task, None  # whoever hangs up from here on ends nothing
        self._receive = self._shortcuts = None
        if self._timer is not None:
            self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if self._reason is None or task is None:
            return
        others = task.uncancel()
        if kind is asyncio.CancelledError and not others:
            raise self._reason from None

    def watch(self, receive: Receive) -> None:
        """Look for a disconnect from here on, by ASGI's receive where there are no shortcuts. Only where all that
        matters of the request has been read: what else arrives is thrown away."""
        if self._shortcuts is not None:
            self._shortcuts.listen(self.hang_up)
            return
        self._receive = receive
        self._lookout.add(self)

    def start_watching(self) -> None:
        """It takes long, unless it is over."""
        if self._receive is not None:
            self._watcher = self._lookout.loop.create_task(self._watch(self._receive))

    def hang_up(self) -> None:
        """The caller went away."""
        self._end(Cancelled("the caller went away"))

    def _end(self, reason: ModelyardError) -> None:
        if self._task is not None and self._reason is None:
            self._reason = reason
            self._task.cancel()

    async def _watch(self, receive: Receive) -> None:
        event = await receive()
        while event["type"] != "http.disconnect":
            await asyncio.sleep(0)  # a server that repeats the end of the body may not hold the loop
            event = await receive()
        self.hang_up()
