"""Requests that are sent share slots, line and counts with those that are awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import ModelBusy, PredictionFailed, WorkerCrashed
from modelyard.server.routing.group import Group
from modelyard.server.routing.queues import QueueLimits
from modelyard.server.routing.router import Router
from modelyard.server.telemetry.telemetry import Telemetry
from support.links import PREDICT, FakeLink, FakeTaker, Sent, answer_all, call, send, settle

Ask: TypeAlias = Callable[..., Any]


@pytest.fixture
def router() -> Router:
    return Router(queue=QueueLimits(size=3))


@pytest.fixture
def link(router: Router) -> FakeLink:
    link = FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    return link


async def test_sent_and_awaited_requests_are_served_as_they_came(router: Router, link: FakeLink) -> None:
    for ask, payload in ((send, b"1"), (call, b"2"), (send, b"3"), (call, b"4")):
        ask(router, payload=payload)
        await settle()
    await answer_all(link)
    assert link.payloads == [b"1", b"2", b"3", b"4"]


async def test_turn_of_an_awaited_request_that_is_just_being_cancelled_goes_to_the_next(
    router: Router, link: FakeLink
) -> None:
    first, second = send(router), call(router)
    await settle()
    third = send(router, payload=b"third")
    second.cancel()
    first.cancel()
    assert link.payloads == [b"", b"third"]
    await settle()
    link.answer(1)
    await settle()
    assert third.heard == [b"answer"]
    assert router.demand("v").is_none


@pytest.mark.parametrize("kinds", [(send, send), (send, call), (call, send)])
async def test_sent_and_awaited_requests_are_served_fairly(kinds: tuple[Ask, Ask]) -> None:
    router, link = Router(), FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    for number, caller in enumerate("aaaabb"):
        kinds[number % 2](router, caller=caller, payload=b"%d" % number)
        await settle()
    await answer_all(link)
    assert link.payloads == [b"0", b"4", b"1", b"5", b"2", b"3"]
    assert router.in_flight("r") == 0


@pytest.mark.parametrize("ask", [call, send])
async def test_who_has_nothing_else_there_overtakes(ask: Ask) -> None:
    router, link = Router(), FakeLink()
    router.add("r", "v", link, 2, PREDICT)
    for caller in ("flood", "flood", "flood", "other", "third"):
        ask(router, caller=caller)
        await settle()
    assert link.told == [(None, False), (None, False), (None, True)]
    link.answer(2)
    await settle()
    assert link.told[3:] == [(None, True)]
    link.answer(0)
    await settle()
    link.answer(0)
    await settle()
    assert link.told[4:] == [(None, False)]
    await answer_all(link)


@pytest.mark.parametrize("ask", [call, send])
async def test_sent_request_crowded_out_of_a_full_line_is_told_that_the_model_is_busy(
    router: Router, link: FakeLink, ask: Ask
) -> None:
    busy, *flood = (send(router, caller=one) for one in ("busy", "flood", "flood", "flood", "flood"))
    ask(router, caller="other")
    await settle()
    (error,) = flood[-1].heard
    assert isinstance(error, ModelBusy)
    assert "no more may" in error.message
    assert not flood[-1].cancel()
    assert router.demand("v").waiting == 3
    await answer_all(link)
    assert [one.heard for one in (busy, *flood[:-1])] == [[b"answer"]] * 4
    assert flood[-1].heard == [error]


async def test_awaited_request_is_crowded_out_by_one_that_is_sent(router: Router, link: FakeLink) -> None:
    flood = [call(router, caller=one) for one in ("busy", "flood", "flood", "flood", "flood")]
    await settle()
    other = send(router, caller="other")
    with pytest.raises(ModelBusy, match="no more may"):
        await flood.pop()
    await answer_all(link)
    assert await asyncio.gather(*flood) == [b"answer"] * 4
    assert other.heard == [b"answer"]


@pytest.mark.parametrize("ask", [call, send])
async def test_what_is_sent_is_counted_as_what_is_awaited(ask: Ask) -> None:
    telemetry, link = Telemetry(), FakeLink()
    router, meter = Router(telemetry=telemetry), telemetry.meter_of("v")
    router.add("r", "v", link, 1, PREDICT)
    began = time.monotonic()
    _, _, third, _ = [ask(router) for _ in range(4)]
    await settle()
    await asyncio.sleep(0.02)
    seen = router.demand("v")
    assert (seen.in_flight, seen.waiting, seen.served, seen.waited_s) == (1, 3, 1, 0.0)
    assert 0.02 <= seen.oldest_s <= time.monotonic() - began
    third.cancel()
    link.answer()
    await settle()
    seen = router.demand("v")
    assert (seen.in_flight, seen.waiting, seen.served) == (1, 1, 2)
    assert 0.02 <= seen.waited_s <= time.monotonic() - began, "of the one that got a slot"
    assert 0.02 <= seen.oldest_s <= time.monotonic() - began
    await asyncio.sleep(0.02)
    await answer_all(link)
    seen, took_s = router.demand("v"), time.monotonic() - began
    assert (seen.is_none, seen.served, seen.oldest_s) == (True, 3, 0.0)
    assert 0.06 <= seen.waited_s <= 2 * took_s
    assert (meter.straight, sum(meter.wait_s.counts), sum(meter.held_s.counts)) == (1, 2, 3)
    assert meter.wait_s.total == pytest.approx(seen.waited_s, abs=0.03)
    assert 0.04 <= meter.held_s.total <= took_s, "one after the other"


class Crowd:
    """Callers who send and await, and replicas that come and go, as they are told by numbers."""

    def __init__(self) -> None:
        self.telemetry = Telemetry()
        self.router = Router(queue=QueueLimits(size=4), orphan_s=1000, telemetry=self.telemetry)
        self.links: dict[str, FakeLink] = {}
        """Of all replicas that ever were."""
        self.groups: list[Group] = []
        self.tasks: list[asyncio.Task[bytes]] = []
        self.sent: list[Sent] = []
        self.cancelled: list[Sent] = []
        self.refused: list[FakeTaker] = []

    @property
    def running(self) -> list[asyncio.Future[bytes]]:
        return [one for link in self.links.values() for one in link.calls if not one.done()]

    def call(self, number: int) -> None:
        self.tasks.append(call(self.router, caller="abc"[number % 3]))

    def send(self, number: int) -> None:
        taker = FakeTaker()
        passage = self.router.send("v", b"", taker, caller="abc"[number % 3], deadline=None)
        if passage is None:
            self.refused.append(taker)
        else:
            self.sent.append(Sent(passage, taker))

    def answer(self, number: int) -> None:
        if running := self.running:
            running[number % len(running)].set_result(b"answer")

    def fail(self, number: int) -> None:
        if running := self.running:
            running[number % len(running)].set_exception(PredictionFailed("bad"))

    def cancel_call(self, number: int) -> None:
        if self.tasks:
            self.tasks[number % len(self.tasks)].cancel()

    def cancel_sent(self, number: int) -> None:
        if self.sent and (one := self.sent[number % len(self.sent)]).cancel():
            self.cancelled.append(one)

    def add(self, number: int) -> None:
        if self.router.count("v") == 2:
            return
        name = f"r{len(self.links)}"
        self.links[name] = FakeLink()
        self.router.add(name, "v", self.links[name], 1 + number % 2, PREDICT)
        if (group := self.router._groups["v"]) not in self.groups:
            self.groups.append(group)

    def remove(self, number: int) -> None:
        if self.links:
            self.router.remove(f"r{number % len(self.links)}")

    def crash(self, number: int) -> None:
        if self.links:
            link = self.links[f"r{number % len(self.links)}"]
            link.is_open = False
            for one in link.calls:
                if not one.done():
                    one.set_exception(WorkerCrashed("gone"))

    async def settle(self, number: int = 0) -> None:
        await settle()
        for name, link in self.links.items():
            assert self.router.in_flight(name) == sum(not one.done() for one in link.calls)
        if any(self.router.in_flight(name) == 0 and link.is_open for name, _, link in self.router.list_links()):
            assert self.router.demand("v").waiting == 0, "nobody waits beside a free replica"

    async def end(self) -> None:
        """Answer everybody, and look whether anything is left."""
        for name in self.links:
            self.router.remove(name)
        self.add(0)
        await self.settle()
        while self.running:
            self.answer(0)
            await self.settle()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=5)
        assert all(one.done() and (one.cancelled() or one.exception() or one.result()) for one in self.tasks)
        assert [len(one.heard) for one in self.sent] == [0 if one in self.cancelled else 1 for one in self.sent]
        assert not any(one.heard for one in self.refused)
        assert not any(self.router.in_flight(name) for name in self.links)
        for group in self.groups:
            assert (group._held, group._total) == ({}, 0)
            assert (len(group.line), group.line._came) == (0, {})
        meter, measured = self.telemetry.meter_of("v"), sum(group._pace.count for group in self.groups)
        assert measured == sum(meter.held_s.counts) == meter.straight + sum(meter.wait_s.counts)


REQUESTS = ["call", "send", "call", "send", "send"]
STEPS = st.sampled_from([*REQUESTS, "answer", "fail", "cancel_call", "cancel_sent", "add", "remove", "crash", "settle"])


@given(st.lists(st.tuples(STEPS, st.integers(0, 11)), min_size=20, max_size=80))
async def test_everything_is_answered_or_cancelled_once_and_nothing_is_held(steps: list[tuple[str, int]]) -> None:
    crowd = Crowd()
    crowd.add(0)
    for name, number in steps:
        done = getattr(crowd, name)(number)
        if done is not None:
            await done
    await crowd.end()
