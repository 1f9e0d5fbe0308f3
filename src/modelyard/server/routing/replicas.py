"""The replicas that requests go to, and the choice among those with a free slot: the one with the fewest in flight.

Beside its slots a replica has a few that are spared for callers who have nothing else there, so that no caller can hold
them all. Their requests overtake, in the worker, what waits there of others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from modelyard.server.backends.base import Link
from modelyard.server.routing.sharing import SHARE

SLOTS_A_SPARE = 2
"""So many slots for each that is spared: with two slots a thread, one a thread is."""
SIZES_FOR_ONE = 8
"""So many times its slots a replica may hold of a caller who is alone with a quick model."""


class Slots:
    """One replica as the router sees it: a link, and how many requests it may hold at once."""

    __slots__ = (
        "_on_idle",
        "idle",
        "in_flight",
        "is_leaving",
        "link",
        "methods",
        "replica_id",
        "share",
        "size",
        "spare",
        "streams",
    )

    def __init__(self, replica_id: str, link: Link, size: int, methods: frozenset[str], *, share: int = SHARE) -> None:
        self.replica_id = replica_id
        self.link = link
        self.size = size
        self.share = share
        """How many of each caller, where several share a quick model: see `Sharing`."""
        self.spare = max(1, size // SLOTS_A_SPARE)
        self.methods = methods
        self.in_flight = 0
        self.streams = 0
        """How many streams are open, beside what is in flight."""
        self.is_leaving = False
        """It finishes what it holds, and gets no more."""
        self.idle = asyncio.Event()
        """Set when it is leaving and holds nothing."""
        self._on_idle: Callable[[Slots], None] | None = None

    def give_back(self) -> None:
        """One is done."""
        self.in_flight -= 1
        if self.is_leaving:
            self._check_idle()

    @property
    def holds(self) -> int:
        """Everything it holds: requests and streams."""
        return self.in_flight + self.streams

    def close_stream(self) -> None:
        """One stream has ended."""
        self.streams -= 1
        if self.is_leaving:
            self._check_idle()

    def leave(self, on_idle: Callable[[Slots], None]) -> None:
        """Give it no more requests; `on_idle` is called once it holds none."""
        self.is_leaving = True
        self._on_idle = on_idle
        self._check_idle()

    def _check_idle(self) -> None:
        if not self.holds and self._on_idle is not None:
            self.idle.set()
            self._on_idle(self)


def choose(replicas: Iterable[Slots], *, sizes: int = 1) -> Slots | None:
    """The free replica with the fewest in flight; None where none is free, of so many times its slots."""
    best: Slots | None = None
    for one in replicas:
        in_flight = one.in_flight
        if in_flight >= sizes * one.size or one.is_leaving or not one.link.is_open:
            continue
        if best is None or in_flight < best.in_flight:
            best = one
    return best


def choose_spare(replicas: Iterable[Slots], *, sizes: int = 1) -> Slots | None:
    """The same for a caller who holds no slot: the spared ones count, too. They lie behind what a caller may hold who
    was alone until now."""
    able = [
        one
        for one in replicas
        if one.in_flight < sizes * one.size + one.spare and not one.is_leaving and one.link.is_open
    ]
    return min(able, key=lambda one: one.in_flight, default=None)
