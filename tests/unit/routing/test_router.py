from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from modelyard.errors import Cancelled, DeadlineExceeded, ModelBusy, ModelDeploying, ModelyardError, WorkerCrashed
from modelyard.server.routing.router import Router

PREDICT = frozenset({"predict"})


class FakeExchange:
    def __init__(self) -> None:
        self.is_cancelled = False
        self._answers: asyncio.Queue[bytes | ModelyardError | None] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (answer := await self._answers.get()) is not None:
            if isinstance(answer, ModelyardError):
                raise answer
            yield answer

    async def send(self, payload: bytes) -> None:
        self._answers.put_nowait(payload)

    def end(self) -> None:
        self._answers.put_nowait(None)

    def cancel(self, error: ModelyardError | None = None) -> None:
        self.is_cancelled = True
        self._answers.put_nowait(error or Cancelled("x"))


class FakeLink:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.is_open = True
        self.calls: list[asyncio.Future[bytes]] = []
        self.exchanges: list[FakeExchange] = []
        self.told: list[tuple[float | None, bool]] = []
        """What came with each request: the time left, and whether it may overtake."""

    async def call(self, payload: bytes, *, time_left_s: float | None = None, is_express: bool = False) -> bytes:
        if not self.is_open:
            raise WorkerCrashed("gone")
        self.told.append((time_left_s, is_express))
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.calls.append(future)
        return await future

    def open(
        self, method: str, payload: bytes | None, *, time_left_s: float | None = None, is_express: bool = False
    ) -> FakeExchange:
        self.told.append((time_left_s, is_express))
        self.exchanges.append(FakeExchange())
        return self.exchanges[-1]

    def answer(self, index: int = 0) -> None:
        self.calls.pop(index).set_result(b"answer")

    def crash(self) -> None:
        self.is_open = False
        for future in self.calls:
            future.set_exception(WorkerCrashed("gone"))
        self.calls.clear()


@pytest.fixture
def router() -> Router:
    return Router(queue_size=3, orphan_s=0.05)


def call(router: Router, *, deadline: float | None = None) -> asyncio.Task[bytes]:
    return asyncio.create_task(router.call("v", b"", deadline=deadline))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


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


async def test_full_queue_answers_busy(router: Router) -> None:
    link = FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    tasks = [call(router) for _ in range(4)]
    await settle()
    with pytest.raises(ModelBusy, match="3 requests wait already"):
        await call(router)
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
    monkeypatch.setattr("modelyard.server.routing.replicas.MAX_STREAMS", 1)
    router.add("a", "v", FakeLink(), 1, PREDICT)
    async with router.open("v", "stream", None, deadline=None):
        with pytest.raises(ModelBusy, match="streams are open"):
            async with router.open("v", "stream", None, deadline=None):
                pass
    async with router.open("v", "stream", None, deadline=None):
        pass


async def test_removed_replica_waits_for_its_streams(router: Router) -> None:
    router.add("a", "v", FakeLink(), 1, PREDICT)
    async with router.open("v", "stream", None, deadline=None):
        router.remove("a")
        drained = asyncio.create_task(router.drained("a"))
        await settle()
        assert not drained.done()
    await asyncio.wait_for(drained, 1)
