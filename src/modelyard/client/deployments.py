"""How models answer: their traffic, their replicas, and which version is next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from modelyard.client.models import Models
from modelyard.client.names import ModelName, read_name
from modelyard.client.pages import read_pages
from modelyard.client.transport import Transport
from modelyard.errors import ModelNotDeployed, Unavailable
from modelyard.wire.messages import (
    Deployment,
    GetDeploymentRequest,
    ListDeploymentsRequest,
    PatchDeploymentsRequest,
    UserAppIDSet,
)

POLL_S = 0.03
PATIENCE_S = 60.0
"""How long a server may be away while traffic moves: it is being restarted."""
PREVIOUS = "previous"
"""Instead of a version: the newest one before the version that serves."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Requests that carry this header with this value go to this version."""

    header: str
    value: str
    version: str


class Deployments:
    """How the models of a server answer. A model is named as everywhere; a version by its id or its number."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._models = Models(transport)

    def get(self, name: ModelName | str) -> Deployment:
        """How the model answers. Raises DeploymentNotFound while no version of it has ever been ready."""
        request = GetDeploymentRequest(user_app_id=self._scope(), deployment_id=self._own_id(read_name(name)))
        return self._transport.call("GetDeployment", request).deployment

    def list(self) -> Iterator[Deployment]:
        """Every deployment of the user's."""
        return read_pages(
            self._transport, "ListDeployments", ListDeploymentsRequest(user_app_id=self._scope()), "deployments"
        )

    def promote(self, name: ModelName | str, version: str) -> Deployment:
        """All requests go to this version from now on; waits until they do. See `wait`."""
        return self.split(name, {version: 100})

    def roll_back(self, name: ModelName | str, version: str = "") -> Deployment:
        """All requests go to this version, or to the newest one before that serves; waits until they do."""
        return self.promote(name, version or PREVIOUS)

    def split(self, name: ModelName | str, weights: Mapping[str, int]) -> Deployment:
        """Share the requests out by weight; waits until they are. Raises what `wait` raises."""
        traffic = [{"version": version, "weight": weight} for version, weight in weights.items()]
        self._patch(name, {"traffic": traffic})
        return self.wait(name)

    def set_rules(self, name: ModelName | str, rules: Sequence[Rule]) -> Deployment:
        """Send requests by their headers; these rules replace all there were."""
        return self._patch(name, {"rules": [vars(one) for one in rules]})

    def scale(
        self, name: ModelName | str, *, least: int | None = None, most: int | None = None, idle_s: int | None = None
    ) -> Deployment:
        """How many replicas each version may have, and after how long without a request none; None stays as it is."""
        deployment_id = self._own_id(read_name(name))
        request = GetDeploymentRequest(user_app_id=self._scope(), deployment_id=deployment_id)
        had = self._transport.call("GetDeployment", request).deployment.autoscale_config
        least = had.min_replicas if least is None else least
        patch = Deployment(id=deployment_id)
        patch.autoscale_config.min_replicas = least
        patch.autoscale_config.max_replicas = max(had.max_replicas, least) if most is None else most
        patch.autoscale_config.scale_to_zero_delay_seconds = (
            had.scale_to_zero_delay_seconds if idle_s is None else idle_s
        )
        return self._send(patch)

    def wait(self, name: ModelName | str, on_wait: Callable[[Deployment], None] = lambda _: None) -> Deployment:
        """Wait until the traffic is where it is wanted.

        A server that is restarted meanwhile goes on with it, and so does the wait.

        Raises:
            ModelNotDeployed: a version could not be started; the traffic stays where it was.
            Unavailable: no server has answered for `PATIENCE_S`.
        """
        answered_at = time.monotonic()
        while True:
            try:
                found = self.get(name)
            except Unavailable:
                if time.monotonic() - answered_at > PATIENCE_S:
                    raise
                time.sleep(POLL_S)
                continue
            answered_at = time.monotonic()
            if not found.deployment_metrics.rollout_in_progress:
                message = found.metadata["modelyard"]["message"]
                if message:
                    raise ModelNotDeployed(f"the traffic stays where it was: {message}", hint="modelyard logs MODEL")
                return found
            on_wait(found)
            time.sleep(POLL_S)

    def _patch(self, name: ModelName | str, ours: Mapping[str, object]) -> Deployment:
        patch = Deployment(id=self._own_id(read_name(name)))
        patch.metadata.update({"modelyard": dict(ours)})
        return self._send(patch)

    def _send(self, patch: Deployment) -> Deployment:
        request = PatchDeploymentsRequest(user_app_id=self._scope(), deployments=[patch], action="merge")
        return self._transport.call("PatchDeployments", request).deployments[0]

    def _own_id(self, name: ModelName) -> str:
        app_id = name.app_id or self._models.get(replace(name, version="")).app_id
        return f"{app_id}~{name.model_id}"

    def _scope(self) -> UserAppIDSet:
        return UserAppIDSet(user_id=self._transport.context.user)
