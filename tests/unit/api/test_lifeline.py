"""Who is watched for going away, and when."""

from __future__ import annotations

import asyncio

import pytest

from modelyard.errors import Cancelled, DeadlineExceeded
from modelyard.server.api.doorway.lifeline import LOOK_S, Lifeline, Lookout
from modelyard.server.api.doorway.types import Event


class Caller:
    """Plays ASGI's receive: says nothing until the caller goes away."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.gone = asyncio.Event()

    async def receive(self) -> Event:
        self.asked.set()
        await self.gone.wait()
        return {"type": "http.disconnect"}


async def live(lookout: Lookout, caller: Caller, *, deadline: float | None = None, is_cut: bool = False) -> None:
    """A request that takes long."""
    with Lifeline(deadline, lookout) as lifeline:
        lifeline.watch(caller.receive)
        if is_cut:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        await asyncio.sleep(10)


async def test_a_caller_who_goes_away_ends_a_request_that_takes_long() -> None:
    caller = Caller()
    request = asyncio.create_task(live(Lookout(), caller))
    await asyncio.wait_for(caller.asked.wait(), 10)
    caller.gone.set()
    with pytest.raises(Cancelled):
        await request


async def test_quick_requests_are_not_watched_and_later_ones_are() -> None:
    lookout, quick = Lookout(), Caller()
    for _ in range(2):  # the lookout begins again when it had nothing to do
        with Lifeline(None, lookout) as lifeline:
            lifeline.watch(quick.receive)
        late = Caller()
        request = asyncio.create_task(live(lookout, late))
        await asyncio.wait_for(late.asked.wait(), 10)
        late.gone.set()
        with pytest.raises(Cancelled):
            await request
        await asyncio.sleep(3 * LOOK_S)
    assert not quick.asked.is_set()


async def test_the_deadline_ends_a_request() -> None:
    with pytest.raises(DeadlineExceeded):
        await live(Lookout(), Caller(), deadline=0.0)


async def test_another_cancellation_is_not_taken_for_the_deadline() -> None:
    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(live(Lookout(), Caller(), is_cut=True))
