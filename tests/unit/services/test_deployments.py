"""What may be wanted of a model's traffic and replicas, and how the wish is written down."""

from __future__ import annotations

import pytest

from modelyard.errors import Conflict, DeploymentNotFound, InvalidRequest, ModelNotDeployed, VersionNotFound
from modelyard.server.records import Endpoint, HeaderRule, Page, Scale, Share, VersionState, shift
from modelyard.server.services.deployments import Change
from support.house import House
from support.replicas import ALL_METHODS, EchoLink
from support.stores import add_model, add_version, make_deployment, make_key


@pytest.fixture
async def own(house: House) -> Endpoint:
    """Of a model with three versions that are ready, the third of which serves, and a fourth that failed."""
    await add_model(house.store)
    for version_id in ("a1", "a2", "a3"):
        await house.store.deployments.put(make_deployment(await add_version(house.store, version_id)))
    await add_version(house.store, "a4", state=VersionState.BUILD_FAILED)
    return await house.deployments.get_own(make_key())


async def test_traffic_is_wanted_before_it_moves(house: House, own: Endpoint) -> None:
    changed = await house.deployments.change(own, Change(weights={"1": 90, "v2": 10, "a3": 0}))
    assert changed.wanted == (Share(version_id="a1", weight=90), Share(version_id="a2", weight=10))
    assert changed.traffic == own.traffic


async def test_to_want_what_is_there_takes_back_what_was_wanted(house: House, own: Endpoint) -> None:
    await house.deployments.promote(make_key(), "1")
    changed = await house.deployments.promote(make_key(), "3")
    assert (changed.wanted, changed.traffic) == ((), own.traffic)


@pytest.mark.parametrize(
    ("weights", "kind", "words"),
    [
        ({"4": 100}, ModelNotDeployed, "version 4 of model ada/main/m cannot serve"),
        ({"5": 100}, VersionNotFound, "'5'"),
        ({"1": 0}, InvalidRequest, "no version gets any"),
        ({}, InvalidRequest, "no version gets any"),
        ({"1": -1}, InvalidRequest, "weight -1"),
        ({"1": 1, "v1": 2}, InvalidRequest, "named twice"),
    ],
)
async def test_traffic_that_cannot_be_is_refused(
    house: House, own: Endpoint, weights: dict[str, int], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        await house.deployments.change(own, Change(weights=weights))
    assert await house.deployments.get_own(make_key()) == own


async def test_rules_name_a_header_its_value_and_a_version(house: House, own: Endpoint) -> None:
    changed = await house.deployments.change(own, Change(rules=[("X-Group", "beta", "v1")]))
    assert changed.rules == (HeaderRule(header="x-group", value="beta", version_id="a1"),)
    assert (await house.deployments.change(changed, Change(rules=[]))).rules == ()


@pytest.mark.parametrize(
    "rule", [("x group", "a", "1"), ("", "a", "1"), ("authorization", "a", "1"), ("x-a", "", "1"), ("x-a", "a\n", "1")]
)
async def test_headers_that_cannot_be_looked_at_are_refused(
    house: House, own: Endpoint, rule: tuple[str, str, str]
) -> None:
    with pytest.raises(InvalidRequest, match="header"):
        await house.deployments.change(own, Change(rules=[rule]))


@pytest.mark.parametrize(
    "scale",
    [
        Scale(min_replicas=2, max_replicas=1),
        Scale(min_replicas=0, max_replicas=0),
        Scale(max_replicas=1000),
        Scale(idle_s=0.0),
    ],
)
async def test_replicas_that_cannot_be_are_refused(house: House, own: Endpoint, scale: Scale) -> None:
    with pytest.raises(InvalidRequest):
        await house.deployments.change(own, Change(scale=scale))


async def test_a_rollback_goes_to_the_newest_version_before_that_can_serve(house: House, own: Endpoint) -> None:
    assert (await house.deployments.find_before(make_key())).version_id == "a2"
    back = await house.deployments.promote(make_key(), "previous")
    await house.store.endpoints.change("ada", own.deployment_id, lambda one: shift(one, back.wanted, house.clock()))
    assert (await house.deployments.find_before(make_key())).version_id == "a1"


async def test_without_a_version_before_there_is_no_way_back(house: House) -> None:
    await add_model(house.store)
    with pytest.raises(ModelNotDeployed, match="has ever been ready"):
        await house.deployments.find_before(make_key())
    await house.store.deployments.put(make_deployment(await add_version(house.store, "a1")))
    with pytest.raises(ModelNotDeployed, match="no version before 1"):
        await house.deployments.find_before(make_key())


async def test_another_deployment_has_traffic_and_replicas_of_its_own(house: House, own: Endpoint) -> None:
    scale = Scale(min_replicas=0, max_replicas=2, idle_s=5.0)
    made = await house.deployments.create(make_key(), "shop", "1", Change(scale=scale))
    assert (made.traffic, made.scale, made.is_own) == ((Share(version_id="a1", weight=100),), scale, False)
    follows = await house.deployments.create(make_key(), "", "", Change())
    assert follows.traffic == own.traffic
    with pytest.raises(Conflict):
        await house.deployments.create(make_key(), "shop", "1", Change())
    with pytest.raises(InvalidRequest, match="deployment id"):
        await house.deployments.create(make_key(), "a~b", "1", Change())
    assert [one.deployment_id for one in await house.deployments.list("ada", Page(), version_ids=["a1"])] == ["shop"]
    await house.deployments.delete("ada", "shop")
    with pytest.raises(DeploymentNotFound):
        await house.deployments.get("ada", "shop")
    with pytest.raises(Conflict, match="goes with the model"):
        await house.deployments.delete("ada", own.deployment_id)


async def test_what_is_and_what_is_wanted_are_told(house: House, own: Endpoint) -> None:
    house.router.add("r1", "a3", EchoLink(), 2, ALL_METHODS)
    await house.store.deployments.scale("a3", 2, house.clock())
    standing = await house.deployments.stand(own)
    assert (standing.live_replicas, standing.desired_replicas, standing.numbers) == (1, 2, {"a3": 3})
    versions = await house.store.versions.list(make_key(), Page())
    told = await house.deployments.stand_versions(make_key(), versions)
    assert {one: (had.traffic, had.live_replicas) for one, had in told.items()} == {
        "a1": (0.0, 0),
        "a2": (0.0, 0),
        "a3": (100.0, 1),
        "a4": (0.0, 0),
    }
