"""Users, in SQL."""

from __future__ import annotations

from sqlalchemy import select

from modelyard.server.records import User
from modelyard.server.store.sql.database import Database, insert_new, whole
from modelyard.server.store.tables import users


class SqlUsers:
    """Implements `UserStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @whole
    async def add(self, user: User) -> bool:
        async with self._database.write() as connection:
            return await insert_new(connection, users, {"user_id": user.user_id, "created_at": user.created_at})

    async def get(self, user_id: str) -> User | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(users).where(users.c.user_id == user_id))).one_or_none()
        return User(user_id=row.user_id, created_at=row.created_at) if row else None
