"""The methods on versions. Uploads have their own file."""

from __future__ import annotations

from collections.abc import Sequence

from modelyard.server.api.v2.call import Call, Handler
from modelyard.server.api.v2.convert import model_message, version_message
from modelyard.server.api.v2.requests import read_page, require_some
from modelyard.server.records import Version
from modelyard.server.services.deployments import Deployments
from modelyard.server.services.patches import read_action
from modelyard.server.services.versions import Versions
from modelyard.wire.messages import (
    BaseResponse,
    DeleteModelVersionRequest,
    GetModelVersionRequest,
    ListModelVersionsRequest,
    ModelVersion,
    MultiModelVersionResponse,
    PatchModelVersionsRequest,
    PostModelVersionsRequest,
    SingleModelResponse,
    SingleModelVersionResponse,
    Status,
)


class VersionsV2:
    """Convert, call, convert."""

    def __init__(self, versions: Versions, deployments: Deployments) -> None:
        self._versions = versions
        self._deployments = deployments

    def handlers(self) -> dict[str, Handler]:
        """What this noun answers, by method."""
        return {
            "ListModelVersions": self.list,
            "GetModelVersion": self.get,
            "PostModelVersions": self.post,
            "PatchModelVersions": self.patch,
            "DeleteModelVersion": self.delete,
        }

    async def list(self, call: Call, request: ListModelVersionsRequest) -> MultiModelVersionResponse:
        page = read_page(request)
        versions = await self._versions.list(call.user_id, call.app_id, request.model_id, page)
        return MultiModelVersionResponse(model_versions=await _convert(self._deployments, versions))

    async def get(self, call: Call, request: GetModelVersionRequest) -> SingleModelVersionResponse:
        version = await self._versions.find(call.user_id, call.app_id, request.model_id, request.version_id)
        return SingleModelVersionResponse(model_version=(await _convert(self._deployments, [version]))[0])

    async def post(self, call: Call, request: PostModelVersionsRequest) -> SingleModelResponse:
        """Make versions without an upload; the answer's model carries the last of them."""
        model = await self._versions.find_model(call.user_id, call.app_id, request.model_id)
        specs = list(request.model_versions) or [ModelVersion()]
        for spec in specs:
            spec.description = spec.description or request.description
        made = [await self._versions.create_empty(model.key, spec) for spec in specs]
        return SingleModelResponse(model=model_message(model, made[-1]))

    async def patch(self, call: Call, request: PatchModelVersionsRequest) -> MultiModelVersionResponse:
        require_some(request.model_versions, "model_versions")
        action = read_action(request.action)
        model = await self._versions.find_model(call.user_id, call.app_id, request.model_id)
        patched = [await self._versions.patch(model.key, one.id, one, action) for one in request.model_versions]
        return MultiModelVersionResponse(model_versions=await _convert(self._deployments, patched))

    async def delete(self, call: Call, request: DeleteModelVersionRequest) -> BaseResponse:
        model = await self._versions.find_model(call.user_id, call.app_id, request.model_id)
        await self._versions.delete(model.key, request.version_id)
        return BaseResponse(status=Status())


async def _convert(deployments: Deployments, versions: Sequence[Version]) -> list[ModelVersion]:
    """Versions of one model, with how things stand with them."""
    standings = await deployments.stand_versions(versions[0].key, versions) if versions else {}
    return [version_message(one, standings[one.version_id]) for one in versions]
