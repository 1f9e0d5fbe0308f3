"""Verdicts: what a replica's life says of its version."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from modelyard.server.records import LogType, VersionState, WarmUp, own_deployment_id
from modelyard.wire.messages import MethodSignature, ModelVersion
from modelyard.wire.signatures import encode_signatures
from support.control import ControlRoom
from support.stores import make_key


async def default_of(room: ControlRoom) -> str:
    deployment = await room.store.deployments.get_default(make_key())
    return deployment.version_id if deployment else ""


async def test_the_first_version_that_is_ready_is_the_default(room: ControlRoom) -> None:
    await room.add_built("v1")
    await room.verdicts.ready("v1")
    version = await room.get_version("v1")
    assert (version.state, version.state_message) == (VersionState.READY, "")
    assert version.completed_at is not None
    assert await default_of(room) == "v1"
    assert room.log_of("v1") == ["The model is loaded, answers and serves."]


async def test_a_newer_version_takes_over(room: ControlRoom) -> None:
    for version_id in ("v1", "v2"):
        await room.add_built(version_id)
        await room.verdicts.ready(version_id)
    assert await default_of(room) == "v2"
    assert (await room.deployment_of("v1")).replicas == 1, "it goes on until it is idle"


async def test_an_older_version_that_is_ready_later_does_not_take_over(room: ControlRoom) -> None:
    await room.add_built("v1")
    await room.add_built("v2")
    await room.verdicts.ready("v2")
    await room.verdicts.ready("v1")
    assert await default_of(room) == "v2"
    assert await room.state_of("v1") is VersionState.READY


async def test_of_two_that_are_ready_at_once_the_newer_one_wins(room: ControlRoom) -> None:
    for number in range(0, 10, 2):
        old, new = f"v{number}", f"v{number + 1}"
        await room.add_built(old)
        await room.add_built(new)
        await asyncio.gather(room.verdicts.ready(new), room.verdicts.ready(old))
        assert await default_of(room) == new


async def test_a_restart_changes_neither_times_nor_log(room: ControlRoom) -> None:
    await room.add_built("v1")
    await room.verdicts.ready("v1")
    before = await room.get_version("v1")
    await room.verdicts.ready("v1")
    assert await room.get_version("v1") == before
    assert len(room.log_of("v1")) == 1


async def test_a_failure_of_the_first_load_is_the_end_of_the_version(room: ControlRoom) -> None:
    await room.add_built("v1")
    assert await room.verdicts.failed("v1", "load_model raised", "line 3", is_final=True)
    version = await room.get_version("v1")
    assert version.state is VersionState.BUILD_FAILED
    assert (version.state_message, version.state_details) == ("load_model raised", "line 3")
    assert (await room.deployment_of("v1")).replicas == 0
    assert room.log_of("v1") == ["This version cannot serve: load_model raised", "line 3"]
    assert room.log_of("v1", LogType.RUN) == ["load_model raised", "line 3"]


async def test_a_failure_that_is_not_final_leaves_the_version_as_it_is(room: ControlRoom) -> None:
    await room.add_built("v1")
    assert not await room.verdicts.failed("v1", "it ended", "", is_final=False)
    assert await room.state_of("v1") is VersionState.BUILT
    assert (await room.deployment_of("v1")).replicas == 1


async def test_the_version_before_one_that_failed_stays_the_default(room: ControlRoom) -> None:
    await room.add_built("v1")
    await room.verdicts.ready("v1")
    await room.add_built("v2")
    assert await room.verdicts.failed("v2", "no", "", is_final=True)
    assert await default_of(room) == "v1"
    assert (await room.get_version("v2")).state_message == "no; version 1 serves on"


async def test_a_model_that_does_not_follow_its_latest_version_stays_where_it_is(room: ControlRoom) -> None:
    await room.add_built("v1")
    await room.verdicts.ready("v1")
    own = own_deployment_id(make_key())
    await room.store.endpoints.change("ada", own, lambda one: replace(one, follows_latest=False))
    await room.add_built("v2")
    await room.verdicts.ready("v2", WarmUp.ANSWERED)
    assert await default_of(room) == "v1"
    version = await room.get_version("v2")
    assert (version.state, version.warm_up) == (VersionState.READY, WarmUp.ANSWERED)


async def test_a_failure_of_a_version_that_has_served_is_noted_until_it_serves_again(room: ControlRoom) -> None:
    await room.add_built("v1")
    await room.verdicts.ready("v1")
    assert not await room.verdicts.failed("v1", "load_model raised", "line 3", is_final=True)
    version = await room.get_version("v1")
    assert (version.state, version.state_message) == (VersionState.READY, "load_model raised")
    assert (await room.deployment_of("v1")).replicas == 1
    await room.verdicts.ready("v1")
    version = await room.get_version("v1")
    assert (version.state, version.state_message, version.state_details) == (VersionState.READY, "", "")


async def test_a_version_that_is_gone_or_was_refused_gets_no_verdict(room: ControlRoom) -> None:
    await room.verdicts.ready("gone")
    assert not await room.verdicts.failed("gone", "no", "", is_final=True)
    await room.add_built("v1", VersionState.BUILD_FAILED, replicas=0)
    await room.verdicts.ready("v1")
    assert await room.state_of("v1") is VersionState.BUILD_FAILED
    assert await default_of(room) == ""


async def test_signatures_that_the_worker_tells_belong_to_the_version(room: ControlRoom) -> None:
    await room.add_built("v1")
    told = encode_signatures([MethodSignature(name="translate")])
    await room.verdicts.note_signatures(await room.get_version("v1"), told)
    version = await room.get_version("v1")
    assert [one.name for one in ModelVersion.FromString(version.spec).method_signatures] == ["translate"]


async def test_signatures_that_were_uploaded_stay(room: ControlRoom) -> None:
    await room.add_built("v1")
    spec = ModelVersion(method_signatures=[MethodSignature(name="mine")]).SerializeToString()
    version = await room.get_version("v1")
    await room.store.versions.set_spec(version.key, "v1", spec, version.modified_at)
    told = encode_signatures([MethodSignature(name="translate")])
    await room.verdicts.note_signatures(await room.get_version("v1"), told)
    assert (await room.get_version("v1")).spec == spec


async def test_signatures_that_cannot_be_read_change_nothing(room: ControlRoom) -> None:
    await room.add_built("v1")
    before = await room.get_version("v1")
    for nonsense in ("", "{"):
        await room.verdicts.note_signatures(before, nonsense)
    assert await room.get_version("v1") == before
