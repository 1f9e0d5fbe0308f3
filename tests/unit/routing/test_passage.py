"""A request that nobody awaits, from the line to its answer."""

from __future__ import annotations

import asyncio
import time

import pytest

from modelyard.errors import (
    DeadlineExceeded,
    ModelBusy,
    ModelDeploying,
    ModelyardError,
    PredictionFailed,
    TooLarge,
    WorkerCrashed,
)
from modelyard.server.backends.base import Taker
from modelyard.server.routing.pace import EVIDENCE
from modelyard.server.routing.queues import QueueLimits
from modelyard.server.routing.router import Router
from modelyard.server.telemetry.telemetry import Telemetry
from support.links import PREDICT, FakeLink, FakeTaker, answer_all, call, send, settle


def is_refused(router: Router, *, caller: str = "one", payload: bytes = b"", deadline: float | None = None) -> bool:
    taker = FakeTaker()
    return router.send("v", payload, taker, caller=caller, deadline=deadline) is None and not taker.heard


@pytest.fixture
def router() -> Router:
    return Router(queue=QueueLimits(size=3), orphan_s=0.05)


@pytest.fixture
def link(router: Router) -> FakeLink:
    link = FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    return link


async def test_version_without_a_replica_is_sent_nothing(router: Router) -> None:
    assert is_refused(router)


async def test_slot_is_held_until_the_answer(router: Router, link: FakeLink) -> None:
    sent = send(router, payload=b"question")
    assert link.payloads == [b"question"]
    assert router.in_flight("r") == 1
    assert not sent.heard
    link.answer()
    await settle()
    assert sent.heard == [b"answer"]
    assert router.in_flight("r") == 0
    assert not sent.cancel()


async def test_slot_is_held_until_the_error(router: Router, link: FakeLink) -> None:
    sent, error = send(router), PredictionFailed("bad")
    link.fail(error)
    await settle()
    assert sent.heard == [error]
    assert router.in_flight("r") == 0


async def test_next_is_sent_before_the_answer_is_told(router: Router, link: FakeLink) -> None:
    arrived: list[list[bytes]] = []

    class Curious(FakeTaker):
        def take(self, answer: bytes) -> None:
            arrived.append(list(link.payloads))

    router.send("v", b"first", Curious(), caller="one", deadline=None)
    send(router, payload=b"second")
    link.answer()
    await settle()
    assert arrived == [[b"first", b"second"]]


async def test_cancelled_request_gives_its_slot_back_at_once_and_the_link_is_told(
    router: Router, link: FakeLink
) -> None:
    sent = send(router)
    assert sent.cancel()
    assert link.calls[0].cancelled()
    assert router.in_flight("r") == 0
    assert not sent.cancel()
    await settle()
    assert sent.heard == []


async def test_request_cancelled_in_line_leaves_its_turn_to_the_next(router: Router, link: FakeLink) -> None:
    first, second, third = (send(router, payload=one) for one in (b"1", b"2", b"3"))
    assert second.cancel()
    assert not second.cancel()
    assert router.demand("v").waiting == 1
    link.answer()
    await settle()
    assert link.payloads == [b"1", b"3"]
    await answer_all(link)
    assert (first.heard, second.heard, third.heard) == ([b"answer"], [], [b"answer"])


async def test_nothing_is_sent_where_the_line_has_no_room(router: Router, link: FakeLink) -> None:
    sent = [send(router) for _ in range(4)]
    assert is_refused(router)
    with pytest.raises(ModelBusy, match="3 requests wait already"):
        await call(router)
    await answer_all(link)
    assert [one.heard for one in sent] == [[b"answer"]] * 4
    assert len(link.payloads) == 4


async def test_large_requests_fill_the_line_sooner() -> None:
    router, link = Router(queue=QueueLimits(size=10, size_bytes=1000)), FakeLink()
    router.add("r", "v", link, 1, PREDICT)
    send(router)
    send(router, payload=b"x" * 850)
    send(router)
    assert is_refused(router)


async def test_who_is_crowded_out_often_is_told_later(
    router: Router, link: FakeLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.server.routing.brake.FREE", 1)
    monkeypatch.setattr("modelyard.server.routing.brake.PAUSE_S", 0.2)
    flood = [send(router, caller=one) for one in ("busy", "flood", "flood", "flood", "flood")][2:]
    send(router, caller="other")
    send(router, caller="another")
    await settle()
    assert [len(one.heard) for one in flood] == [0, 0, 1]
    assert not flood[1].cancel()
    assert router.demand("v").waiting == 3
    error = await flood[1].taker.hear()
    assert isinstance(error, ModelBusy)
    assert "2 requests wait already, 1 of them with this token" in error.message
    assert flood[0].heard == []


async def test_what_waits_is_told_when_no_replica_comes_back(
    router: Router, link: FakeLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.server.routing.brake.FREE", 0)
    monkeypatch.setattr("modelyard.server.routing.brake.PAUSE_S", 60)
    first, second = send(router), send(router)
    router.remove("r")
    error = await second.taker.hear()
    assert isinstance(error, ModelDeploying)
    assert "gone for 0.05 s" in error.message
    assert not second.cancel()
    assert router.list_held() == []
    link.answer()
    assert await first.taker.hear() == b"answer"
    assert second.heard == [error]


async def test_crash_fails_what_is_in_flight_and_what_waits_goes_to_the_next_replica(
    router: Router, link: FakeLink
) -> None:
    first, second = send(router), send(router)
    link.crash()
    await settle()
    assert [type(one) for one in first.heard] == [WorkerCrashed]
    assert second.heard == []
    router.remove("r")
    fresh = FakeLink()
    router.add("r2", "v", fresh, 1, PREDICT)
    await answer_all(fresh)
    assert second.heard == [b"answer"]


class Breaking(FakeLink):
    """Takes requests until it is told not to."""

    def __init__(self) -> None:
        super().__init__()
        self.error: ModelyardError | None = None

    def send(self, payload: bytes, taker: Taker, *, time_left_s: float | None = None, is_express: bool = False) -> int:
        if self.error is not None:
            raise self.error
        return super().send(payload, taker, time_left_s=time_left_s, is_express=is_express)


async def test_link_that_breaks_when_a_turn_comes_fails_the_request_and_its_slot_is_given_back(router: Router) -> None:
    link = Breaking()
    router.add("r", "v", link, 1, PREDICT)
    first, second, third = (send(router) for _ in range(3))
    link.error = WorkerCrashed("gone")
    first.cancel()
    assert (second.heard, router.in_flight("r")) == ([], 1), "it hears of it later"
    assert not second.cancel()
    await settle()
    assert (second.heard, third.heard) == ([link.error], [link.error])
    assert router.in_flight("r") == 0


@pytest.mark.parametrize("error", [WorkerCrashed("gone"), TooLarge("large")])
async def test_request_that_cannot_be_sent_at_once_is_not_sent(error: ModelyardError) -> None:
    telemetry, link = Telemetry(), Breaking()
    router = Router(telemetry=telemetry)
    router.add("r", "v", link, 1, PREDICT)
    link.error = error
    assert is_refused(router)
    await settle()
    assert router.in_flight("r") == 0
    assert (telemetry.meter_of("v").straight, router.demand("v").served) == (0, 0)


async def test_removed_replica_finishes_what_was_sent_to_it(router: Router, link: FakeLink) -> None:
    sent, last = send(router, caller="a"), send(router, caller="b")
    router.remove("r")
    drained = asyncio.create_task(router.drained("r"))
    link.answer()
    await settle()
    assert (sent.heard, router.in_flight("r"), drained.done()) == ([b"answer"], 1, False)
    last.cancel()
    await asyncio.wait_for(drained, 5)
    assert router.in_flight("r") == 0


async def test_nothing_waits_where_the_last_replica_has_gone(router: Router, link: FakeLink) -> None:
    first, second = send(router), send(router)
    router.remove("r")
    assert first.passage is not None
    assert second.passage is not None
    assert is_refused(router)


async def test_link_is_told_how_much_time_is_left(router: Router, link: FakeLink) -> None:
    send(router, deadline=time.monotonic() + 9)
    waiting = send(router, deadline=time.monotonic() + 99)
    link.answer()
    await settle()
    (first, _), (second, _) = link.told
    assert first is not None
    assert second is not None
    assert 8 < first <= 9
    assert 98 < second <= 99
    await answer_all(link)
    assert waiting.heard == [b"answer"]


async def test_request_whose_time_is_up_is_not_sent(router: Router, link: FakeLink) -> None:
    assert is_refused(router, deadline=time.monotonic())
    assert link.payloads == []
    assert router.in_flight("r") == 0


async def test_request_is_taken_back_at_its_deadline(router: Router, link: FakeLink) -> None:
    sent, other = send(router, deadline=time.monotonic() + 0.02), send(router)
    error = await sent.taker.hear()
    assert isinstance(error, DeadlineExceeded)
    assert "while the model worked on it" in error.message
    assert link.calls[0].cancelled()
    assert not sent.cancel()
    link.calls.pop(0)
    await answer_all(link)
    assert (len(sent.heard), other.heard) == (1, [b"answer"])


async def test_request_leaves_the_line_at_its_deadline(router: Router, link: FakeLink) -> None:
    first, late, last = send(router), send(router, deadline=time.monotonic() + 0.02), send(router)
    error = await late.taker.hear()
    assert isinstance(error, DeadlineExceeded)
    assert "while it waited for the model" in error.message
    assert router.demand("v").waiting == 1
    await answer_all(link)
    assert (first.heard, len(late.heard), last.heard) == ([b"answer"], 1, [b"answer"])
    assert len(link.payloads) == 2


async def test_request_without_hope_is_not_sent(router: Router, link: FakeLink) -> None:
    for _ in range(EVIDENCE):
        send(router)
        await asyncio.sleep(0.05)
        await answer_all(link)
    send(router)
    send(router)
    deadline = time.monotonic() + 0.01
    assert is_refused(router, deadline=deadline)
    with pytest.raises(ModelBusy, match="its deadline is in"):
        await call(router, deadline=deadline)
    assert len(link.payloads) == EVIDENCE + 1


@pytest.mark.parametrize("how", ["answered", "failed", "cancelled", "refused", "cancelled in line"])
async def test_deadline_of_a_request_that_is_over_tells_nothing(router: Router, link: FakeLink, how: str) -> None:
    if how in ("refused", "cancelled in line"):
        send(router, caller="other")
    sent = send(router, deadline=time.monotonic() + 0.02)
    if how == "answered":
        link.answer()
    elif how == "failed":
        link.fail(PredictionFailed("bad"))
    elif how == "refused":
        router.remove("r")  # nobody comes within `orphan_s`
        await asyncio.sleep(0.06)
    else:
        assert sent.cancel()
    await settle()
    heard = list(sent.heard)
    await asyncio.sleep(0.04)
    assert sent.heard == heard
    assert len(heard) == (0 if "cancelled" in how else 1)
