"""What is wanted to run, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.server.records import Deployment, ModelKey
from modelyard.server.store.changes import Changes
from modelyard.server.store.sql.database import Database, whole
from modelyard.server.store.sql.endpoints import give_all_traffic
from modelyard.server.store.tables import deployments, models, versions


class SqlDeployments:
    """Implements `DeploymentStore`."""

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._changes = changes

    async def get(self, version_id: str) -> Deployment | None:
        async with self._database.read() as connection:
            query = select(deployments).where(deployments.c.version_id == version_id)
            row = (await connection.execute(query)).one_or_none()
        return _to_deployment(row) if row else None

    async def list(self) -> Sequence[Deployment]:
        query = select(deployments).join_from(deployments, versions).order_by(versions.c.position)
        async with self._database.read() as connection:
            return [_to_deployment(row) for row in await connection.execute(query)]

    async def list_of(self, key: ModelKey) -> Sequence[Deployment]:
        query = select(deployments).join_from(deployments, versions).where(_of(key)).order_by(versions.c.position)
        async with self._database.read() as connection:
            return [_to_deployment(row) for row in await connection.execute(query)]

    @whole
    async def put(self, deployment: Deployment) -> None:
        async with self._database.write() as connection:
            await put_deployment(connection, deployment)
        self._changes.announce()

    @whole
    async def scale(self, version_id: str, replicas: int, at: datetime) -> bool:
        change = update(deployments).where(deployments.c.version_id == version_id)
        async with self._database.write() as connection:
            result = await connection.execute(change.values(replicas=replicas, modified_at=at))
        self._changes.announce()
        return result.rowcount == 1

    async def get_default(self, key: ModelKey) -> Deployment | None:
        async with self._database.read() as connection:
            query = select(deployments).where(_of(key), deployments.c.is_default)
            row = (await connection.execute(query)).one_or_none()
        return _to_deployment(row) if row else None

    @whole
    async def delete(self, version_id: str) -> bool:
        async with self._database.write() as connection:
            result = await connection.execute(delete(deployments).where(deployments.c.version_id == version_id))
        self._changes.announce()
        return result.rowcount == 1


async def put_deployment(connection: AsyncConnection, deployment: Deployment) -> None:
    """Add or replace, within a transaction; nothing where the version is gone."""
    if not await _hold_version(connection, deployment):
        return
    if deployment.is_default:
        await connection.execute(
            update(deployments)
            .where(_of(deployment.key), deployments.c.version_id != deployment.version_id)
            .values(is_default=False)
        )
        await give_all_traffic(connection, deployment.key, deployment.version_id, deployment.modified_at)
    is_it = deployments.c.version_id == deployment.version_id
    values = _to_values(deployment)
    if (await connection.execute(update(deployments).where(is_it).values(**values))).rowcount == 0:
        await connection.execute(deployments.insert().values(**values))


async def _hold_version(connection: AsyncConnection, deployment: Deployment) -> bool:
    """Is the version there? Its model's row is locked, so that two defaults of one model come one after the other."""
    key = deployment.key
    query = (
        select(versions.c.version_id)
        .join_from(versions, models)
        .where(versions.c.version_id == deployment.version_id)
        .where(models.c.user_id == key.user_id, models.c.app_id == key.app_id, models.c.model_id == key.model_id)
        .with_for_update(of=models)
    )
    return (await connection.execute(query)).one_or_none() is not None


def _of(key: ModelKey) -> ColumnElement[bool]:
    return and_(
        deployments.c.user_id == key.user_id,
        deployments.c.app_id == key.app_id,
        deployments.c.model_id == key.model_id,
    )


def _to_values(deployment: Deployment) -> dict[str, Any]:
    return {
        "version_id": deployment.version_id,
        "user_id": deployment.key.user_id,
        "app_id": deployment.key.app_id,
        "model_id": deployment.key.model_id,
        "replicas": deployment.replicas,
        "is_default": deployment.is_default,
        "modified_at": deployment.modified_at,
    }


def _to_deployment(row: Row[Any]) -> Deployment:
    return Deployment(
        version_id=row.version_id,
        key=ModelKey(user_id=row.user_id, app_id=row.app_id, model_id=row.model_id),
        replicas=row.replicas,
        is_default=row.is_default,
        modified_at=row.modified_at,
    )
