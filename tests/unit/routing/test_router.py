from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from modelyard.errors import DeadlineExceeded, ModelBusy, ModelDeploying, StreamsBusy, WorkerCrashed
from modelyard.server.routing.queues import QueueLimits
from modelyard.server.routing.router import Router
from support.links import PREDICT, FakeExchange, FakeLink, call, settle


@pytest.fixture
def router() -> Router:
    return Router(queue=QueueLimits(size=3), orphan_s=0.05)


async def test_version_without_a_replica_is_deploying(router: Router) -> None:
    with pytest.raises(ModelDeploying):
        await call(router)
    with pytest.raises(ModelDeploying):
        async with router.open("v", "generate", b"", deadline=None):
            pass
    assert not router.is_ready("v")
    assert router.methods_of("v") is None
    assert router.last_used("v") is None


async def test_free_replica_answers(router: Router) -> None:
    link = FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    task = call(router)
    await settle()
    assert router.in_flight("r") == 1
    link.answer()
    assert await task == b"answer"
    assert router.in_flight("r") == 0
    assert router.methods_of("v") == PREDICT


async def test_replica_with_the_fewest_in_flight_is_chosen(router: Router) -> None:
    links = [FakeLink(), FakeLink()]
    for number, link in enumerate(links):
        router.add(f"r{number}", "v", link, 4, PREDICT)
    tasks = [call(router) for _ in range(4)]
    await settle()
    assert [len(link.calls) for link in links] == [2, 2]
    for link in links:
        link.answer()
        link.answer()
    await asyncio.gather(*tasks)


async def test_requests_wait_in_order_and_get_the_slot_that_is_freed(router: Router) -> None:
    link = FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    tasks = [call(router) for _ in range(3)]
    for number, task in enumerate(tasks):
        await settle()
        assert len(link.calls) == 1
        assert [one.done() for one in tasks] == [True] * number + [False] * (3 - number)
        link.answer()
        await task


async def test_demand_says_what_is_held_and_how_long_requests_waited(router: Router) -> None:
    link = FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    first, second, third = (call(router) for _ in range(3))
    await settle()
    await asyncio.sleep(0.02)
    seen = router.demand("v")
    assert (seen.replicas, seen.in_flight, seen.waiting, seen.served) == (1, 1, 2, 1)
    assert seen.oldest_s >= 0.02
    assert seen.waited_s == 0.0
    link.answer()
    await first
    await settle()
    third.cancel()
    await settle()
    seen = router.demand("v")
    assert (seen.in_flight, seen.waiting, seen.served, seen.oldest_s) == (1, 0, 2, 0.0)
    assert seen.waited_s >= 0.02, "of those that got a slot"
    link.answer()
    await second
    async with router.open("v", "stream", None, deadline=None):
        assert router.demand("v").open_streams == 1
        assert not router.demand("v").is_none
    assert router.demand("v").is_none


async def test_full_queue_answers_busy(router: Router) -> None:
    link = FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    tasks = [call(router) for _ in range(4)]
    await settle()
    with pytest.raises(ModelBusy, match="3 requests wait already, 3 of them with this token") as refused:
        await call(router)
    assert refused.value.retry_after_s == 1
    for task in tasks:
        link.answer()
        await task
    assert router.in_flight("r") == 0


async def test_request_that_is_late_costs_nothing(router: Router) -> None:
    link = FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    with pytest.raises(DeadlineExceeded):
        await call(router, deadline=time.monotonic() - 1)
    assert link.calls == []
    assert router.in_flight("r") == 0


async def test_deadline_passes_while_waiting(router: Router) -> None:
    link = FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    first = call(router)
    await settle()
    with pytest.raises(DeadlineExceeded, match="while it waited"):
        await call(router, deadline=time.monotonic() + 0.02)
    link.answer()
    await first
    assert link.calls == []
    assert router.in_flight("r") == 0


async def test_deadline_passes_while_the_model_works(router: Router) -> None:
    link = FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    with pytest.raises(DeadlineExceeded, match="while the model worked"):
        await call(router, deadline=time.monotonic() + 0.02)
    assert link.calls[0].cancelled()
    assert router.in_flight("r") == 0


async def test_the_worker_is_told_how_long_the_caller_waits(router: Router) -> None:
    link = FakeLink()
    router.add("r", "v", link, 4, PREDICT)
    tasks = [call(router), call(router, deadline=time.monotonic() + 60)]
    await settle()
    async with router.open("v", "generate", b"", deadline=time.monotonic() + 60):
        pass
    patient, *limited = [left_s for left_s, _ in link.told]
    assert patient is None
    assert all(left_s is not None and 50 < left_s <= 60 for left_s in limited)
    for task in tasks:
        link.answer()
        await task


async def test_cancelling_gives_the_slot_to_the_next(router: Router) -> None:
    link = FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    first, second, third = (call(router) for _ in range(3))
    await settle()
    second.cancel()
    first.cancel()
    await settle()
    assert link.calls[0].cancelled()
    link.answer(1)
    assert await third == b"answer"


async def test_slot_given_to_somebody_who_just_left_is_not_lost(router: Router) -> None:
    link = FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    first, second = call(router), call(router)
    await settle()
    link.answer()
    await first
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    third = call(router)
    await settle()
    link.answer(-1)
    assert await third == b"answer"
    assert router.in_flight("r") == 0


async def test_crash_fails_what_is_in_flight_and_what_waits_goes_to_the_next_replica(router: Router) -> None:
    broken, fresh = FakeLink(), FakeLink()
    router.add("r1", "v", broken, 1, PREDICT)
    first, second = call(router), call(router)
    await settle()
    broken.crash()
    with pytest.raises(WorkerCrashed):
        await first
    third = call(router)
    await settle()
    router.remove("r1")
    router.add("r2", "v", fresh, 2, PREDICT)
    await settle()
    fresh.answer()
    fresh.answer()
    assert await asyncio.gather(second, third) == [b"answer", b"answer"]


async def test_broken_replica_gets_nothing_while_another_works(router: Router) -> None:
    broken, good = FakeLink(), FakeLink()
    router.add("r1", "v", broken, 8, PREDICT)
    router.add("r2", "v", good, 8, PREDICT)
    broken.crash()
    tasks = [call(router) for _ in range(3)]
    await settle()
    assert len(good.calls) == 3
    for task in tasks:
        good.answer()
        await task


async def test_what_waits_is_sent_away_when_no_replica_comes_back(router: Router) -> None:
    link = FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    first, second = call(router), call(router)
    await settle()
    router.remove("r")
    with pytest.raises(ModelDeploying, match="gone"):
        await asyncio.wait_for(second, 5)
    link.answer()
    assert await first == b"answer"


async def test_removed_replica_finishes_what_it_holds(router: Router) -> None:
    link = FakeLink()
    router.add("r", "v", link, 2, PREDICT)
    task = call(router)
    await settle()
    router.remove("r")
    router.remove("r")
    assert not router.is_ready("v")
    drained = asyncio.create_task(router.drained("r"))
    await settle()
    assert not drained.done()
    assert router.in_flight("r") == 1
    link.answer()
    assert await task == b"answer"
    await asyncio.wait_for(drained, 5)
    await router.drained("r")
    assert router.in_flight("r") == 0


async def test_waiting_for_a_replica_ends_when_one_comes_or_time_is_up(router: Router) -> None:
    waiting = asyncio.create_task(router.wait_ready("v", deadline=time.monotonic() + 5))
    await settle()
    router.add("r", "v", FakeLink(), 1, PREDICT)
    assert await waiting
    assert await router.wait_ready("v", deadline=None)
    assert not await router.wait_ready("other", deadline=time.monotonic() + 0.01)


async def test_use_is_remembered_and_a_request_in_flight_counts_as_now(router: Router) -> None:
    link = FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    assert router.last_used("v") is None
    task = call(router)
    await settle()
    now = time.monotonic()
    assert (router.last_used("v") or 0) >= now
    link.answer()
    await task
    used_at = router.last_used("v")
    assert used_at is not None
    assert used_at <= now


async def test_exchange_holds_its_slot_until_it_is_left(router: Router) -> None:
    link = FakeLink()
    router.add("r", "v", link, 1, frozenset({"stream"}))
    async with router.open("v", "stream", None, deadline=None) as exchange:
        assert router.in_flight("r") == 1
        await exchange.send(b"x")
        exchange.end()
        assert [one async for one in exchange] == [b"x"]
    assert router.in_flight("r") == 0
    assert link.exchanges[0].is_cancelled


async def test_deadline_of_an_exchange_ends_its_iteration(router: Router) -> None:
    router.add("r", "v", FakeLink(), 1, PREDICT)
    async with router.open("v", "generate", b"", deadline=time.monotonic() + 0.02) as exchange:
        with pytest.raises(DeadlineExceeded):
            await anext(aiter(exchange))
    assert router.in_flight("r") == 0


async def test_link_that_breaks_while_an_exchange_is_opened_gives_the_slot_back(router: Router) -> None:
    class Broken(FakeLink):
        def open(self, *arguments: object, **more: object) -> FakeExchange:
            raise WorkerCrashed("gone")

    router.add("r", "v", Broken(), 1, PREDICT)
    with pytest.raises(WorkerCrashed):
        async with router.open("v", "generate", b"", deadline=None):
            pass
    assert router.in_flight("r") == 0


async def test_stream_takes_no_slot(router: Router) -> None:
    link = FakeLink()
    router.add("a", "v", link, 1, PREDICT)
    async with router.open("v", "stream", None, deadline=None), router.open("v", "stream", None, deadline=None):
        assert router.in_flight("a") == 2
        task = call(router)
        await settle()
        link.answer()
        assert await task == b"answer"
    assert router.in_flight("a") == 0


async def test_more_streams_than_a_replica_may_have_are_refused(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.server.routing.streams.MAX_STREAMS", 1)
    router.add("a", "v", FakeLink(), 1, PREDICT)
    async with router.open("v", "stream", None, deadline=None):
        with pytest.raises(StreamsBusy, match="1 streams may be open on each replica, 0 are free"):
            async with router.open("v", "stream", None, deadline=None):
                pass
    async with router.open("v", "stream", None, deadline=None):
        pass


async def test_one_token_cannot_hold_all_streams(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.server.routing.streams.MAX_STREAMS", 4)
    router.add("a", "v", FakeLink(), 1, PREDICT)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(router.open("v", "stream", None, caller="greedy", deadline=None))
        with pytest.raises(StreamsBusy):
            await stack.enter_async_context(router.open("v", "stream", None, caller="greedy", deadline=None))
        await stack.enter_async_context(router.open("v", "stream", None, caller="other", deadline=None))


async def test_removed_replica_waits_for_its_streams(router: Router) -> None:
    router.add("a", "v", FakeLink(), 1, PREDICT)
    async with router.open("v", "stream", None, deadline=None):
        router.remove("a")
        drained = asyncio.create_task(router.drained("a"))
        await settle()
        assert not drained.done()
    await asyncio.wait_for(drained, 1)


async def test_no_more_wait_for_a_replica_than_may_wait_for_a_slot(router: Router) -> None:
    waiting = [asyncio.create_task(router.wait_ready("v", caller=one, deadline=None)) for one in ("a", "a", "b")]
    await settle()
    for caller in ("a", "c"):
        with pytest.raises(ModelBusy, match="3 requests wait for it"):
            await router.wait_ready("v", caller=caller, deadline=None)
    waiting.pop().cancel()
    await settle()
    with pytest.raises(ModelBusy):
        await router.wait_ready("v", caller="a", deadline=None)
    waiting.append(asyncio.create_task(router.wait_ready("v", caller="c", deadline=None)))
    await settle()
    router.add("r", "v", FakeLink(), 1, PREDICT)
    assert await asyncio.gather(*waiting) == [True] * 3


async def test_version_can_answer_while_a_worker_is_connected(router: Router) -> None:
    link = FakeLink()
    assert not router.can_answer("v")
    router.add("r", "v", link, 1, PREDICT)
    assert router.can_answer("v")
    link.crash()
    assert not router.can_answer("v")
