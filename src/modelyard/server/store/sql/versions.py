"""Versions of models, in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, delete, func, select, tuple_, update

from modelyard.errors import ModelNotFound
from modelyard.server.records import Build, Deployment, ModelKey, Page, Version, VersionState
from modelyard.server.store.changes import Changes
from modelyard.server.store.sql.builds import queue_build
from modelyard.server.store.sql.database import Database, whole
from modelyard.server.store.sql.deployments import put_deployment
from modelyard.server.store.sql.version_rows import to_changes, to_values, to_version
from modelyard.server.store.tables import deployments, models, versions


class SqlVersions:
    """Implements `VersionStore`."""

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._changes = changes

    @whole
    async def add(self, version: Version) -> Version:
        key = version.key
        count = (
            update(models)
            .where(models.c.user_id == key.user_id, models.c.app_id == key.app_id, models.c.model_id == key.model_id)
            .values(last_number=models.c.last_number + 1)
            .returning(models.c.last_number)
        )
        async with self._database.write() as connection:
            number = (await connection.execute(count)).scalar_one_or_none()
            if number is None:
                raise ModelNotFound(f"Model does not exist: {key}")
            row = await connection.execute(
                versions.insert().values(**to_values(version), number=number).returning(versions)
            )
            return to_version(row.one())

    async def get(self, key: ModelKey, version_id: str) -> Version | None:
        return await self._first(select(versions).where(_of(key), versions.c.version_id == version_id))

    async def get_by_id(self, version_id: str) -> Version | None:
        return await self._first(select(versions).where(versions.c.version_id == version_id))

    async def get_by_number(self, key: ModelKey, number: int) -> Version | None:
        return await self._first(select(versions).where(_of(key), versions.c.number == number))

    async def latest(
        self, key: ModelKey, states: frozenset[VersionState] | None = None, *, without: str = ""
    ) -> Version | None:
        query = select(versions).where(_of(key), versions.c.version_id != without)
        if states is not None:
            query = query.where(_in(states))
        return await self._first(query.order_by(versions.c.number.desc()).limit(1))

    async def current(self, keys: Sequence[ModelKey]) -> Mapping[ModelKey, Version]:
        chosen = (
            select(
                versions.c.user_id,
                versions.c.app_id,
                versions.c.model_id,
                func.coalesce(
                    func.max(case((deployments.c.is_default, versions.c.number))), func.max(versions.c.number)
                ).label("number"),
            )
            .select_from(versions.outerjoin(deployments, deployments.c.version_id == versions.c.version_id))
            .where(_name(versions).in_([(key.user_id, key.app_id, key.model_id) for key in keys]))
            .group_by(versions.c.user_id, versions.c.app_id, versions.c.model_id)
            .subquery()
        )
        query = select(versions).join(
            chosen, and_(_name(versions) == _name(chosen), versions.c.number == chosen.c.number)
        )
        async with self._database.read() as connection:
            rows = [to_version(row) for row in await connection.execute(query)]
        return {version.key: version for version in rows}

    async def list(self, key: ModelKey, page: Page) -> Sequence[Version]:
        query = select(versions).where(_of(key)).order_by(versions.c.number.desc())
        return await self._all(query.limit(page.size).offset(page.offset))

    async def list_in_states(self, states: frozenset[VersionState]) -> Sequence[Version]:
        return await self._all(select(versions).where(_in(states)).order_by(versions.c.position))

    async def list_digests(self) -> Sequence[tuple[str, str, str, str]]:
        columns = (versions.c.code_digest, versions.c.weights_digest)
        query = select(*columns, versions.c.environment_digest, versions.c.manifest_digest).distinct()
        async with self._database.read() as connection:
            return [(row[0], row[1], row[2], row[3]) for row in await connection.execute(query)]

    async def list_parts(self, user_id: str) -> Sequence[tuple[str, str, str]]:
        columns = (versions.c.app_id, versions.c.code_digest, versions.c.weights_digest)
        query = select(*columns).where(versions.c.user_id == user_id, versions.c.code_digest != "")
        query = query.group_by(*columns).order_by(func.max(versions.c.position).desc())
        async with self._database.read() as connection:
            return [(row[0], row[1], row[2]) for row in await connection.execute(query)]

    @whole
    async def update(self, version: Version, *, expected: frozenset[VersionState] | None = None) -> bool:
        change = update(versions).where(_of(version.key), versions.c.version_id == version.version_id)
        if expected is not None:
            change = change.where(_in(expected))
        async with self._database.write() as connection:
            return (await connection.execute(change.values(**to_changes(version)))).rowcount == 1

    @whole
    async def set_spec(self, key: ModelKey, version_id: str, spec: bytes, at: datetime) -> bool:
        change = update(versions).where(_of(key), versions.c.version_id == version_id)
        async with self._database.write() as connection:
            return (await connection.execute(change.values(spec=spec, modified_at=at))).rowcount == 1

    @whole
    async def acknowledge_upload(self, version: Version, build: Build) -> bool:
        change = (
            update(versions)
            .where(_of(version.key), versions.c.version_id == version.version_id)
            .where(versions.c.state == VersionState.UPLOADING.value)
            .values(**to_changes(version), spec=version.spec)
        )
        async with self._database.write() as connection:
            if (await connection.execute(change)).rowcount != 1:
                return False
            await queue_build(connection, build)
        self._changes.announce()
        return True

    @whole
    async def become_ready(self, version: Version, deployment: Deployment) -> bool:
        change = (
            update(versions)
            .where(_of(version.key), versions.c.version_id == version.version_id)
            .where(versions.c.state == VersionState.BUILT.value)
            .values(**to_changes(version))
        )
        async with self._database.write() as connection:
            if (await connection.execute(change)).rowcount != 1:
                return False
            await put_deployment(connection, deployment)
        self._changes.announce()
        return True

    @whole
    async def delete(self, key: ModelKey, version_id: str) -> bool:
        async with self._database.write() as connection:
            result = await connection.execute(delete(versions).where(_of(key), versions.c.version_id == version_id))
        self._changes.announce()
        return result.rowcount == 1

    async def _first(self, query: Select[Any]) -> Version | None:
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return to_version(row) if row else None

    async def _all(self, query: Select[Any]) -> Sequence[Version]:
        async with self._database.read() as connection:
            return [to_version(row) for row in await connection.execute(query)]


def _of(key: ModelKey) -> ColumnElement[bool]:
    return and_(versions.c.user_id == key.user_id, versions.c.app_id == key.app_id, versions.c.model_id == key.model_id)


def _name(table: Any) -> Any:
    return tuple_(table.c.user_id, table.c.app_id, table.c.model_id)


def _in(states: frozenset[VersionState]) -> ColumnElement[bool]:
    return versions.c.state.in_([state.value for state in states])
