"""Who reads the socket: the reader thread, or, while requests are quick, an author thread that has nothing else to do.

Handing a request from one thread to another costs more than a small model does: a thread has to be woken and to get the
interpreter's lock. So while requests take less than `QUICK_S`, the author thread that is idle reads them itself, works
on all that came, and lets its answers leave together. The reader thread then only looks after it: where a request is
not done within a few ticks, the next frames (other requests, a cancellation) must not wait for it any longer.

    slow   reader thread: receive ─► lanes ─► author threads        (as it begins; each request wakes a thread)
    quick  author thread: receive ─► lanes ─► itself                 reader thread: a look now and then
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

QUICK_S = 0.000_25
"""A request that takes longer is worth a thread of its own."""
TRUST, SLOW_COSTS = 16, 4
"""So many quick requests make it quick, a few slow ones slow again. A single one may have waited for the core."""
TICK_S = 0.001
TICKS = 2
"""Without progress for so many looks, it is slow."""
TICKS_AFTER_PROGRESS = 3
"""Until the next look, where the last one saw progress: each takes the core from who works, and costs as much as a
small request."""


class Shifts:
    """`run` is the reader thread's whole life; author threads ask `take_over`.

    Args:
        receive: Waits for frames, takes them, and returns how many requests wait for an author thread because of them.
        tick_s: How often the reader thread looks.
    """

    def __init__(self, receive: Callable[[], int], *, tick_s: float = TICK_S) -> None:
        self.is_quick = False
        self._receive = receive
        self._tick_s = tick_s
        self._on_slow: Callable[[], None] = _nothing
        self._reading = threading.Lock()
        self._is_author_reading = False
        self._counting = threading.Lock()
        self._alarms: SimpleQueue[None] = SimpleQueue()
        self._is_parked = False
        self._begun = 0
        self._done = 0
        self._open = 0
        """Requests in hand that are no `predict`: they need more frames while they run."""
        self._trust = 0

    def connect(self, on_slow: Callable[[], None]) -> None:
        """`on_slow` is called, by any thread, when what waits has to be seen by more threads than the one that read
        it."""
        self._on_slow = on_slow

    def run(self) -> None:
        """Read for ever, or watch those who do."""
        while True:
            with self._reading:
                while not self._receive() or not self.is_quick:
                    pass
            self._watch()

    def take_over(self) -> bool:
        """Read until there is a request. False where that is not this thread's business."""
        if not self.is_quick or not self._reading.acquire(blocking=False):
            return False
        self._is_author_reading = True
        try:
            while not self._receive():
                pass
        finally:
            self._is_author_reading = False
            self._reading.release()
        return True

    def begin(self, *, is_short: bool) -> bool:
        """A request has come, and waits already; True where a thread has to be woken for it. Called by who reads."""
        with self._counting:
            self._begun += 1
            if not is_short:
                self._open += 1
            is_waited_for = self._is_author_reading and self.is_quick
            if self._is_parked:
                self._is_parked = False
                self._alarms.put(None)
        if not is_short:
            self._slow_down()
        return not is_waited_for

    def finish(self, *, is_short: bool, seconds: float) -> None:
        """A request that had begun is done, after so long in the author's code."""
        is_slow = seconds >= QUICK_S
        with self._counting:
            self._done += 1
            if is_short:
                self._trust = max(self._trust - SLOW_COSTS, 0) if is_slow else min(self._trust + 1, TRUST)
            else:
                self._open -= 1
            if self._trust == TRUST and not self._open:
                self.is_quick = True
            is_trusted = self._trust > 0
        if not is_trusted and self.is_quick:
            self._slow_down()

    def _watch(self) -> None:
        """Until it is slow again."""
        seen, ticks = (self._begun, self._done), 0
        while self.is_quick:
            try:
                self._alarms.get(timeout=self._tick_s if ticks else self._tick_s * TICKS_AFTER_PROGRESS)
            except Empty:
                ticks += 1
            if seen != (self._begun, self._done):
                seen, ticks = (self._begun, self._done), 0
            elif ticks >= TICKS:
                # Nothing is in hand, and yet nobody reads: who was to take over looked while this thread still did.
                is_read = self._reading.locked()
                self._park(seen[0]) if seen[0] == seen[1] and is_read else self._slow_down()

    def _park(self, begun: int) -> None:
        """Nothing happens: sleep until something does."""
        with self._counting:
            if self._begun != begun:
                return
            self._is_parked = True
        self._alarms.get()

    def _slow_down(self) -> None:
        with self._counting:
            self._trust = 0
            was_quick, self.is_quick = self.is_quick, False
            self._is_parked = False
        if was_quick:
            self._alarms.put(None)
            self._on_slow()


def _nothing() -> None:
    """Nobody is there to be woken yet."""
