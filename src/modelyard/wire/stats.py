"""What a worker has counted since it started, on its way to the gateway: a small JSON object."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from modelyard.errors import InternalError

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
COUNTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
BOUNDS = {"wait_s": SECONDS, "predict_s": SECONDS, "batch_inputs": COUNTS}
"""What is counted by how large it was: a request's wait in the worker, a call of predict, its inputs."""
MADE = ("outputs", "prompt_tokens", "completion_tokens", "cached_tokens")
"""What is counted of answers; tokens where the author's outputs tell them."""
MAX_COUNT = 1 << 53


def add_up(counts: list[int], bounds: Sequence[float], values: Sequence[float]) -> float:
    """Count values up to each bound and above the one before, the last: above all. To sort the values for it costs a
    third of looking for the place of each.

    Returns:
        Their sum.
    """
    ordered = sorted(values)
    below, size = 0, len(ordered)
    for place, bound in enumerate(bounds):
        if below == size:
            break
        reached = bisect_right(ordered, bound, below)
        counts[place] += reached - below
        below = reached
    counts[-1] += size - below
    return sum(values)


def _no_counts() -> dict[str, list[int]]:
    return {name: [0] * (len(bounds) + 1) for name, bounds in BOUNDS.items()}


@dataclass(kw_only=True)
class Stats:
    """All that is counted."""

    counts: dict[str, list[int]] = field(default_factory=_no_counts)
    totals: dict[str, float] = field(default_factory=lambda: dict.fromkeys(BOUNDS, 0.0))
    made: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MADE, 0))

    def encode(self) -> bytes:
        """The payload of an answer to STATS."""
        return json.dumps({"counts": self.counts, "totals": self.totals, "made": self.made}).encode()

    @classmethod
    def decode(cls, payload: bytes) -> Stats:
        """Read what a worker says, which runs an author's code: only numbers of the right count are taken.

        Raises:
            InternalError: It is something else.
        """
        try:
            fields = json.loads(payload)
            counts = {name: [_count(one) for one in fields["counts"][name]] for name in BOUNDS}
            totals = {name: float(fields["totals"][name]) for name in BOUNDS}
            made = {name: _count(fields["made"][name]) for name in MADE}
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            raise InternalError(f"a worker's numbers cannot be read: {error!r}") from None
        if any(len(counts[name]) != len(bounds) + 1 for name, bounds in BOUNDS.items()):
            raise InternalError("a worker counts by other bounds")
        if not all(0 <= one < MAX_COUNT for one in totals.values()):
            raise InternalError("a worker's sums are no numbers of seconds")
        return cls(counts=counts, totals=totals, made=made)


def _count(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < MAX_COUNT:
        raise ValueError(f"{value!r:.40} is no count")
    return value
