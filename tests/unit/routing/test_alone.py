"""A caller alone with a quick model has more of its requests at the replica; not of a slow one, nor beside others."""

from __future__ import annotations

import asyncio

from modelyard.server.routing.group import Group
from modelyard.server.routing.pace import EVIDENCE, QUICK_S
from modelyard.server.routing.queues import QueueLimits
from modelyard.server.routing.replicas import SIZES_FOR_ONE
from modelyard.server.routing.router import Router
from support.links import PREDICT, FakeLink, call, settle

SLOTS = 2


async def make(*, held_s: float) -> tuple[Router, FakeLink]:
    """A replica whose requests have taken so long."""
    router, link = Router(queue=QueueLimits(size=100)), FakeLink()
    router.add("r", "v", link, SLOTS, PREDICT)
    for _ in range(EVIDENCE):
        task = call(router, caller="a")
        await settle()
        await asyncio.sleep(held_s)
        link.answer()
        await task
    return router, link


async def finish(link: FakeLink, tasks: list[asyncio.Task[bytes]]) -> None:
    for _ in tasks:
        while any(not one.done() for one in link.calls):
            link.answer()
            await settle()
    await asyncio.gather(*tasks)


async def test_one_caller_fills_a_quick_replica_and_what_is_above_waits() -> None:
    router, link = await make(held_s=0.0)
    tasks = [call(router, caller="a") for _ in range(SIZES_FOR_ONE * SLOTS + 3)]
    await settle()
    assert router.in_flight("r") == SIZES_FOR_ONE * SLOTS
    link.answer()
    await settle()
    assert router.in_flight("r") == SIZES_FOR_ONE * SLOTS, "the next one follows at once"
    await finish(link, tasks)


async def test_a_slow_replica_gets_its_slots_full_and_no_more() -> None:
    router, link = await make(held_s=10 * SLOTS * QUICK_S)
    tasks = [call(router, caller="a") for _ in range(10)]
    await settle()
    assert router.in_flight("r") == SLOTS
    await finish(link, tasks)


async def test_it_stays_quick_where_its_answers_come_many_at_once() -> None:
    group, size = Group(QueueLimits(size=100)), SIZES_FOR_ONE * SLOTS
    group.add("r", FakeLink(), SLOTS, PREDICT)
    for burst in [1] * EVIDENCE + [size] * 3:
        taken = [group.take("a", 0.0) for _ in range(burst)]
        for beside, slots in enumerate(taken, 1):
            assert slots is not None
            group.give_back(slots, "a", burst * QUICK_S / 2, beside)


async def test_whoever_comes_beside_it_is_served_at_once_and_from_then_on_they_share() -> None:
    router, link = await make(held_s=0.0)
    flood = [call(router, caller="a") for _ in range(20)]
    await settle()
    others = [call(router, caller="b") for _ in range(2)]
    await settle()
    assert router.in_flight("r") == SIZES_FOR_ONE * SLOTS + 1, "the first of the newcomer's"
    assert link.told[-1] == (None, True), "and it overtakes in the worker"
    for left in reversed(range(SLOTS, router.in_flight("r"))):
        link.answer()
        await settle()
        assert router.in_flight("r") == left, "two share what its slots are"
    await finish(link, [*flood, *others])
