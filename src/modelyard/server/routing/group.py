"""All replicas of one version and the requests that wait for them."""

from __future__ import annotations

import asyncio
import time

from modelyard.errors import ModelBusy, ModelDeploying
from modelyard.server.backends.base import Link
from modelyard.server.routing.queues import WaitingLine, check_deadline
from modelyard.server.routing.replicas import MAX_STREAMS, Slots, choose, choose_for_stream

ORPHAN_S = 60.0
"""How long requests that wait outlive the last replica: a crashed one is back by then."""


class Group:
    """One version's replicas and its waiting line."""

    def __init__(self, *, queue_size: int, orphan_s: float = ORPHAN_S) -> None:
        self.line = WaitingLine(size=queue_size)
        self.used_at = 0.0
        self.ready = asyncio.Event()
        """Set while a replica is there."""
        self.watchers = 0
        """How many wait for `ready`."""
        self._orphan_s = orphan_s
        self._orphaned: asyncio.TimerHandle | None = None
        self._replicas: dict[str, Slots] = {}

    @property
    def methods(self) -> frozenset[str] | None:
        """What the replicas implement; None where there is none."""
        for one in self._replicas.values():
            return one.methods
        return None

    @property
    def is_ready(self) -> bool:
        """Is there a replica, free or not? Requests for one that just crashed wait for the next."""
        return self.ready.is_set()

    @property
    def is_forgettable(self) -> bool:
        """Does nobody have anything to do with this version any more?"""
        return not self._replicas and not self.line and not self.watchers

    @property
    def last_used(self) -> float | None:
        """`time.monotonic()` of the last request, or now while one is in flight; None where there was none."""
        if any(one.holds for one in self._replicas.values()):
            return time.monotonic()
        return self.used_at or None

    def add(self, replica_id: str, link: Link, size: int, methods: frozenset[str]) -> Slots:
        """A replica is ready: it serves who waits, and then whoever comes."""
        slots = Slots(replica_id, link, size, methods, self._serve)
        self._replicas[replica_id] = slots
        if self._orphaned is not None:
            self._orphaned.cancel()
            self._orphaned = None
        self.ready.set()
        self._serve(slots)
        return slots

    def remove(self, replica_id: str) -> None:
        """A replica leaves, or has gone."""
        del self._replicas[replica_id]
        if not self._replicas:
            self.ready.clear()
            if self.line:
                self._orphaned = asyncio.get_running_loop().call_later(self._orphan_s, self._send_away)

    async def take(self, deadline: float | None) -> Slots:
        """A slot, at once where one is free and nobody was there before; to be given back.

        Raises:
            ModelDeploying: There is no replica.
            ModelBusy, DeadlineExceeded: See `WaitingLine.wait`.
        """
        self.used_at = time.monotonic()
        slots = None if self.line else choose(self._replicas.values())
        if slots is not None:
            if deadline is not None:
                check_deadline(deadline)
            slots.in_flight += 1
            return slots
        if not self._replicas:
            raise no_replica()
        return await self.line.wait(deadline)

    def open_stream(self) -> Slots:
        """A replica for one more stream, at once; to be told when it ends. Raises ModelDeploying or ModelBusy."""
        self.used_at = time.monotonic()
        slots = choose_for_stream(self._replicas.values())
        if slots is not None:
            slots.streams += 1
            return slots
        if not any(one.link.is_open and not one.is_leaving for one in self._replicas.values()):
            raise no_replica()
        raise ModelBusy(f"the model is busy: {MAX_STREAMS} streams are open on each replica, and no more may be")

    def _serve(self, slots: Slots) -> None:
        while slots.is_free and self.line.serve(slots):
            pass

    def _send_away(self) -> None:
        self.line.fail(ModelDeploying, f"the model's replica has been gone for {self._orphan_s:g} s")


def no_replica() -> ModelDeploying:
    """The error of a request that no replica is there for."""
    return ModelDeploying("the model has no running replica yet", hint="try again in a few seconds")
