"""Builds: jobs under leases, taken again after whatever happened to the one who held them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from modelyard.errors import BuildFailed
from modelyard.parts.manifest import Manifest
from modelyard.server.control import builds as module
from modelyard.server.control.supervise import keep_running
from modelyard.server.records import BuildState, VersionState
from support.control import ControlRoom, running, until
from support.stores import make_deployment


async def is_job(room: ControlRoom, version_id: str, state: BuildState) -> bool:
    job = await room.store.builds.get(version_id)
    return job is not None and job.state is state


async def ended(room: ControlRoom, version_id: str) -> bool:
    return await is_job(room, version_id, BuildState.SUCCEEDED) or await is_job(room, version_id, BuildState.FAILED)


async def build(room: ControlRoom, version_id: str) -> None:
    async with running(room.make_builds().run):
        await until(lambda: ended(room, version_id))


async def test_an_upload_becomes_built_with_a_manifest_and_a_deployment(room: ControlRoom) -> None:
    seen = []
    room.environments.on_install = lambda: seen.append(
        asyncio.run_coroutine_threadsafe(room.state_of("v1"), loop).result(5)
    )
    loop = asyncio.get_running_loop()
    uploaded = await room.add_upload("v1")
    await build(room, "v1")
    version = await room.get_version("v1")
    assert seen == [VersionState.BUILDING]
    assert version.state is VersionState.BUILT
    manifest = Manifest.from_json(room.depot.read(version.manifest_digest))
    assert manifest.code == uploaded.code_digest
    assert manifest.environment == version.environment_digest
    assert (manifest.model_type_id, manifest.python_version) == ("text-to-text", "3.11.7")
    deployment = await room.deployment_of("v1")
    assert (deployment.replicas, deployment.is_default) == (1, False)
    assert await is_job(room, "v1", BuildState.SUCCEEDED)
    assert room.environments.locked == [("six==1.16.0\n", "")]
    assert room.log_of("v1") == ["Resolving", "Installing"]


async def test_a_build_that_fails_says_why_in_the_version_and_in_its_log(room: ControlRoom) -> None:
    def fail() -> None:
        raise BuildFailed("requirements.txt line 1: no such package", hint="correct it", details="one\ntwo")

    room.environments.on_lock = fail
    await room.add_upload("v1")
    await build(room, "v1")
    version = await room.get_version("v1")
    assert version.state is VersionState.BUILD_FAILED
    assert version.state_message == "requirements.txt line 1: no such package (correct it)"
    assert version.state_details == "one\ntwo"
    assert version.completed_at is not None
    assert room.log_of("v1")[1:] == [
        "Build failed: requirements.txt line 1: no such package (correct it)",
        "one",
        "two",
    ]
    assert await is_job(room, "v1", BuildState.FAILED)
    assert await room.store.deployments.get("v1") is None


async def test_every_problem_of_a_message_is_a_line_of_the_log(room: ControlRoom) -> None:
    def fail() -> None:
        raise BuildFailed("first\nsecond")

    room.environments.on_lock = fail
    await room.add_upload("v1")
    await build(room, "v1")
    assert room.log_of("v1")[1:] == ["Build failed: first", "second"]


async def test_an_unexpected_fault_fails_the_job_but_not_the_loop(room: ControlRoom) -> None:
    def crash() -> None:
        room.environments.on_install = lambda: None
        raise OSError("disk on fire at a secret place")

    room.environments.on_install = crash
    await room.add_upload("v1")
    async with running(room.make_builds().run):
        await until(lambda: ended(room, "v1"))
        await room.add_upload("v2")
        await until(lambda: ended(room, "v2"))
    failed = await room.get_version("v1")
    assert failed.state is VersionState.BUILD_FAILED
    assert failed.state_message == "the server could not build this version: OSError"
    assert await room.state_of("v2") is VersionState.BUILT


async def test_a_lease_is_renewed_while_the_build_goes_on(room: ControlRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RENEW_S", 0.01)
    room.environments.blocks = True
    await room.add_upload("v1")

    async def lease() -> object:
        job = await room.store.builds.get("v1")
        return job.lease_until if job else None

    async with running(room.make_builds().run):
        await until(room.environments.entered.is_set)
        first = await lease()

        async def was_renewed() -> bool:
            return await lease() != first

        await until(was_renewed)


async def test_a_fault_of_the_store_does_not_end_the_renewing(
    room: ControlRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_S", 0.01)
    calls = 0
    extend = room.store.builds.extend

    async def falter(*args: object) -> bool:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError("database is locked")
        return await extend(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(room.store.builds, "extend", falter)
    release = asyncio.Event()
    loop = asyncio.get_running_loop()
    room.environments.on_install = lambda: asyncio.run_coroutine_threadsafe(release.wait(), loop).result(5)
    await room.add_upload("v1")
    async with running(room.make_builds().run):
        await until(lambda: calls >= 3)
        release.set()
        await until(lambda: ended(room, "v1"))
    assert await room.state_of("v1") is VersionState.BUILT


async def test_the_job_of_an_owner_that_died_is_taken_again_after_recover(room: ControlRoom) -> None:
    await room.add_upload("v1")
    assert await room.store.builds.take("dead", room.now(), room.now() + timedelta(hours=1))
    builds = room.make_builds("alive")
    await builds.recover()
    async with running(builds.run):
        await until(lambda: ended(room, "v1"))
    assert await room.state_of("v1") is VersionState.BUILT


async def test_a_lease_that_ended_is_taken_over(room: ControlRoom) -> None:
    await room.add_upload("v1")
    assert await room.store.builds.take("dead", room.now(), room.now() - timedelta(seconds=1))
    await build(room, "v1")
    assert await room.state_of("v1") is VersionState.BUILT


async def test_a_job_that_took_its_builder_down_every_time_is_given_up(room: ControlRoom) -> None:
    await room.add_upload("v1")
    for _ in range(module.MAX_ATTEMPTS):
        assert await room.store.builds.take("dead", room.now(), room.now() - timedelta(seconds=1))
    await build(room, "v1")
    version = await room.get_version("v1")
    assert version.state is VersionState.BUILD_FAILED
    assert "5 times" in version.state_message
    assert room.environments.locked == []


async def test_a_stop_during_a_build_leaves_the_job_to_the_next_start(room: ControlRoom) -> None:
    room.environments.blocks = True
    await room.add_upload("v1")
    async with running(room.make_builds("first").run):
        await until(room.environments.entered.is_set)
    assert room.environments.left.is_set(), "the loop ended before its thread"
    assert room.log_of("v1")[-1] == "Stopped"
    assert await room.state_of("v1") is VersionState.BUILDING
    assert await is_job(room, "v1", BuildState.RUNNING)

    room.environments.blocks = False
    builds = room.make_builds("second")
    await builds.recover()
    async with running(builds.run):
        await until(lambda: ended(room, "v1"))
    assert await room.state_of("v1") is VersionState.BUILT


async def test_a_version_deleted_during_its_build_leaves_nothing_behind(room: ControlRoom) -> None:
    loop = asyncio.get_running_loop()
    version = await room.add_upload("v1")

    def delete() -> None:
        room.environments.on_install = lambda: None
        deleting = room.store.versions.delete(version.key, "v1")
        assert asyncio.run_coroutine_threadsafe(deleting, loop).result(5)

    room.environments.on_install = delete
    async with running(room.make_builds().run):
        await until(lambda: room.log_of("v1")[-1:] == ["Build failed: " + DELETED])
        await room.add_upload("v2")
        await until(lambda: ended(room, "v2"))
    assert await room.store.versions.get_by_id("v1") is None
    assert await room.store.deployments.get("v1") is None


DELETED = "the version was deleted, or has moved on, while it was being built"


async def test_the_build_of_a_deleted_version_stops_when_its_lease_is_not_renewed(
    room: ControlRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_S", 0.01)
    room.environments.blocks = True
    version = await room.add_upload("v1")
    async with running(room.make_builds().run):
        await until(room.environments.entered.is_set)
        assert await room.store.versions.delete(version.key, "v1")
        await until(room.environments.left.is_set)


@pytest.mark.parametrize("is_taken", [False, True], ids=["before it is taken", "while it is taken"])
async def test_a_job_that_a_fault_of_the_loop_caught_is_built(
    room: ControlRoom, monkeypatch: pytest.MonkeyPatch, is_taken: bool
) -> None:
    monkeypatch.setattr("modelyard.server.control.supervise.PAUSE_S", 0.0)
    take = room.store.builds.take
    faults = [OSError("the disk is gone for a moment")]

    async def falter(*args: object) -> object:
        if faults and not is_taken:
            raise faults.pop()
        job = await take(*args)  # type: ignore[arg-type]
        if faults and job is not None:
            raise faults.pop()
        return job

    monkeypatch.setattr(room.store.builds, "take", falter)
    await room.add_upload("v1")
    async with running(lambda: keep_running("builds", room.make_builds().run)):
        await until(lambda: ended(room, "v1"))
    assert await room.state_of("v1") is VersionState.BUILT
    assert not faults


@pytest.mark.parametrize("state", [VersionState.BUILT, VersionState.READY])
async def test_a_job_that_was_done_but_not_ended_is_only_ended(room: ControlRoom, state: VersionState) -> None:
    """The server went down between the deployment and the end of the job."""
    version = await room.add_upload("v1")
    done = replace(version, state=state)
    assert await room.store.versions.update(done)
    await room.store.deployments.put(make_deployment(done, is_default=True))
    await build(room, "v1")
    assert await room.state_of("v1") is state
    assert (await room.deployment_of("v1")).is_default
    assert await is_job(room, "v1", BuildState.SUCCEEDED)
    assert room.environments.locked == []


async def test_a_job_of_a_version_that_was_refused_is_only_ended(room: ControlRoom) -> None:
    version = await room.add_upload("v1")
    assert await room.store.versions.update(replace(version, state=VersionState.BUILD_FAILED))
    await build(room, "v1")
    assert await room.state_of("v1") is VersionState.BUILD_FAILED
    assert await is_job(room, "v1", BuildState.FAILED)
    assert await room.store.deployments.get("v1") is None


async def test_a_built_version_without_a_deployment_gets_one_and_no_second_build(room: ControlRoom) -> None:
    version = await room.add_upload("v1")
    assert await room.store.versions.update(replace(version, state=VersionState.BUILT))
    await build(room, "v1")
    assert (await room.deployment_of("v1")).replicas == 1
    assert room.environments.locked == []


async def test_a_stop_together_with_a_change_of_the_store_ends_the_loop(room: ControlRoom) -> None:
    for _ in range(3):
        loop = asyncio.create_task(room.make_builds().run())
        await asyncio.sleep(0.02)
        await room.store.deployments.delete("none")
        loop.cancel()
        done, _ = await asyncio.wait({loop}, timeout=2)
        assert done, "the cancellation was lost"


async def test_two_builds_go_on_at_once(room: ControlRoom) -> None:
    loop = asyncio.get_running_loop()
    both = asyncio.Barrier(2)

    def meet() -> None:
        asyncio.run_coroutine_threadsafe(asyncio.wait_for(both.wait(), 5), loop).result(6)

    room.environments.on_lock = meet
    await room.add_upload("v1")
    await room.add_upload("v2")
    async with running(room.make_builds().run):
        await until(lambda: ended(room, "v1"))
        await until(lambda: ended(room, "v2"))
    assert await room.state_of("v1") is await room.state_of("v2") is VersionState.BUILT
