"""What is wanted runs, what is not wanted stops, and what crashes comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from modelyard.errors import InternalError
from modelyard.server.backends.base import WorkerState
from modelyard.server.control import reconcile as module
from modelyard.server.control.keeper import ALL_TOLD_S
from modelyard.server.control.reconcile import Reconcile
from modelyard.server.records import LogType, VersionState, WarmUp
from support.control import ControlRoom, ScriptedReplica, running, until
from support.stores import make_key


@asynccontextmanager
async def reconciling(room: ControlRoom) -> AsyncIterator[Reconcile]:
    reconcile = room.make_reconcile()
    try:
        async with running(reconcile.run):
            yield reconcile
    finally:
        await reconcile.close()


async def settle(reconcile: Reconcile) -> None:
    """Two full rounds of the loop's work, in the test's own hands."""
    for _ in range(2):
        await reconcile._meet()
        await asyncio.sleep(0.02)


async def test_what_is_wanted_is_assembled_started_and_given_requests(room: ControlRoom) -> None:
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1")
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v1"))
        await until(lambda: room.has_state("v1", VersionState.READY))
        spec = room.backend.replicas[0].spec
        assert (spec.folder / "1" / "model.py").read_text() == "print()\n"
        assert room.router.methods_of("v1") == {"predict"}
        assert (spec.threads, spec.memory_bytes) == (1, None)


async def test_a_replica_that_crashes_is_started_again(room: ControlRoom) -> None:
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1", VersionState.READY, is_default=True)
    async with reconciling(room):
        for number in range(1, 7):
            await until(lambda: room.router.is_ready("v1"))
            assert len(room.backend.replicas) == number
            room.backend.replicas[-1].exit(-9)
            await until(lambda: len(room.backend.replicas) == number + 1)  # noqa: B023
    assert await room.state_of("v1") is VersionState.READY
    said = room.log_of("v1", LogType.RUN)
    assert "the worker's process ended with exit code -9" in said
    assert "Starting a new replica in 0.01 s" in said


async def test_a_replica_that_is_asked_to_leave_from_outside_finishes_and_is_replaced(room: ControlRoom) -> None:
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1", VersionState.READY, is_default=True)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v1"))
        (leaving,) = room.backend.replicas
        taken = room.router.count("v1")
        leaving.say(WorkerState.LEAVING)
        await until(lambda: len(room.backend.replicas) == 2 and room.router.is_ready("v1"))
        assert leaving.stops == 1
        assert room.router.count("v1") == taken
        assert any("SIGTERM" in line for line in room.log_of("v1", LogType.RUN))


async def test_a_worker_that_hears_sigterm_with_its_server_goes_on_until_the_server_is_done(room: ControlRoom) -> None:
    room.means = replace(room.means, is_open=lambda: False)
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1", VersionState.READY, is_default=True)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v1"))
        (leaving,) = room.backend.replicas
        leaving.say(WorkerState.LEAVING)
        await asyncio.sleep(2 * ALL_TOLD_S)
        assert room.router.is_ready("v1")
        assert leaving.stops == 0


async def test_the_pauses_between_crashes_grow(room: ControlRoom) -> None:
    room.means = replace(room.means, back_off_s=(0.001, 0.002, 0.003))
    room.backend.script = lambda one: (one.ready(), one.exit())
    await room.add_built("v1", VersionState.READY)
    async with reconciling(room):
        await until(lambda: len(room.backend.replicas) >= 6)
    pauses = [line.split()[-2] for line in room.log_of("v1", LogType.RUN) if line.startswith("Starting")]
    assert pauses[:5] == ["0.001", "0.002", "0.003", "0.003", "0.003"]


async def test_a_first_load_that_fails_is_not_tried_again(room: ControlRoom) -> None:
    room.means = replace(room.means, back_off_s=(0.0,))
    room.backend.script = ScriptedReplica.fail
    await room.add_built("v1")
    reconcile = room.make_reconcile()
    await reconcile._meet()
    await until(lambda: room.has_state("v1", VersionState.BUILD_FAILED))
    await until(lambda: all(one.stops for one in room.backend.replicas))
    await asyncio.sleep(0.02)  # the loop is late: nothing may start although the keeper was not told to stop
    assert len(room.backend.replicas) == 1
    await settle(reconcile)
    await reconcile.close()
    assert len(room.backend.replicas) == 1
    assert (await room.deployment_of("v1")).replicas == 0


async def test_a_first_load_that_dies_without_a_word_is_tried_three_times(room: ControlRoom) -> None:
    room.backend.script = lambda one: one.exit(137)
    await room.add_built("v1")
    async with reconciling(room):
        await until(lambda: room.has_state("v1", VersionState.BUILD_FAILED))
    assert len(room.backend.replicas) == 3
    version = await room.get_version("v1")
    assert version.state_message == "the worker's process ended with exit code 137 while it was loading the model"


async def test_a_version_that_has_served_is_tried_again_when_its_load_fails(room: ControlRoom) -> None:
    room.backend.script = ScriptedReplica.fail
    await room.add_built("v1", VersionState.READY, is_default=True)
    async with reconciling(room):
        await until(lambda: len(room.backend.replicas) >= 5)
        room.backend.script = ScriptedReplica.ready
        await until(lambda: room.router.is_ready("v1"))
    assert await room.state_of("v1") is VersionState.READY


async def test_a_replica_that_cannot_be_started_is_tried_again(room: ControlRoom) -> None:
    def fail() -> None:
        room.backend.on_start = lambda: None
        raise InternalError("no more processes")

    room.backend.on_start = fail
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1")
    async with reconciling(room):
        await until(lambda: room.has_state("v1", VersionState.READY))
    assert "no more processes" in room.log_of("v1", LogType.RUN)


async def test_a_built_version_that_can_never_be_started_is_refused_in_the_end(room: ControlRoom) -> None:
    await room.add_built("v1")
    room.environments.installed.clear()
    async with reconciling(room):
        await until(lambda: room.has_state("v1", VersionState.BUILD_FAILED))
    version = await room.get_version("v1")
    assert "is gone from the server's disk" in version.state_message
    assert room.backend.replicas == []


async def test_an_unexpected_fault_does_not_end_the_keeper(room: ControlRoom) -> None:
    def fail() -> None:
        room.backend.on_start = lambda: None
        raise OSError("disk full")

    room.backend.on_start = fail
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1")
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v1"))


async def test_a_fault_of_the_store_leaves_no_process_behind(
    room: ControlRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = room.verdicts.ready
    faults = [OSError("database is locked")]

    async def falter(version_id: str, warm_up: WarmUp) -> None:
        if faults:
            raise faults.pop()
        await ready(version_id, warm_up)

    monkeypatch.setattr(room.verdicts, "ready", falter)
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1")
    async with reconciling(room):
        await until(lambda: room.has_state("v1", VersionState.READY))
        assert room.backend.replicas[0].stops == 1
        assert len(room.backend.running) == 1


async def test_what_is_not_wanted_any_more_finishes_its_requests_and_stops(room: ControlRoom) -> None:
    room.backend.script = ScriptedReplica.ready
    version = await room.add_built("v1", VersionState.READY)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v1"))
        replica = room.backend.replicas[0]
        async with room.router.open("v1", "generate", None, deadline=None):
            await room.store.deployments.scale("v1", 0, room.now())
            await until(lambda: not room.router.is_ready("v1"))
            await asyncio.sleep(0.02)
            assert not replica.is_gone.is_set(), "it was stopped while it held a request"
        await until(replica.is_gone.is_set)
    assert replica.stops == 1
    assert (room.versions_dir / version.version_id).is_dir(), "it will be wanted again"


async def test_a_replica_that_does_not_finish_in_time_is_stopped(room: ControlRoom) -> None:
    room.means = replace(room.means, drain_s=0.02)
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1", VersionState.READY)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v1"))
        async with room.router.open("v1", "generate", None, deadline=None):
            await room.store.deployments.scale("v1", 0, room.now())
            await until(room.backend.replicas[0].is_gone.is_set)


async def test_a_stop_while_a_replica_ends_does_not_leave_it_behind(
    room: ControlRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was to be restarted after a fault of ours, and still drains, when the version is no longer wanted."""

    async def falter(version_id: str, warm_up: WarmUp) -> None:
        raise OSError("database is locked")

    monkeypatch.setattr(room.verdicts, "ready", falter)
    drains = asyncio.Event()

    async def drained(replica_id: str) -> None:
        drains.set()
        await asyncio.sleep(0.05)

    monkeypatch.setattr(room.router, "drained", drained)
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1", VersionState.READY)
    async with reconciling(room):
        async with asyncio.timeout(5):
            await drains.wait()
        await room.store.deployments.scale("v1", 0, room.now())
        await until(lambda: room.backend.replicas[0].stops == 1)
    assert room.backend.running == []


async def test_an_idle_version_that_is_not_the_default_stops(
    room: ControlRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TICK_S", 0.01)
    room.idle_stop_s = 0.1
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1", VersionState.READY)
    await room.add_built("v2", VersionState.READY, is_default=True)
    async with reconciling(room):
        await until(lambda: bool(room.backend.of("v1")) and room.backend.of("v1")[0].is_gone.is_set())
        assert (await room.deployment_of("v1")).replicas == 0
        assert room.router.is_ready("v2")
        assert (await room.deployment_of("v2")).replicas == 1


async def test_a_version_that_works_on_a_request_is_not_idle(
    room: ControlRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TICK_S", 0.01)
    room.idle_stop_s = 0.05
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1", VersionState.READY)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v1"))
        async with room.router.open("v1", "generate", None, deadline=None):
            begin = time.monotonic()
            while time.monotonic() < begin + 0.15:
                assert room.router.is_ready("v1")
                await asyncio.sleep(0.01)
        await until(lambda: not room.router.is_ready("v1"))


async def test_a_version_that_still_loads_is_not_idle(room: ControlRoom) -> None:
    room.idle_stop_s = 0.0
    await room.add_built("v1")
    reconcile = room.make_reconcile()
    await settle(reconcile)
    await until(lambda: len(room.backend.replicas) == 1)
    await settle(reconcile)
    assert (await room.deployment_of("v1")).replicas == 1
    await reconcile.close()


async def test_the_folder_of_a_version_that_is_deleted_goes_with_it(room: ControlRoom) -> None:
    room.backend.script = ScriptedReplica.ready
    version = await room.add_built("v1", VersionState.READY)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v1"))
        assert (room.versions_dir / "v1").is_dir()
        assert await room.store.versions.delete(version.key, "v1")
        await until(lambda: not (room.versions_dir / "v1").exists())
    assert room.backend.running == []


async def test_the_folder_of_a_version_that_is_deleted_while_it_rests_goes_later(
    room: ControlRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TICK_S", 0.01)
    monkeypatch.setattr(module, "SWEEP_S", 0.02)
    version = await room.add_built("v1", VersionState.READY, replicas=0)
    await room.add_built("v2", VersionState.READY, replicas=0)
    for name in ("v1", "v2", ".v3.1-being-made"):
        (room.versions_dir / name).mkdir()
    async with reconciling(room):
        await room.store.versions.delete(version.key, "v1")
        await until(lambda: not (room.versions_dir / "v1").exists())
    assert sorted(one.name for one in room.versions_dir.iterdir()) == [".v3.1-being-made", "v2"]


async def test_close_stops_everything(room: ControlRoom) -> None:
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1", VersionState.READY)
    await room.add_built("v2", VersionState.READY)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v1") and room.router.is_ready("v2"))
    assert room.backend.running == []
    assert not room.router.is_ready("v1")


async def test_a_start_gives_a_built_version_its_deployment_and_clears_folders(room: ControlRoom) -> None:
    version = await room.add_built("v1")
    await room.store.deployments.delete("v1")
    await room.add_built("v2", VersionState.READY, is_default=True)
    for name in ("v1", "gone", ".gone.1-left"):
        (room.versions_dir / name).mkdir()
    await room.make_reconcile().recover()
    assert (await room.deployment_of(version.version_id)).replicas == 1
    default = await room.store.deployments.get_default(make_key())
    assert default is not None
    assert default.version_id == "v2"
    assert [one.name for one in room.versions_dir.iterdir()] == ["v1"]


async def test_after_a_start_what_only_stayed_warm_does_not_compete_with_what_serves(room: ControlRoom) -> None:
    room.backend.script = ScriptedReplica.ready
    await room.add_built("old", VersionState.READY)
    await room.add_built("serves", VersionState.READY, is_default=True)
    await room.add_built("new")
    await room.make_reconcile().recover()
    async with reconciling(room):
        await until(lambda: room.router.is_ready("serves") and room.router.is_ready("new"))
        assert not room.backend.of("old")
        await room.store.deployments.scale("old", 1, room.now())  # as a request for it does
        await until(lambda: room.router.is_ready("old"))


async def test_the_worker_says_nothing_more_once_it_is_wanted_no_more(room: ControlRoom) -> None:
    await room.add_built("v1")
    async with reconciling(room):
        await until(lambda: len(room.backend.replicas) == 1)
        await room.store.deployments.scale("v1", 0, room.now())
        await until(room.backend.replicas[0].is_gone.is_set)
        room.backend.replicas[0].say(WorkerState.READY)
        await asyncio.sleep(0.01)
    assert await room.state_of("v1") is VersionState.BUILT
    assert not room.router.is_ready("v1")
