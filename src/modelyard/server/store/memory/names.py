"""Users, tokens, apps and models, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from modelyard.errors import AppNotFound, UserNotFound
from modelyard.server.records import App, AppKey, Model, ModelKey, Page, Token, User
from modelyard.server.store.memory.rows import Rows, check_moments, cut


class MemoryUsers:
    """Implements `UserStore`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def add(self, user: User) -> bool:
        return self._rows.users.setdefault(user.user_id, check_moments(user)) is user

    async def get(self, user_id: str) -> User | None:
        return self._rows.users.get(user_id)


class MemoryTokens:
    """Implements `TokenStore`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def add(self, token: Token) -> None:
        _check_user(self._rows, token.user_id)
        self._rows.tokens[token.token_id] = check_moments(token)

    async def get(self, token_id: str) -> Token | None:
        return self._rows.tokens.get(token_id)

    async def list(self, user_id: str, page: Page) -> Sequence[Token]:
        return cut((one for one in self._rows.tokens.values() if self._find(user_id, one.token_id)), page)

    async def update(self, token: Token) -> bool:
        found = self._find(token.user_id, token.token_id)
        if found is None:
            return False
        self._rows.tokens[token.token_id] = replace(
            found, description=token.description, scopes=token.scopes, app_ids=token.app_ids
        )
        return True

    async def revoke(self, user_id: str, token_id: str, at: datetime) -> bool:
        found = self._find(user_id, token_id)
        if found is None:
            return False
        self._rows.tokens[token_id] = replace(found, revoked_at=at)
        return True

    def _find(self, user_id: str, token_id: str) -> Token | None:
        """The user's token, unless it is revoked."""
        found = self._rows.tokens.get(token_id)
        return found if found and found.user_id == user_id and found.revoked_at is None else None


class MemoryApps:
    """Implements `AppStore`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def add(self, app: App) -> bool:
        _check_user(self._rows, app.user_id)
        return self._rows.apps.setdefault(app.key, check_moments(app)) is app

    async def get(self, key: AppKey) -> App | None:
        return self._rows.apps.get(key)

    async def list(self, user_id: str, page: Page) -> Sequence[App]:
        return cut((one for one in self._rows.apps.values() if one.user_id == user_id), page)

    async def update(self, app: App) -> bool:
        if app.key not in self._rows.apps:
            return False
        self._rows.apps[app.key] = check_moments(app)
        return True

    async def delete(self, key: AppKey) -> bool:
        found = self._rows.apps.pop(key, None)
        self._rows.delete_models(lambda model: model.app == key)
        self._rows.changes.announce()
        return found is not None


class MemoryModels:
    """Implements `ModelStore`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def add(self, model: Model) -> bool:
        if model.key.app not in self._rows.apps:
            raise AppNotFound(f"app {model.key.app_id!r} of user {model.key.user_id!r} does not exist")
        return self._rows.models.setdefault(model.key, check_moments(model)) is model

    async def get(self, key: ModelKey) -> Model | None:
        return self._rows.models.get(key)

    async def list(self, app: AppKey, page: Page, *, model_type_id: str = "") -> Sequence[Model]:
        return cut((one for one in self._of_type(model_type_id) if one.key.app == app), page)

    async def find(self, user_id: str, model_id: str) -> Sequence[Model]:
        wanted = (user_id, model_id)
        return [one for key, one in self._rows.models.items() if (key.user_id, key.model_id) == wanted]

    async def list_by_user(self, user_id: str, page: Page, *, model_type_id: str = "") -> Sequence[Model]:
        return cut((one for one in self._of_type(model_type_id) if one.key.user_id == user_id), page)

    async def update(self, model: Model) -> bool:
        if model.key not in self._rows.models:
            return False
        self._rows.models[model.key] = check_moments(model)
        return True

    async def delete(self, key: ModelKey) -> bool:
        is_there = key in self._rows.models
        self._rows.delete_models(lambda model: model == key)
        self._rows.changes.announce()
        return is_there

    def _of_type(self, model_type_id: str) -> Sequence[Model]:
        return [one for one in self._rows.models.values() if model_type_id in ("", one.model_type_id)]


def _check_user(rows: Rows, user_id: str) -> None:
    if user_id not in rows.users:
        raise UserNotFound(f"user {user_id!r} does not exist")
