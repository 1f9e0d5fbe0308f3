"""Names under which models answer, on every store."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from modelyard.errors import Conflict, ModelNotFound
from modelyard.server.records import (
    Endpoint,
    HeaderRule,
    Page,
    Scale,
    Share,
    VersionState,
    WarmUp,
    own_deployment_id,
    shift,
)
from modelyard.server.store.base import Store
from support.stores import (
    START,
    add_model,
    add_version,
    make_deployment,
    make_endpoint,
    make_key,
    make_version,
)

SOON = START + timedelta(seconds=60)
OWN = own_deployment_id(make_key())


def whole(version_id: str) -> tuple[Share, ...]:
    return (Share(version_id=version_id, weight=100),)


async def own(store: Store) -> Endpoint:
    found = await store.endpoints.get_own(make_key())
    assert found is not None
    return found


async def default_of(store: Store) -> str:
    deployment = await store.deployments.get_default(make_key())
    return deployment.version_id if deployment else ""


async def test_an_endpoint_comes_back_as_it_went_in(store: Store) -> None:
    await add_model(store)
    given = replace(
        make_endpoint("shop", "v1", "v2"),
        wanted=whole("v3"),
        previous_version_id="v0",
        rules=(HeaderRule(header="x-group", value="beta", version_id="v2"),),
        scale=Scale(min_replicas=0, max_replicas=4, idle_s=2.5),
        follows_latest=False,
        message="it did not load",
        description="é",
        metadata={"a": {"b": [1, None]}},
    )
    assert await store.endpoints.add(given)
    assert await store.endpoints.get("ada", "shop") == given
    assert await store.endpoints.get("eve", "shop") is None
    assert given.version_ids == {"v1", "v2", "v3"}


async def test_an_id_is_given_once_a_user(store: Store) -> None:
    await add_model(store)
    await add_model(store, make_key(user_id="eve"))
    assert await store.endpoints.add(make_endpoint())
    assert not await store.endpoints.add(make_endpoint())
    assert await store.endpoints.add(make_endpoint(key=make_key(user_id="eve")))


async def test_an_endpoint_needs_its_model_and_goes_with_it(store: Store) -> None:
    with pytest.raises(ModelNotFound):
        await store.endpoints.add(make_endpoint())
    await add_model(store)
    await store.endpoints.add(make_endpoint())
    await store.models.delete(make_key())
    assert await store.endpoints.get("ada", "shop") is None


async def test_endpoints_are_listed_in_the_order_they_were_made_and_by_model_with_its_own_first(store: Store) -> None:
    await add_model(store)
    await add_model(store, make_key("other"))
    for name in ("c", "a", "b"):
        await store.endpoints.add(make_endpoint(name))
    await store.endpoints.add(make_endpoint("d", key=make_key("other")))
    await store.deployments.put(make_deployment(await add_version(store, "v1")))
    assert [one.deployment_id for one in await store.endpoints.list("ada", Page(size=2))] == ["c", "a"]
    assert [one.deployment_id for one in await store.endpoints.list("ada", Page(number=2, size=2))] == ["b", "d"]
    assert len(await store.endpoints.list_all()) == 5
    assert [one.deployment_id for one in await store.endpoints.list_of(make_key())] == [OWN, "c", "a", "b"]


async def test_the_first_default_makes_the_models_own_endpoint_and_the_next_takes_its_traffic(store: Store) -> None:
    await add_model(store)
    assert await store.endpoints.get_own(make_key()) is None
    for version_id in ("v1", "v2"):
        await store.deployments.put(make_deployment(await add_version(store, version_id)))
    found = await own(store)
    assert (found.traffic, found.previous_version_id, found.is_own) == (whole("v2"), "v1", True)


async def test_a_version_that_becomes_ready_takes_the_traffic_in_the_same_step(store: Store) -> None:
    await add_model(store)
    version = await store.versions.add(make_version("v1", state=VersionState.BUILT))
    ready = replace(version, state=VersionState.READY, warm_up=WarmUp.ANSWERED)
    assert await store.versions.become_ready(ready, make_deployment(version))
    assert (await own(store)).traffic == whole("v1")
    kept = await store.versions.get_by_id("v1")
    assert kept is not None
    assert kept.warm_up is WarmUp.ANSWERED


async def test_moving_the_traffic_moves_the_default(store: Store) -> None:
    await add_model(store)
    for version_id in ("v1", "v2"):
        await store.deployments.put(make_deployment(await add_version(store, version_id)))
    split = (Share(version_id="v2", weight=10), Share(version_id="v1", weight=90))
    changed = await store.endpoints.change("ada", OWN, lambda one: shift(one, split, SOON))
    assert changed == await own(store)
    assert await default_of(store) == "v1"
    rows = await store.deployments.list()
    assert [(row.version_id, row.is_default, row.replicas) for row in rows] == [("v1", True, 1), ("v2", False, 1)]


async def test_another_endpoint_leaves_the_default_alone(store: Store) -> None:
    await add_model(store)
    for version_id in ("v1", "v2"):
        await store.deployments.put(make_deployment(await add_version(store, version_id)))
    await store.endpoints.add(make_endpoint("shop", "v2"))
    await store.endpoints.change("ada", "shop", lambda one: shift(one, whole("v1"), SOON))
    assert await default_of(store) == "v2"


async def test_changes_that_race_see_each_other(store: Store) -> None:
    await add_model(store)
    await store.endpoints.add(make_endpoint())

    def grow(one: Endpoint) -> Endpoint:
        return replace(one, scale=Scale(max_replicas=one.scale.max_replicas + 1))

    await asyncio.gather(*(store.endpoints.change("ada", "shop", grow) for _ in range(10)))
    found = await store.endpoints.get("ada", "shop")
    assert found is not None
    assert found.scale.max_replicas == 11


async def test_a_change_that_is_refused_leaves_the_endpoint_as_it_was(store: Store) -> None:
    await add_model(store)
    await store.endpoints.add(make_endpoint())

    def refuse(one: Endpoint) -> Endpoint:
        raise Conflict("no")

    with pytest.raises(Conflict):
        await store.endpoints.change("ada", "shop", refuse)
    assert await store.endpoints.get("ada", "shop") == make_endpoint()
    assert await store.endpoints.change("ada", "gone", refuse) is None


async def test_an_endpoint_is_deleted_unless_it_is_the_models_own(store: Store) -> None:
    await add_model(store)
    await store.deployments.put(make_deployment(await add_version(store, "v1")))
    await store.endpoints.add(make_endpoint())
    assert await store.endpoints.delete("ada", "shop")
    assert not await store.endpoints.delete("ada", "shop")
    assert not await store.endpoints.delete("ada", OWN)


async def test_a_waiter_wakes_for_endpoints(store: Store) -> None:
    await add_model(store)
    waiter = store.watch()
    await store.endpoints.add(make_endpoint())
    assert await waiter.wait(timeout_s=1)
    await store.endpoints.change("ada", "shop", lambda one: one)
    assert await waiter.wait(timeout_s=1)


async def test_a_version_is_found_by_its_number(store: Store) -> None:
    await add_model(store)
    for version_id in ("v1", "v2"):
        await add_version(store, version_id)
    found = await store.versions.get_by_number(make_key(), 2)
    assert found is not None
    assert found.version_id == "v2"
    assert await store.versions.get_by_number(make_key(), 3) is None
    assert await store.versions.get_by_number(make_key("other"), 1) is None
