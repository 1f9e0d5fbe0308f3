"""Apps: folders of models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from modelyard.errors import AppNotFound, Conflict
from modelyard.server.records import App, AppKey, JsonObject, Page
from modelyard.server.services.fields import MAX_NOTES_LENGTH, check_id, check_metadata, check_text
from modelyard.server.services.patches import PatchAction, patch_json, patch_text
from modelyard.server.store.base import Store


@dataclass(frozen=True, kw_only=True)
class AppFields:
    """What a caller says about an app. Empty, or None, is what they did not say."""

    name: str = ""
    description: str = ""
    notes: str = ""
    metadata: JsonObject | None = None


class Apps:
    """Makes, finds, changes and deletes apps."""

    def __init__(self, store: Store, *, is_single_user: bool, now: Callable[[], datetime]) -> None:
        self._store = store
        self._is_single_user = is_single_user
        self._now = now

    async def create(self, key: AppKey, fields: AppFields) -> App:
        """Make an app. Raises Conflict where the id is taken, InvalidRequest for what may not be."""
        app = self._make(key, fields)
        if not await self._store.apps.add(app):
            raise Conflict(f"app {key.app_id!r} exists already", hint="choose another id, or use the app that is there")
        return app

    async def ensure(self, key: AppKey) -> App:
        """The app; in single-user mode it is made on first use. Raises AppNotFound in multi-user mode."""
        app = await self._store.apps.get(key)
        if app is not None:
            return app
        if self._is_single_user:
            await self._store.apps.add(self._make(key, AppFields()))
        return await self.get(key)

    async def get(self, key: AppKey) -> App:
        """The app; raises AppNotFound."""
        app = await self._store.apps.get(key)
        if app is None:
            raise AppNotFound(f"app {key.app_id!r} of user {key.user_id!r} does not exist")
        return app

    async def list(self, user_id: str, page: Page) -> Sequence[App]:
        """The user's apps, oldest first."""
        return await self._store.apps.list(user_id, page)

    async def patch(self, key: AppKey, fields: AppFields, action: PatchAction) -> App:
        """Change what `fields` says. Raises AppNotFound."""
        app = await self.get(key)
        patched = replace(
            app,
            name=patch_text(app.name, fields.name, action),
            description=patch_text(app.description, fields.description, action),
            notes=patch_text(app.notes, fields.notes, action),
            metadata=patch_json(app.metadata, fields.metadata, action),
            modified_at=self._now(),
        )
        _check(patched)
        if not await self._store.apps.update(patched):
            raise AppNotFound(f"app {key.app_id!r} of user {key.user_id!r} does not exist")
        return patched

    async def delete(self, key: AppKey) -> None:
        """Delete the app and all that is in it; replicas stop. Raises AppNotFound."""
        if not await self._store.apps.delete(key):
            raise AppNotFound(f"app {key.app_id!r} of user {key.user_id!r} does not exist")

    def _make(self, key: AppKey, fields: AppFields) -> App:
        check_id("app", key.app_id)
        at = self._now()
        app = App(
            user_id=key.user_id,
            app_id=key.app_id,
            name=fields.name or key.app_id,
            description=fields.description,
            notes=fields.notes,
            metadata=fields.metadata or {},
            created_at=at,
            modified_at=at,
        )
        _check(app)
        return app


def _check(app: App) -> None:
    check_text("name", app.name)
    check_text("description", app.description)
    check_text("notes", app.notes, max_length=MAX_NOTES_LENGTH)
    check_metadata(app.metadata)
