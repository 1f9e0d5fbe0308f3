"""The methods on deployments, called as a door calls them."""

from __future__ import annotations

from typing import Any

import pytest

from modelyard.server.records import Scale
from modelyard.wire.messages import Deployment, StatusCode
from support.house import House
from support.stores import add_model, add_version, make_deployment, make_key

OWN = "main~m"
Ask = Any


@pytest.fixture(autouse=True)
async def model(house: House) -> None:
    """With two versions; the second serves."""
    await add_model(house.store)
    for version_id in ("a1", "a2"):
        await house.store.deployments.put(make_deployment(await add_version(house.store, version_id)))


def say(deployment_id: str = OWN, **fields: Any) -> Deployment:
    return Deployment(id=deployment_id, **fields)


def worker(version_id: str = "") -> dict[str, Any]:
    return {"model": {"id": "m", "app_id": "main", "user_id": "ada", "model_version": {"id": version_id}}}


async def test_a_model_that_serves_has_a_deployment_of_its_own(ask: Ask) -> None:
    one = (await ask("GetDeployment", deployment_id=OWN)).deployment
    assert (one.id, one.user_id, one.deploy_latest_version) == (OWN, "ada", True)
    assert one.worker.model.id == "m"
    assert one.worker.model.model_version.id == one.desired_worker.model.model_version.id == "a2"
    assert (one.autoscale_config.min_replicas, one.autoscale_config.max_replicas) == (1, 1)
    assert (one.deployment_metrics.desired_replicas, one.deployment_metrics.live_replicas) == (1, 0)
    (share,) = one.metadata["modelyard"]["traffic"]
    assert (share["version"], share["version_id"], share["weight"]) == (2, "a2", 100)
    assert list((await ask("ListDeployments")).deployments) == [one]


async def test_what_is_not_there_is_told(ask: Ask) -> None:
    answer = await ask("GetDeployment", deployment_id="local-m")
    assert answer.status.code == StatusCode.CONN_DOES_NOT_EXIST


async def test_a_desired_worker_is_where_the_traffic_shall_go(ask: Ask) -> None:
    patch = say(desired_worker=worker("a1"))
    (one,) = (await ask("PatchDeployments", deployments=[patch], action="overwrite")).deployments
    assert one.worker.model.model_version.id == "a2"
    assert one.desired_worker.model.model_version.id == "a1"
    assert one.deployment_metrics.rollout_in_progress


async def test_a_models_version_in_a_patch_asks_for_the_same(ask: Ask, house: House) -> None:
    answer = await ask("PatchModels", models=[{"id": "m", "model_version": {"id": "a1"}}], action="merge")
    assert answer.status.code == StatusCode.SUCCESS
    assert answer.models[0].model_version.id == "a2", "until the other one answers"
    own = await house.deployments.get_own(make_key())
    assert [one.version_id for one in own.wanted] == ["a1"]


@pytest.mark.parametrize(
    "traffic",
    [{"v1": 90, "2": 10}, [{"version": 1, "weight": 90}, {"version": "v2", "version_id": "a2", "weight": 10}]],
)
async def test_traffic_is_shared_by_our_extension(ask: Ask, house: House, traffic: Any) -> None:
    patch = say()
    patch.metadata.update({"modelyard": {"traffic": traffic}})
    answer = await ask("PatchDeployments", deployments=[patch], action="merge")
    assert answer.status.code == StatusCode.SUCCESS, answer.status
    own = await house.deployments.get_own(make_key())
    assert {one.version_id: one.weight for one in own.wanted} == {"a1": 90, "a2": 10}
    assert own.metadata == {}, "what is ours stands in the row, not in the metadata"


@pytest.mark.parametrize(
    ("ours", "words"),
    [
        ({"traffic": {"v1": 1.5}}, "1.5"),
        ({"traffic": [{"weight": 1}]}, "names a version"),
        ({"traffic": "v1"}, "names a version"),
        ({"rules": [{"version": 1, "value": "a"}]}, "header"),
        ({"traffic": {"v9": 1}}, "v9"),
    ],
)
async def test_what_cannot_be_is_told(ask: Ask, ours: dict[str, Any], words: str) -> None:
    patch = say()
    patch.metadata.update({"modelyard": ours})
    answer = await ask("PatchDeployments", deployments=[patch], action="overwrite")
    assert answer.status.code != StatusCode.SUCCESS
    assert words in answer.status.description


async def test_rules_are_replaced_and_removed(ask: Ask) -> None:
    patch = say()
    patch.metadata.update({"modelyard": {"rules": [{"header": "x-group", "value": "beta", "version": 1}]}})
    (one,) = (await ask("PatchDeployments", deployments=[patch], action="merge")).deployments
    (rule,) = one.metadata["modelyard"]["rules"]
    assert (rule["header"], rule["value"], rule["version"]) == ("x-group", "beta", 1)
    (one,) = (await ask("PatchDeployments", deployments=[patch], action="remove")).deployments
    assert list(one.metadata["modelyard"]["rules"]) == []


async def test_replicas_are_set_and_the_rest_stays(ask: Ask, house: House) -> None:
    scale = {"min_replicas": 0, "max_replicas": 3, "scale_to_zero_delay_seconds": 20}
    (one,) = (await ask("PatchDeployments", deployments=[say(autoscale_config=scale)], action="overwrite")).deployments
    assert one.worker.model.model_version.id == "a2"
    own = await house.deployments.get_own(make_key())
    assert own.scale == Scale(min_replicas=0, max_replicas=3, idle_s=20.0)


async def test_a_client_makes_and_deletes_a_deployment(ask: Ask) -> None:
    given = say("shop", worker=worker("a1"), autoscale_config={"min_replicas": 1, "max_replicas": 2})
    given.metadata.update({"mine": 1})
    (made,) = (await ask("PostDeployments", deployments=[given])).deployments
    assert (made.id, made.worker.model.model_version.id, made.metadata["mine"]) == ("shop", "a1", 1)
    assert not made.deploy_latest_version
    assert (await ask("PostDeployments", deployments=[given])).status.code == StatusCode.CONN_INVALID_REQUEST
    found = (await ask("ListDeployments", model_version_ids=["a1"])).deployments
    assert [one.id for one in found] == ["shop"]
    assert (await ask("DeleteDeployments", ids=["shop"])).status.code == StatusCode.SUCCESS
    assert (await ask("DeleteDeployments", ids=[OWN])).status.code == StatusCode.CONN_INVALID_REQUEST


async def test_a_deployment_of_a_workflow_is_refused(ask: Ask) -> None:
    answer = await ask("PostDeployments", deployments=[say("w", worker={"workflow": {"id": "w"}})])
    assert "worker.workflow" in answer.status.description


async def test_a_version_says_its_number_and_how_things_stand(ask: Ask) -> None:
    versions = (await ask("ListModelVersions", model_id="m")).model_versions
    told = [(one.metadata["modelyard"]["number"], one.metadata["modelyard"]["traffic"]) for one in versions]
    assert told == [(2, 100), (1, 0)]
    one = (await ask("GetModelVersion", model_id="m", version_id="v1")).model_version
    assert (one.id, one.metadata["modelyard"]["number"], one.metadata["modelyard"]["replicas"]) == ("a1", 1, 0)
