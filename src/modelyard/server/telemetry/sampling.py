"""Which requests are recorded: OpenTelemetry's samplers as its specification describes them, and the one of a server
where nobody chose any. Asked of every request: the SDK's own take fifteen times as long."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from modelyard.server.telemetry.tracing import NOT_SAMPLED, Caller, Sample, Verdict

TRACES_PER_S = 20.0
"""How many traces begin here in a second where nobody chose a sampler. A trace costs 0.1 to 0.4 ms of the processor,
most of it in the exporter's thread: of all requests, they would cost half of the throughput of small ones."""
_SAMPLED = 1
"""The bit of the flags of a `traceparent` that says that its caller records."""
_RATIO_BITS = (1 << 64) - 1
Begin = Callable[[int], bool]
"""Is a trace of this id recorded that begins here?"""


def make_sampler(environ: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> Sample | None:
    """The sampler that `OTEL_TRACES_SAMPLER` names; without it, as the caller decides, and `TRACES_PER_S` of those
    that begin here.

    Returns:
        None for samplers of others, and for wrong arguments, of which the SDK says what is wrong.
    """
    name = environ.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    kind = name.removeprefix("parentbased_")
    try:
        argument = environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip()
        begin = _make_beginning(kind, argument) if name else Allowance(TRACES_PER_S, clock).take
    except ValueError:
        return None
    is_parent_asked = kind != name or not name

    def sample(caller: Caller | None, trace_id: int, _method: str) -> Verdict:
        is_sampled = begin(trace_id) if caller is None or not is_parent_asked else bool(caller.ids[2] & _SAMPLED)
        if not is_sampled:
            return NOT_SAMPLED
        return Verdict(is_sampled=True, tracestate=caller.tracestate if caller else "")

    return sample


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
        self._per_s = per_s
        self._clock = clock
        self._left = per_s
        self._looked = clock()

    def take(self, _trace_id: int) -> bool:
        """Is there one left? It is gone then."""
        now = self._clock()
        self._left = min(self._per_s, self._left + (now - self._looked) * self._per_s)
        self._looked = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
