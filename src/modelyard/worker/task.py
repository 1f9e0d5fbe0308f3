"""One request in the worker: its messages on the way in, its credit on the way out, and whether it was cancelled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from modelyard.errors import Cancelled, DeadlineExceeded
from modelyard.wire.frames import EMPTY, GENERATE, LAST, STREAM, WINDOW, cost_of
from modelyard.wire.notes import NO_NOTE, read_note
from modelyard.worker.turns import Turns


class Task:
    """State that the reader thread writes and one author thread reads."""

    __slots__ = (
        "_changed",
        "_consumed",
        "_credit",
        "_grant",
        "_is_input_over",
        "_messages",
        "_turns",
        "answered_at",
        "came_at",
        "deadline",
        "is_cancelled",
        "method",
        "note",
        "request_id",
    )

    def __init__(
        self,
        request_id: int,
        flags: int,
        payload: bytes,
        grant: Callable[[int, int], None],
        turns: Turns | None = None,
        *,
        time_left_s: float | None = None,
    ) -> None:
        self.request_id = request_id
        self.came_at = time.monotonic()
        self.deadline = None if time_left_s is None else self.came_at + time_left_s
        """When its caller gives up, `time.monotonic()`; None: it waits."""
        self.answered_at = 0.0
        """When the one answer of a `predict` was made, and not sent yet; 0 before."""
        self.note = NO_NOTE if flags & EMPTY else read_note(payload)
        self.method = "stream" if flags & STREAM else "generate" if flags & GENERATE else "predict"
        self.is_cancelled = False
        self._grant = grant
        self._turns = turns
        self._messages = [] if flags & EMPTY else [payload]
        """A few: credit bounds them."""
        self._is_input_over = bool(flags & LAST)
        self._credit = WINDOW
        self._consumed = 0
        self._changed: threading.Condition | None = None if self.method == "predict" else threading.Condition()

    @property
    def wire_id(self) -> str:
        """The id that the caller sees."""
        return self.note.request_id

    @property
    def traceparent(self) -> str:
        """W3C trace context."""
        return self.note.traceparent

    @property
    def tracestate(self) -> str:
        """What tracing systems add to it."""
        return self.note.tracestate

    def take_first(self) -> bytes:
        """The one message of a `predict` or `generate`; not kept, so that it can be freed."""
        return self._messages.pop(0) if self._messages else b""

    def see_first(self) -> bytes:
        """The same, kept."""
        return self._messages[0] if self._messages else b""

    @property
    def has_message(self) -> bool:
        """Is a message of a `stream` here, or no more to come?"""
        return bool(self._messages) or self._is_input_over

    def wait_message(self) -> bytes | None:
        """The next message of a `stream`, None after the last. Grants the gateway as much as was taken.

        Raises:
            Cancelled: The caller went away.
        """
        condition = self._condition()
        with condition:
            is_waiting = not self._messages and not self._is_input_over
        if is_waiting:
            with self._rest(), condition:
                while not self._messages and not self._is_input_over and not self.is_cancelled:
                    condition.wait()
        with condition:
            self.check_cancelled()
            if not self._messages:
                return None
            payload = self._messages.pop(0)
        if not self.note.request_id:  # of a stream it is in front of the first message
            self.note = read_note(payload)
        self._consumed += cost_of(len(payload))
        if self._consumed >= WINDOW // 2 and not self._is_input_over:
            self._grant(self.request_id, self._consumed)
            self._consumed = 0
        return payload

    @property
    def has_credit(self) -> bool:
        """May an item be sent without waiting?"""
        return self._credit > 0

    def wait_credit(self, size_bytes: int) -> None:
        """Wait until the gateway can take one more item, and count it.

        Raises:
            Cancelled: The caller went away.
        """
        condition = self._condition()
        if self._credit <= 0:
            with self._rest(), condition:
                while self._credit <= 0 and not self.is_cancelled:
                    condition.wait()
        with condition:
            self.check_cancelled()
            self._credit -= cost_of(size_bytes)

    def check_cancelled(self) -> None:
        """Raise `Cancelled` if the caller went away."""
        if self.is_cancelled:
            raise Cancelled("the caller went away")

    def check_deadline(self) -> None:
        """Raise `DeadlineExceeded` for a request whose time is up: it is not worth beginning."""
        if self.deadline is not None and self.deadline <= time.monotonic():
            raise DeadlineExceeded("the deadline of the request passed before the model could begin")

    def add_message(self, flags: int, payload: bytes) -> None:
        """One more message of a `stream`, or the end of them."""
        with self._condition() as _:
            if not flags & EMPTY:
                self._messages.append(payload)
            self._is_input_over = self._is_input_over or bool(flags & LAST)
            self._condition().notify_all()

    def add_credit(self, credit: int) -> None:
        """The gateway can take more items."""
        with self._condition():
            self._credit += credit
            self._condition().notify_all()

    def cancel(self) -> None:
        """The caller went away: whatever waits here raises `Cancelled`."""
        self.is_cancelled = True
        if self._changed is not None:
            with self._changed:
                self._changed.notify_all()

    @contextmanager
    def _rest(self) -> Iterator[None]:
        """Let others run the author's code while this request waits for its caller."""
        if self._turns is None:
            yield
            return
        self._turns.give_back()
        try:
            yield
        finally:
            self._turns.take()

    def _condition(self) -> threading.Condition:
        if self._changed is None:
            raise RuntimeError("predict has neither further messages nor credit")
        return self._changed
