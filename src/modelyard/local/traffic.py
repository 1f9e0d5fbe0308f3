"""Many requests in flight at one worker, from one thread: what a conformance run sends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from modelyard.errors import DeadlineExceeded, ModelyardError
from modelyard.local.link import LocalLink
from modelyard.wire.frames import LAST, WINDOW, Frame, Kind, cost_of
from modelyard.wire.messages import MultiOutputResponse, PostModelOutputsRequest
from modelyard.wire.worker_errors import decode_error


@dataclass
class Pending:
    """One request, and what came back so far."""

    request_id: int
    method: str
    answers: list[MultiOutputResponse] = field(default_factory=list)
    error: ModelyardError | None = None
    """What the worker reported."""
    is_over: bool = False
    consumed: int = 0


class Traffic:
    """Requests of one session. Methods raise `WorkerCrashed` where the worker is gone."""

    def __init__(self, link: LocalLink) -> None:
        self._link = link
        self._pending: dict[int, Pending] = {}
        self._last_pong = 0

    def start(self, method: str, request: PostModelOutputsRequest, *, stays_open: bool = False) -> Pending:
        """Send a request and do not wait. A `stream` that stays open gets no end of its input."""
        request_id = self._link.post(method, request.SerializeToString())
        if method == "stream" and not stays_open:
            self._link.end(request_id)
        pending = Pending(request_id=request_id, method=method)
        self._pending[request_id] = pending
        return pending

    def cancel(self, pending: Pending) -> None:
        """Give a request up; what still comes of it is thrown away."""
        self._pending.pop(pending.request_id, None)
        pending.is_over = True
        self._link.cancel(pending.request_id)

    def wait_taken(self, *, timeout_s: float) -> None:
        """Until the worker has in hand what was sent so far. Raises DeadlineExceeded."""
        ping_id = self._link.ping()
        self.wait_for(lambda: self._last_pong >= ping_id, timeout_s=timeout_s)

    def wait(self, *wanted: Pending, timeout_s: float) -> None:
        """Until all of them are over. Raises DeadlineExceeded."""
        self.wait_for(lambda: all(one.is_over for one in wanted), timeout_s=timeout_s)

    def wait_for(self, is_reached: Callable[[], bool], *, timeout_s: float) -> None:
        """Take what comes until the condition holds. Raises DeadlineExceeded."""
        end = time.monotonic() + timeout_s
        while not is_reached():
            left_s = end - time.monotonic()
            if left_s <= 0:
                raise DeadlineExceeded(f"it took longer than {timeout_s:.1f} s")
            try:
                self._take(self._link.next_frame(left_s))
            except DeadlineExceeded:
                raise DeadlineExceeded(f"it took longer than {timeout_s:.1f} s") from None

    def _take(self, frame: Frame) -> None:
        if frame.kind is Kind.PONG:
            self._last_pong = frame.request_id
            return
        pending = self._pending.get(frame.request_id)
        if pending is None:
            return
        if frame.kind is Kind.ITEM:
            self._take_item(pending, frame)
        elif frame.kind is Kind.ERROR:
            pending.error = decode_error(frame.payload)
            self._finish(pending)
        elif frame.kind is Kind.END:
            self._finish(pending)

    def _take_item(self, pending: Pending, frame: Frame) -> None:
        pending.answers.append(MultiOutputResponse.FromString(frame.payload))
        if pending.method == "predict" or frame.flags & LAST:
            self._finish(pending)
            return
        pending.consumed += cost_of(len(frame.payload))
        if pending.consumed >= WINDOW // 2:
            self._link.grant(pending.request_id, pending.consumed)
            pending.consumed = 0

    def _finish(self, pending: Pending) -> None:
        pending.is_over = True
        self._pending.pop(pending.request_id, None)
