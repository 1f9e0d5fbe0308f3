"""From what a request names to the version that answers it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from modelyard.errors import (
    DeploymentNotFound,
    InvalidRequest,
    ModelDeploying,
    ModelNotDeployed,
    ModelNotFound,
    ModelyardError,
    VersionNotFound,
)
from modelyard.server.records import Endpoint, Share, VersionState, shift
from modelyard.server.services.deployments import Change
from modelyard.server.services.renewals import Freshness
from modelyard.server.services.targets import Address, Targets
from modelyard.wire.messages import ModelVersion, PostModelOutputsRequest
from support.house import House
from support.stores import add_model, add_version, make_deployment, make_key, make_version


def address(version_id: str = "", *, model_id: str = "m", app_id: str = "main", user_id: str = "ada") -> Address:
    return Address(user_id=user_id, app_id=app_id, model_id=model_id, version_id=version_id)


@pytest.fixture
async def targets(house: House) -> Targets:
    await add_model(house.store)
    return Targets(house.versions, house.store.watch(), freshness=Freshness(clock=house.clock.monotonic))


async def test_no_version_is_the_default_one(targets: Targets, house: House) -> None:
    serving = await add_version(house.store, "v1")
    await house.store.deployments.put(make_deployment(serving))
    await add_version(house.store, "v2", state=VersionState.BUILDING)
    assert (await targets.resolve(address())).version_id == "v1"
    assert (await targets.resolve(address(app_id=""))).version_id == "v1"


async def test_an_older_version_is_asked_for_by_its_id(targets: Targets, house: House) -> None:
    await add_version(house.store, "v1")
    await add_version(house.store, "v2")
    assert (await targets.resolve(address("v1"))).version_id == "v1"


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        (address(model_id="x"), ModelNotFound, "Model does not exist"),
        (address(app_id="x"), ModelNotFound, "Model does not exist"),
        (address(user_id="eve"), ModelNotFound, "Model does not exist"),
        (address("x"), VersionNotFound, "'x'"),
        (address(model_id=""), InvalidRequest, "model_id is empty"),
    ],
)
async def test_what_is_not_there_is_named(
    targets: Targets, house: House, asked: Address, kind: type[ModelyardError], words: str
) -> None:
    await add_version(house.store, "v1")
    with pytest.raises(kind, match=words):
        await targets.resolve(asked)


@pytest.mark.parametrize(
    "state", [VersionState.UPLOADING, VersionState.UPLOADED, VersionState.BUILDING, VersionState.BUILT]
)
async def test_a_version_that_is_being_built_is_deploying(targets: Targets, house: House, state: VersionState) -> None:
    await house.store.versions.add(replace(make_version("v1", state=state), state_message="waiting for a builder"))
    with pytest.raises(ModelDeploying, match="not ready yet: waiting for a builder"):
        await targets.resolve(address())


@pytest.mark.parametrize("state", [VersionState.UPLOAD_FAILED, VersionState.BUILD_FAILED])
async def test_a_version_that_failed_says_why(targets: Targets, house: House, state: VersionState) -> None:
    failed = replace(make_version("v1", state=state), state_message="no torch for you", state_details="line 3")
    await house.store.versions.add(failed)
    with pytest.raises(ModelNotDeployed, match="cannot serve: no torch for you") as caught:
        await targets.resolve(address())
    assert caught.value.details == "line 3"


async def test_a_version_without_an_upload_says_so(targets: Targets, house: House) -> None:
    await add_version(house.store, "v1", state=VersionState.EMPTY)
    with pytest.raises(ModelNotDeployed, match="nothing was uploaded"):
        await targets.resolve(address())


async def test_an_answer_is_remembered_for_a_second_and_a_refusal_is_not(targets: Targets, house: House) -> None:
    with pytest.raises(VersionNotFound):
        await targets.resolve(address())
    version = await add_version(house.store, "v1")
    assert (await targets.resolve(address())).version_id == "v1"
    await house.store.versions.update(replace(version, state=VersionState.BUILD_FAILED))
    house.clock.advance(0.9)
    assert (await targets.resolve(address())).version_id == "v1"
    house.clock.advance(0.2)
    with pytest.raises(ModelNotDeployed):
        await targets.resolve(address())


async def test_what_is_asked_all_the_time_is_renewed_and_nobody_waits(targets: Targets, house: House) -> None:
    version = await add_version(house.store, "v1")
    await targets.resolve(address())
    for _ in range(5):
        house.clock.advance(0.6)
        assert targets.recall(address()) is not None
        await asyncio.gather(*targets._renewals._looks.values())
    await house.store.versions.update(replace(version, state=VersionState.BUILD_FAILED))
    house.clock.advance(0.6)
    assert targets.recall(address()) is not None  # a renewal that fails is the next look's to tell
    await asyncio.gather(*targets._renewals._looks.values())
    house.clock.advance(0.6)
    assert targets.recall(address()) is None
    with pytest.raises(ModelNotDeployed):
        await targets.resolve(address())


async def test_a_new_default_is_asked_at_once(targets: Targets, house: House) -> None:
    await house.store.deployments.put(make_deployment(await add_version(house.store, "v1")))
    assert (await targets.resolve(address())).version_id == "v1"
    await house.store.deployments.put(make_deployment(await add_version(house.store, "v2")))
    assert (await targets.resolve(address())).version_id == "v2"


async def test_the_class_is_told_who_it_is_and_its_concepts(targets: Targets, house: House) -> None:
    spec = ModelVersion()
    spec.output_info.data.concepts.add(id="cat", name="Cat")
    spec.output_info.params_specs.add(path="temperature")
    await house.store.versions.add(make_version("v1", state=VersionState.READY, spec=spec.SerializeToString()))
    target = await targets.resolve(address())
    told = PostModelOutputsRequest.FromString(target.prefix)
    assert told == target.defaults
    assert (told.user_app_id.user_id, told.user_app_id.app_id, told.model_id, told.version_id) == (
        "ada",
        "main",
        "m",
        "v1",
    )
    assert (told.model.id, told.model.model_type_id, told.model.model_version.id) == ("m", "text-to-text", "v1")
    assert [one.id for one in told.model.model_version.output_info.data.concepts] == ["cat"]
    assert not told.model.model_version.output_info.params_specs


async def test_memory_does_not_grow_with_odd_requests(
    targets: Targets, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.server.services.targets.MAX_REMEMBERED", 2)
    for number in range(5):
        await add_version(house.store, f"v{number}", make_key())
        await targets.resolve(address(f"v{number}"))
    assert (await targets.resolve(address("v0"))).version_id == "v0"


async def serve(house: House, *version_ids: str) -> Endpoint:
    for version_id in version_ids:
        await house.store.deployments.put(make_deployment(await add_version(house.store, version_id)))
    return await house.deployments.get_own(make_key())


async def move(house: House, own: Endpoint, **weights: int) -> None:
    wanted = tuple(Share(version_id=name, weight=weight) for name, weight in weights.items())
    await house.store.endpoints.change("ada", own.deployment_id, lambda one: shift(one, wanted, house.clock()))


async def test_split_traffic_reaches_its_versions_by_weight(targets: Targets, house: House) -> None:
    await move(house, await serve(house, "a1", "a2"), a1=9, a2=1)
    asked = [(await targets.resolve(address())).version_id for _ in range(20)]
    assert (asked.count("a1"), asked.count("a2")) == (18, 2)
    assert (await targets.resolve(address("a2"))).version_id == "a2"
    await move(house, await house.deployments.get_own(make_key()), a2=100)
    assert {(await targets.resolve(address())).version_id for _ in range(20)} == {"a2"}


async def test_a_share_of_a_version_that_is_gone_goes_to_the_others(targets: Targets, house: House) -> None:
    own = await serve(house, "a1", "a2")
    await move(house, own, a1=1, a2=1)
    await house.store.versions.delete(make_key(), "a1")
    assert {(await targets.resolve(address())).version_id for _ in range(4)} == {"a2"}


async def test_a_header_may_choose_the_version(targets: Targets, house: House) -> None:
    own = await serve(house, "a1", "a2")
    await house.deployments.change(own, Change(rules=[("x-group", "beta", "1")]))
    beta = [(b"x-group", b"beta")]
    for _ in range(2):
        assert (await targets.resolve(address(), beta)).version_id == "a1"
        assert (await targets.resolve(address())).version_id == "a2"


async def test_a_deployment_answers_under_its_name(targets: Targets, house: House) -> None:
    await serve(house, "a1", "a2")
    await house.deployments.create(make_key(), "shop", "1", Change())
    asked = Address(user_id="ada", app_id="", model_id="", version_id="", deployment_id="shop")
    assert (await targets.resolve(asked)).version_id == "a1"
    with pytest.raises(InvalidRequest, match="serves model ada/main/m"):
        await targets.resolve(asked._replace(model_id="other"))
    with pytest.raises(DeploymentNotFound):
        await targets.resolve(asked._replace(deployment_id="gone"))
