from __future__ import annotations

import asyncio
import time

import pytest

from modelyard.errors import ModelBusy
from modelyard.server.routing.queues import QueueLimits
from modelyard.server.routing.router import Router
from support.links import PREDICT, FakeLink, call, settle


@pytest.fixture
def router() -> Router:
    return Router(queue=QueueLimits(size=3), orphan_s=0.05)


async def test_callers_are_served_in_turn(router: Router) -> None:
    link = FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    order: list[str] = []

    async def ask(caller: str) -> None:
        await router.call("v", b"", caller=caller, deadline=None)
        order.append(caller)

    tasks = [asyncio.create_task(ask(one)) for one in ("a", "b", "a", "a", "b")]
    await settle()
    while not all(task.done() for task in tasks):
        assert len(link.calls) <= 2
        link.answer()
        await settle()
    assert order == ["a", "b", "a", "b", "a"]


async def test_a_flood_cannot_hold_every_place_and_who_has_nothing_else_there_overtakes(router: Router) -> None:
    link = FakeLink()
    router.add("r", "v", link, 2, PREDICT)
    flood = [call(router, caller="flood") for _ in range(5)]
    await settle()
    assert len(link.calls) == 2
    other = call(router, caller="other")
    await settle()
    assert link.told == [(None, False), (None, False), (None, True)]
    link.answer(2)
    assert await other == b"answer"
    await settle()
    assert len(link.calls) == 2, "the spared place is not for those who have others"
    while link.calls:
        link.answer()
        await settle()
    await asyncio.gather(*flood)
    assert router.in_flight("r") == 0


async def test_a_flood_never_overtakes_whom_it_floods(router: Router) -> None:
    """While the other's request is there, the flood may hold one place only for a moment."""
    link = FakeLink()
    router.add("r", "v", link, 2, PREDICT)
    flood = [call(router, caller="flood") for _ in range(5)]
    await settle()
    other = call(router, caller="other")
    await settle()
    link.answer(0)
    await settle()
    link.answer(0)  # it held two, and holds none but the one that it is given now
    await settle()
    assert [is_express for _, is_express in link.told] == [False, False, True, False]
    while link.calls:
        link.answer()
        await settle()
    await asyncio.gather(other, *flood)


async def test_a_flood_that_fills_the_queue_gives_way_to_another_caller(router: Router) -> None:
    link = FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    first = [call(router, caller=one) for one in ("flood", "busy")]
    flood = [call(router, caller="flood") for _ in range(3)]
    await settle()
    with pytest.raises(ModelBusy):
        await call(router, caller="flood")
    other = call(router, caller="other")
    await settle()
    assert [task.done() for task in flood] == [False, False, True]
    with pytest.raises(ModelBusy, match="no more may"):
        await flood[2]
    while link.calls:
        link.answer()
        await settle()
    await asyncio.gather(*first, *flood[:2], other)
    assert router.in_flight("r") == 0


async def test_large_requests_fill_the_queue_sooner() -> None:
    router = Router(queue=QueueLimits(size=10, size_bytes=1000))
    link = FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    first = call(router)
    large = call(router, payload=b"x" * 850)
    await settle()
    small = call(router)
    await settle()
    with pytest.raises(ModelBusy):
        await call(router)
    for _ in range(3):
        link.answer()
        await settle()
    await asyncio.gather(first, large, small)


async def test_request_larger_than_the_queue_waits_alone() -> None:
    router = Router(queue=QueueLimits(size=10, size_bytes=1000))
    link = FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    first, large = call(router), call(router, payload=b"x" * 5000)
    await settle()
    with pytest.raises(ModelBusy):
        await call(router)
    link.answer()
    await settle()
    link.answer()
    await asyncio.gather(first, large)


async def measure(router: Router, link: FakeLink, seconds: float, times: int) -> None:
    """Let the router see requests that take so long."""
    for _ in range(times):
        task = call(router, caller="measured")
        await settle()
        await asyncio.sleep(seconds)
        link.answer()
        await task


async def test_a_request_whose_deadline_would_pass_in_the_queue_is_refused_at_once() -> None:
    router, link = Router(), FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    await measure(router, link, 0.05, 20)
    tasks = [call(router) for _ in range(60)]
    await settle()
    with pytest.raises(ModelBusy, match=r"would wait about .* s, and its deadline is in 0\.\d s") as refused:
        await call(router, deadline=time.monotonic() + 0.2)
    assert (refused.value.retry_after_s or 0) >= 1
    patient = call(router, deadline=time.monotonic() + 600)
    other = call(router, caller="other", deadline=time.monotonic() + 5)
    while link.calls:
        link.answer()
        await settle()
    await asyncio.gather(*tasks, patient, other)


async def test_nobody_is_refused_for_a_deadline_without_evidence() -> None:
    router, link = Router(), FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    tasks = [call(router, deadline=time.monotonic() + 60) for _ in range(100)]
    await settle()
    while link.calls:
        link.answer()
        await settle()
    assert await asyncio.gather(*tasks) == [b"answer"] * 100


async def test_refusal_says_when_to_come_again() -> None:
    router, link = Router(queue=QueueLimits(size=100)), FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    await measure(router, link, 0.05, 10)
    tasks = [call(router) for _ in range(101)]
    await settle()
    with pytest.raises(ModelBusy, match="100 requests wait already") as refused:
        await call(router)
    assert 5 <= (refused.value.retry_after_s or 0) <= 60
    assert refused.value.hint.startswith(f"try again in {refused.value.retry_after_s:g} s")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert router.in_flight("r") == 0
