"""The streams that are open at the replicas of one version. They take no slot: most of the time they wait for their
callers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from modelyard.errors import StreamsBusy
from modelyard.server.routing.replicas import Slots

MAX_STREAMS = 256
"""Open streams a replica."""


class Streams:
    """Counts them, each caller's by itself: one may not have more than are free."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def open(self, replicas: Collection[Slots], caller: str) -> Slots:
        """The replica for one more, at once; to be told when it ends. Raises `StreamsBusy`."""
        free = sum(MAX_STREAMS - one.streams for one in replicas)
        slots = _choose(replicas)
        if slots is None or self._counts[caller] >= free:
            raise StreamsBusy(
                f"the model is busy: {MAX_STREAMS} streams may be open on each replica, {free} are free, and one token "
                f"may not have more than are free; this one has {self._counts[caller]}",
                hint="end a stream, or give the model more replicas",
            )
        slots.streams += 1
        self._counts[caller] += 1
        return slots

    def close(self, slots: Slots, caller: str) -> None:
        """One has ended."""
        self._counts[caller] -= 1
        if not self._counts[caller]:
            del self._counts[caller]
        slots.close_stream()


def _choose(replicas: Collection[Slots]) -> Slots | None:
    """The replica with the fewest streams; None where no more may be opened."""
    able = [one for one in replicas if one.streams < MAX_STREAMS and not one.is_leaving and one.link.is_open]
    return min(able, key=lambda one: one.streams, default=None)
