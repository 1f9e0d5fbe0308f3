"""Readiness: what is deployed against the replicas that are connected."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelyard.errors import ModelNotFound
from modelyard.server.routing.router import Router
from modelyard.server.services.readiness import Readiness, ReadinessService
from support.house import House
from support.links import PREDICT, FakeLink
from support.stores import add_model, add_version, make_deployment


class Site:
    def __init__(self, house: House) -> None:
        self.router = Router()
        self.is_open = True
        self.readiness = ReadinessService(house.store, house.versions, self.router, is_open=lambda: self.is_open)

    async def ask(self) -> bool:
        return await self.readiness.check_model("ada", "main", "m")


@pytest.fixture
def site(house: House) -> Site:
    return Site(house)


async def test_server_without_models_is_ready_until_it_drains(site: Site) -> None:
    assert await site.readiness.check() == Readiness(is_ready=True, models=0, models_ready=0)
    site.is_open = False
    assert not (await site.readiness.check()).is_ready


async def test_deployed_model_counts_while_a_replica_of_it_is_connected(site: Site, house: House) -> None:
    await add_model(house.store)
    await house.store.deployments.put(make_deployment(await add_version(house.store, "v1")))
    assert await site.readiness.check() == Readiness(is_ready=False, models=1, models_ready=0)
    assert not await site.ask()

    link = FakeLink()
    site.router.add("r", "v1", link, 1, PREDICT)
    assert await site.readiness.check() == Readiness(is_ready=True, models=1, models_ready=1)
    assert await site.ask()

    link.crash()
    assert await site.readiness.check() == Readiness(is_ready=False, models=1, models_ready=0)
    assert not await site.ask()


async def test_what_was_let_stop_is_not_missed(site: Site, house: House) -> None:
    await add_model(house.store)
    deployment = make_deployment(await add_version(house.store, "v1"))
    await house.store.deployments.put(deployment)
    assert not (await site.readiness.check()).is_ready
    await house.store.deployments.put(replace(deployment, replicas=0))
    assert await site.readiness.check() == Readiness(is_ready=True, models=0, models_ready=0)


async def test_model_that_is_not_there_has_no_readiness(site: Site, house: House) -> None:
    await add_model(house.store)
    assert not await site.ask()
    with pytest.raises(ModelNotFound):
        await site.readiness.check_model("ada", "main", "other")


async def test_probes_ask_the_store_once_a_second_at_most(site: Site, house: House) -> None:
    await add_model(house.store)
    await house.store.deployments.put(make_deployment(await add_version(house.store, "v1")))
    await site.readiness.check()
    queries = 0
    list_rows = house.store.deployments.list

    async def count() -> object:
        nonlocal queries
        queries += 1
        return await list_rows()

    house.store.deployments.list = count  # type: ignore[method-assign]
    for _ in range(20):
        await site.readiness.check()
    assert queries <= 1
