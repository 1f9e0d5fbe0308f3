"""Apps, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, select, update
from sqlalchemy.exc import IntegrityError

from modelyard.errors import UserNotFound
from modelyard.server.records import App, AppKey, Page
from modelyard.server.store.changes import Changes
from modelyard.server.store.sql.database import Database, insert_new, whole
from modelyard.server.store.tables import apps


class SqlApps:
    """Implements `AppStore`."""

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._changes = changes

    @whole
    async def add(self, app: App) -> bool:
        try:
            async with self._database.write() as connection:
                return await insert_new(connection, apps, _to_values(app))
        except IntegrityError as error:
            raise UserNotFound(f"user {app.user_id!r} does not exist") from error

    async def get(self, key: AppKey) -> App | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(apps).where(_is(key)))).one_or_none()
        return _to_app(row) if row else None

    async def list(self, user_id: str, page: Page) -> Sequence[App]:
        query = select(apps).where(apps.c.user_id == user_id).order_by(apps.c.position)
        query = query.limit(page.size).offset(page.offset)
        async with self._database.read() as connection:
            return [_to_app(row) for row in await connection.execute(query)]

    @whole
    async def update(self, app: App) -> bool:
        async with self._database.write() as connection:
            result = await connection.execute(update(apps).where(_is(app.key)).values(**_to_values(app)))
        return result.rowcount == 1

    @whole
    async def delete(self, key: AppKey) -> bool:
        async with self._database.write() as connection:
            result = await connection.execute(delete(apps).where(_is(key)))
        self._changes.announce()
        return result.rowcount == 1


def _is(key: AppKey) -> ColumnElement[bool]:
    return and_(apps.c.user_id == key.user_id, apps.c.app_id == key.app_id)


def _to_values(app: App) -> dict[str, Any]:
    return {
        "user_id": app.user_id,
        "app_id": app.app_id,
        "name": app.name,
        "description": app.description,
        "notes": app.notes,
        "metadata": dict(app.metadata),
        "created_at": app.created_at,
        "modified_at": app.modified_at,
    }


def _to_app(row: Row[Any]) -> App:
    return App(
        user_id=row.user_id,
        app_id=row.app_id,
        name=row.name,
        description=row.description,
        notes=row.notes,
        metadata=row._mapping["metadata"],
        created_at=row.created_at,
        modified_at=row.modified_at,
    )
