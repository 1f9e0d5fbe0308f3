"""The methods on deployments: how models answer. What V2 has no field for stands in `metadata.modelyard`.

| V2 field                                        | what it is here                                                  |
|-------------------------------------------------|------------------------------------------------------------------|
| `worker.model.model_version.id`                 | the version that most requests go to; read only in a patch       |
| `desired_worker.model.model_version.id`         | where all requests shall go: an id, a number, or `previous`      |
| `autoscale_config.min_replicas max_replicas`    | replicas of each version                                         |
| `autoscale_config.scale_to_zero_delay_seconds`  | how long without a request before the last one stops             |
| `deploy_latest_version`                         | does a new version take over once it is ready                    |
| `deployment_metrics`                            | replicas that are wanted and that answer, is traffic on its way  |
| `metadata.modelyard.traffic`                    | `[{"version": 2, "weight": 90}, ...]`                            |
| `metadata.modelyard.rules`                      | `[{"header": "x-group", "value": "beta", "version": 3}, ...]`    |
| `metadata.modelyard.message`                    | why the last change of traffic was given up; read only           |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelyard.errors import InvalidRequest
from modelyard.server import records
from modelyard.server.api.v2.call import Call, Handler
from modelyard.server.api.v2.convert import moment, struct
from modelyard.server.api.v2.requests import read_page, require_same, require_some
from modelyard.server.records import Endpoint, ModelKey, Scale
from modelyard.server.services.deployments import Change, Deployments, Standing
from modelyard.server.services.patches import PatchAction, patch_json, read_action, read_struct
from modelyard.server.services.versions import SERVER_METADATA, Versions
from modelyard.wire.messages import (
    AutoscaleConfig,
    BaseResponse,
    DeleteDeploymentsRequest,
    Deployment,
    DeploymentMetrics,
    GetDeploymentRequest,
    ListDeploymentsRequest,
    Model,
    ModelVersion,
    MultiDeploymentResponse,
    PatchDeploymentsRequest,
    PostDeploymentsRequest,
    SingleDeploymentResponse,
    Status,
    Worker,
)


class DeploymentsV2:
    """Convert, call, convert."""

    def __init__(self, deployments: Deployments, versions: Versions) -> None:
        self._deployments = deployments
        self._versions = versions

    def handlers(self) -> dict[str, Handler]:
        """What this noun answers, by method."""
        return {
            "GetDeployment": self.get,
            "ListDeployments": self.list,
            "PostDeployments": self.post,
            "PatchDeployments": self.patch,
            "DeleteDeployments": self.delete,
        }

    async def get(self, call: Call, request: GetDeploymentRequest) -> SingleDeploymentResponse:
        found = await self._deployments.get(call.user_id, request.deployment_id)
        return SingleDeploymentResponse(deployment=await self._convert(found))

    async def list(self, call: Call, request: ListDeploymentsRequest) -> MultiDeploymentResponse:
        page = read_page(request)
        found = await self._deployments.list(call.user_id, page, version_ids=request.model_version_ids)
        return MultiDeploymentResponse(deployments=[await self._convert(one) for one in found])

    async def post(self, call: Call, request: PostDeploymentsRequest) -> MultiDeploymentResponse:
        require_some(request.deployments, "deployments")
        made = [await self._make(call, one) for one in request.deployments]
        return MultiDeploymentResponse(deployments=[await self._convert(one) for one in made])

    async def patch(self, call: Call, request: PatchDeploymentsRequest) -> MultiDeploymentResponse:
        require_some(request.deployments, "deployments")
        action = read_action(request.action)
        changed = []
        for one in request.deployments:
            require_same("user_id", call.user_id, "" if one.user_id == "me" else one.user_id)
            endpoint = await self._deployments.get(call.user_id, one.id)
            change = _read_change(one, endpoint, action)
            changed.append(await self._deployments.change(endpoint, change))
        return MultiDeploymentResponse(deployments=[await self._convert(one) for one in changed])

    async def delete(self, call: Call, request: DeleteDeploymentsRequest) -> BaseResponse:
        require_some(request.ids, "ids")
        for one in request.ids:
            await self._deployments.delete(call.user_id, one)
        return BaseResponse(status=Status())

    async def _make(self, call: Call, given: Deployment) -> Endpoint:
        require_same("user_id", call.user_id, "" if given.user_id == "me" else given.user_id)
        worker = given.worker if given.HasField("worker") else given.desired_worker
        if worker.HasField("workflow"):
            raise InvalidRequest("worker.workflow: deployments of workflows are not supported; name a model")
        named = worker.model
        model = await self._versions.find_model(call.user_id, named.app_id or call.app_id, named.id)
        change = _read_change(given, None, PatchAction.OVERWRITE)
        return await self._deployments.create(model.key, given.id, named.model_version.id, change)

    async def _convert(self, endpoint: Endpoint) -> Deployment:
        return deployment_message(endpoint, await self._deployments.stand(endpoint))


def deployment_message(endpoint: Endpoint, standing: Standing) -> Deployment:
    """An endpoint, as V2 has it."""
    wanted = endpoint.wanted or endpoint.traffic
    desired = max(wanted, key=lambda one: one.weight).version_id if wanted else ""
    return Deployment(
        id=endpoint.deployment_id,
        user_id=endpoint.user_id,
        autoscale_config=AutoscaleConfig(
            min_replicas=endpoint.scale.min_replicas,
            max_replicas=endpoint.scale.max_replicas,
            scale_to_zero_delay_seconds=round(endpoint.scale.idle_s),
        ),
        worker=_worker(endpoint.key, endpoint.main_version_id),
        desired_worker=_worker(endpoint.key, desired),
        deploy_latest_version=endpoint.follows_latest,
        deployment_metrics=DeploymentMetrics(
            desired_replicas=standing.desired_replicas,
            live_replicas=standing.live_replicas,
            rollout_in_progress=bool(endpoint.wanted),
        ),
        description=endpoint.description,
        metadata=struct({**endpoint.metadata, SERVER_METADATA: _describe(endpoint, standing)}),
        created_at=moment(endpoint.created_at),
        modified_at=moment(endpoint.modified_at),
    )


def _worker(key: ModelKey, version_id: str) -> Worker:
    version = ModelVersion(id=version_id, app_id=key.app_id, user_id=key.user_id)
    return Worker(model=Model(id=key.model_id, app_id=key.app_id, user_id=key.user_id, model_version=version))


def _describe(endpoint: Endpoint, standing: Standing) -> dict[str, Any]:
    def name(version_id: str) -> dict[str, Any]:
        return {"version": standing.numbers.get(version_id, 0), "version_id": version_id}

    def list_shares(shares: tuple[records.Share, ...]) -> list[dict[str, Any]]:
        return [{**name(one.version_id), "weight": one.weight} for one in shares]

    return {
        "traffic": list_shares(endpoint.traffic),
        "wanted": list_shares(endpoint.wanted),
        "rules": [{**name(one.version_id), "header": one.header, "value": one.value} for one in endpoint.rules],
        "message": endpoint.message,
    }


def _read_change(given: Deployment, endpoint: Endpoint | None, action: PatchAction) -> Change:
    """What a message says should be otherwise. Without an endpoint: of a new one."""
    metadata = read_struct(given.metadata) if given.HasField("metadata") else None
    ours = metadata.pop(SERVER_METADATA, None) if metadata else None
    ours = ours if isinstance(ours, dict) else {}
    desired = given.desired_worker.model.model_version.id if endpoint is not None else ""
    weights = _read_weights(ours["traffic"]) if ours.get("traffic") else None
    is_patch = endpoint is not None and metadata is not None
    return Change(
        weights={desired: 100} if desired else weights,
        rules=_read_rules(ours["rules"], action) if "rules" in ours else None,
        scale=_read_scale(given.autoscale_config) if given.HasField("autoscale_config") else None,
        follows_latest=True if given.deploy_latest_version else None,
        description=given.description or None,
        metadata=patch_json(endpoint.metadata, metadata, action) if is_patch and endpoint else metadata,
    )


def _read_scale(given: AutoscaleConfig) -> Scale:
    most = given.max_replicas or max(1, given.min_replicas)
    idle_s = float(given.scale_to_zero_delay_seconds) or Scale().idle_s
    return Scale(min_replicas=given.min_replicas, max_replicas=most, idle_s=idle_s)


def _read_weights(given: Any) -> Mapping[str, int]:
    """`[{"version": 2, "weight": 90}]` or `{"v2": 90}`."""
    if isinstance(given, dict):
        given = [{"version": name, "weight": weight} for name, weight in given.items()]
    weights: dict[str, int] = {}
    for one in given if isinstance(given, list) else [given]:
        version, weight = _read_version(one, "traffic"), one.get("weight")
        if not isinstance(weight, int) or isinstance(weight, bool):
            raise InvalidRequest(f"metadata.modelyard.traffic: weight {weight!r} is not a whole number")
        if version in weights:
            raise InvalidRequest(f"metadata.modelyard.traffic: version {version} is named twice")
        weights[version] = weight
    return weights


def _read_rules(given: Any, action: PatchAction) -> list[tuple[str, str, str]]:
    if action is PatchAction.REMOVE:
        return []
    rules = []
    for one in given if isinstance(given, list) else [given]:
        version = _read_version(one, "rules")
        rules.append((str(one.get("header", "")), str(one.get("value", "")), version))
    return rules


def _read_version(one: Any, where: str) -> str:
    """`version_id` is for reading: a caller who sends it back unchanged sends the number too."""
    version = (one.get("version") or one.get("version_id")) if isinstance(one, dict) else None
    if not isinstance(version, str | int) or not str(version):
        raise InvalidRequest(f'metadata.modelyard.{where}: each entry names a version, such as {{"version": 2, ...}}')
    return str(version)
