"""All replicas of one version and the requests that wait for them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from modelyard.errors import ModelBusy, ModelDeploying
from modelyard.server.backends.base import Link
from modelyard.server.routing.brake import Brake
from modelyard.server.routing.demand import Demand
from modelyard.server.routing.pace import Pace
from modelyard.server.routing.queues import QueueLimits, Standby, WaitingLine
from modelyard.server.routing.replicas import SIZES_FOR_ONE, Slots, choose, choose_spare
from modelyard.server.routing.sharing import PATIENCE_S, SHARE, Sharing
from modelyard.server.routing.streams import Streams
from modelyard.server.routing.watchers import Watchers
from modelyard.server.telemetry.telemetry import VersionMeter

ORPHAN_S = 60.0
"""How long requests that wait outlive the last replica: a crashed one is back by then."""
MAX_RETRY_AFTER_S = 600.0


class Group:
    """One version's replicas and its waiting line.

    Args:
        limits: The line's bound.
        orphan_s: See `Router`.
        meter: Where its waiting and working is measured.
        on_forsaken: Called when all that waited was sent away, for there is no replica.
    """

    def __init__(
        self,
        limits: QueueLimits,
        *,
        orphan_s: float = ORPHAN_S,
        meter: VersionMeter | None = None,
        on_forsaken: Callable[[], None] | None = None,
    ) -> None:
        self.meter = meter or VersionMeter()
        self.line = WaitingLine(limits, self.put_back)
        self.used_at = 0.0
        self.is_ready = False
        """Is there a replica, free or not? Requests for one that just crashed wait for the next."""
        self.ready = asyncio.Event()
        """Set while there is."""
        self.watchers = Watchers(limits.size)
        """Who waits for `ready`."""
        self.streams = Streams()
        self._orphan_s = orphan_s
        self._on_forsaken = on_forsaken
        self._orphaned: asyncio.TimerHandle | None = None
        self._replicas: dict[str, Slots] = {}
        self._held: dict[str, int] = {}
        """How many slots each caller holds."""
        self._total = 0
        """How many all of them hold."""
        self._pace = Pace()
        self._sharing = Sharing(self._pace)
        self._share = 0
        """Of each caller, at all replicas."""
        self._guard: asyncio.TimerHandle | None = None
        """Looks after those who wait for a share."""
        self._brake = Brake()

    @property
    def methods(self) -> frozenset[str] | None:
        """What the replicas implement; None where there is none."""
        for one in self._replicas.values():
            return one.methods
        return None

    @property
    def count(self) -> int:
        """How many replicas are there, free or not."""
        return len(self._replicas)

    @property
    def demand(self) -> Demand:
        """What is asked of it now."""
        in_flight = sum(one.in_flight for one in self._replicas.values())
        came = self.line.came_first_at
        return Demand(
            replicas=len(self._replicas),
            in_flight=in_flight,
            waiting=len(self.line) + len(self.watchers),
            open_streams=sum(one.streams for one in self._replicas.values()),
            waited_s=self.line.waited_s,
            served=self._pace.count + in_flight,
            oldest_s=0.0 if came is None else asyncio.get_running_loop().time() - came,
        )

    @property
    def holds(self) -> int:
        """What its replicas hold."""
        return sum(one.holds for one in self._replicas.values())

    @property
    def is_forgettable(self) -> bool:
        """Does nobody have anything to do with this version any more?"""
        return not self._replicas and not self.line and not self.watchers

    @property
    def can_answer(self) -> bool:
        """Is there a replica that takes requests, and is connected?"""
        return any(one.link.is_open and not one.is_leaving for one in self._replicas.values())

    @property
    def last_used(self) -> float | None:
        """`time.monotonic()` of the last request, or now while one is in flight; None where there was none."""
        if any(one.holds for one in self._replicas.values()):
            return time.monotonic()
        return self.used_at or None

    def add(self, replica_id: str, link: Link, size: int, methods: frozenset[str], *, batch: int = 1) -> Slots:
        """A replica is ready: it serves who waits, and then whoever comes. See `Router.add`."""
        slots = self._replicas[replica_id] = Slots(replica_id, link, size, methods, share=max(SHARE, batch))
        self._count_share()
        if self._orphaned is not None:
            self._orphaned.cancel()
            self._orphaned = None
        self.is_ready = True
        self.ready.set()
        self._serve()
        return slots

    def remove(self, replica_id: str) -> None:
        """A replica leaves, or has gone."""
        del self._replicas[replica_id]
        self._count_share()
        if not self._replicas:
            self.is_ready = False
            self.ready.clear()
            if self.line:
                self._orphaned = asyncio.get_running_loop().call_later(self._orphan_s, self._send_away)

    def take(self, caller: str, now: float) -> Slots | None:
        """A slot at once, to be given back: a free one where nobody was there before, or one that is spared for
        callers who hold none and do not wait. None: `wait` for it."""
        self.used_at = now
        if caller != self._sharing.last_caller:
            self._sharing.meet(caller, now)
        slots = None if self.line.turns.waiting else self._choose(caller)
        if slots is None:
            if caller in self._held or self.line.turns.count(caller):
                return None
            slots = choose_spare(self._replicas.values(), sizes=self._sizes)
            if slots is None:
                return None
        self._hold(slots, caller)
        return slots

    async def wait(self, caller: str, payload_bytes: int, deadline: float | None) -> Slots:
        """A slot when it is the caller's turn; to be given back.

        Raises:
            ModelDeploying: There is no replica.
            ModelBusy: The queue is full, or the deadline would pass in it.
            DeadlineExceeded: See `WaitingLine.wait`.
        """
        if not self._replicas:
            raise no_replica()
        cost = self.line.limits.cost_of(payload_bytes)
        try:
            if deadline is not None:
                self._check_hope(caller, deadline)
            self._stand_guard()
            return await self.line.wait(caller, cost, deadline, self._refuse)
        except ModelBusy:
            pause_s = self.count_refusal(caller)
            if pause_s:
                await asyncio.sleep(pause_s)
            raise

    def join(self, caller: str, payload_bytes: int, deadline: float | None, standby: Standby) -> int | None:
        """As `wait`, for one that is called instead of awaiting: it is in the line until it leaves that. None where
        there is no room, no replica, or no hope: to `wait` says why."""
        if not self._replicas or (deadline is not None and not self._has_hope(caller, deadline)):
            return None
        self._stand_guard()
        return self.line.join(caller, self.line.limits.cost_of(payload_bytes), standby, self._refuse)

    def count_refusal(self, caller: str) -> float:
        """One that waited has to be told that it will not be served: in so many seconds."""
        return self._brake.count(caller)

    def give_back(self, slots: Slots, caller: str, held_s: float, beside: int) -> None:
        """A request is over, which held a slot for so long, as one of so many when it got it: the slot goes to whoever
        waits."""
        beside = max(beside, slots.in_flight)
        self._pace.add(held_s, beside)
        if self.used_at < self._sharing.until:
            self._sharing.add(held_s, beside, self.used_at)
        self.meter.held_s.observe(held_s)
        self.put_back(slots, caller)

    def put_back(self, slots: Slots, caller: str) -> None:
        """As `give_back`, and nothing is measured: of a slot that was not used."""
        self._total -= 1
        count = self._held[caller] - 1
        if count:
            self._held[caller] = count
        else:
            del self._held[caller]
        slots.give_back()
        if self.line.turns.waiting:
            self._serve()

    def may_overtake(self, caller: str) -> bool:
        """Has the caller, who holds a slot, no other, and somebody else more than one?"""
        return self._total > len(self._held) and self._held[caller] == 1

    def open_stream(self, caller: str) -> Slots:
        """A replica for one more stream, at once; to be told when it ends. Raises ModelDeploying or StreamsBusy."""
        self.used_at = time.monotonic()
        if not self.can_answer:
            raise no_replica()
        return self.streams.open(self._replicas.values(), caller)

    def _serve(self) -> None:
        """Give what is free to those who wait; what is spared, to those of them who hold nothing."""
        while self.line.turns.waiting:
            slots = self._choose(self.line.turns.only)
            if slots is not None:
                without = self._list_sated() if slots.in_flight else None
            else:
                slots, without = choose_spare(self._replicas.values(), sizes=self._sizes), self._held
            if slots is None or not self.line.serve(slots, self._hold, without):
                return

    def _choose(self, caller: str | None) -> Slots | None:
        """A free replica. For a caller who is alone with a quick model also one that holds its number already: each
        time that the gateway and the worker wake each other, more requests go along. Where others came a moment ago,
        who has a share gets one that holds nothing, at most."""
        is_divided = self.used_at < self._sharing.until and self._sharing.divides(self.used_at)
        free = choose(self._replicas.values())
        if is_divided:
            is_sated = free is not None and free.in_flight and caller is not None and self._has_share(caller)
            return None if is_sated else free
        if free is None and self._pace.is_quick and len(self._held) == 1 and caller in self._held:
            return choose(self._replicas.values(), sizes=SIZES_FOR_ONE)
        return free

    @property
    def _sizes(self) -> int:
        """How many times its slots a replica may hold."""
        return SIZES_FOR_ONE if self._pace.is_quick else 1

    def _has_share(self, caller: str) -> bool:
        return self._held.get(caller, 0) >= self._share

    def _count_share(self) -> None:
        self._share = sum(one.share for one in self._replicas.values())

    def _list_sated(self) -> dict[str, int] | None:
        """Who gets no more, and holds how much; None: nobody."""
        if not self._sharing.divides(self.used_at):
            return None
        return {caller: count for caller, count in self._held.items() if self._has_share(caller)}

    def _stand_guard(self) -> None:
        """Somebody is about to wait. Requests that hang may fill a caller's share: look whether the line moves."""
        if self._guard is None and self._sharing.divides(self.used_at):
            self._guard = asyncio.get_running_loop().call_later(PATIENCE_S, self._look, self.line.first)

    def _look(self, first: int | None) -> None:
        self._guard = None
        if not self.line.turns.waiting:
            return
        if first is not None and self.line.first == first:
            self._sharing.pause(time.monotonic())
            self._serve()
        self._stand_guard()

    def _hold(self, slots: Slots, caller: str) -> None:
        slots.in_flight += 1
        self._total += 1
        self._held[caller] = self._held.get(caller, 0) + 1

    def _check_hope(self, caller: str, deadline: float) -> None:
        """Refuse a request that waits beyond its deadline even at best; it costs nothing then."""
        if self._has_hope(caller, deadline):
            return
        left_s = deadline - time.monotonic()
        ahead = self.line.turns.count_ahead(caller, is_least=True)
        wait_s = self._pace.estimate_s(ahead, self._slots)
        raise ModelBusy(
            f"the model is busy: this request would wait about {wait_s:.1f} s, and its deadline is in {left_s:.1f} s",
            hint=_advise(wait_s - left_s),
            retry_after_s=_bound(wait_s - left_s),
        )

    def _has_hope(self, caller: str, deadline: float) -> bool:
        """May a request that has to wait begin before its deadline? One whose time is up is told that, and no more."""
        left_s = deadline - time.monotonic()
        ahead = self.line.turns.count_ahead(caller, is_least=True)
        return left_s <= 0 or self._pace.estimate_least_s(ahead, self._slots) <= left_s

    def _refuse(self, caller: str) -> ModelBusy:
        ahead = self.line.turns.count_ahead(caller, is_least=False)
        wait_s = self._pace.estimate_s(ahead, self._slots)
        return ModelBusy(
            f"the model is busy: {len(self.line)} requests wait already, {self.line.turns.count(caller)} of them with "
            "this token, and no more may",
            hint=_advise(wait_s),
            retry_after_s=_bound(wait_s),
        )

    @property
    def _slots(self) -> int:
        return sum(one.size for one in self._replicas.values())

    def _send_away(self) -> None:
        self.line.fail(ModelDeploying, f"the model's replica has been gone for {self._orphan_s:g} s")
        if self._on_forsaken is not None:
            self._on_forsaken()


def no_replica() -> ModelDeploying:
    """The error of a request that no replica is there for."""
    return ModelDeploying("the model has no running replica yet", hint="try again in a few seconds")


def _bound(wait_s: float) -> float:
    return float(min(max(1, math.ceil(wait_s)), MAX_RETRY_AFTER_S))


def _advise(wait_s: float) -> str:
    return f"try again in {_bound(wait_s):g} s, or give the model more replicas"
