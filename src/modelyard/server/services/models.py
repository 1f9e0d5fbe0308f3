"""Models: the names under which versions are served."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from modelyard.errors import Conflict, InvalidRequest, ModelNotFound
from modelyard.server.records import AppKey, JsonObject, Model, ModelKey, Page
from modelyard.server.services.apps import Apps
from modelyard.server.services.fields import MAX_NOTES_LENGTH, check_id, check_metadata, check_text
from modelyard.server.services.patches import PatchAction, patch_json, patch_text
from modelyard.server.store.base import Store

MAX_TYPE_LENGTH = 100


@dataclass(frozen=True, kw_only=True)
class ModelFields:
    """What a caller says about a model. Empty, or None, is what they did not say."""

    model_type_id: str = ""
    name: str = ""
    description: str = ""
    notes: str = ""
    metadata: JsonObject | None = None


class Models:
    """Makes, finds, changes and deletes models."""

    def __init__(self, store: Store, apps: Apps, *, now: Callable[[], datetime]) -> None:
        self._store = store
        self._apps = apps
        self._now = now

    async def create(self, key: ModelKey, fields: ModelFields) -> Model:
        """Make a model, and in single-user mode the app that it is in.

        Raises:
            Conflict: the app has a model of that id.
            AppNotFound: there is no such app, in multi-user mode.
            InvalidRequest: an id or a field that may not be so.
        """
        check_id("model", key.model_id)
        at = self._now()
        model = Model(
            key=key,
            model_type_id=fields.model_type_id,
            name=fields.name or key.model_id,
            description=fields.description,
            notes=fields.notes,
            metadata=fields.metadata or {},
            created_at=at,
            modified_at=at,
        )
        _check(model)
        await self._apps.ensure(key.app)
        if not await self._store.models.add(model):
            raise Conflict(
                f"model {key.model_id!r} exists already in app {key.app_id!r}",
                hint="choose another id, or add a version to the model that is there",
            )
        return model

    async def ensure(self, key: ModelKey, fields: ModelFields) -> Model:
        """The model, made where it is not there; fields of one that is there stay as they are."""
        model = await self._store.models.get(key)
        if model is not None:
            return model
        try:
            return await self.create(key, fields)
        except Conflict:
            return await self.get(key)

    async def get(self, key: ModelKey) -> Model:
        """The model; raises ModelNotFound."""
        model = await self._store.models.get(key)
        if model is None:
            raise _not_found(key)
        return model

    async def find(self, user_id: str, app_id: str, model_id: str) -> Model:
        """The model by what a request says of it. Without an app it must be the user's only model of that id.

        Raises:
            ModelNotFound: there is none.
            InvalidRequest: several apps have one, or the request names no model.
        """
        if not model_id:
            raise InvalidRequest("the request names no model: model_id is empty")
        if app_id:
            return await self.get(ModelKey(user_id=user_id, app_id=app_id, model_id=model_id))
        found = await self._store.models.find(user_id, model_id)
        if len(found) > 1:
            apps = ", ".join(sorted(one.key.app_id for one in found))
            raise InvalidRequest(
                f"several apps have a model {model_id!r}: {apps}", hint="name one in user_app_id.app_id"
            )
        if not found:
            raise ModelNotFound(f"Model does not exist: {model_id!r} in none of the apps of {user_id!r}")
        return found[0]

    async def list(self, user_id: str, app_id: str, page: Page, *, model_type_id: str = "") -> Sequence[Model]:
        """The models of an app, oldest first; of all the user's apps where `app_id` is empty. Raises AppNotFound."""
        if not app_id:
            return await self._store.models.list_by_user(user_id, page, model_type_id=model_type_id)
        app = await self._apps.get(AppKey(user_id=user_id, app_id=app_id))
        return await self._store.models.list(app.key, page, model_type_id=model_type_id)

    async def patch(self, key: ModelKey, fields: ModelFields, action: PatchAction) -> Model:
        """Change what `fields` says. Raises ModelNotFound."""
        model = await self.get(key)
        patched = replace(
            model,
            model_type_id=patch_text(model.model_type_id, fields.model_type_id, action),
            name=patch_text(model.name, fields.name, action),
            description=patch_text(model.description, fields.description, action),
            notes=patch_text(model.notes, fields.notes, action),
            metadata=patch_json(model.metadata, fields.metadata, action),
            modified_at=self._now(),
        )
        _check(patched)
        if not await self._store.models.update(patched):
            raise _not_found(key)
        return patched

    async def delete(self, keys: Sequence[ModelKey]) -> None:
        """Delete models with their versions; replicas stop. Raises ModelNotFound, before any is deleted."""
        for key in keys:
            await self.get(key)
        for key in keys:
            await self._store.models.delete(key)

    async def delete_all(self, app: AppKey) -> None:
        """Delete all models of an app. Raises AppNotFound."""
        await self._apps.get(app)
        while rows := await self._store.models.list(app, Page()):
            for row in rows:
                await self._store.models.delete(row.key)


def _not_found(key: ModelKey) -> ModelNotFound:
    """Clients look for these first words."""
    return ModelNotFound(f"Model does not exist: {key}")


def _check(model: Model) -> None:
    check_text("model_type_id", model.model_type_id, max_length=MAX_TYPE_LENGTH)
    check_text("name", model.name)
    check_text("description", model.description)
    check_text("notes", model.notes, max_length=MAX_NOTES_LENGTH)
    check_metadata(model.metadata)
