"""Build jobs under leases, in SQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.server.records import Build, BuildState, ModelKey
from modelyard.server.store.changes import Changes
from modelyard.server.store.sql.database import Database, whole
from modelyard.server.store.tables import builds, versions

_JOBS = select(builds, versions.c.user_id, versions.c.app_id, versions.c.model_id).join_from(builds, versions)


class SqlBuilds:
    """Implements `BuildStore`."""

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._changes = changes

    async def get(self, version_id: str) -> Build | None:
        async with self._database.read() as connection:
            return await _get(connection, version_id)

    @whole
    async def take(self, owner: str, now: datetime, until: datetime) -> Build | None:
        is_abandoned = and_(builds.c.state == BuildState.RUNNING.value, builds.c.lease_until < now)
        oldest = (
            select(builds.c.version_id)
            .where(or_(builds.c.state == BuildState.QUEUED.value, is_abandoned))
            .order_by(builds.c.position)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        async with self._database.write() as connection:
            version_id = (await connection.execute(oldest)).scalar_one_or_none()
            if version_id is None:
                return None
            await connection.execute(
                update(builds)
                .where(builds.c.version_id == version_id)
                .values(
                    state=BuildState.RUNNING.value,
                    attempt=builds.c.attempt + 1,
                    lease_owner=owner,
                    lease_until=until,
                )
            )
            return await _get(connection, version_id)

    async def extend(self, version_id: str, owner: str, until: datetime) -> bool:
        return await self._change(_is_held(version_id, owner), lease_until=until) == 1

    async def finish(self, version_id: str, owner: str, *, succeeded: bool) -> bool:
        state = BuildState.SUCCEEDED if succeeded else BuildState.FAILED
        ended = await self._change(
            _is_held(version_id, owner), state=state.value, lease_owner="", lease_until=None, sealed_token=None
        )
        self._changes.announce()
        return ended == 1

    async def release(self, owner_prefix: str) -> int:
        is_ours = func.substr(builds.c.lease_owner, 1, len(owner_prefix)) == owner_prefix
        released = await self._change(
            and_(builds.c.state == BuildState.RUNNING.value, ~is_ours),
            state=BuildState.QUEUED.value,
            lease_owner="",
            lease_until=None,
        )
        self._changes.announce()
        return released

    @whole
    async def _change(self, which: ColumnElement[bool], **values: Any) -> int:
        async with self._database.write() as connection:
            return (await connection.execute(update(builds).where(which).values(**values))).rowcount


async def queue_build(connection: AsyncConnection, build: Build) -> None:
    """Add a job, within the caller's transaction."""
    await connection.execute(
        builds.insert().values(
            version_id=build.version_id,
            state=build.state.value,
            attempt=build.attempt,
            lease_owner=build.lease_owner,
            lease_until=build.lease_until,
            created_at=build.created_at,
            sealed_token=build.sealed_token or None,
        )
    )


def _is_held(version_id: str, owner: str) -> ColumnElement[bool]:
    return and_(
        builds.c.version_id == version_id,
        builds.c.lease_owner == owner,
        builds.c.state == BuildState.RUNNING.value,
    )


async def _get(connection: AsyncConnection, version_id: str) -> Build | None:
    row = (await connection.execute(_JOBS.where(builds.c.version_id == version_id))).one_or_none()
    return _to_build(row) if row else None


def _to_build(row: Row[Any]) -> Build:
    return Build(
        version_id=row.version_id,
        key=ModelKey(user_id=row.user_id, app_id=row.app_id, model_id=row.model_id),
        state=BuildState(row.state),
        attempt=row.attempt,
        lease_owner=row.lease_owner,
        lease_until=row.lease_until,
        created_at=row.created_at,
        sealed_token=row.sealed_token or b"",
    )
