"""Brings requests to replicas. Payloads pass through unread; a free replica is reached without waiting for anything.

Deadlines are `time.monotonic()` values.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial

from modelyard.server.backends.base import Exchange, Link, Taker
from modelyard.server.routing.demand import Demand
from modelyard.server.routing.group import ORPHAN_S, Group, no_replica
from modelyard.server.routing.passage import Note, Passage
from modelyard.server.routing.queues import QueueLimits, check_deadline, out_of_time
from modelyard.server.routing.replicas import Slots
from modelyard.server.telemetry.telemetry import Telemetry
from modelyard.server.telemetry.tracing import Trace, current_trace
from modelyard.wire.pieces import Payload


class Router:
    """Knows which replicas serve which version.

    Args:
        queue: What may wait for the slots of one version.
        orphan_s: How long, in seconds, they wait on after the version's last replica has gone.
        telemetry: Where waiting and working is measured.
    """

    def __init__(
        self, *, queue: QueueLimits | None = None, orphan_s: float = ORPHAN_S, telemetry: Telemetry | None = None
    ) -> None:
        self._telemetry = telemetry or Telemetry()
        self._queue = queue or QueueLimits()
        self._orphan_s = orphan_s
        self._groups: dict[str, Group] = {}
        self._versions: dict[str, str] = {}
        self._replicas: dict[str, Slots] = {}

    def add(
        self, replica_id: str, version_id: str, link: Link, slots: int, methods: frozenset[str], *, batch: int = 1
    ) -> None:
        """A replica is ready.

        Args:
            replica_id: Its name, for `remove`.
            version_id: What it serves.
            link: Where its requests go.
            slots: How many it may hold at once, 1 or more: a few more than it works on keep it busy.
            methods: Of `predict generate stream`, what its class implements.
            batch: How many inputs it merges into one call.
        """
        self.remove(replica_id)
        self._versions[replica_id] = version_id
        self._replicas[replica_id] = self._group(version_id).add(replica_id, link, slots, methods, batch=batch)

    def remove(self, replica_id: str) -> None:
        """Give a replica no more requests; what it holds goes on, see `drained`. Idempotent."""
        version_id = self._versions.pop(replica_id, None)
        if version_id is None:
            return
        self._groups[version_id].remove(replica_id)
        self._forget(version_id)
        self._replicas[replica_id].leave(self._drop)

    def list_held(self) -> list[tuple[str, int, int]]:
        """For each version: what its replicas hold, and what waits for them."""
        return [(version_id, group.holds, len(group.line)) for version_id, group in self._groups.items()]

    def list_links(self) -> list[tuple[str, str, Link]]:
        """Every replica that takes requests: its id, its version, its link."""
        return [(one, version_id, self._replicas[one].link) for one, version_id in self._versions.items()]

    def methods_of(self, version_id: str) -> frozenset[str] | None:
        """What the version's class implements; None where no replica runs."""
        group = self._groups.get(version_id)
        return group.methods if group else None

    def in_flight(self, replica_id: str) -> int:
        """How many requests a replica holds."""
        slots = self._replicas.get(replica_id)
        return slots.holds if slots else 0

    def last_used(self, version_id: str) -> float | None:
        """`time.monotonic()` of the version's last request, now while one is in flight; None where there was none."""
        group = self._groups.get(version_id)
        return group.last_used if group else None

    async def drained(self, replica_id: str) -> None:
        """Wait until a replica that was removed holds nothing. At once for one that is not known."""
        slots = self._replicas.get(replica_id)
        if slots is not None:
            await slots.idle.wait()

    def is_ready(self, version_id: str) -> bool:
        """Is there a replica that takes requests of this version?"""
        group = self._groups.get(version_id)
        return group is not None and group.is_ready

    def demand(self, version_id: str) -> Demand:
        """What is asked of a version now."""
        group = self._groups.get(version_id)
        return group.demand if group is not None else Demand()

    def count(self, version_id: str) -> int:
        """How many replicas take requests of this version."""
        group = self._groups.get(version_id)
        return group.count if group is not None else 0

    def can_answer(self, version_id: str) -> bool:
        """Is there a replica of this version whose worker is connected?"""
        group = self._groups.get(version_id)
        return group is not None and group.can_answer

    async def wait_ready(self, version_id: str, *, caller: str = "", deadline: float | None) -> bool:
        """Wait for a replica; False where the deadline passed before there was one. Raises ModelBusy where too many
        wait for it already."""
        group = self._group(version_id)
        group.watchers.add(caller)
        try:
            async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
                await group.ready.wait()
        except TimeoutError:
            return self.is_ready(version_id)
        finally:
            group.watchers.leave(caller)
            self._forget(version_id)
        return True

    async def call(self, version_id: str, payload: Payload, *, caller: str = "", deadline: float | None) -> bytes:
        """`predict`: one serialised request in, one answer out. Cancelling the task cancels it in the worker.

        Args:
            version_id: Of which version.
            payload: The request.
            caller: Who asks (a token's id): callers share the replicas in equal parts.
            deadline: When the caller gives up; None: it waits.

        Raises:
            ModelDeploying: No replica runs.
            ModelBusy: Too many wait, or the deadline would pass before it could begin.
            DeadlineExceeded: The deadline passed; the worker has been told, where it had begun.
            ModelyardError: What the model, or its worker's end, says.
        """
        group = self._groups.get(version_id) or self._get(version_id)
        began = time.monotonic()
        if deadline is not None:
            check_deadline(deadline)
        slots = group.take(caller, began)
        if slots is None:
            slots = await self._wait(group, caller, len(payload), deadline)
            began = time.monotonic()
        else:
            group.meter.straight += 1
        beside = slots.in_flight
        try:
            is_express = group.may_overtake(caller)
            if deadline is None:
                return await (slots.link.call(payload, is_express=True) if is_express else slots.link.call(payload))
            return await _call_until(deadline, slots.link, payload, is_express=is_express)
        finally:
            ended = time.monotonic()
            group.give_back(slots, caller, ended - began, beside)
            if self._telemetry.tracing is not None:
                _note_work(version_id, began, ended)

    def send(
        self,
        version_id: str,
        payload: Payload,
        taker: Taker,
        *,
        caller: str = "",
        deadline: float | None,
        trace: Trace | None = None,
    ) -> Passage | None:
        """As `call`, without awaiting: `taker` hears how it ends, later. None: nothing was sent, and `call` has to be
        asked, which says why."""
        group = self._groups.get(version_id)
        if group is None:
            return None
        note = None if trace is None else Note(trace, version_id)
        passage = Passage(group, caller, payload, taker, deadline, note)
        return passage if passage.begin() else None

    def open(
        self, version_id: str, method: str, payload: Payload | None, *, caller: str = "", deadline: float | None
    ) -> AbstractAsyncContextManager[Exchange]:
        """`generate` with its request, or `stream` with None: an exchange, to be left when it is over.

        A `generate` holds a slot as `call` does; a `stream` none, because it mostly waits for its caller.

        Leaving it early cancels it in the worker. When the deadline passes, iterating raises `DeadlineExceeded`.
        Entering raises as `call` does; StreamsBusy instead of ModelBusy for a `stream`.
        """
        if method == "stream":
            return self._open_stream(version_id, caller, deadline)
        return self._open(version_id, method, payload or b"", caller, deadline)

    @asynccontextmanager
    async def _open(
        self, version_id: str, method: str, payload: Payload, caller: str, deadline: float | None
    ) -> AsyncIterator[Exchange]:
        group = self._get(version_id)
        check_deadline(deadline)
        began = time.monotonic()
        slots = group.take(caller, began)
        if slots is None:
            slots = await self._wait(group, caller, len(payload), deadline)
            began = time.monotonic()
        else:
            group.meter.straight += 1
        beside = slots.in_flight
        try:
            is_express = group.may_overtake(caller)
            left_s = None if deadline is None else deadline - time.monotonic()
            exchange = slots.link.open(method, payload, time_left_s=left_s, is_express=is_express)
            with _until(deadline, exchange):
                yield exchange
        finally:
            ended = time.monotonic()
            group.give_back(slots, caller, ended - began, beside)
            if self._telemetry.tracing is not None:
                _note_work(version_id, began, ended)

    @asynccontextmanager
    async def _open_stream(self, version_id: str, caller: str, deadline: float | None) -> AsyncIterator[Exchange]:
        group = self._get(version_id)
        check_deadline(deadline)
        slots, began = group.open_stream(caller), time.monotonic()
        try:
            left_s = None if deadline is None else deadline - time.monotonic()
            exchange = slots.link.open("stream", None, time_left_s=left_s)
            with _until(deadline, exchange):
                yield exchange
        finally:
            group.streams.close(slots, caller)
            if self._telemetry.tracing is not None:
                _note_work(version_id, began, time.monotonic())

    async def _wait(self, group: Group, caller: str, payload_bytes: int, deadline: float | None) -> Slots:
        came = time.monotonic()
        try:
            slots = await group.wait(caller, payload_bytes, deadline)
            group.meter.wait_s.observe(time.monotonic() - came)
            return slots
        finally:
            trace = current_trace() if self._telemetry.tracing is not None else None
            if trace is not None:
                trace.note_wait(came, time.monotonic())

    def _get(self, version_id: str) -> Group:
        group = self._groups.get(version_id)
        if group is None:
            raise no_replica()
        return group

    def _drop(self, slots: Slots) -> None:
        if self._replicas.get(slots.replica_id) is slots:
            del self._replicas[slots.replica_id]

    def _group(self, version_id: str) -> Group:
        group = self._groups.get(version_id)
        if group is None:
            group = self._groups[version_id] = Group(
                self._queue,
                orphan_s=self._orphan_s,
                meter=self._telemetry.meter_of(version_id),
                on_forsaken=partial(self._forget, version_id),
            )
        return group

    def _forget(self, version_id: str) -> None:
        group = self._groups.get(version_id)
        if group is not None and group.is_forgettable:
            del self._groups[version_id]


def _note_work(version_id: str, began: float, ended: float) -> None:
    trace = current_trace()
    if trace is not None:
        trace.note_work(version_id, began, ended)


async def _call_until(deadline: float, link: Link, payload: Payload, *, is_express: bool) -> bytes:
    left_s = deadline - time.monotonic()
    try:
        async with asyncio.timeout(left_s):
            return await link.call(payload, time_left_s=left_s, is_express=is_express)
    except TimeoutError:
        raise out_of_time("while the model worked on it") from None


@contextmanager
def _until(deadline: float | None, exchange: Exchange) -> Iterator[None]:
    """Cancel an exchange at its deadline, or when it is left before its end."""
    timer = None
    if deadline is not None:
        error = out_of_time("while the model answered")
        timer = asyncio.get_running_loop().call_later(deadline - time.monotonic(), exchange.cancel, error)
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()
        exchange.cancel()
