"""Accelerators are given to one replica at a time, and a machine without any says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from modelyard.errors import BuildFailed
from modelyard.server.control import reconcile as module
from modelyard.server.control.accelerators import AcceleratorPool
from modelyard.server.control.verdicts import STARTS
from modelyard.server.records import LogType, Scale, Version, VersionState, own_deployment_id
from modelyard.wire.messages import ComputeInfo, ModelVersion
from support.control import ControlRoom, Devices, ScriptedReplica, running, until
from support.stores import add_model, make_key, make_version


def asking(count: int, *types: str, memory: str = "") -> Version:
    compute = ComputeInfo(num_accelerators=count, accelerator_type=types, accelerator_memory=memory)
    return replace(make_version("v1"), spec=ModelVersion(inference_compute_info=compute).SerializeToString())


async def open_pool(*names: str, is_optional: bool = True) -> AcceleratorPool:
    pool = AcceleratorPool(Devices(*names), is_optional=is_optional)
    await pool.open()
    return pool


async def test_a_device_is_one_replicas_until_it_is_given_back() -> None:
    pool = await open_pool("NVIDIA A10G", "NVIDIA A10G")
    assert pool.take("r1", 1) == ("GPU-0",)
    assert pool.take("r2", 2) is None
    assert pool.take("r2", 1) == ("GPU-1",)
    assert (pool.take("r3", 1), pool.take("r3", 0), pool.free) == (None, (), 0)
    pool.give_back("r1")
    pool.give_back("r1")
    assert pool.take("r3", 1) == ("GPU-0",)


async def test_a_machine_without_accelerators_says_so_and_runs_on_the_cpu_where_that_is_optional() -> None:
    pool = await open_pool()
    assert pool.check(asking(1)) == (
        "num_accelerators: the model asks for 1, and this machine has none: it runs on the CPU"
    )
    assert pool.count_needed(asking(1)) == 0
    assert pool.check(asking(0)) == ""


async def test_a_machine_with_too_few_refuses_where_they_are_required() -> None:
    pool = await open_pool("NVIDIA A10G", is_optional=False)
    assert pool.check(asking(1)) == ""
    with pytest.raises(BuildFailed, match="the model asks for 2, and this machine has 1") as refused:
        pool.check(asking(2))
    assert "--accelerators optional" in refused.value.hint


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (asking(1, "NVIDIA-A10G"), ""),
        (asking(1, "NVIDIA-*"), ""),
        (asking(1, "NVIDIA-T4", "nvidia-a10g"), ""),
        (asking(1, "NVIDIA-T4"), "accelerator_type: NVIDIA-T4; this machine has NVIDIA A10G"),
        (asking(1, memory="16Gi"), ""),
        (asking(1, memory="80Gi"), "accelerator_memory: 80Gi; the largest here has 24.0Gi"),
    ],
)
async def test_another_device_than_was_asked_for_is_said(version: Version, words: str) -> None:
    assert (await open_pool("NVIDIA A10G")).check(version) == words


@asynccontextmanager
async def reconciling(room: ControlRoom) -> AsyncIterator[None]:
    reconcile = room.make_reconcile()
    try:
        async with running(reconcile.run):
            yield
    finally:
        await reconcile.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK_S", 0.01)


async def add_asking(room: ControlRoom, version_id: str, count: int, state: VersionState, **fields: bool) -> None:
    await room.add_built(version_id, state, replicas=0)
    await room.store.versions.set_spec(make_key(), version_id, asking(count).spec, room.now())
    row = await room.deployment_of(version_id)
    await room.store.deployments.put(replace(row, replicas=1, is_default=fields.get("is_default", False)))


async def give(room: ControlRoom, *names: str) -> None:
    room.accelerators = await open_pool(*names)
    room.means = replace(room.means, accelerators=room.accelerators)
    room.backend.script = ScriptedReplica.ready


async def test_a_replica_sees_its_devices_and_one_that_asks_for_none_sees_none(room: ControlRoom) -> None:
    await give(room, "NVIDIA A10G", "NVIDIA A10G")
    await add_asking(room, "v1", 2, VersionState.READY)
    await add_asking(room, "v2", 0, VersionState.READY, is_default=True)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v1") and room.router.is_ready("v2"))
    assert room.backend.of("v1")[0].spec.accelerators == ("GPU-0", "GPU-1")
    assert room.backend.of("v2")[0].spec.accelerators == ()
    assert room.accelerators.free == 2, "they are given back"


async def test_a_crashed_replicas_devices_go_to_the_next_one(room: ControlRoom) -> None:
    await give(room, "NVIDIA A10G")
    await add_asking(room, "v1", 1, VersionState.READY, is_default=True)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v1"))
        room.backend.replicas[0].exit()
        await until(lambda: len(room.backend.replicas) == 2 and room.router.is_ready("v1"))
    assert [one.spec.accelerators for one in room.backend.replicas] == [("GPU-0",)] * 2


async def test_a_machine_with_one_device_rolls_out_by_stopping_the_version_before_first(room: ControlRoom) -> None:
    await give(room, "NVIDIA A10G")
    await add_asking(room, "v1", 1, VersionState.READY, is_default=True)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v1"))
        await add_asking(room, "v2", 1, VersionState.BUILT)
        await until(lambda: room.router.is_ready("v2"))
        await until(lambda: room.has_state("v2", VersionState.READY))
    assert "Accelerators: it asks for 1, 0 are free: the version before is stopped first, and requests wait " in (
        "\n".join(room.log_of("v2")) + " "
    )


async def says(room: ControlRoom, version_id: str, message: str) -> bool:
    return (await room.get_version(version_id)).state_message == message


async def test_a_new_version_that_waits_for_accelerators_says_so_until_it_starts(room: ControlRoom) -> None:
    await give(room, "NVIDIA A10G")
    other = await add_model(room.store, make_key("other"))
    await room.add_built("v1", VersionState.READY, key=other, spec=asking(1).spec)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v1"))
        room.backend.script = lambda one: None
        async with room.router.open("v1", "stream", None, deadline=None):
            await add_asking(room, "v2", 1, VersionState.BUILT)
            await until(lambda: says(room, "v2", "it waits for accelerators: it asks for 1, 0 are free"))
            assert room.backend.of("v1")[0].stops == 0, "who works is not stopped for it"
        await until(lambda: says(room, "v2", STARTS))
        await until(lambda: bool(room.backend.of("v2")))
        room.backend.of("v2")[0].ready()
        await until(lambda: room.has_state("v2", VersionState.READY))
    assert await says(room, "v2", "")


async def test_replicas_that_are_started_at_once_do_not_count_on_the_same_device(room: ControlRoom) -> None:
    await give(room, "NVIDIA A10G")
    await room.add_built("v1", VersionState.READY, is_default=True, replicas=2, spec=asking(1).spec)
    two = Scale(min_replicas=2, max_replicas=2)
    await room.store.endpoints.change("ada", own_deployment_id(make_key()), lambda one: replace(one, scale=two))
    async with reconciling(room):
        await until(lambda: room.router.count("v1") == 1)
        await until(lambda: any("it waits for them" in one for one in room.log_of("v1", LogType.RUN)))
        await asyncio.sleep(0.05)
    assert not any("and 0 are free" in one for one in room.log_of("v1", LogType.RUN))
    assert await says(room, "v1", ""), "it serves: nothing of it waits"


async def test_devices_in_others_hands_are_waited_for(room: ControlRoom) -> None:
    await give(room, "NVIDIA A10G")
    await add_asking(room, "v1", 1, VersionState.READY, is_default=True)
    async with reconciling(room):
        await until(lambda: room.router.is_ready("v1"))
        await add_asking(room, "v2", 1, VersionState.READY)
        await until(lambda: any("it waits for them" in one for one in room.log_of("v2", LogType.RUN)))
        await until(lambda: says(room, "v2", "it waits for accelerators: it asks for 1, 0 are free"))
        await room.store.deployments.put(replace(await room.deployment_of("v2"), is_default=True))
        await room.store.deployments.scale("v1", 0, room.now())
        await until(lambda: room.router.is_ready("v2"))
