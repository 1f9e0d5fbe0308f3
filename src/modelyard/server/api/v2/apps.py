"""The methods on apps."""

from __future__ import annotations

from modelyard.server.api.v2.call import Call, Handler
from modelyard.server.api.v2.convert import app_message
from modelyard.server.api.v2.requests import app_key_of, read_page, require_same, require_some
from modelyard.server.records import AppKey
from modelyard.server.services.apps import AppFields, Apps
from modelyard.server.services.patches import read_action, read_struct
from modelyard.wire.messages import (
    App,
    BaseResponse,
    DeleteAppRequest,
    GetAppRequest,
    ListAppsRequest,
    MultiAppResponse,
    PatchAppRequest,
    PatchAppsRequest,
    PostAppsRequest,
    SingleAppResponse,
    Status,
)


class AppsV2:
    """Convert, call, convert."""

    def __init__(self, apps: Apps) -> None:
        self._apps = apps

    def handlers(self) -> dict[str, Handler]:
        """What this noun answers, by method."""
        return {
            "ListApps": self.list,
            "GetApp": self.get,
            "PostApps": self.post,
            "PatchApps": self.patch_many,
            "PatchApp": self.patch,
            "DeleteApp": self.delete,
        }

    async def list(self, call: Call, request: ListAppsRequest) -> MultiAppResponse:
        apps = await self._apps.list(call.user_id, read_page(request))
        return MultiAppResponse(apps=[app_message(one) for one in apps])

    async def get(self, call: Call, _request: GetAppRequest) -> SingleAppResponse:
        return SingleAppResponse(app=app_message(await self._apps.get(app_key_of(call))))

    async def post(self, call: Call, request: PostAppsRequest) -> MultiAppResponse:
        require_some(request.apps, "apps")
        made = [await self._apps.create(_key_of(call, one), _fields_of(one)) for one in request.apps]
        return MultiAppResponse(apps=[app_message(one) for one in made])

    async def patch_many(self, call: Call, request: PatchAppsRequest) -> MultiAppResponse:
        require_some(request.apps, "apps")
        action = read_action(request.action)
        patched = [await self._apps.patch(_key_of(call, one), _fields_of(one), action) for one in request.apps]
        return MultiAppResponse(apps=[app_message(one) for one in patched])

    async def patch(self, call: Call, request: PatchAppRequest) -> SingleAppResponse:
        key = app_key_of(call, request.app.user_id, request.app.id)
        patched = await self._apps.patch(key, _fields_of(request.app), read_action(request.action))
        return SingleAppResponse(app=app_message(patched))

    async def delete(self, call: Call, _request: DeleteAppRequest) -> BaseResponse:
        await self._apps.delete(app_key_of(call))
        return BaseResponse(status=Status())


def _key_of(call: Call, app: App) -> AppKey:
    """The app that a message names. The request's own app_id says nothing here: these methods are the user's."""
    require_same("user_id", call.user_id, "" if app.user_id == "me" else app.user_id)
    return AppKey(user_id=call.user_id, app_id=app.id)


def _fields_of(app: App) -> AppFields:
    return AppFields(
        name=app.name,
        description=app.description,
        notes=app.notes,
        metadata=read_struct(app.metadata) if app.HasField("metadata") else None,
    )
