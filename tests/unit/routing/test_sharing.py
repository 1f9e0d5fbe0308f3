"""Callers who share a quick model get a few requests each; not where that holds the model up."""

from __future__ import annotations

import asyncio

import pytest

from modelyard.server.routing.pace import EVIDENCE, QUICK_S, Pace
from modelyard.server.routing.queues import QueueLimits
from modelyard.server.routing.router import Router
from modelyard.server.routing.sharing import BRIEF_S, DOUBTS, FEW, SHARE, SHARED_S, Sharing
from support.links import PREDICT, FakeLink, call, settle

SLOTS = 8


def make_pace(each_s: float) -> Pace:
    pace = Pace()
    for _ in range(EVIDENCE):
        pace.add(each_s)
    return pace


def make_sharing(*, each_s: float = QUICK_S / 2) -> Sharing:
    """Of a version that is shared since 100.0."""
    sharing = Sharing(make_pace(each_s))
    sharing.meet("a", 99.0)
    sharing.meet("b", 100.0)
    return sharing


def test_a_version_is_shared_for_a_while_after_another_caller_came() -> None:
    sharing = make_sharing()
    assert sharing.divides(100.0)
    assert sharing.divides(100.0 + SHARED_S / 2)
    assert not sharing.divides(100.0 + SHARED_S)


def test_the_first_caller_shares_with_nobody() -> None:
    sharing = Sharing(make_pace(QUICK_S / 2))
    sharing.meet("a", 100.0)
    assert not sharing.divides(100.0)


def test_a_slow_model_is_not_divided() -> None:
    assert not make_sharing(each_s=2 * QUICK_S).divides(100.0)


def test_a_model_that_is_held_up_by_few_requests_gets_more_until_it_is_tried_again() -> None:
    sharing = make_sharing()
    for _ in range(DOUBTS):
        assert sharing.divides(100.0)
        sharing.add(BRIEF_S, FEW, 100.0)
    assert not sharing.divides(100.0)
    sharing.meet("a", 100.0 + SHARED_S)
    assert sharing.divides(100.0 + SHARED_S)


def test_what_is_held_up_now_and_then_decides_nothing() -> None:
    sharing = make_sharing()
    for number in range(10 * DOUBTS):
        sharing.add(100 * BRIEF_S if number % 2 else BRIEF_S / 2, FEW, 100.0)
    assert sharing.divides(100.0)


def test_what_was_held_up_by_a_burst_decides_nothing() -> None:
    sharing = make_sharing()
    for _ in range(10 * DOUBTS):
        sharing.add(100 * BRIEF_S, FEW + 1, 100.0)
    assert sharing.divides(100.0)


async def make_router(*, slots: int = SLOTS, batch: int = 1) -> tuple[Router, FakeLink]:
    """A replica that is known as quick."""
    router, link = Router(queue=QueueLimits(size=100)), FakeLink()
    router.add("r", "v", link, slots, PREDICT, batch=batch)
    for _ in range(EVIDENCE):
        await finish(link, [call(router, caller="a")])
    return router, link


async def finish(link: FakeLink, tasks: list[asyncio.Task[bytes]]) -> None:
    await settle()
    while any(not one.done() for one in tasks):
        link.answer()
        await settle()


async def test_a_flood_holds_its_share_once_another_came_and_the_other_gets_a_place_at_once() -> None:
    router, link = await make_router()
    await finish(link, [call(router, caller="b")])
    flood = [call(router, caller="a") for _ in range(20)]
    await settle()
    assert router.in_flight("r") == SHARE
    other = call(router, caller="b")
    await settle()
    assert router.in_flight("r") == SHARE + 1
    link.answer()
    await settle()
    assert router.in_flight("r") == SHARE + 1, "the next of the flood follows"
    await finish(link, [*flood, other])


async def test_a_replica_that_holds_nothing_takes_from_who_has_a_share_elsewhere() -> None:
    router, leaving = await make_router()
    await finish(leaving, [call(router, caller="b")])
    flood = [call(router, caller="a") for _ in range(10)]
    await settle()
    router.remove("r")
    router.add("next", "v", FakeLink(), SLOTS, PREDICT)
    await settle()
    assert router.in_flight("r") == SHARE, "which is all that it may hold of this caller"
    assert router.in_flight("next") == 1
    for one in flood:
        one.cancel()
    await settle()


async def test_several_callers_fill_the_slots_and_no_more() -> None:
    router, link = await make_router()
    tasks = [call(router, caller=caller) for caller in "abcdef" for _ in range(5)]
    await settle()
    held = router.in_flight("r")
    assert SLOTS <= held <= SLOTS + SLOTS // 2, "and the first of each who has none"
    await finish(link, tasks)


@pytest.mark.parametrize(
    ("replicas", "slots", "batch", "share"), [(1, SLOTS, 1, SHARE), (3, SLOTS, 1, 3 * SHARE), (1, 32, 5, 5)]
)
async def test_a_share_is_of_each_replica_and_what_it_merges_into_a_call(
    replicas: int, slots: int, batch: int, share: int
) -> None:
    router, link = await make_router(slots=slots, batch=batch)
    for number in range(1, replicas):
        router.add(f"r{number}", "v", link, slots, PREDICT, batch=batch)
    await finish(link, [call(router, caller="b")])
    flood = [call(router, caller="a") for _ in range(20)]
    await settle()
    assert sum(held for _, held, _ in router.list_held()) == share
    await finish(link, flood)


async def test_a_flood_has_all_of_the_replica_again_when_the_other_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.server.routing.sharing.SHARED_S", 0.01)
    router, link = await make_router()
    await finish(link, [call(router, caller="b")])
    await finish(link, [call(router, caller="a")])
    await asyncio.sleep(0.02)
    flood = [call(router, caller="a") for _ in range(20)]
    await settle()
    assert router.in_flight("r") == 20
    await finish(link, flood)


async def test_requests_that_hang_do_not_keep_the_share_of_their_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.server.routing.group.PATIENCE_S", 0.01)
    router, link = await make_router()
    await finish(link, [call(router, caller="b")])
    hanging = [call(router, caller="a") for _ in range(5)]
    for _ in range(8):  # the other goes on meanwhile
        other = call(router, caller="b")
        await settle()
        link.answer(-1)
        await other
        await asyncio.sleep(0.005)
    assert router.in_flight("r") == len(hanging)
    await finish(link, hanging)


async def test_a_line_that_moves_keeps_its_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.server.routing.group.PATIENCE_S", 0.2)
    monkeypatch.setattr("modelyard.server.routing.pace.QUICK_S", 60.0)
    monkeypatch.setattr("modelyard.server.routing.sharing.BRIEF_S", 60.0)
    router, link = await make_router()
    await finish(link, [call(router, caller="b")])
    flood = [call(router, caller="a") for _ in range(20)]
    await settle()
    for _ in range(15):
        assert router.in_flight("r") == SHARE
        link.answer()
        await asyncio.sleep(0.03)
    await finish(link, flood)
