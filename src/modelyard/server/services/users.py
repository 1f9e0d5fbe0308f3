"""Users."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from modelyard.errors import UserNotFound
from modelyard.server.records import User
from modelyard.server.services.fields import check_id
from modelyard.server.store.base import Store


class Users:
    """Who owns apps and tokens."""

    def __init__(self, store: Store, *, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def ensure(self, user_id: str) -> User:
        """The user, made where it is not there. Raises InvalidRequest for an id that may not be one."""
        check_id("user", user_id)
        await self._store.users.add(User(user_id=user_id, created_at=self._now()))
        return await self.get(user_id)

    async def get(self, user_id: str) -> User:
        """The user; raises UserNotFound."""
        user = await self._store.users.get(user_id)
        if user is None:
            raise UserNotFound(f"user {user_id!r} does not exist")
        return user
