"""Names under which models answer, in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from modelyard.errors import ModelNotFound
from modelyard.server.records import Endpoint, ModelKey, Page, Share, own_deployment_id, shift
from modelyard.server.store.memory.rows import Rows, check_moments, cut


class MemoryEndpoints:
    """Implements `EndpointStore`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def get(self, user_id: str, deployment_id: str) -> Endpoint | None:
        return self._rows.endpoints.get((user_id, deployment_id))

    async def get_own(self, key: ModelKey) -> Endpoint | None:
        return await self.get(key.user_id, own_deployment_id(key))

    async def list(self, user_id: str, page: Page) -> Sequence[Endpoint]:
        return cut((one for one in self._rows.endpoints.values() if one.user_id == user_id), page)

    async def list_all(self) -> Sequence[Endpoint]:
        return list(self._rows.endpoints.values())

    async def list_of(self, key: ModelKey) -> Sequence[Endpoint]:
        found = [one for one in self._rows.endpoints.values() if one.key == key]
        return sorted(found, key=lambda one: not one.is_own)

    async def add(self, endpoint: Endpoint) -> bool:
        if endpoint.key not in self._rows.models:
            raise ModelNotFound(f"Model does not exist: {endpoint.key}")
        name = endpoint.user_id, endpoint.deployment_id
        is_new = self._rows.endpoints.setdefault(name, check_moments(endpoint)) is endpoint
        self._rows.changes.announce()
        return is_new

    async def change(self, user_id: str, deployment_id: str, change: Callable[[Endpoint], Endpoint]) -> Endpoint | None:
        found = await self.get(user_id, deployment_id)
        if found is None:
            return None
        changed = self._rows.endpoints[user_id, deployment_id] = check_moments(change(found))
        if changed.is_own:
            move_default(self._rows, changed)
        self._rows.changes.announce()
        return changed

    async def delete(self, user_id: str, deployment_id: str) -> bool:
        found = await self.get(user_id, deployment_id)
        if found is None or found.is_own:
            return False
        del self._rows.endpoints[user_id, deployment_id]
        self._rows.changes.announce()
        return True


def give_all_traffic(rows: Rows, key: ModelKey, version_id: str, at: datetime) -> None:
    """The model's own endpoint, made where there is none, sends every request to this version."""
    name = key.user_id, own_deployment_id(key)
    whole = (Share(version_id=version_id, weight=100),)
    found = rows.endpoints.get(name)
    if found is not None:
        rows.endpoints[name] = shift(found, whole, at)
        return
    rows.endpoints[name] = Endpoint(
        user_id=key.user_id,
        deployment_id=name[1],
        key=key,
        is_own=True,
        traffic=whole,
        created_at=at,
        modified_at=at,
    )


def move_default(rows: Rows, endpoint: Endpoint) -> None:
    """The version with most of the traffic is the model's default."""
    main = endpoint.main_version_id
    for one in [one for one in rows.deployments.values() if one.key == endpoint.key]:
        rows.deployments[one.version_id] = replace(one, is_default=one.version_id == main)
