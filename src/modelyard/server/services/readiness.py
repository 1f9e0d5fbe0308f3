"""Can requests be answered now? Of the server, and of one model: what probes and balancers go by."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from modelyard.server.records import Deployment
from modelyard.server.routing.router import Router
from modelyard.server.services.versions import Versions
from modelyard.server.store.base import Store

REMEMBER_S = 1.0
"""How long the deployments are remembered that a probe found: it needs no token, so it may not cost a query each."""


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """How it stands."""

    is_ready: bool
    """The server takes requests, and every model that is deployed has a replica that answers."""
    models: int
    """Models that are deployed, with replicas that shall run."""
    models_ready: int
    """Those that have one which answers."""


class ReadinessService:
    """Compares what is deployed with the replicas that are connected.

    Args:
        store: Has the deployments.
        versions: Finds models by their names.
        router: Knows the replicas.
        is_open: Does the server take new requests? False from SIGTERM on.
    """

    def __init__(self, store: Store, versions: Versions, router: Router, *, is_open: Callable[[], bool]) -> None:
        self._store = store
        self._versions = versions
        self._router = router
        self._is_open = is_open
        self._changes = store.watch()
        self._deployed: list[Deployment] = []
        self._asked_at: float | None = None

    async def check(self) -> Readiness:
        """The server as a whole."""
        deployed = await self._list_deployed()
        ready = sum(self._router.can_answer(one.version_id) for one in deployed)
        return Readiness(is_ready=self._is_open() and ready == len(deployed), models=len(deployed), models_ready=ready)

    async def check_model(self, user_id: str, app_id: str, model_id: str) -> bool:
        """Has the version that answers for a model a replica? Raises ModelNotFound."""
        model = await self._versions.find_model(user_id, app_id, model_id)
        deployment = await self._store.deployments.get_default(model.key)
        return self._is_open() and deployment is not None and self._router.can_answer(deployment.version_id)

    async def _list_deployed(self) -> list[Deployment]:
        """Of each model the version that answers for it, where replicas of it shall run."""
        now = time.monotonic()
        if self._changes.has_changed or self._asked_at is None or now - self._asked_at >= REMEMBER_S:
            self._changes.note()
            self._asked_at = now
            rows = await self._store.deployments.list()
            self._deployed = [one for one in rows if one.is_default and one.replicas > 0]
        return self._deployed
