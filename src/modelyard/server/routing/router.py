"""Brings requests to replicas. Payloads pass through unread; a free replica is reached without waiting for anything.

Deadlines are `time.monotonic()` values.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from modelyard.server.backends.base import Exchange, Link
from modelyard.server.routing.group import ORPHAN_S, Group, no_replica
from modelyard.server.routing.queues import out_of_time
from modelyard.server.routing.replicas import Slots

QUEUE_SIZE = 1024


class Router:
    """Knows which replicas serve which version.

    Args:
        queue_size: How many requests of one version may wait for a slot.
        orphan_s: How long, in seconds, they wait on after the version's last replica has gone.
    """

    def __init__(self, *, queue_size: int = QUEUE_SIZE, orphan_s: float = ORPHAN_S) -> None:
        self._queue_size = queue_size
        self._orphan_s = orphan_s
        self._groups: dict[str, Group] = {}
        self._versions: dict[str, str] = {}
        self._replicas: dict[str, Slots] = {}

    def add(self, replica_id: str, version_id: str, link: Link, slots: int, methods: frozenset[str]) -> None:
        """A replica is ready.

        Args:
            replica_id: Its name, for `remove`.
            version_id: What it serves.
            link: Where its requests go.
            slots: How many it may hold at once, 1 or more: a few more than it works on keep it busy.
            methods: Of `predict generate stream`, what its class implements.
        """
        self.remove(replica_id)
        self._versions[replica_id] = version_id
        self._replicas[replica_id] = self._group(version_id).add(replica_id, link, slots, methods)

    def remove(self, replica_id: str) -> None:
        """Give a replica no more requests; what it holds goes on, see `drained`. Idempotent."""
        version_id = self._versions.pop(replica_id, None)
        if version_id is None:
            return
        self._groups[version_id].remove(replica_id)
        self._forget(version_id)
        self._replicas[replica_id].leave(self._drop)

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

    async def wait_ready(self, version_id: str, *, deadline: float | None) -> bool:
        """Wait for a replica; False where the deadline passed before there was one."""
        group = self._group(version_id)
        group.watchers += 1
        try:
            async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
                await group.ready.wait()
        except TimeoutError:
            return self.is_ready(version_id)
        finally:
            group.watchers -= 1
            self._forget(version_id)
        return True

    async def call(self, version_id: str, payload: bytes, *, deadline: float | None) -> bytes:
        """`predict`: one serialised request in, one answer out. Cancelling the task cancels it in the worker.

        Raises:
            ModelDeploying: No replica runs.
            ModelBusy: Too many wait.
            DeadlineExceeded: The deadline passed; the worker has been told, where it had begun.
            ModelyardError: What the model, or its worker's end, says.
        """
        slots = await self._take(version_id, deadline)
        try:
            if deadline is None:
                return await slots.link.call(payload)
            return await _call_until(deadline, slots.link, payload)
        finally:
            slots.give_back()

    def open(
        self, version_id: str, method: str, payload: bytes | None, *, deadline: float | None
    ) -> AbstractAsyncContextManager[Exchange]:
        """`generate` with its request, or `stream` with None: an exchange, to be left when it is over.

        A `generate` holds a slot as `call` does; a `stream` none, because it mostly waits for its caller.

        Leaving it early cancels it in the worker. When the deadline passes, iterating raises `DeadlineExceeded`.
        Entering raises as `call` does.
        """
        return self._open(version_id, method, payload, deadline)

    @asynccontextmanager
    async def _open(
        self, version_id: str, method: str, payload: bytes | None, deadline: float | None
    ) -> AsyncIterator[Exchange]:
        slots = await self._take(version_id, deadline) if method != "stream" else self._open_stream(version_id)
        try:
            left_s = None if deadline is None else deadline - time.monotonic()
            exchange = slots.link.open(method, payload, time_left_s=left_s)
            timer = None
            if left_s is not None:
                loop = asyncio.get_running_loop()
                timer = loop.call_later(left_s, exchange.cancel, out_of_time("while the model answered"))
            try:
                yield exchange
            finally:
                if timer is not None:
                    timer.cancel()
                exchange.cancel()
        finally:
            if method == "stream":
                slots.close_stream()
            else:
                slots.give_back()

    def _open_stream(self, version_id: str) -> Slots:
        group = self._groups.get(version_id)
        if group is None:
            raise no_replica()
        return group.open_stream()

    async def _take(self, version_id: str, deadline: float | None) -> Slots:
        group = self._groups.get(version_id)
        if group is None:
            raise no_replica()
        return await group.take(deadline)

    def _drop(self, slots: Slots) -> None:
        if self._replicas.get(slots.replica_id) is slots:
            del self._replicas[slots.replica_id]

    def _group(self, version_id: str) -> Group:
        group = self._groups.get(version_id)
        if group is None:
            group = self._groups[version_id] = Group(queue_size=self._queue_size, orphan_s=self._orphan_s)
        return group

    def _forget(self, version_id: str) -> None:
        group = self._groups.get(version_id)
        if group is not None and group.is_forgettable:
            del self._groups[version_id]


async def _call_until(deadline: float, link: Link, payload: bytes) -> bytes:
    left_s = deadline - time.monotonic()
    try:
        async with asyncio.timeout(left_s):
            return await link.call(payload, time_left_s=left_s)
    except TimeoutError:
        raise out_of_time("while the model worked on it") from None
