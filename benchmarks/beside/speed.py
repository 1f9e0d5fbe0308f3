"""How fast the cores are just now: on a machine whose host has other guests, that changes by the second."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from beside import process

STEPS = 200_000
"""Of a loop: some five milliseconds."""


class Speed:
    """That of the two cores of a benchmark.

    Args:
        cores: The servers' and the load's, by their numbers.
        look: How long a piece of work takes on one, in seconds.
    """

    def __init__(self, cores: Sequence[int], look: Callable[[int], float] | None = None) -> None:
        self._cores = cores
        self._look = look or time_loop
        self._took: list[float] = []

    def look(self) -> float:
        """How many times as long the same work takes now, on the slower one, as in the fastest quarter of all looks."""
        took = [self._look(core) for core in self._cores]
        self._took = sorted(self._took + took)
        return max(took) / self._took[len(self._took) // 4]


def time_loop(core: int) -> float:
    """Seconds of a loop of Python on this core."""
    with process.on_core(core):
        began = time.perf_counter()
        for _ in range(STEPS):
            pass
        return time.perf_counter() - began
