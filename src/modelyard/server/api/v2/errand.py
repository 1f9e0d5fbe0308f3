"""One request that is answered without a task of its own: see `V2.send`."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod

from modelyard.errors import DeadlineExceeded, ModelyardError
from modelyard.server.api.v2.call import Call, Reply
from modelyard.server.api.v2.failures import make_failure, read_code, read_end
from modelyard.server.routing.passage import Passage
from modelyard.server.telemetry.requests import Stopwatch, peek_code
from modelyard.wire.notes import take_batch
from modelyard.wire.status import codes_of

log = logging.getLogger(__name__)


class Errand(ABC):
    """A door makes one of a request that is sent, and says in `finish` and `give_up` how that is answered. A `Taker`.

    Args:
        request_id: Told in the answer, and in logs.
        deadline: `time.monotonic()` at which its caller gives up; None: it waits.
    """

    __slots__ = ("call", "deadline", "passage", "request_id", "watch")

    call: Call
    watch: Stopwatch

    def __init__(self, request_id: str, deadline: float | None) -> None:
        self.request_id = request_id
        self.deadline = deadline
        self.passage: Passage | None = None
        """Its way, while it is under way."""

    def take(self, answer: bytes) -> None:
        """See `Taker`. It is counted once it has left: nobody has to wait for that."""
        self.passage = None
        trace = self.watch.trace
        if trace is not None:
            answer, trace.batch_inputs = take_batch(answer)
        self._finish(answer)
        self.watch.stop(peek_code(answer))

    def fail(self, error: ModelyardError) -> None:
        """See `Taker`."""
        self.passage = None
        if isinstance(error, DeadlineExceeded):
            self.watch.stop(codes_of(error).v2)
            self.give_up(error)
            return
        call = self.call
        reply = make_failure(call.method, self.request_id, call.caller, error, self.watch)
        self.watch.stop(read_code(reply))
        self._finish(reply)

    def cancel(self) -> bool:
        """The caller went away. False: it is answered already, or about to be."""
        passage, self.passage = self.passage, None
        if passage is None or not passage.cancel():
            return False
        self.watch.stop(read_end(self.deadline))
        return True

    def _finish(self, reply: Reply) -> None:
        """What fails here fails this request: who calls carries those of others, too."""
        try:
            self.finish(reply)
        except Exception:
            log.exception("request.crashed method=%s request_id=%s", self.call.method.name, self.request_id)
            self.abandon()

    @abstractmethod
    def finish(self, reply: Reply) -> None:
        """Answer with this message."""

    @abstractmethod
    def abandon(self) -> None:
        """There is no answer."""

    @abstractmethod
    def give_up(self, error: DeadlineExceeded) -> None:
        """Answer as the door tells what methods do not tell."""
