"""Versions, builds, deployments and logs, on every store."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from modelyard.errors import ModelNotFound
from modelyard.server.records import BuildState, LogType, Page, VersionState
from modelyard.server.store.base import Store
from support.stores import (
    START,
    add_build,
    add_model,
    add_version,
    make_build,
    make_deployment,
    make_key,
    make_line,
    make_version,
)

SOON = START + timedelta(seconds=60)
LATER = START + timedelta(seconds=61)


async def test_a_version_comes_back_as_it_went_in_with_its_number(store: Store) -> None:
    await add_model(store)
    given = replace(make_version("v1"), size_bytes=2**40, completed_at=START, spec=bytes(range(256)))
    assert await store.versions.add(given) == replace(given, number=1)
    assert await store.versions.get(make_key(), "v1") == replace(given, number=1)
    assert await store.versions.get(make_key(user_id="eve"), "v1") is None


async def test_numbers_rise_and_are_not_used_again(store: Store) -> None:
    await add_model(store)
    added = await asyncio.gather(*(add_version(store, f"v{i}") for i in range(5)))
    assert sorted(one.number for one in added) == [1, 2, 3, 4, 5]
    newest = max(added, key=lambda one: one.number)
    assert await store.versions.delete(make_key(), newest.version_id)
    assert (await add_version(store, "next")).number == 6


async def test_a_version_needs_its_model(store: Store) -> None:
    with pytest.raises(ModelNotFound):
        await add_version(store, "v1")


async def test_versions_are_listed_newest_first(store: Store) -> None:
    await add_model(store)
    for i in range(3):
        await add_version(store, f"v{i}")
    assert [one.version_id for one in await store.versions.list(make_key(), Page(size=2))] == ["v2", "v1"]
    assert [one.version_id for one in await store.versions.list(make_key(), Page(number=2, size=2))] == ["v0"]
    assert await store.versions.list(make_key(), Page(number=3, size=2)) == []


async def test_latest_looks_at_states_and_leaves_one_out(store: Store) -> None:
    await add_model(store)
    await add_version(store, "v1")
    await add_version(store, "v2")
    await add_version(store, "v3", state=VersionState.BUILD_FAILED)
    ready = frozenset({VersionState.READY})
    latest = store.versions.latest
    found = [await latest(make_key()), await latest(make_key(), ready), await latest(make_key(), ready, without="v2")]
    assert [one.version_id for one in found if one] == ["v3", "v2", "v1"]
    assert await latest(make_key("other")) is None


async def test_current_is_the_default_else_the_latest(store: Store) -> None:
    keys = [await add_model(store, make_key(model_id)) for model_id in ("served", "fresh", "empty")]
    served = await add_version(store, "s1", keys[0])
    await add_version(store, "s2", keys[0])
    await add_version(store, "f1", keys[1])
    newest = await add_version(store, "f2", keys[1])
    await store.deployments.put(make_deployment(served))
    await store.deployments.put(make_deployment(newest, is_default=False))
    current = await store.versions.current([*keys, make_key("gone")])
    assert {key.model_id: one.version_id for key, one in current.items()} == {"served": "s1", "fresh": "f2"}
    assert await store.versions.current([]) == {}


async def test_versions_in_states_are_listed_oldest_first_for_all_users(store: Store) -> None:
    await add_model(store)
    await add_model(store, make_key(user_id="bob"))
    await add_version(store, "v1", state=VersionState.BUILT)
    await add_version(store, "v2", make_key(user_id="bob"), state=VersionState.UPLOADING)
    await add_version(store, "v3", state=VersionState.READY)
    found = await store.versions.list_in_states(frozenset({VersionState.BUILT, VersionState.UPLOADING}))
    assert [one.version_id for one in found] == ["v1", "v2"]


async def test_an_update_happens_only_in_an_expected_state(store: Store) -> None:
    await add_model(store)
    version = await add_version(store, "v1", state=VersionState.BUILT)
    ready = replace(version, state=VersionState.READY, code_digest="c", environment_digest="e", manifest_digest="m")
    assert not await store.versions.update(ready, expected=frozenset({VersionState.BUILDING}))
    assert await store.versions.update(ready, expected=frozenset({VersionState.BUILT}))
    assert await store.versions.get_by_id("v1") == ready
    assert await store.versions.list_digests() == [("c", "", "e", "m")]
    assert not await store.versions.update(replace(ready, version_id="gone"))


async def test_parts_are_those_of_one_user_the_newest_first(store: Store) -> None:
    await add_model(store)
    await add_model(store, make_key(user_id="bob"))
    for number, (code, weights) in enumerate([("c1", "w"), ("c2", ""), ("c1", "w"), ("", "")]):
        version = await add_version(store, f"v{number}", state=VersionState.BUILT)
        assert await store.versions.update(replace(version, code_digest=code, weights_digest=weights))
    other = await add_version(store, "other", make_key(user_id="bob"), state=VersionState.BUILT)
    assert await store.versions.update(replace(other, code_digest="theirs"))
    assert await store.versions.list_parts("ada") == [("main", "c1", "w"), ("main", "c2", "")]


async def test_an_update_leaves_what_the_client_says_to_set_spec(store: Store) -> None:
    await add_model(store)
    version = await add_version(store, "v1", state=VersionState.BUILDING)
    assert await store.versions.set_spec(make_key(), "v1", b"patched", LATER)
    assert await store.versions.update(replace(version, state=VersionState.BUILT, modified_at=SOON))
    assert await store.versions.get_by_id("v1") == replace(
        version, state=VersionState.BUILT, modified_at=SOON, spec=b"patched"
    )
    assert not await store.versions.set_spec(make_key(), "gone", b"", LATER)


async def test_an_upload_is_acknowledged_once_and_queues_its_build(store: Store) -> None:
    await add_model(store)
    version = await add_version(store, "v1", state=VersionState.UPLOADING)
    uploaded = replace(version, state=VersionState.UPLOADED, spec=b"with what config.yaml says")
    assert await store.versions.acknowledge_upload(uploaded, make_build(uploaded))
    assert not await store.versions.acknowledge_upload(uploaded, make_build(uploaded))
    assert await store.versions.get_by_id("v1") == uploaded
    assert await store.builds.get("v1") == make_build(uploaded)


async def test_an_upload_of_a_deleted_version_is_not_acknowledged(store: Store) -> None:
    await add_model(store)
    version = await add_version(store, "v1", state=VersionState.UPLOADING)
    await store.versions.delete(make_key(), "v1")
    uploaded = replace(version, state=VersionState.UPLOADED)
    assert not await store.versions.acknowledge_upload(uploaded, make_build(uploaded))
    assert await store.builds.get("v1") is None


async def test_deleting_a_version_takes_its_build_deployment_and_logs(store: Store) -> None:
    await add_model(store)
    version = await add_build(store, "v1")
    await store.deployments.put(make_deployment(version))
    await store.logs.append([make_line("v1", "one")])
    assert not await store.versions.delete(make_key(user_id="eve"), "v1")
    assert await store.versions.delete(make_key(), "v1")
    assert not await store.versions.delete(make_key(), "v1")
    assert await store.builds.get("v1") is None
    assert await store.deployments.get("v1") is None
    assert await store.logs.last_sequence("v1", LogType.BUILD) == 0


async def test_builds_are_taken_oldest_first_and_never_twice(store: Store) -> None:
    await add_model(store)
    for i in range(4):
        await add_build(store, f"v{i}")
    taken = await asyncio.gather(*(store.builds.take(f"owner{i}", START, SOON) for i in range(8)))
    assert sorted(one.version_id for one in taken if one) == ["v0", "v1", "v2", "v3"]
    first = await store.builds.get("v0")
    assert first is not None
    assert (first.state, first.attempt, first.lease_until) == (BuildState.RUNNING, 1, SOON)
    assert first.key == make_key()


async def test_a_build_whose_lease_ended_is_taken_again_and_the_old_owner_has_lost_it(store: Store) -> None:
    await add_model(store)
    await add_build(store, "v1")
    await store.builds.take("old", START, SOON)
    assert await store.builds.take("new", SOON, LATER) is None
    taken = await store.builds.take("new", LATER, LATER + timedelta(seconds=60))
    assert taken is not None
    assert (taken.attempt, taken.lease_owner) == (2, "new")
    assert not await store.builds.extend("v1", "old", LATER)
    assert not await store.builds.finish("v1", "old", succeeded=True)
    assert await store.builds.finish("v1", "new", succeeded=True)


async def test_an_extended_lease_keeps_the_build(store: Store) -> None:
    await add_model(store)
    await add_build(store, "v1")
    await store.builds.take("owner", START, SOON)
    assert await store.builds.extend("v1", "owner", LATER + timedelta(seconds=60))
    assert await store.builds.take("other", LATER, LATER) is None


async def test_an_ended_build_is_never_taken_again(store: Store) -> None:
    await add_model(store)
    for version_id, succeeded in (("v1", True), ("v2", False)):
        await add_build(store, version_id)
        await store.builds.take("owner", START, SOON)
        assert await store.builds.finish(version_id, "owner", succeeded=succeeded)
        assert not await store.builds.finish(version_id, "owner", succeeded=succeeded)
    states = [one.state for version_id in ("v1", "v2") if (one := await store.builds.get(version_id))]
    assert states == [BuildState.SUCCEEDED, BuildState.FAILED]
    assert await store.builds.take("owner", LATER, LATER) is None


async def test_releasing_requeues_what_others_held(store: Store) -> None:
    await add_model(store)
    for version_id, owner in (("v1", "gone-1"), ("v2", "me-1"), ("v3", "ME-1")):
        await add_build(store, version_id)
        await store.builds.take(owner, START, SOON)
    assert await store.builds.release("me") == 2
    taken = await store.builds.take("me-2", START, SOON)
    assert taken is not None
    assert (taken.version_id, taken.attempt) == ("v1", 2)


async def test_a_model_has_one_default_at_most(store: Store) -> None:
    await add_model(store)
    await add_model(store, make_key("other"))
    versions = [await add_version(store, f"v{i}") for i in range(3)]
    other = await add_version(store, "o1", make_key("other"))
    for one in (*versions, other):
        await store.deployments.put(make_deployment(one))
    default = await store.deployments.get_default(make_key())
    assert default is not None
    assert default.version_id == "v2"
    kept = await store.deployments.get_default(make_key("other"))
    assert kept is not None
    rows = await store.deployments.list()
    assert [(row.version_id, row.is_default) for row in rows] == [
        ("v0", False),
        ("v1", False),
        ("v2", True),
        ("o1", True),
    ]
    assert [row.version_id for row in await store.deployments.list_of(make_key())] == ["v0", "v1", "v2"]


async def test_racing_defaults_leave_one(store: Store) -> None:
    await add_model(store)
    versions = [await add_version(store, f"v{i}") for i in range(6)]
    await asyncio.gather(*(store.deployments.put(make_deployment(one)) for one in versions))
    assert sum(row.is_default for row in await store.deployments.list()) == 1


async def test_a_deployment_is_replaced_and_deleted(store: Store) -> None:
    await add_model(store)
    version = await add_version(store, "v1")
    await store.deployments.put(make_deployment(version))
    stopped = make_deployment(version, is_default=False, replicas=0)
    await store.deployments.put(stopped)
    assert await store.deployments.get("v1") == stopped
    assert await store.deployments.get_default(make_key()) is None
    assert await store.deployments.delete("v1")
    assert not await store.deployments.delete("v1")


async def test_scaling_leaves_the_default_to_whoever_has_it(store: Store) -> None:
    await add_model(store)
    old, new = [await add_version(store, version_id) for version_id in ("v1", "v2")]
    await store.deployments.put(make_deployment(old, replicas=0))
    await store.deployments.put(make_deployment(new))
    assert await store.deployments.scale("v1", 3, SOON)
    scaled = replace(make_deployment(old, is_default=False, replicas=3), modified_at=SOON)
    assert await store.deployments.get("v1") == scaled
    assert not await store.deployments.scale("gone", 1, SOON)


async def test_a_deployment_of_a_version_that_is_gone_is_not_put(store: Store) -> None:
    await add_model(store)
    await store.deployments.put(make_deployment(make_version("gone")))
    assert await store.deployments.list() == []


async def test_log_lines_are_numbered_within_version_and_type(store: Store) -> None:
    await add_model(store)
    await add_version(store, "v1")
    await add_version(store, "v2")
    await store.logs.append([make_line("v1", "a"), make_line("v2", "x"), make_line("v1", "b")])
    await store.logs.append([make_line("v1", "run", LogType.RUN), make_line("v1", "c"), make_line("gone", "lost")])
    build = await store.logs.list("v1", LogType.BUILD, Page())
    assert [(line.sequence, line.message) for line in build] == [(1, "a"), (2, "b"), (3, "c")]
    assert [line.sequence for line in await store.logs.list("v1", LogType.RUN, Page())] == [1]
    assert await store.logs.last_sequence("v1", LogType.BUILD) == 3
    assert await store.logs.list("gone", LogType.BUILD, Page()) == []
    assert build[0] == replace(make_line("v1", "a"), sequence=1)


async def test_full_pages_of_a_log_stay_as_they_are(store: Store) -> None:
    await add_model(store)
    await add_version(store, "v1")
    await store.logs.append([make_line("v1", str(i)) for i in range(1, 6)])
    before = await store.logs.list("v1", LogType.BUILD, Page(number=1, size=4))
    await store.logs.append([make_line("v1", str(i)) for i in range(6, 9)])
    assert await store.logs.list("v1", LogType.BUILD, Page(number=1, size=4)) == before
    second = await store.logs.list("v1", LogType.BUILD, Page(number=2, size=4))
    assert [line.message for line in second] == ["5", "6", "7", "8"]
    assert await store.logs.list("v1", LogType.BUILD, Page(number=3, size=4)) == []


async def test_appends_from_many_sides_lose_no_line(store: Store) -> None:
    await add_model(store)
    await add_version(store, "v1")
    await asyncio.gather(*(store.logs.append([make_line("v1", f"{i}")] * 5) for i in range(8)))
    lines = await store.logs.list("v1", LogType.BUILD, Page())
    assert [line.sequence for line in lines] == list(range(1, 41))


async def test_a_waiter_wakes_for_builds_and_deployments(store: Store) -> None:
    await add_model(store)
    waiter, other = store.watch(), store.watch()
    assert not await waiter.wait(timeout_s=0)
    version = await add_build(store, "v1")
    assert await waiter.wait(timeout_s=5)
    assert not await waiter.wait(timeout_s=0)
    waiting = asyncio.create_task(waiter.wait(timeout_s=5))
    await store.deployments.put(make_deployment(version))
    assert await waiting
    assert await other.wait(timeout_s=5)
    await store.models.delete(make_key())
    assert await waiter.wait(timeout_s=5)


async def test_a_version_becomes_ready_and_the_default_in_one_step(store: Store) -> None:
    await add_model(store)
    await store.deployments.put(make_deployment(await add_version(store, "v1")))
    built = replace(await add_version(store, "v2"), state=VersionState.BUILT)
    await store.versions.update(built)
    ready = replace(built, state=VersionState.READY)
    assert await store.versions.become_ready(ready, make_deployment(ready))
    current = await store.versions.current([make_key()])
    assert (current[make_key()].version_id, current[make_key()].state) == ("v2", VersionState.READY)
    assert not await store.versions.become_ready(ready, make_deployment(ready, replicas=7))
    kept = await store.deployments.get("v2")
    assert kept is not None
    assert kept.replicas != 7


async def test_a_sealed_token_is_kept_while_the_build_may_need_it_and_no_longer(store: Store) -> None:
    version = await add_version(store, "v1", await add_model(store), VersionState.UPLOADING)
    uploaded = replace(version, state=VersionState.UPLOADED)
    sealed = bytes(range(256))
    assert await store.versions.acknowledge_upload(uploaded, replace(make_build(uploaded), sealed_token=sealed))
    job = await store.builds.take("me", START, START + timedelta(seconds=60))
    assert job is not None
    assert job.sealed_token == sealed
    assert "sealed_token" not in repr(job)
    assert await store.builds.finish("v1", "me", succeeded=False)
    ended = await store.builds.get("v1")
    assert ended is not None
    assert ended.sealed_token == b""


async def test_a_write_that_is_cancelled_holds_up_nobody(store: Store) -> None:
    """Whenever the cancellation comes, the write has happened or not, and the next one need not wait."""
    await add_model(store)
    for number in range(40):
        writing = asyncio.create_task(store.versions.add(make_version(f"c{number}")))
        for _ in range(number // 2):
            await asyncio.sleep(0.0002)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        async with asyncio.timeout(5):
            await store.versions.add(make_version(f"n{number}"))
