"""The loop in which the wanted state (deployments) and the actual one (keepers and their replicas) meet."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from modelyard.server.control.keeper import Keeper, Means
from modelyard.server.records import Deployment, VersionState
from modelyard.server.store.base import Store

TICK_S = 1.0
SWEEP_S = 60.0
"""How often folders of versions that are gone are looked for."""

log = logging.getLogger(__name__)


class Reconcile:
    """Makes what runs follow what is wanted."""

    def __init__(self, *, store: Store, means: Means, idle_stop_s: float, now: Callable[[], datetime]) -> None:
        self._store = store
        self._means = means
        self._idle_stop_s = idle_stop_s
        self._now = now
        self._keepers: dict[str, Keeper] = {}
        self._stopping: dict[asyncio.Task[None], str] = {}
        """Who ends which version."""
        self._swept_at = time.monotonic()

    async def recover(self) -> None:
        """At start-up: a version that was built but whose deployment was not yet written gets one; folders of
        versions that are gone are removed."""
        for version in await self._store.versions.list_in_states(frozenset({VersionState.BUILT})):
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
        for folder in self._means.versions_dir.iterdir():
            await self._remove_if_gone(folder)

    async def run(self) -> None:
        """Follow the store until cancelled."""
        waiter = self._store.watch()
        while True:
            await self._meet()
            if time.monotonic() - self._swept_at > SWEEP_S:
                await self._sweep()
            await waiter.wait(timeout_s=TICK_S)

    async def close(self) -> None:
        """Stop everything that runs, at once."""
        keepers = list(self._keepers.values())
        self._keepers.clear()
        await asyncio.gather(*(keeper.stop() for keeper in keepers), *self._stopping)

    async def _meet(self) -> None:
        wanted = {row.version_id: row for row in await self._store.deployments.list() if row.replicas > 0}
        for version_id in [one for one in self._keepers if one not in wanted]:
            self._retire(version_id)
        for version_id in wanted:
            if version_id not in self._keepers:
                await self._start(version_id)
        for row in wanted.values():
            if not row.is_default and self._is_idle(row):
                await self._store.deployments.scale(row.version_id, 0, self._now())

    async def _start(self, version_id: str) -> None:
        version = await self._store.versions.get_by_id(version_id)
        if version is not None and version.state in (VersionState.BUILT, VersionState.READY):
            self._keepers[version_id] = Keeper(version, self._means)

    def _retire(self, version_id: str) -> None:
        keeper = self._keepers.pop(version_id)
        task = asyncio.create_task(self._stop_keeper(keeper))
        self._stopping[task] = version_id
        task.add_done_callback(self._stopping.pop)

    async def _stop_keeper(self, keeper: Keeper) -> None:
        await keeper.stop()
        await self._remove_if_gone(self._means.versions_dir / keeper.version.version_id)

    async def _sweep(self) -> None:
        """Remove the folders of versions that were deleted while they did not run."""
        self._swept_at = time.monotonic()
        busy = {*self._keepers, *self._stopping.values()}
        for folder in await asyncio.to_thread(lambda: list(self._means.versions_dir.iterdir())):
            is_being_made = folder.name.startswith(".")
            if folder.name not in busy and not is_being_made:
                await self._remove_if_gone(folder)

    async def _remove_if_gone(self, folder: Path) -> None:
        """Remove a version's folder where the version was deleted."""
        if await self._store.versions.get_by_id(folder.name) is None:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _is_idle(self, row: Deployment) -> bool:
        """Has nobody asked for this version for long enough, counted from when it was ready?"""
        ready_at = self._keepers[row.version_id].ready_at if row.version_id in self._keepers else None
        if ready_at is None:
            return False
        used_at = self._means.router.last_used(row.version_id) or 0.0
        return time.monotonic() - max(used_at, ready_at) > self._idle_stop_s
