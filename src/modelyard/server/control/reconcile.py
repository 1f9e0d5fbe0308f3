"""The loop in which the wanted state (endpoints and deployments) and the actual one (replicas) meet.

Each round: traffic that is wanted moves where its versions are ready; each version gets as many replicas as its load
asks for, within its endpoints' bounds; replicas are started and stopped until there are that many.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from modelyard.server.control.fleet import Fleet
from modelyard.server.control.keeper import Means
from modelyard.server.control.memory import MachineMemory
from modelyard.server.control.rollouts import Rollouts
from modelyard.server.control.scaling import Bounds, Load, Scaler
from modelyard.server.records import Deployment, Endpoint, Version, VersionState
from modelyard.server.store.base import Store

TICK_S = 1.0
SWEEP_S = 60.0
"""How often folders of versions that are gone are looked for."""
RUNNABLE = frozenset({VersionState.BUILT, VersionState.READY})

log = logging.getLogger(__name__)


class Reconcile:
    """Makes what runs follow what is wanted.

    Args:
        store: What is wanted.
        means: What replicas are made with.
        idle_stop_s: How long a version that gets no traffic stays up after its last request.
        keep_warm_s: The same for the version that had the traffic before: a rollback finds it warm.
        now: The clock of what is written.
        memory: The machine's.
    """

    def __init__(
        self,
        *,
        store: Store,
        means: Means,
        idle_stop_s: float,
        keep_warm_s: float,
        now: Callable[[], datetime],
        memory: MachineMemory | None = None,
    ) -> None:
        self._store = store
        self._means = means
        self._idle_stop_s = idle_stop_s
        self._keep_warm_s = keep_warm_s
        self._now = now
        self._waiter = store.watch()
        self._fleet = Fleet(
            means, memory or MachineMemory(), on_change=self._waiter.wake, on_gone=self._remove_folder_if_gone
        )
        self._rollouts = Rollouts(store=store, router=means.router, write_line=means.write_line, now=now)
        self._scalers: dict[str, Scaler] = {}
        self._swept_at = time.monotonic()

    async def recover(self) -> None:
        """At start-up: a version that was built but whose deployment was not yet written gets one; versions that only
        stayed warm stay down, so that those with requests need not wait for them; folders of versions that are gone
        are removed."""
        new = await self._store.versions.list_in_states(frozenset({VersionState.BUILT}))
        for version in new:
            if await self._store.deployments.get(version.version_id) is None:
                await self._store.deployments.put(
                    Deployment(
                        version_id=version.version_id,
                        key=version.key,
                        replicas=1,
                        is_default=False,
                        modified_at=self._now(),
                    )
                )
        await self._let_spares_rest({one.version_id for one in new})
        for folder in self._means.versions_dir.iterdir():
            await self._remove_if_gone(folder)

    async def _let_spares_rest(self, new: set[str]) -> None:
        needed = new.union(*(one.version_ids for one in await self._store.endpoints.list_all()))
        for row in await self._store.deployments.list():
            if row.replicas and row.version_id not in needed:
                await self._store.deployments.scale(row.version_id, 0, self._now())

    async def run(self) -> None:
        """Follow the store until cancelled."""
        while True:
            await self._meet()
            if time.monotonic() - self._swept_at > SWEEP_S:
                await self._sweep()
            await self._waiter.wait(timeout_s=TICK_S)

    async def close(self) -> None:
        """Stop everything that runs, at once."""
        await self._fleet.close()

    async def _meet(self) -> None:
        # In this order: a version that is not new any more has its traffic in the endpoints that are read after it.
        new = {one.version_id for one in await self._store.versions.list_in_states(frozenset({VersionState.BUILT}))}
        endpoints = await self._store.endpoints.list_all()
        await self._rollouts.step(endpoints)
        rows = await self._list_rows({one for endpoint in endpoints for one in endpoint.version_ids})
        wanted = {one: row.replicas if one in new else await self._rescale(row, endpoints) for one, row in rows.items()}
        for version_id in self._fleet.versions:
            if not wanted.get(version_id) or self._fleet.stands_aside(version_id):
                self._fleet.shrink(version_id, 0)
            if not wanted.get(version_id):
                self._forget(version_id)
        for version_id, replicas in wanted.items():
            if replicas < self._fleet.count(version_id):
                self._fleet.shrink(version_id, replicas)
            elif replicas > self._fleet.count(version_id) and not self._fleet.stands_aside(version_id):
                await self._grow(rows, version_id, replicas, endpoints)

    async def _list_rows(self, needed: set[str]) -> Mapping[str, Deployment]:
        """What is wanted, by version. One that stood aside for the version that has its traffic now stays away."""
        rows = {row.version_id: row for row in await self._store.deployments.list()}
        for version_id in [one for one in rows if self._fleet.stands_aside(one) and one not in needed]:
            await self._store.deployments.scale(version_id, 0, self._now())
            rows[version_id] = replace(rows[version_id], replicas=0)
        return rows

    async def _rescale(self, row: Deployment, endpoints: Sequence[Endpoint]) -> int:
        """How many replicas are wanted from now on, written down where that is news."""
        version_id = row.version_id
        serving = [one for one in endpoints if version_id in one.version_ids]
        if serving and not row.replicas:
            version = await self._store.versions.get_by_id(version_id)
            if version is None or version.state is not VersionState.READY:
                return 0
        ready_at = self._fleet.ready_at(version_id)
        if row.replicas and ready_at is None:
            if serving or not self._fleet.has_displaced(version_id):
                return row.replicas  # it still loads for the first time, or again
            await self._store.deployments.scale(version_id, 0, self._now())
            self._fleet.give_way(version_id)  # its traffic was given up: whom it displaced comes back
            return 0
        if not any(version_id == share.version_id for one in serving for share in one.wanted):
            self._fleet.give_way(version_id)
        scaler = self._scalers.setdefault(version_id, Scaler())
        bounds = self._bounds_of(version_id, serving, endpoints)
        replicas = scaler.decide(time.monotonic(), row.replicas, bounds, self._load_of(version_id, ready_at))
        if replicas == row.replicas or (replicas == 0 and not await self._rest(version_id, row.replicas)):
            return row.replicas
        if replicas:
            await self._store.deployments.scale(version_id, replicas, self._now())
        log.info("version.scaled version=%s from=%d to=%d", version_id, row.replicas, replicas)
        return replicas

    async def _rest(self, version_id: str, replicas: int) -> bool:
        """Stop a version that nobody asks, unless somebody did while that was written down."""
        await self._store.deployments.scale(version_id, 0, self._now())
        if self._fleet.rest(version_id):
            return True
        await self._store.deployments.scale(version_id, replicas, self._now())
        return False

    def _bounds_of(self, version_id: str, serving: Sequence[Endpoint], endpoints: Sequence[Endpoint]) -> Bounds:
        """Of the endpoints that need the version; of none, it may run until it is idle."""
        if serving:
            return Bounds(
                min_replicas=max(one.scale.min_replicas for one in serving),
                max_replicas=max(one.scale.max_replicas for one in serving),
                idle_s=max(one.scale.idle_s for one in serving),
            )
        is_previous = any(version_id == one.previous_version_id for one in endpoints if one.is_own)
        idle_s = self._keep_warm_s if is_previous else self._idle_stop_s
        return Bounds(min_replicas=0, max_replicas=1, idle_s=idle_s)

    def _load_of(self, version_id: str, ready_at: float | None) -> Load:
        used_at = max(self._means.router.last_used(version_id) or 0.0, ready_at or 0.0)
        return Load(
            demand=self._means.router.demand(version_id),
            threads=self._fleet.threads_of(version_id) or self._means.default_threads,
            idle_s=time.monotonic() - used_at,
        )

    async def _grow(
        self, rows: Mapping[str, Deployment], version_id: str, replicas: int, endpoints: Sequence[Endpoint]
    ) -> None:
        version = await self._store.versions.get_by_id(version_id)
        if version is None or version.state not in RUNNABLE:
            return
        needed = {one for endpoint in endpoints for one in endpoint.version_ids}
        leaving = self._fleet.grow(
            version,
            replicas,
            before=_find_before(version, endpoints),
            spares=[one for one in self._fleet.versions if one in rows and self._is_spare(one, needed, version_id)],
        )
        await self._means.verdicts.note_wait(version, self._fleet.why_waits(version_id))
        for one in leaving:
            if one in needed:
                self._fleet.shrink(one, 0)
            else:
                await self._rest(one, rows[one].replicas)

    def _is_spare(self, version_id: str, needed: set[str], starting: str) -> bool:
        """Does it only stay warm, with nothing in its hands?"""
        is_free = self._means.router.demand(version_id).is_none and self._fleet.ready_at(version_id) is not None
        return is_free and version_id not in needed and version_id != starting

    def _forget(self, version_id: str) -> None:
        self._fleet.give_way(version_id)
        self._scalers.pop(version_id, None)

    async def _sweep(self) -> None:
        """Remove the folders of versions that were deleted while they did not run."""
        self._swept_at = time.monotonic()
        for folder in await asyncio.to_thread(lambda: list(self._means.versions_dir.iterdir())):
            is_being_made = folder.name.startswith(".")
            if folder.name not in self._fleet.versions and not is_being_made:
                await self._remove_if_gone(folder)

    async def _remove_folder_if_gone(self, version_id: str) -> None:
        await self._remove_if_gone(self._means.versions_dir / version_id)

    async def _remove_if_gone(self, folder: Path) -> None:
        """Remove a version's folder where the version was deleted."""
        if await self._store.versions.get_by_id(folder.name) is None:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _find_before(version: Version, endpoints: Sequence[Endpoint]) -> str:
    """The version whose place another is to take: the one that most requests of its model go to. Of one that was ready
    before, only where all requests are to go to it."""
    own = next((one for one in endpoints if one.is_own and one.key == version.key), None)
    if own is None:
        return ""
    wanted = {one.version_id for one in own.wanted}
    takes_over = version.state is not VersionState.READY or wanted == {version.version_id}
    return own.main_version_id if takes_over and own.main_version_id != version.version_id else ""
