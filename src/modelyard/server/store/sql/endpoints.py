"""Names under which models answer, in SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.errors import ModelNotFound
from modelyard.server.records import (
    Endpoint,
    HeaderRule,
    ModelKey,
    Page,
    Scale,
    Share,
    own_deployment_id,
    shift,
)
from modelyard.server.store.changes import Changes
from modelyard.server.store.sql.database import Database, insert_new, whole
from modelyard.server.store.tables import deployments, endpoints


class SqlEndpoints:
    """Implements `EndpointStore`."""

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._changes = changes

    async def get(self, user_id: str, deployment_id: str) -> Endpoint | None:
        return await self._first(select(endpoints).where(_is(user_id, deployment_id)))

    async def get_own(self, key: ModelKey) -> Endpoint | None:
        return await self.get(key.user_id, own_deployment_id(key))

    async def list(self, user_id: str, page: Page) -> Sequence[Endpoint]:
        query = select(endpoints).where(endpoints.c.user_id == user_id)
        return await self._all(query.limit(page.size).offset(page.offset))

    async def list_all(self) -> Sequence[Endpoint]:
        return await self._all(select(endpoints))

    async def list_of(self, key: ModelKey) -> Sequence[Endpoint]:
        found = await self._all(select(endpoints).where(_of(endpoints, key)))
        return sorted(found, key=lambda one: not one.is_own)

    @whole
    async def add(self, endpoint: Endpoint) -> bool:
        try:
            async with self._database.write() as connection:
                is_new = await insert_new(connection, endpoints, to_values(endpoint))
        except IntegrityError as error:
            raise ModelNotFound(f"Model does not exist: {endpoint.key}") from error
        self._changes.announce()
        return is_new

    @whole
    async def change(self, user_id: str, deployment_id: str, change: Callable[[Endpoint], Endpoint]) -> Endpoint | None:
        async with self._database.write() as connection:
            query = select(endpoints).where(_is(user_id, deployment_id)).with_for_update()
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                return None
            changed = change(to_endpoint(row))
            await connection.execute(update(endpoints).where(_is(user_id, deployment_id)).values(**to_values(changed)))
            if changed.is_own:
                await _move_default(connection, changed)
        self._changes.announce()
        return changed

    @whole
    async def delete(self, user_id: str, deployment_id: str) -> bool:
        gone = delete(endpoints).where(_is(user_id, deployment_id), ~endpoints.c.is_own)
        async with self._database.write() as connection:
            result = await connection.execute(gone)
        self._changes.announce()
        return result.rowcount == 1

    async def _first(self, query: Select[Any]) -> Endpoint | None:
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return to_endpoint(row) if row else None

    async def _all(self, query: Select[Any]) -> Sequence[Endpoint]:
        async with self._database.read() as connection:
            return [to_endpoint(row) for row in await connection.execute(query.order_by(endpoints.c.position))]


async def give_all_traffic(connection: AsyncConnection, key: ModelKey, version_id: str, at: datetime) -> None:
    """The model's own endpoint, made where there is none, sends every request to this version."""
    deployment_id = own_deployment_id(key)
    whole = (Share(version_id=version_id, weight=100),)
    query = select(endpoints).where(_is(key.user_id, deployment_id)).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        new = Endpoint(
            user_id=key.user_id,
            deployment_id=deployment_id,
            key=key,
            is_own=True,
            traffic=whole,
            created_at=at,
            modified_at=at,
        )
        await connection.execute(endpoints.insert().values(**to_values(new)))
        return
    values = to_values(shift(to_endpoint(row), whole, at))
    await connection.execute(update(endpoints).where(_is(key.user_id, deployment_id)).values(**values))


async def _move_default(connection: AsyncConnection, endpoint: Endpoint) -> None:
    """The version with most of the traffic is the model's default. First none is: a model has one at most."""
    of_model = _of(deployments, endpoint.key)
    is_main = deployments.c.version_id == endpoint.main_version_id
    await connection.execute(update(deployments).where(of_model, ~is_main).values(is_default=False))
    await connection.execute(update(deployments).where(of_model, is_main).values(is_default=True))


def _is(user_id: str, deployment_id: str) -> ColumnElement[bool]:
    return and_(endpoints.c.user_id == user_id, endpoints.c.deployment_id == deployment_id)


def _of(table: Any, key: ModelKey) -> ColumnElement[bool]:
    return and_(table.c.user_id == key.user_id, table.c.app_id == key.app_id, table.c.model_id == key.model_id)


def to_values(endpoint: Endpoint) -> dict[str, Any]:
    """All columns of an endpoint."""
    return {
        "user_id": endpoint.user_id,
        "deployment_id": endpoint.deployment_id,
        "app_id": endpoint.key.app_id,
        "model_id": endpoint.key.model_id,
        "is_own": endpoint.is_own,
        "traffic": [[one.version_id, one.weight] for one in endpoint.traffic],
        "wanted": [[one.version_id, one.weight] for one in endpoint.wanted],
        "previous_version_id": endpoint.previous_version_id,
        "rules": [[one.header, one.value, one.version_id] for one in endpoint.rules],
        "min_replicas": endpoint.scale.min_replicas,
        "max_replicas": endpoint.scale.max_replicas,
        "idle_s": endpoint.scale.idle_s,
        "follows_latest": endpoint.follows_latest,
        "message": endpoint.message,
        "description": endpoint.description,
        "metadata": dict(endpoint.metadata),
        "created_at": endpoint.created_at,
        "modified_at": endpoint.modified_at,
    }


def to_endpoint(row: Row[Any]) -> Endpoint:
    """The record of a row."""
    return Endpoint(
        user_id=row.user_id,
        deployment_id=row.deployment_id,
        key=ModelKey(user_id=row.user_id, app_id=row.app_id, model_id=row.model_id),
        is_own=row.is_own,
        traffic=_to_shares(row.traffic),
        wanted=_to_shares(row.wanted),
        previous_version_id=row.previous_version_id,
        rules=tuple(HeaderRule(header=header, value=value, version_id=one) for header, value, one in row.rules),
        scale=Scale(min_replicas=row.min_replicas, max_replicas=row.max_replicas, idle_s=row.idle_s),
        follows_latest=row.follows_latest,
        message=row.message,
        description=row.description,
        metadata=row._mapping["metadata"],
        created_at=row.created_at,
        modified_at=row.modified_at,
    )


def _to_shares(pairs: Sequence[Sequence[Any]]) -> tuple[Share, ...]:
    return tuple(Share(version_id=version_id, weight=weight) for version_id, weight in pairs)
