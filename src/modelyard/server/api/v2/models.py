"""The methods on models."""

from __future__ import annotations

from modelyard.server.api.v2.call import Call, Handler
from modelyard.server.api.v2.convert import model_message
from modelyard.server.api.v2.requests import app_key_of, model_key_of, read_page, require_some
from modelyard.server.records import ModelKey
from modelyard.server.services.deployments import Deployments
from modelyard.server.services.models import ModelFields, Models
from modelyard.server.services.patches import read_action, read_struct
from modelyard.server.services.versions import Versions
from modelyard.wire.messages import (
    BaseResponse,
    DeleteModelRequest,
    DeleteModelsRequest,
    GetModelRequest,
    ListModelsRequest,
    Model,
    MultiModelResponse,
    PatchModelsRequest,
    PostModelsRequest,
    SingleModelResponse,
    Status,
)


class ModelsV2:
    """Convert, call, convert."""

    def __init__(self, models: Models, versions: Versions, deployments: Deployments) -> None:
        self._models = models
        self._versions = versions
        self._deployments = deployments

    def handlers(self) -> dict[str, Handler]:
        """What this noun answers, by method."""
        return {
            "ListModels": self.list,
            "GetModel": self.get,
            "PostModels": self.post,
            "PatchModels": self.patch,
            "DeleteModels": self.delete_many,
            "DeleteModel": self.delete,
        }

    async def list(self, call: Call, request: ListModelsRequest) -> MultiModelResponse:
        page = read_page(request)
        models = await self._models.list(call.user_id, call.app_id, page, model_type_id=request.model_type_id)
        current = await self._versions.current([one.key for one in models])
        return MultiModelResponse(models=[model_message(one, current.get(one.key)) for one in models])

    async def get(self, call: Call, request: GetModelRequest) -> SingleModelResponse:
        model = await self._models.find(call.user_id, call.app_id, request.model_id)
        if request.version_id:
            version = await self._versions.get(model.key, request.version_id)
            return SingleModelResponse(model=model_message(model, version))
        current = await self._versions.current([model.key])
        return SingleModelResponse(model=model_message(model, current.get(model.key)))

    async def post(self, call: Call, request: PostModelsRequest) -> SingleModelResponse:
        require_some(request.models, "models")
        keys = [model_key_of(call, one) for one in request.models]
        made = [await self._models.create(key, _fields_of(one)) for key, one in zip(keys, request.models, strict=True)]
        return SingleModelResponse(model=model_message(made[0]))

    async def patch(self, call: Call, request: PatchModelsRequest) -> MultiModelResponse:
        """A `model_version.id` asks that this version answers; it does once it is running."""
        require_some(request.models, "models")
        action = read_action(request.action)
        keys = [model_key_of(call, one) for one in request.models]
        patched = [
            await self._models.patch(key, _fields_of(one), action)
            for key, one in zip(keys, request.models, strict=True)
        ]
        for key, one in zip(keys, request.models, strict=True):
            if one.model_version.id:
                await self._deployments.promote(key, one.model_version.id)
        current = await self._versions.current(keys)
        return MultiModelResponse(models=[model_message(one, current.get(one.key)) for one in patched])

    async def delete_many(self, call: Call, request: DeleteModelsRequest) -> BaseResponse:
        app = app_key_of(call)
        if request.delete_all:
            await self._models.delete_all(app)
        else:
            require_some(request.ids, "ids")
            keys = [ModelKey(user_id=app.user_id, app_id=app.app_id, model_id=one) for one in request.ids]
            await self._models.delete(keys)
        return BaseResponse(status=Status())

    async def delete(self, call: Call, request: DeleteModelRequest) -> BaseResponse:
        model = await self._models.find(call.user_id, call.app_id, request.model_id)
        await self._models.delete([model.key])
        return BaseResponse(status=Status())


def _fields_of(model: Model) -> ModelFields:
    return ModelFields(
        model_type_id=model.model_type_id,
        name=model.name,
        description=model.description,
        notes=model.notes,
        metadata=read_struct(model.metadata) if model.HasField("metadata") else None,
    )
