"""Moves traffic where it is wanted, once the versions that shall have it are running and answer.

wanted ── its replicas are started ──┬── all are ready: the traffic moves, in one transaction
                                     └── one cannot be started: given up, the traffic stays, `message` says why

What is wanted stands in the store, so that a server that was killed goes on where it was.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from modelyard.server import failpoints
from modelyard.server.records import Deployment, Endpoint, LogType, Share, Version, VersionState, shift
from modelyard.server.routing.router import Router
from modelyard.server.store.base import Store

log = logging.getLogger(__name__)

READY = frozenset({VersionState.READY})


class Rollouts:
    """What is under way. `step` is called by the loop that starts and stops replicas, again and again."""

    def __init__(
        self,
        *,
        store: Store,
        router: Router,
        write_line: Callable[[str, LogType, str], None],
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._router = router
        self._write_line = write_line
        self._now = now

    async def step(self, endpoints: Iterable[Endpoint]) -> None:
        """Bring each of them as far as it goes now; waits for no replica."""
        for one in endpoints:
            if one.wanted:
                await self._advance(one)
            elif one.follows_latest and not one.is_own:
                await self._follow(one)

    async def _follow(self, endpoint: Endpoint) -> None:
        """A model's own endpoint gets a new version in the step in which that becomes ready; others follow here."""
        latest = await self._store.versions.latest(endpoint.key, READY)
        current = await self._store.versions.get_by_id(endpoint.main_version_id)
        if latest is not None and (current is None or latest.number > current.number):
            wanted = (Share(version_id=latest.version_id, weight=100),)
            await self._change(endpoint, lambda one: replace(one, wanted=wanted, message=""))

    async def _advance(self, endpoint: Endpoint) -> None:
        is_ready = True
        for share, replicas in self._plan(endpoint):
            version = await self._store.versions.get_by_id(share.version_id)
            if version is None or version.state is not VersionState.READY:
                await self._give_up(endpoint, "a version that was to get requests was deleted")
                return
            if self._router.count(version.version_id) >= replicas:
                continue
            is_ready = False
            if version.state_message and not self._router.is_ready(version.version_id):
                await self._give_up(endpoint, f"version {version.number} cannot be started: {version.state_message}")
                return
            await self._want(version, replicas)
        if is_ready:
            await self._settle(endpoint)

    def _plan(self, endpoint: Endpoint) -> list[tuple[Share, int]]:
        """How many replicas each version has to have before the traffic moves: its part of those that serve now."""
        serving = sum(self._router.count(one.version_id) for one in endpoint.traffic)
        total = sum(one.weight for one in endpoint.wanted)
        most = endpoint.scale.max_replicas
        return [(one, max(1, min(most, math.ceil(serving * one.weight / total)))) for one in endpoint.wanted]

    async def _want(self, version: Version, replicas: int) -> None:
        row = await self._store.deployments.get(version.version_id)
        if row is None:
            at = self._now()
            await self._store.deployments.put(
                Deployment(
                    version_id=version.version_id, key=version.key, replicas=replicas, is_default=False, modified_at=at
                )
            )
        elif row.replicas < replicas:
            await self._store.deployments.scale(version.version_id, replicas, self._now())

    async def _settle(self, endpoint: Endpoint) -> None:
        failpoints.hit("traffic.ready")
        at = self._now()

        def settle(one: Endpoint) -> Endpoint:
            return shift(one, one.wanted, at) if one.wanted == endpoint.wanted else one

        await self._change(endpoint, settle)
        failpoints.hit("traffic.settled")
        total = sum(one.weight for one in endpoint.wanted)
        for share in endpoint.wanted:
            part = f"Deployment {endpoint.deployment_id}: {100 * share.weight / total:.4g}% of the requests come here"
            self._write_line(share.version_id, LogType.RUN, part)
        log.info("traffic.moved deployment=%s main=%s", endpoint.deployment_id, endpoint.wanted[0].version_id)

    async def _give_up(self, endpoint: Endpoint, why: str) -> None:
        log.warning("traffic.stays deployment=%s", endpoint.deployment_id)

        def stay(one: Endpoint) -> Endpoint:
            return replace(one, wanted=(), message=why) if one.wanted == endpoint.wanted else one

        await self._change(endpoint, stay)

    async def _change(self, endpoint: Endpoint, change: Callable[[Endpoint], Endpoint]) -> None:
        await self._store.endpoints.change(endpoint.user_id, endpoint.deployment_id, change)
