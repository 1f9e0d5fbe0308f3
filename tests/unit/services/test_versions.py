"""Versions: which one answers, what a patch may change, and who takes over from a deleted one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelyard.errors import Conflict, InvalidRequest, ModelNotFound, VersionNotFound
from modelyard.server.records import VersionState, shift
from modelyard.server.services.deployments import Change
from modelyard.server.services.models import ModelFields
from modelyard.server.services.patches import PatchAction
from modelyard.wire.messages import Concept, ModelVersion, Status
from support.house import House
from support.stores import add_version, make_deployment, make_endpoint, make_key


@pytest.fixture(autouse=True)
async def model(house: House) -> None:
    await house.models.create(make_key(), ModelFields())


async def test_without_an_id_the_default_answers_else_the_latest(house: House) -> None:
    with pytest.raises(VersionNotFound, match="no versions"):
        await house.versions.get(make_key(), "")
    first = await add_version(house.store, "v1")
    await add_version(house.store, "v2", state=VersionState.BUILDING)
    assert (await house.versions.get(make_key(), "")).version_id == "v2"
    await house.store.deployments.put(make_deployment(first))
    assert (await house.versions.get(make_key(), "")).version_id == "v1"
    assert (await house.versions.find("ada", "", "m", "v2")).version_id == "v2"


async def test_what_is_missing_is_named(house: House) -> None:
    with pytest.raises(VersionNotFound, match="version 'v9' of model ada/main/m"):
        await house.versions.get(make_key(), "v9")
    for version_id in ("", "v1"):
        with pytest.raises(ModelNotFound, match="Model does not exist: ada/main/other"):
            await house.versions.get(make_key("other"), version_id)


async def test_a_version_without_upload_keeps_what_the_client_said_but_not_what_is_ours_to_say(house: House) -> None:
    spec = ModelVersion(id="mine", description="d", status=Status(code=21100), num_threads=4)
    made = await house.versions.create_empty(make_key(), spec)
    assert made.state is VersionState.EMPTY
    assert len(made.version_id) == 32
    assert ModelVersion.FromString(made.spec) == ModelVersion(description="d", num_threads=4)


async def test_a_version_that_says_too_much_is_refused(house: House) -> None:
    with pytest.raises(InvalidRequest, match="bytes"):
        await house.versions.create_empty(make_key(), ModelVersion(description="x" * 1_100_000))


async def test_a_patch_changes_only_what_clients_may_say(house: House) -> None:
    given = ModelVersion(description="old", num_threads=4)
    given.metadata.update({"a": {"x": 1, "y": 2}})
    given.output_info.data.concepts.extend([Concept(id="1", name="cat"), Concept(id="2", name="dog")])
    made = await house.versions.create_empty(make_key(), given)

    patch = ModelVersion(description="new", num_threads=64)
    patch.metadata.update({"a": {"x": 5}})
    patch.output_info.data.concepts.add(id="2", name="wolf")
    patch.output_info.params.update({"temperature": 0.5})
    patched = await house.versions.patch(make_key(), made.version_id, patch, PatchAction.MERGE)

    spec = ModelVersion.FromString(patched.spec)
    assert (spec.description, spec.num_threads) == ("new", 4)
    assert [(one.id, one.name) for one in spec.output_info.data.concepts] == [("1", "cat"), ("2", "wolf")]
    assert spec.metadata["a"]["y"] == 2
    assert spec.metadata["a"]["x"] == 5
    assert spec.output_info.params["temperature"] == 0.5
    assert await house.versions.get(make_key(), made.version_id) == patched


async def test_overwrite_and_remove_patch_whole_fields_and_named_things(house: House) -> None:
    given = ModelVersion(description="old")
    given.output_info.data.concepts.extend([Concept(id="1"), Concept(id="2")])
    made = await house.versions.create_empty(make_key(), given)
    gone = ModelVersion(description="x")
    gone.output_info.data.concepts.add(id="1")
    removed = await house.versions.patch(make_key(), made.version_id, gone, PatchAction.REMOVE)
    spec = ModelVersion.FromString(removed.spec)
    assert spec.description == ""
    assert [one.id for one in spec.output_info.data.concepts] == ["2"]
    new = ModelVersion()
    new.output_info.message = "m"
    replaced = await house.versions.patch(make_key(), made.version_id, new, PatchAction.OVERWRITE)
    assert ModelVersion.FromString(replaced.spec) == new


async def test_a_patch_survives_a_build_that_goes_on(house: House) -> None:
    version = await add_version(house.store, "v1", state=VersionState.BUILDING)
    await house.versions.patch(make_key(), "v1", ModelVersion(description="new"), PatchAction.MERGE)
    await house.store.versions.update(replace(version, state=VersionState.BUILT))
    after = await house.versions.get(make_key(), "v1")
    assert after.state is VersionState.BUILT
    assert ModelVersion.FromString(after.spec).description == "new"


async def test_a_version_that_serves_is_not_deleted_before_another_does(house: House) -> None:
    for version_id in ("v1", "v2"):
        await house.store.deployments.put(make_deployment(await add_version(house.store, version_id)))
    with pytest.raises(Conflict, match="version 2 of model ada/main/m serves") as refused:
        await house.versions.delete(make_key(), "v2")
    assert refused.value.hint == "modelyard promote main/m 1 moves them; then delete it"
    own = await house.deployments.promote(make_key(), "1")
    await house.store.endpoints.change("ada", own.deployment_id, lambda one: shift(one, own.wanted, house.clock()))
    await house.versions.delete(make_key(), "2")
    with pytest.raises(Conflict, match="the model's only version that can") as refused:
        await house.versions.delete(make_key(), "v1")
    assert refused.value.hint == "modelyard delete main/m deletes the model"


async def test_a_version_that_a_rule_or_another_deployment_sends_requests_to_is_not_deleted(house: House) -> None:
    for version_id in ("v1", "v2", "v3"):
        await house.store.deployments.put(make_deployment(await add_version(house.store, version_id)))
    await house.store.endpoints.add(make_endpoint("shop", "v1"))
    own = await house.deployments.get_own(make_key())
    await house.deployments.change(own, Change(rules=[("x-group", "beta", "2")]))
    with pytest.raises(Conflict, match="under deployment 'shop'"):
        await house.versions.delete(make_key(), "v1")
    with pytest.raises(Conflict, match="version 2"):
        await house.versions.delete(make_key(), "v2")


async def test_a_version_is_found_by_its_number_too(house: House) -> None:
    await add_version(house.store, "a" * 32)
    await add_version(house.store, "b" * 32)
    for name in ("2", "v2", "b" * 32):
        assert (await house.versions.get(make_key(), name)).version_id == "b" * 32
    for name in ("3", "v0", "v", "2.0", "9" * 32):
        with pytest.raises(VersionNotFound):
            await house.versions.get(make_key(), name)


async def test_what_the_server_says_of_a_version_is_not_kept_when_a_client_sends_it_back(house: House) -> None:
    await add_version(house.store, "v1")
    given = ModelVersion()
    given.metadata.update({"modelyard": {"number": 99}, "mine": 1})
    patched = await house.versions.patch(make_key(), "v1", given, PatchAction.MERGE)
    assert list(ModelVersion.FromString(patched.spec).metadata.fields) == ["mine"]


async def test_deleting_a_version_that_does_not_serve_leaves_the_default(house: House) -> None:
    serving = await add_version(house.store, "v1")
    await add_version(house.store, "v2")
    await house.store.deployments.put(make_deployment(serving))
    await house.versions.delete(make_key(), "v2")
    default = await house.store.deployments.get_default(make_key())
    assert default is not None
    assert default.version_id == "v1"
    with pytest.raises(VersionNotFound):
        await house.versions.delete(make_key(), "v2")
    with pytest.raises(InvalidRequest, match="version_id is empty"):
        await house.versions.delete(make_key(), "")
