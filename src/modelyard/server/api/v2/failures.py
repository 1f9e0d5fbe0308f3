"""What a method answers where it fails, and what is logged of that."""

from __future__ import annotations

import logging
import time
from typing import Any, cast

from modelyard.errors import DeadlineExceeded, InternalError, InvalidRequest, ModelyardError, NotFound
from modelyard.server.api.v2.call import Reply
from modelyard.server.records import Caller
from modelyard.server.telemetry.requests import GONE, Stopwatch, peek_code
from modelyard.wire.messages import Message
from modelyard.wire.methods import Method
from modelyard.wire.status import codes_of, status_of

log = logging.getLogger(__name__)

LATE = codes_of(DeadlineExceeded("")).v2
_NO_MODEL = (NotFound, InvalidRequest)
"""What a request is counted as no model's for: it may name what is none."""


def make_failure(
    method: Method, request_id: str, caller: Caller | None, error: Exception, watch: Stopwatch | None = None
) -> Message:
    """Log the failure and make its answer. Faults of ours keep their insides to the log."""
    if watch is not None and isinstance(error, _NO_MODEL):
        watch.model = None
    if not isinstance(error, ModelyardError):
        log.error("request.crashed method=%s request_id=%s", method.name, request_id, exc_info=error)
        error = InternalError("a fault of the server", hint=f"its log has it under request id {request_id}")
    log_failure(method.name, request_id, caller, error)
    response_type = cast("Any", method.response_type)
    return cast("Message", response_type(status=status_of(error, request_id=request_id)))


def log_failure(method: str, request_id: str, caller: Caller | None, error: ModelyardError) -> None:
    """One line for a failed request: no payload, no token, no text that the caller chose."""
    log.info(
        "request.failed method=%s request_id=%s user=%s code=%d error=%s",
        method,
        request_id,
        caller.user_id if caller else "-",
        codes_of(error).v2,
        type(error).__name__,
    )


def read_code(reply: Reply) -> int:
    """The V2 status code of an answer."""
    return peek_code(reply) if isinstance(reply, bytes) else int(cast("Any", reply).status.code)


def read_end(deadline: float | None) -> int:
    """The code of a request that somebody else ended: its time was up, or its caller is gone."""
    is_late = deadline is not None and deadline <= time.monotonic()
    return LATE if is_late else GONE
