"""Traces of requests: whose a request is in, and what is noted of it on its way. Nothing here knows OpenTelemetry.

A request has up to three spans. They are made when it is over, from what was noted; until then it costs a few lines.

    PostModelOutputs ──────────────────────────────   the server's
      queue ──────────                                 waiting for a replica, where it waited
                      worker ─────────────────────     at a replica; the author's own spans hang here

Which trace the running request belongs to is a context variable: what is below the choke point notes its times there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NamedTuple

TRACEPARENT, TRACESTATE = b"traceparent", b"tracestate"
_GRAMMAR = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_STATE_GRAMMAR = re.compile(rb"[\x20-\x7e]{1,512}")
_NO_TRACE, _NO_SPAN = b"0" * 32, b"0" * 16
GRPC_TYPE = b"application/grpc"
Headers = Iterable[tuple[bytes, bytes]]


class Caller(NamedTuple):
    """The trace that a caller is in, as the W3C headers say it."""

    traceparent: str
    tracestate: str

    @property
    def ids(self) -> tuple[int, int, int]:
        """Trace, span and flags."""
        _, trace_id, span_id, flags = self.traceparent.split("-")
        return int(trace_id, 16), int(span_id, 16), int(flags, 16)


def read_caller(headers: Headers) -> Caller | None:
    """The caller's trace; None where there is none, or none that can be read."""
    if TRACEPARENT not in dict(headers):  # nearly all requests
        return None
    parent = state = b""
    for name, value in headers:
        if name == TRACEPARENT:
            parent = value
        elif name == TRACESTATE:
            state = state + b"," + value if state else value
    match = _GRAMMAR.fullmatch(parent) if parent else None
    if match is None or match[1] == b"ff" or match[2] == _NO_TRACE or match[3] == _NO_SPAN:
        return None
    return Caller(parent.decode("ascii"), state.decode("ascii") if _STATE_GRAMMAR.fullmatch(state) else "")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a sampler says of a request."""

    is_sampled: bool
    tracestate: str = ""
    """As the sampler wants it passed on."""


NOT_SAMPLED = Verdict(is_sampled=False)
Sample = Callable[[Caller | None, int, str], Verdict]
"""Is a request with this caller's trace, or the beginning of one with this id, recorded?"""


class Trace:
    """One request that is being recorded. Times are `time.monotonic()`."""

    __slots__ = (
        "_finish", "batch_inputs", "began", "began_ns", "caller", "code", "ended", "is_grpc", "method", "model",
        "parent_id", "request_id", "span_id", "trace_id", "tracestate", "version_id", "waited", "worked", "worker_id",
    )  # fmt: skip

    def __init__(self, finish: Callable[[Trace], None], method: str, ids: tuple[int, int, int], parent_id: int) -> None:
        self._finish = finish
        self.method = method
        self.trace_id, self.span_id, self.worker_id = ids
        self.parent_id = parent_id
        """The caller's span; 0 where there is none."""
        self.tracestate = ""
        self.request_id = ""
        self.is_grpc = False
        self.began = time.monotonic()
        self.began_ns = time.time_ns()
        self.ended = 0.0
        self.caller = ""
        """What kind of caller: never who."""
        self.model = ""
        self.version_id = ""
        self.code: int | None = None
        """The V2 code; None where the caller left before there was one."""
        self.waited: tuple[float, float] | None = None
        self.worked: tuple[float, float] | None = None
        self.batch_inputs = 0
        """How many inputs were in the call of predict that answered it; 0 where nothing is batched."""

    def __repr__(self) -> str:
        return f"<trace {self.trace_id:032x} of {self.method}>"

    @property
    def traceparent(self) -> str:
        """For the worker: the author's spans hang at its call."""
        return f"00-{self.trace_id:032x}-{self.worker_id:016x}-01"

    def note_wait(self, began: float, ended: float) -> None:
        """It waited for a replica."""
        self.waited = (began, ended)

    def note_work(self, version_id: str, began: float, ended: float) -> None:
        """A replica of this version had it."""
        self.version_id = version_id
        self.worked = (began, ended)

    def end(self, code: int | None) -> None:
        """It is over."""
        self.code = code
        self.ended = time.monotonic()
        _current.set(None)
        self._finish(self)


_current: ContextVar[Trace | None] = ContextVar("modelyard_trace", default=None)


def current_trace() -> Trace | None:
    """The trace of the request that this task works on, where it is recorded."""
    return _current.get()


def never() -> bool:
    """Of samplers that are not asked by number."""
    return False


class Tracing:
    """Begins traces.

    Args:
        sample: Asked of each request, with the caller's trace and the id of the trace: is it recorded?
        make_trace_id: A new one.
        make_span_id: A new one.
        finish: Takes a trace that is over. It may not block.
        is_spent: Asked first where a request has no trace: is none recorded that begins now, whatever its id?
    """

    def __init__(
        self,
        *,
        sample: Sample,
        make_trace_id: Callable[[], int],
        make_span_id: Callable[[], int],
        finish: Callable[[Trace], None],
        is_spent: Callable[[], bool] = never,
    ) -> None:
        self._sample = sample
        self._make_trace_id = make_trace_id
        self._make_span_id = make_span_id
        self._finish = finish
        self._is_spent = is_spent

    def begin(self, method: str, request_id: str, headers: Headers, caller: Caller | None = None) -> Trace | None:
        """As `start`, and this task works on it."""
        trace = self.start(method, request_id, headers, caller)
        if trace is not None:
            _current.set(trace)
        return trace

    def start(self, method: str, request_id: str, headers: Headers, caller: Caller | None = None) -> Trace | None:
        """A request came, in its caller's trace, where there is one; None where it is not recorded."""
        if caller is None and self._is_spent():
            return None
        trace_id, parent_id, _ = caller.ids if caller else (self._make_trace_id(), 0, 0)
        verdict = self._sample(caller, trace_id, method)
        if not verdict.is_sampled:
            return None
        trace = Trace(self._finish, method, (trace_id, self._make_span_id(), self._make_span_id()), parent_id)
        trace.tracestate = verdict.tracestate
        trace.request_id = request_id
        trace.is_grpc = any(name == b"content-type" and value.startswith(GRPC_TYPE) for name, value in headers)
        return trace
