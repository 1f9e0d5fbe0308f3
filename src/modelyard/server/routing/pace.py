"""How fast a version works, as measured: what the wait of a request is estimated from."""

from __future__ import annotations

MEAN_SHARE, SPREAD_SHARE = 1 / 8, 1 / 4
"""How much each new measurement counts (RFC 6298, 2: the same estimator for round trips of TCP)."""
EVIDENCE = 8
"""Measurements before anything is decided by what they say."""
QUICK_S = 0.001
"""Between the ends of two requests."""


class Pace:
    """How long requests hold their slots: mean and mean deviation, the latest counting most."""

    __slots__ = ("_each_s", "_mean_s", "_spread_s", "count")

    def __init__(self) -> None:
        self.count = 0
        """Of all that were measured."""
        self._mean_s = 0.0
        self._spread_s = 0.0
        self._each_s = 0.0

    def add(self, seconds: float, beside: int = 1) -> None:
        """One request has given its slot back after so long, one of so many that its replica held."""
        if not self.count:
            self._mean_s, self._spread_s, self._each_s = seconds, seconds / 2, seconds / beside
        else:
            self._each_s += (seconds / beside - self._each_s) * MEAN_SHARE
            error = seconds - self._mean_s
            self._mean_s += error * MEAN_SHARE
            self._spread_s += (abs(error) - self._spread_s) * SPREAD_SHARE
        self.count += 1

    @property
    def is_quick(self) -> bool:
        """Does a replica end more than a thousand requests in a second, as far as was measured?"""
        return self.count >= EVIDENCE and self._each_s < QUICK_S

    def estimate_s(self, ahead: int, slots: int) -> float:
        """How long one waits behind so many, for one of so many slots; 0 where nothing was measured."""
        return self._mean_s * ahead / max(slots, 1)

    def estimate_least_s(self, ahead: int, slots: int) -> float:
        """The same at best; 0 where too little was measured to say, or what was measured differs widely."""
        if self.count < EVIDENCE:
            return 0.0
        return max(0.0, self._mean_s - 2 * self._spread_s) * ahead / max(slots, 1)
