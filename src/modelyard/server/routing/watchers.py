"""Who waits for the first replica of one version: no request of theirs is in a line yet."""

from __future__ import annotations

from collections import Counter

from modelyard.errors import ModelBusy


class Watchers:
    """Counts them, each caller's by itself: one may have half of the places that are free.

    Args:
        size: How many places there are.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._counts.total()

    def add(self, caller: str) -> None:
        """One more waits, until it is to `leave`. Raises `ModelBusy`."""
        count = len(self)
        if self._counts[caller] >= self._size - count:
            raise ModelBusy(
                f"the model is starting, and {count} requests wait for it already",
                hint="try again in a few seconds",
                retry_after_s=1.0,
            )
        self._counts[caller] += 1

    def leave(self, caller: str) -> None:
        """It waits no more."""
        self._counts[caller] -= 1
        if self._counts[caller] <= 0:
            del self._counts[caller]
