"""Requests that nobody awaits, over a link whose worker the tests play."""

from __future__ import annotations

import asyncio
import socket

import pytest

from modelyard import errors
from modelyard.wire.frames import EXPRESS, FIRST, LARGE_BYTES, LAST, SHARED, Frame, Kind
from modelyard.wire.worker_errors import encode_error
from support.link_peer import LARGE, Owner, Pair, Sharing
from support.links import FakeTaker, settle


async def send(pair: Pair, payload: bytes = b"") -> tuple[int, FakeTaker]:
    """A request that has reached the worker."""
    taker = FakeTaker()
    number = pair.link.send(payload, taker)
    assert await pair.worker.read() == Frame(Kind.REQUEST, FIRST | LAST, number, payload)
    return number, taker


async def settle_link(pair: Pair) -> None:
    """Until the gateway has taken all that the worker has sent, and the worker has read all that the gateway has."""
    number, taker = await send(pair, b"again")
    await pair.worker.send(Kind.ITEM, number, b"answer", LAST)
    assert await taker.hear() == b"answer"


async def test_sent_request_is_one_frame_each_way(pair: Pair) -> None:
    await pair.greet()
    taker = FakeTaker()
    number = pair.link.send(b"question", taker)
    assert await pair.worker.read() == Frame(Kind.REQUEST, FIRST | LAST, number, b"question")
    await pair.worker.send(Kind.ITEM, number, b"answer", LAST)
    assert await taker.hear() == b"answer"
    await pair.worker.send(Kind.ITEM, number, b"once more", LAST)
    await settle_link(pair)
    assert taker.heard == [b"answer"]


async def test_sent_request_may_overtake(pair: Pair) -> None:
    await pair.greet()
    pair.link.send(b"", FakeTaker(), is_express=True)
    assert (await pair.worker.read()).flags == FIRST | LAST | EXPRESS


async def test_sent_and_awaited_requests_are_answered_in_any_order(pair: Pair) -> None:
    await pair.greet()
    first, taker = await send(pair, b"sent")
    call = asyncio.create_task(pair.link.call(b"awaited"))
    second = (await pair.worker.read()).request_id
    last, other = await send(pair, b"sent too")
    for number, answer in ((last, b"3"), (second, b"2"), (first, b"1")):
        await pair.worker.send(Kind.ITEM, number, answer, LAST)
    assert (await taker.hear(), await call, await other.hear()) == (b"1", b"2", b"3")


async def test_error_of_the_worker_is_told(pair: Pair) -> None:
    await pair.greet()
    number, taker = await send(pair)
    await pair.worker.send(Kind.ERROR, number, encode_error(errors.PredictionFailed("bad", details="trace")))
    error = await taker.hear()
    assert isinstance(error, errors.PredictionFailed)
    assert error.message == "bad"
    await pair.worker.send(Kind.END, number)
    await settle_link(pair)
    assert taker.heard == [error]


async def test_end_without_an_answer_is_an_error(pair: Pair) -> None:
    await pair.greet()
    number, taker = await send(pair)
    await pair.worker.send(Kind.END, number)
    error = await taker.hear()
    assert isinstance(error, errors.InternalError)
    assert "without an answer" in error.message


class Witness(FakeTaker):
    """Notes whether the owner of the link knew that it was lost."""

    def __init__(self, owner: Owner) -> None:
        super().__init__()
        self.lost: list[int] = []
        self._owner = owner

    def fail(self, error: errors.ModelyardError) -> None:
        super().fail(error)
        self.lost.append(self._owner.lost)


@pytest.mark.parametrize(("is_cut", "words"), [(False, "died while it held"), (True, "not wanted any more")])
async def test_what_a_lost_worker_held_fails_once_and_when_the_owner_knows(
    pair: Pair, is_cut: bool, words: str
) -> None:
    await pair.greet()
    takers = [Witness(pair.owner) for _ in range(3)]
    numbers = [pair.link.send(b"", one) for one in takers]
    await pair.worker.read()
    await pair.worker.send(Kind.ITEM, numbers[0], b"answer", LAST)
    await takers[0].hear()
    if is_cut:
        pair.link.cut()
    pair.worker.connection.shutdown(socket.SHUT_RDWR)
    await pair.wait_closed()
    await settle()
    assert takers[0].heard == [b"answer"]
    for taker in takers[1:]:
        (error,) = taker.heard
        assert isinstance(error, errors.WorkerCrashed)
        assert words in error.message
        assert taker.lost == [1]
    assert not any(pair.link.recall(one) for one in numbers)


async def test_recalled_request_is_cancelled_in_the_worker_once_and_its_answer_dropped(pair: Pair) -> None:
    await pair.greet()
    number, taker = await send(pair)
    assert pair.link.recall(number)
    assert not pair.link.recall(number)
    assert await pair.worker.read() == Frame(Kind.CANCEL, 0, number, b"")
    await pair.worker.send(Kind.ITEM, number, b"too late", LAST)
    await settle_link(pair)
    assert taker.heard == []


async def test_recalled_request_is_not_told_that_the_worker_went(pair: Pair) -> None:
    await pair.greet()
    number, taker = await send(pair)
    assert pair.link.recall(number)
    pair.link.abort()
    await pair.wait_closed()
    await settle()
    assert taker.heard == []


async def test_request_that_is_over_cannot_be_recalled(pair: Pair) -> None:
    await pair.greet()
    number, taker = await send(pair)
    await pair.worker.send(Kind.ITEM, number, b"answer", LAST)
    await taker.hear()
    assert not pair.link.recall(number)
    assert not pair.link.recall(0)
    await settle_link(pair)


async def test_nothing_is_sent_on_a_link_that_is_closed(pair: Pair) -> None:
    taker = FakeTaker()
    with pytest.raises(errors.WorkerCrashed):
        pair.link.send(b"", taker)
    await pair.greet()
    pair.link.abort()
    await pair.wait_closed()
    with pytest.raises(errors.WorkerCrashed):
        pair.link.send(b"", taker)
    await settle()
    assert taker.heard == []


async def test_sent_payload_above_the_limit_fails_its_request_only(pair: Pair) -> None:
    await pair.greet()
    taker = FakeTaker()
    with pytest.raises(errors.TooLarge):
        pair.link.send(bytes((1 << 20) + 1), taker)
    await settle_link(pair)
    assert taker.heard == []


async def test_large_request_and_its_answer_arrive_through_the_socket(pair: Pair) -> None:
    await pair.greet()
    assert len(LARGE) > LARGE_BYTES
    number, taker = await send(pair, LARGE)
    await pair.worker.send(Kind.ITEM, number, LARGE[::-1], LAST)
    assert await taker.hear() == LARGE[::-1]


async def test_large_request_and_its_answer_arrive_through_memory_that_is_shared(sharing: Sharing) -> None:
    for _ in range(100):  # more than there is room for at once
        taker = FakeTaker()
        number = sharing.pair.link.send(LARGE, taker)
        frame = await sharing.take()
        assert frame == Frame(Kind.REQUEST, FIRST | LAST | SHARED, number, LARGE)
        await sharing.answer(number, LARGE[::-1])
        assert await taker.hear() == LARGE[::-1]
        await sharing.hear_taken()
    assert sharing.memory.is_empty


async def test_memory_of_a_recalled_request_is_free_again(sharing: Sharing) -> None:
    taker = FakeTaker()
    number = sharing.pair.link.send(LARGE, taker)
    await sharing.take()
    assert sharing.pair.link.recall(number)
    assert (await sharing.pair.worker.read()).kind is Kind.CANCEL
    await sharing.answer(number, LARGE)
    await sharing.hear_taken()
    assert taker.heard == []
