"""What the author's code may ask of the request that it is working on."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Protocol

from modelyard.errors import Cancelled

SHOWN_IDS = 4


class Awaited(Protocol):
    """One caller's request, as the worker has it."""

    @property
    def is_cancelled(self) -> bool: ...
    @property
    def wire_id(self) -> str: ...
    @property
    def traceparent(self) -> str: ...
    @property
    def tracestate(self) -> str: ...


class CurrentRequest:
    """The request that `predict`, `generate` or `stream` was called for; with `batching`, all that were merged into it.

    Example:
        >>> current = current_request()
        >>> def generate(steps):
        ...     for step in steps:
        ...         if current.is_cancelled:
        ...             return
        ...         yield step
        >>> list(generate([1, 2]))
        [1, 2]
    """

    __slots__ = ("_callers",)

    def __init__(self, callers: Sequence[Awaited] = ()) -> None:
        self._callers = callers

    @property
    def id(self) -> str:
        """The id that the caller sees in `x-request-id` and `status.req_id`; several with commas, the first four."""
        ids = [one.wire_id for one in self._callers[:SHOWN_IDS] if one.wire_id]
        more = len(self._callers) - SHOWN_IDS
        return ",".join(ids) + (f",+{more}" if more > 0 and ids else "")

    @property
    def traceparent(self) -> str:
        """W3C trace context, for spans of your own; empty where nobody traces. Of the first of several."""
        return self._callers[0].traceparent if self._callers else ""

    @property
    def tracestate(self) -> str:
        """What tracing systems add to `traceparent`: the W3C header of that name, of the same request."""
        return self._callers[0].tracestate if self._callers else ""

    @property
    def is_cancelled(self) -> bool:
        """Does nobody wait for the answer any more? To be asked in loops that do not yield, from any thread."""
        return bool(self._callers) and all(one.is_cancelled for one in self._callers)

    def check(self) -> None:
        """Stop here where nobody waits any more.

        Raises:
            Cancelled: All callers went away, or their deadlines passed. Let it through.
        """
        if self.is_cancelled:
            raise Cancelled("the caller went away")


_NONE = CurrentRequest()
_current: ContextVar[CurrentRequest] = ContextVar("modelyard_request", default=_NONE)
begin_work = _current.set
"""For the worker: this thread works on a request from here on. What it gives is for `end_work`."""
end_work = _current.reset
"""The thread works on what it worked on before."""


def current_request() -> CurrentRequest:
    """The request that this thread works on. Outside of one: an object without id that is never cancelled.

    Threads that the author starts do not know it: ask before, and hand it over.
    """
    return _current.get()
