"""Which requests are recorded: OpenTelemetry's samplers as its specification describes them, and the one of a server
where nobody chose any. Asked of every request: the SDK's own take fifteen times as long."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from modelyard.server.telemetry.tracing import NOT_SAMPLED, Caller, Verdict, never

TRACES_PER_S = 20.0
"""How many traces begin here in a second where nobody chose a sampler. A trace costs 0.1 to 0.4 ms of the processor,
most of it in the exporter's thread: of all requests, they would cost half of the throughput of small ones."""
_SAMPLED = 1
"""The bit of the flags of a `traceparent` that says that its caller records."""
_RATIO_BITS = (1 << 64) - 1
Begin = Callable[[int], bool]
"""Is a trace of this id recorded that begins here?"""


class Sampler:
    """Says which requests are recorded.

    Args:
        begin: Asked where a trace begins here.
        is_parent_asked: Does a caller that has a trace decide for itself?
        is_spent: Is no trace recorded that would begin here now?
    """

    def __init__(self, begin: Begin, *, is_parent_asked: bool, is_spent: Callable[[], bool] = never) -> None:
        self._begin = begin
        self._is_parent_asked = is_parent_asked
        self.is_spent = is_spent

    def sample(self, caller: Caller | None, trace_id: int, _method: str) -> Verdict:
        """See `Sample`."""
        is_ours = caller is None or not self._is_parent_asked
        if not (self._begin(trace_id) if is_ours else bool(caller and caller.ids[2] & _SAMPLED)):
            return NOT_SAMPLED
        return Verdict(is_sampled=True, tracestate=caller.tracestate if caller else "")


def make_sampler(environ: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> Sampler | None:
    """The sampler that `OTEL_TRACES_SAMPLER` names; without it, as the caller decides, and `TRACES_PER_S` of those
    that begin here.

    Returns:
        None for samplers of others, and for wrong arguments, of which the SDK says what is wrong.
    """
    name = environ.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    kind = name.removeprefix("parentbased_")
    if not name:
        allowance = Allowance(TRACES_PER_S, clock)
        return Sampler(allowance.take, is_parent_asked=True, is_spent=allowance.is_spent)
    try:
        begin = _make_beginning(kind, environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip())
    except ValueError:
        return None
    return Sampler(begin, is_parent_asked=kind != name)


def _make_beginning(kind: str, argument: str) -> Begin:
    """Raises ValueError for a kind that is not the specification's, and for an argument that is no share."""
    match kind:
        case "always_on":
            share = 1.0
        case "always_off":
            share = 0.0
        case "traceidratio":
            share = float(argument or 1.0)
        case _:
            raise ValueError(kind)
    if not 0 <= share <= 1:
        raise ValueError(argument)
    bound = round(share * (1 << 64))
    return lambda trace_id: trace_id & _RATIO_BITS < bound


class Allowance:
    """So many in a second, and as many at once after a second without any.

    Args:
        per_s: How many.
        clock: Seconds.
    """

    def __init__(self, per_s: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._each_s = 1 / per_s
        self._all_s = (per_s - 0.5) / per_s  # half of one more: sums of fractions are not exact
        self._next_at = clock() - self._all_s
        """When there is one again. The longer ago that is, the more there are."""

    def is_spent(self) -> bool:
        """Is none left?"""
        return self._clock() < self._next_at

    def take(self, _trace_id: int) -> bool:
        """Is there one left? It is gone then."""
        now = self._clock()
        if now < self._next_at:
            return False
        self._next_at = max(self._next_at, now - self._all_s) + self._each_s
        return True
