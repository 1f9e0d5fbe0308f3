"""Models, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, delete, select, update
from sqlalchemy.exc import IntegrityError

from modelyard.errors import AppNotFound
from modelyard.server.records import AppKey, Model, ModelKey, Page
from modelyard.server.store.changes import Changes
from modelyard.server.store.sql.database import Database, insert_new, whole
from modelyard.server.store.tables import models


class SqlModels:
    """Implements `ModelStore`."""

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._changes = changes

    @whole
    async def add(self, model: Model) -> bool:
        try:
            async with self._database.write() as connection:
                return await insert_new(connection, models, _to_values(model))
        except IntegrityError as error:
            raise AppNotFound(f"app {model.key.app_id!r} of user {model.key.user_id!r} does not exist") from error

    async def get(self, key: ModelKey) -> Model | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(models).where(_is(key)))).one_or_none()
        return _to_model(row) if row else None

    async def find(self, user_id: str, model_id: str) -> Sequence[Model]:
        query = select(models).where(models.c.user_id == user_id, models.c.model_id == model_id)
        async with self._database.read() as connection:
            return [_to_model(row) for row in await connection.execute(query.order_by(models.c.position))]

    async def list(self, app: AppKey, page: Page, *, model_type_id: str = "") -> Sequence[Model]:
        query = select(models).where(models.c.user_id == app.user_id, models.c.app_id == app.app_id)
        return await self._page(query, page, model_type_id)

    async def list_by_user(self, user_id: str, page: Page, *, model_type_id: str = "") -> Sequence[Model]:
        return await self._page(select(models).where(models.c.user_id == user_id), page, model_type_id)

    @whole
    async def update(self, model: Model) -> bool:
        async with self._database.write() as connection:
            result = await connection.execute(update(models).where(_is(model.key)).values(**_to_values(model)))
        return result.rowcount == 1

    @whole
    async def delete(self, key: ModelKey) -> bool:
        async with self._database.write() as connection:
            result = await connection.execute(delete(models).where(_is(key)))
        self._changes.announce()
        return result.rowcount == 1

    async def _page(self, query: Select[Any], page: Page, model_type_id: str) -> Sequence[Model]:
        if model_type_id:
            query = query.where(models.c.model_type_id == model_type_id)
        query = query.order_by(models.c.position).limit(page.size).offset(page.offset)
        async with self._database.read() as connection:
            return [_to_model(row) for row in await connection.execute(query)]


def _is(key: ModelKey) -> ColumnElement[bool]:
    return and_(models.c.user_id == key.user_id, models.c.app_id == key.app_id, models.c.model_id == key.model_id)


def _to_values(model: Model) -> dict[str, Any]:
    return {
        "user_id": model.key.user_id,
        "app_id": model.key.app_id,
        "model_id": model.key.model_id,
        "model_type_id": model.model_type_id,
        "name": model.name,
        "description": model.description,
        "notes": model.notes,
        "metadata": dict(model.metadata),
        "created_at": model.created_at,
        "modified_at": model.modified_at,
    }


def _to_model(row: Row[Any]) -> Model:
    return Model(
        key=ModelKey(user_id=row.user_id, app_id=row.app_id, model_id=row.model_id),
        model_type_id=row.model_type_id,
        name=row.name,
        description=row.description,
        notes=row.notes,
        metadata=row._mapping["metadata"],
        created_at=row.created_at,
        modified_at=row.modified_at,
    )
