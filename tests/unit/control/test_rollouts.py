"""Traffic moves once the versions that shall have it answer, and stays where one cannot be started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from modelyard.server.control import reconcile as module
from modelyard.server.control.memory import MachineMemory
from modelyard.server.control.reconcile import Reconcile
from modelyard.server.control.scaling import Scaler
from modelyard.server.records import (
    Endpoint,
    LogType,
    Scale,
    Share,
    VersionState,
    own_deployment_id,
)
from modelyard.wire.messages import ComputeInfo, ModelVersion
from support.control import ControlRoom, ScriptedReplica, running, until
from support.stores import make_endpoint, make_key

OWN = own_deployment_id(make_key())
GIB = 1024**3


@asynccontextmanager
async def reconciling(room: ControlRoom) -> AsyncIterator[Reconcile]:
    reconcile = room.make_reconcile()
    try:
        async with running(reconcile.run):
            yield reconcile
    finally:
        await reconcile.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK_S", 0.01)


async def own(room: ControlRoom) -> Endpoint:
    found = await room.store.endpoints.get_own(make_key())
    assert found is not None
    return found


async def want(room: ControlRoom, deployment_id: str = OWN, **weights: int) -> None:
    wanted = tuple(Share(version_id=name, weight=weight) for name, weight in weights.items())
    await room.store.endpoints.change("ada", deployment_id, lambda one: replace(one, wanted=wanted, message=""))


async def set_scale(room: ControlRoom, **fields: float) -> None:
    scale = Scale(**fields)  # type: ignore[arg-type]
    await room.store.endpoints.change("ada", OWN, lambda one: replace(one, scale=scale))


async def has_traffic(room: ControlRoom, **weights: int) -> bool:
    return {one.version_id: one.weight for one in (await own(room)).traffic} == weights


async def test_traffic_moves_only_once_the_version_answers(room: ControlRoom) -> None:
    room.backend.script = lambda one: one.ready() if one.spec.version_id == "v2" else None
    await room.add_built("v1", VersionState.READY, replicas=0)
    await room.add_built("v2", VersionState.READY, is_default=True)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v2"))
        await want(room, v1=100)
        await until(lambda: bool(room.backend.of("v1")))
        await asyncio.sleep(0.05)
        assert await has_traffic(room, v2=100), "it still loads"
        room.backend.of("v1")[0].ready()
        await until(lambda: has_traffic(room, v1=100))
        assert (await own(room)).previous_version_id == "v2"
        default = await room.store.deployments.get_default(make_key())
        assert default is not None
        assert default.version_id == "v1"
        assert room.router.is_ready("v2"), "it stays warm for the way back"
    assert f"Deployment {OWN}: 100% of the requests come here" in room.log_of("v1", LogType.RUN)


async def test_a_version_that_cannot_be_started_gets_no_traffic_and_says_why(room: ControlRoom) -> None:
    room.backend.script = lambda one: one.ready() if one.spec.version_id == "v2" else one.fail("load_model raised")
    await room.add_built("v1", VersionState.READY, replicas=0)
    await room.add_built("v2", VersionState.READY, is_default=True)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v2"))
        await want(room, v1=50, v2=50)

        async def has_message() -> bool:
            return bool((await own(room)).message)

        await until(has_message)
        found = await own(room)
        assert (found.message, found.wanted) == ("version 1 cannot be started: load_model raised", ())
        assert await has_traffic(room, v2=100)


async def test_what_was_wanted_when_the_server_died_goes_on(room: ControlRoom) -> None:
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1", VersionState.READY, replicas=0)
    await room.add_built("v2", VersionState.READY, is_default=True)
    await want(room, v1=90, v2=10)
    async with reconciling(room):
        await until(lambda: has_traffic(room, v1=90, v2=10))


async def test_a_version_that_is_deleted_meanwhile_is_given_up(room: ControlRoom) -> None:
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v2", VersionState.READY, is_default=True)
    await want(room, gone=100)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v2"))

        async def is_given_up() -> bool:
            return "was deleted" in (await own(room)).message

        await until(is_given_up)


async def test_versions_in_the_traffic_do_not_rest_and_the_one_before_stays_warm(room: ControlRoom) -> None:
    room.idle_stop_s, room.keep_warm_s = 0.05, 60.0
    room.backend.script = ScriptedReplica.ready
    for number in (1, 2, 3):
        await room.add_built(f"v{number}", VersionState.READY, is_default=True)
    async with reconciling(room):
        await until(lambda: not room.router.is_ready("v1") and bool(room.backend.of("v1")))
        await want(room, v2=1, v3=1)
        await until(lambda: has_traffic(room, v2=1, v3=1))
        await asyncio.sleep(0.15)
        assert room.router.is_ready("v2")
        assert room.router.is_ready("v3")


async def test_another_deployment_follows_the_latest_version_where_it_shall(room: ControlRoom) -> None:
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1", VersionState.READY, is_default=True)
    await room.store.endpoints.add(make_endpoint("shop", "v1"))
    await room.store.endpoints.add(replace(make_endpoint("fixed", "v1"), follows_latest=False))
    async with reconciling(room):
        await room.add_built("v2")

        async def mains() -> list[str]:
            return [one.main_version_id for one in await room.store.endpoints.list_all()]

        async def has_followed() -> bool:
            return sorted(await mains()) == ["v1", "v2", "v2"]

        await until(has_followed)


async def test_a_new_version_takes_over_with_as_many_replicas_as_serve(room: ControlRoom) -> None:
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1", VersionState.READY, is_default=True, replicas=3)
    await set_scale(room, min_replicas=3, max_replicas=3)
    async with reconciling(room):
        await until(lambda: room.router.count("v1") == 3)
        room.backend.script = lambda one: None
        await room.add_built("v2")
        for number in (1, 2, 3):
            await until(lambda: len(room.backend.of("v2")) >= number)  # noqa: B023
            await asyncio.sleep(0.03)
            assert await has_traffic(room, v1=100), "one replica cannot carry what three do"
            room.backend.of("v2")[number - 1].ready()
        await until(lambda: has_traffic(room, v2=100))
        assert room.router.count("v2") == 3


async def test_load_brings_replicas_and_idle_ones_go(room: ControlRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Scaler", lambda: Scaler(up_s=0.05, queue_s=0.1, down_s=0.2))
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1", VersionState.READY, is_default=True)
    await set_scale(room, min_replicas=1, max_replicas=3)
    async with reconciling(room):
        await until(lambda: room.router.count("v1") == 1)
        exchanges = [room.router.open("v1", "generate", None, deadline=None) for _ in range(6)]
        entering = [asyncio.ensure_future(one.__aenter__()) for one in exchanges]
        await until(lambda: room.router.count("v1") == 3)
        await asyncio.gather(*entering)
        assert all(one.stops == 0 for one in room.backend.replicas)
        for one in exchanges[1:]:
            await one.__aexit__(None, None, None)
        await until(lambda: room.router.count("v1") == 1)
        busy = [one for one in room.backend.running if room.router.in_flight(one.spec.replica_id)]
        assert len(busy) == 1, "the one that holds a request is the one that stays"
        await exchanges[0].__aexit__(None, None, None)


async def test_open_streams_bring_replicas_and_are_never_cut_for_fewer(
    room: ControlRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "Scaler", lambda: Scaler(up_s=0.05, queue_s=0.1, down_s=0.1))
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1", VersionState.READY, is_default=True)
    await set_scale(room, min_replicas=1, max_replicas=2)
    async with reconciling(room), AsyncExitStack() as one, AsyncExitStack() as other:
        await until(lambda: room.router.count("v1") == 1)
        await one.enter_async_context(room.router.open("v1", "stream", None, deadline=None))
        await other.enter_async_context(room.router.open("v1", "stream", None, deadline=None))
        await until(lambda: room.router.count("v1") == 2)
        third = await one.enter_async_context(room.router.open("v1", "stream", None, deadline=None))
        await set_scale(room, min_replicas=0, max_replicas=1, idle_s=0.05)
        await asyncio.sleep(0.2)
        assert all(replica.stops == 0 for replica in room.backend.replicas), "each holds a stream"
        await other.aclose()
        await one.aclose()
        assert third.is_cancelled  # type: ignore[attr-defined]
        await until(lambda: room.backend.running == [])


async def test_a_version_that_is_asked_while_it_is_written_down_as_idle_stays(
    room: ControlRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1", VersionState.READY, is_default=True)
    entered: list[object] = []
    scale = room.store.deployments.scale

    async def ask_meanwhile(version_id: str, replicas: int, at: datetime) -> None:
        await scale(version_id, replicas, at)
        if not entered:
            entered.append(room.router.open("v1", "stream", None, deadline=None))
            await entered[0].__aenter__()  # type: ignore[attr-defined]

    await set_scale(room, min_replicas=0, max_replicas=1, idle_s=0.1)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v1"))
        monkeypatch.setattr(room.store.deployments, "scale", ask_meanwhile)
        await until(lambda: bool(entered))
        await asyncio.sleep(0.05)
        assert room.router.is_ready("v1")
        assert (await room.deployment_of("v1")).replicas == 1
        await entered[0].__aexit__(None, None, None)  # type: ignore[attr-defined]
        await until(lambda: room.backend.running == [])


async def test_an_idle_model_stops_and_is_started_by_the_next_request(room: ControlRoom) -> None:
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1", VersionState.READY, is_default=True)
    await set_scale(room, min_replicas=0, max_replicas=1, idle_s=0.1)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v1"))
        await until(lambda: room.backend.running == [])
        assert (await room.deployment_of("v1")).replicas == 0
        await room.store.deployments.scale("v1", 1, room.now())
        assert await room.router.wait_ready("v1", deadline=None)


class ScriptedMemory(MachineMemory):
    """Free is what is left when every replica that runs holds what it asks for."""

    def __init__(self, room: ControlRoom, total: int) -> None:
        super().__init__(Path("nowhere"))
        self._room = room
        self._total = total

    def free_bytes(self) -> int:
        return self._total - sum(self.held_bytes(one.pid) for one in self._room.backend.running)

    def held_bytes(self, pid: int | None) -> int:
        return pid or 0


def ask_for(gib: int) -> bytes:
    return ModelVersion(inference_compute_info=ComputeInfo(cpu_memory=f"{gib}Gi")).SerializeToString()


async def add_large(room: ControlRoom, version_id: str, gib: int, state: VersionState, **fields: object) -> None:
    version = await room.add_built(version_id, state, replicas=0)
    await room.store.versions.set_spec(make_key(), version_id, ask_for(gib), room.now())
    row = await room.deployment_of(version_id)
    await room.store.deployments.put(replace(row, replicas=1, is_default=bool(fields.get("is_default"))))
    assert version.version_id == version_id


def hold(gib: int):
    """A replica that is ready, and holds so much."""

    def script(replica: ScriptedReplica) -> None:
        replica.pid = gib * GIB
        replica.ready()

    return script


async def test_memory_for_one_alone_stops_the_version_before_first_and_says_so(room: ControlRoom) -> None:
    room.memory = ScriptedMemory(room, 6 * GIB)
    room.backend.script = hold(4)
    await add_large(room, "v1", 4, VersionState.READY, is_default=True)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v1"))
        await add_large(room, "v2", 4, VersionState.BUILT)
        await until(lambda: has_traffic(room, v2=100))
        assert room.backend.of("v1")[0].is_gone.is_set()
        assert len(room.backend.of("v1")) == 1
    assert (
        "Memory: it asks for 4.0 GiB (cpu_memory), 2.0 GiB are free: the version before is stopped first, and "
        "requests wait until this one answers"
    ) in room.log_of("v2")


async def test_the_version_before_comes_back_where_the_one_that_took_its_memory_fails(room: ControlRoom) -> None:
    room.memory = ScriptedMemory(room, 6 * GIB)
    room.backend.script = hold(4)
    await add_large(room, "v1", 4, VersionState.READY, is_default=True)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v1"))
        room.backend.script = lambda one: one.fail() if one.spec.version_id == "v2" else hold(4)(one)
        await add_large(room, "v2", 4, VersionState.BUILT)
        await until(lambda: room.has_state("v2", VersionState.BUILD_FAILED))
        await until(lambda: room.router.is_ready("v1"))
        assert await has_traffic(room, v1=100)


async def test_going_back_where_memory_is_for_one_alone_stops_the_one_that_serves_first(room: ControlRoom) -> None:
    room.memory = ScriptedMemory(room, 6 * GIB)
    room.backend.script = hold(4)
    await add_large(room, "v1", 4, VersionState.READY)
    await room.store.deployments.scale("v1", 0, room.now())
    await add_large(room, "v2", 4, VersionState.READY, is_default=True)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v2"))
        await want(room, v1=100)
        await until(lambda: has_traffic(room, v1=100))
        await until(lambda: room.router.is_ready("v1"))
        await asyncio.sleep(0.05)
        assert len(room.backend.of("v2")) == 1
        assert room.backend.of("v2")[0].is_gone.is_set()


async def test_going_back_to_what_cannot_be_started_any_more_leaves_the_one_that_served(room: ControlRoom) -> None:
    room.memory = ScriptedMemory(room, 6 * GIB)
    room.backend.script = lambda one: one.fail() if one.spec.version_id == "v1" else hold(4)(one)
    await add_large(room, "v1", 4, VersionState.READY)
    await room.store.deployments.scale("v1", 0, room.now())
    await add_large(room, "v2", 4, VersionState.READY, is_default=True)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v2"))
        await want(room, v1=100)
        await until(lambda: bool(room.backend.of("v1")))
        await until(lambda: room.router.is_ready("v2"))
        assert await has_traffic(room, v2=100)
        assert "cannot be started" in (await own(room)).message
        assert (await room.deployment_of("v1")).replicas == 0


async def test_versions_that_only_stay_warm_make_room(room: ControlRoom) -> None:
    room.memory = ScriptedMemory(room, 10 * GIB)
    room.backend.script = hold(4)
    await add_large(room, "v1", 4, VersionState.READY)
    await add_large(room, "v2", 4, VersionState.READY, is_default=True)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v1") and room.router.is_ready("v2"))
        await add_large(room, "v3", 4, VersionState.BUILT)
        await until(lambda: has_traffic(room, v3=100))
        assert room.backend.of("v1")[0].is_gone.is_set()
        assert len(room.backend.of("v2")) == 1
        assert not room.backend.of("v2")[0].is_gone.is_set()


async def test_what_may_not_fit_at_all_is_started_and_said(room: ControlRoom) -> None:
    room.memory = ScriptedMemory(room, 2 * GIB)
    room.backend.script = ScriptedReplica.ready
    await add_large(room, "v1", 4, VersionState.BUILT)
    async with reconciling(room):
        await until(lambda: room.has_state("v1", VersionState.READY))
    assert any("it starts all the same" in line for line in room.log_of("v1"))
