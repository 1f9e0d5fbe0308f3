"""The gateway's end of a link, with a worker at the other end that the tests play: honest or hostile."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

import pytest

from modelyard import errors
from modelyard.server.backends import link as link_module
from modelyard.server.backends.link import WorkerLink
from modelyard.wire.frames import (
    EMPTY,
    FIRST,
    GENERATE,
    HEADER,
    LARGE_BYTES,
    LAST,
    SHARED,
    STREAM,
    WINDOW,
    Frame,
    FrameDecoder,
    Kind,
    encode_credit,
    encode_frame,
)
from modelyard.wire.handshake import Hello, State
from modelyard.wire.pieces import Pieces
from modelyard.wire.worker_errors import encode_error
from support.link_peer import LARGE, Owner, Pair, Sharing


async def test_call_is_one_frame_each_way(pair: Pair) -> None:
    await pair.greet()
    call = asyncio.create_task(pair.link.call(b"question"))
    frame = await pair.worker.read()
    assert frame == Frame(Kind.REQUEST, FIRST | LAST, frame.request_id, b"question")
    await pair.worker.send(Kind.ITEM, frame.request_id, b"answer", LAST)
    assert await call == b"answer"


async def test_answers_may_come_in_any_order(pair: Pair) -> None:
    await pair.greet()
    calls = [asyncio.create_task(pair.link.call(bytes([number]))) for number in range(3)]
    frames = [await pair.worker.read() for _ in calls]
    for frame in reversed(frames):
        await pair.worker.send(Kind.ITEM, frame.request_id, frame.payload * 2, LAST)
    assert await asyncio.gather(*calls) == [b"\0\0", b"\1\1", b"\2\2"]


async def test_error_of_the_worker_is_raised(pair: Pair) -> None:
    await pair.greet()
    call = asyncio.create_task(pair.link.call(b""))
    frame = await pair.worker.read()
    await pair.worker.send(Kind.ERROR, frame.request_id, encode_error(errors.PredictionFailed("bad", details="trace")))
    with pytest.raises(errors.PredictionFailed, match="bad"):
        await call


async def test_cancelled_call_is_cancelled_in_the_worker_and_its_answer_dropped(pair: Pair) -> None:
    await pair.greet()
    call = asyncio.create_task(pair.link.call(b""))
    request_id = (await pair.worker.read()).request_id
    call.cancel()
    assert await pair.worker.read() == Frame(Kind.CANCEL, 0, request_id, b"")
    await pair.worker.send(Kind.ITEM, request_id, b"too late", LAST)
    again = asyncio.create_task(pair.link.call(b""))
    await pair.worker.send(Kind.ITEM, (await pair.worker.read()).request_id, b"in time", LAST)
    assert await again == b"in time"
    assert call.cancelled()


async def test_generate_gives_items_until_the_end_and_grants_more(pair: Pair) -> None:
    await pair.greet()
    exchange = pair.link.open("generate", b"go")
    frame = await pair.worker.read()
    assert frame.flags == FIRST | LAST | GENERATE
    for _ in range(WINDOW):
        await pair.worker.send(Kind.ITEM, frame.request_id, b"x")
    answers = aiter(exchange)
    for _ in range(WINDOW // 2):
        await anext(answers)
    assert await pair.worker.read() == FrameDecoder().feed(encode_credit(frame.request_id, WINDOW // 2))[0]
    await pair.worker.send(Kind.END, frame.request_id)
    assert len([one async for one in answers]) == WINDOW // 2


async def test_stream_sends_messages_and_their_end(pair: Pair) -> None:
    await pair.greet()
    exchange = pair.link.open("stream", None)
    await exchange.send(b"one")
    exchange.end()
    exchange.end()
    frames = [await pair.worker.read() for _ in range(3)]
    assert [(one.flags, one.payload) for one in frames] == [
        (FIRST | STREAM | EMPTY, b""),
        (0, b"one"),
        (LAST | EMPTY, b""),
    ]


async def test_sender_waits_for_credit_and_is_released_by_the_end(pair: Pair) -> None:
    await pair.greet()
    exchange = pair.link.open("stream", None)
    request_id = (await pair.worker.read()).request_id
    for _ in range(WINDOW):
        await exchange.send(b"x")
    waiting = asyncio.create_task(exchange.send(b"y"))
    await asyncio.sleep(0)
    assert not waiting.done()
    await pair.worker.send_bytes(encode_credit(request_id, 1))
    await asyncio.wait_for(waiting, 5)
    waiting = asyncio.create_task(exchange.send(b"z"))
    await pair.worker.send(Kind.END, request_id)
    await asyncio.wait_for(waiting, 5)
    assert [one async for one in exchange] == []


@pytest.mark.parametrize("error", [None, errors.DeadlineExceeded("late")])
async def test_cancel_tells_the_worker_and_ends_the_iteration(pair: Pair, error: errors.ModelyardError | None) -> None:
    await pair.greet()
    exchange = pair.link.open("generate", b"")
    request_id = (await pair.worker.read()).request_id
    waiting = asyncio.create_task(anext(aiter(exchange)))
    await asyncio.sleep(0)
    exchange.cancel(error)
    exchange.cancel()
    with pytest.raises(type(error) if error else errors.Cancelled):
        await waiting
    assert await pair.worker.read() == Frame(Kind.CANCEL, 0, request_id, b"")


async def test_cancel_after_the_end_is_harmless(pair: Pair) -> None:
    await pair.greet()
    exchange = pair.link.open("generate", b"")
    request_id = (await pair.worker.read()).request_id
    await pair.worker.send(Kind.ITEM, request_id, b"x", LAST)
    assert [one async for one in exchange] == [b"x"]
    exchange.cancel()
    with pytest.raises(StopAsyncIteration):
        await anext(aiter(exchange))


async def test_lost_connection_fails_everything_after_what_came(pair: Pair) -> None:
    await pair.greet()
    call = asyncio.create_task(pair.link.call(b""))
    exchange = pair.link.open("generate", b"go")
    await asyncio.sleep(0)
    frames = {frame.payload: frame for frame in [await pair.worker.read(), await pair.worker.read()]}
    await pair.worker.send(Kind.ITEM, frames[b"go"].request_id, b"first")
    pair.worker.connection.shutdown(socket.SHUT_RDWR)
    with pytest.raises(errors.WorkerCrashed):
        await call
    answers = aiter(exchange)
    assert await anext(answers) == b"first"
    with pytest.raises(errors.WorkerCrashed):
        await anext(answers)
    await pair.wait_closed()
    assert not pair.link.is_open
    with pytest.raises(errors.WorkerCrashed):
        pair.link.open("stream", None)


async def test_payload_above_the_limit_fails_its_request_only(pair: Pair) -> None:
    await pair.greet()
    with pytest.raises(errors.TooLarge):
        await pair.link.call(bytes((1 << 20) + 1))
    assert pair.link.is_open


@pytest.mark.parametrize(
    "first",
    [
        encode_frame(Kind.HELLO, payload=Hello(token="wrong", replica_id="r").encode()),
        encode_frame(Kind.HELLO, payload=b"{}"),
        encode_frame(Kind.STATE, payload=State(state="ready").encode()),
        HEADER.pack(5000, Kind.HELLO, 0, 0, 0),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_stranger_is_cut_off(pair: Pair, first: bytes) -> None:
    await pair.worker.send_bytes(first)
    await pair.wait_closed()
    assert pair.owner.states == []


@pytest.mark.parametrize(
    "bad",
    [
        HEADER.pack((1 << 20) + 1, Kind.ITEM, 0, 0, 1),
        HEADER.pack(0, 200, 0, 0, 1),
        encode_frame(Kind.REQUEST, 1),
        encode_frame(Kind.STATE, payload=b"nonsense"),
    ],
)
async def test_worker_that_breaks_the_rules_is_cut_off(pair: Pair, bad: bytes) -> None:
    await pair.greet()
    await pair.worker.send_bytes(bad)
    await pair.wait_closed()


async def test_worker_that_ignores_credit_is_cut_off(pair: Pair) -> None:
    await pair.greet()
    exchange = pair.link.open("generate", b"")
    request_id = (await pair.worker.read()).request_id
    await pair.worker.send_bytes(encode_frame(Kind.ITEM, request_id, b"x") * (WINDOW + 1))
    await pair.wait_closed()
    with pytest.raises(errors.WorkerCrashed):
        assert len([one async for one in exchange]) == WINDOW


async def test_frames_of_unknown_requests_are_dropped(pair: Pair) -> None:
    await pair.greet()
    for kind in (Kind.ITEM, Kind.END, Kind.PONG):
        await pair.worker.send(kind, 77)
    await pair.worker.send(Kind.ERROR, 77, b"\xff")
    await pair.worker.send_bytes(encode_credit(77, 1))
    call = asyncio.create_task(pair.link.call(b""))
    await pair.worker.send(Kind.ITEM, (await pair.worker.read()).request_id, b"fine", LAST)
    assert await call == b"fine"


async def test_frames_of_one_turn_of_the_loop_leave_together_and_in_order() -> None:
    class Transport(asyncio.Transport):
        def __init__(self) -> None:
            super().__init__()
            self.writes: list[bytes] = []

        def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
            pass

        def write(self, data: bytes | bytearray | memoryview) -> None:
            self.writes.append(bytes(data))

    transport = Transport()
    link = WorkerLink(Owner())
    link.connection_made(transport)
    hello = encode_frame(Kind.HELLO, payload=Hello(token="right", replica_id="r").encode())
    link.get_buffer(len(hello))[: len(hello)] = hello
    link.buffer_updated(len(hello))
    large = bytes(1 << 17)
    for payload in (b"a", b"b", large, b"c", b"d"):
        link.open("generate", payload)
    await asyncio.sleep(0)
    link.connection_lost(None)
    decoder = FrameDecoder()
    frames = [frame for data in transport.writes for frame in decoder.feed(data)]
    assert [frame.payload for frame in frames] == [b"a", b"b", large, b"c", b"d"]
    assert len(transport.writes) == 3


@pytest.mark.parametrize("payload", [LARGE, Pieces([LARGE[:1000], memoryview(LARGE)[1000:]])], ids=["bytes", "pieces"])
async def test_large_messages_go_through_memory_that_is_shared(sharing: Sharing, payload: bytes | Pieces) -> None:
    for _ in range(100):  # more than there is room for at once
        call = asyncio.create_task(sharing.pair.link.call(payload))
        frame = await sharing.take()
        assert frame.payload == LARGE
        assert frame.flags & ~SHARED == FIRST | LAST
        await sharing.answer(frame.request_id, LARGE[::-1])
        assert await call == LARGE[::-1]
        await sharing.hear_taken()
    assert sharing.memory.is_empty


async def test_small_messages_go_through_the_socket_beside_it(sharing: Sharing) -> None:
    call = asyncio.create_task(sharing.pair.link.call(LARGE[:LARGE_BYTES]))
    frame = await sharing.pair.worker.read()
    assert (frame.flags, frame.payload) == (FIRST | LAST, LARGE[:LARGE_BYTES])
    await sharing.pair.worker.send(Kind.ITEM, frame.request_id, b"answer", LAST)
    assert await call == b"answer"


async def test_what_has_no_room_in_it_goes_through_the_socket(sharing: Sharing) -> None:
    payload = bytes(900_000)
    calls = [asyncio.create_task(sharing.pair.link.call(payload)) for _ in range(4)]
    frames = [await sharing.pair.worker.read() for _ in calls]
    assert [bool(frame.flags & SHARED) for frame in frames] == [True, True, False, False]
    assert frames[-1].payload == payload
    for frame in frames:
        await sharing.pair.worker.send(Kind.ITEM, frame.request_id, b"x", LAST)
    await asyncio.gather(*calls)


async def test_streams_share_it_too_in_both_directions(sharing: Sharing) -> None:
    exchange = sharing.pair.link.open("stream", None)
    opening = await sharing.pair.worker.read()
    await exchange.send(LARGE)
    assert (await sharing.take()).payload == LARGE
    for _ in range(3):
        await sharing.answer(opening.request_id, LARGE, 0)
        await sharing.hear_taken()
        assert await anext(exchange) == LARGE
    exchange.cancel()


async def test_large_message_for_a_worker_that_is_gone_goes_nowhere(sharing: Sharing) -> None:
    sharing.pair.link.abort()
    await sharing.pair.wait_closed()
    sharing.pair.link.post_message(1, LARGE, 0)


async def test_slot_of_a_call_that_was_cancelled_is_free_again(sharing: Sharing) -> None:
    call = asyncio.create_task(sharing.pair.link.call(LARGE))
    frame = await sharing.take()
    call.cancel()
    assert (await sharing.pair.worker.read()).kind is Kind.CANCEL
    await sharing.answer(frame.request_id, LARGE)  # too late: taken, and dropped
    await sharing.hear_taken()


@pytest.mark.parametrize("place", [b"", bytes(8) + b"x", b"\xff" * 8, b"\0\0\0\0\x7f\xff\xff\xff"])
async def test_worker_that_names_places_that_there_are_not_is_cut_off(sharing: Sharing, place: bytes) -> None:
    call = asyncio.create_task(sharing.pair.link.call(b"question"))
    frame = await sharing.pair.worker.read()
    await sharing.pair.worker.send(Kind.ITEM, frame.request_id, place, LAST | SHARED)
    with pytest.raises(errors.WorkerCrashed):
        await call
    await sharing.pair.wait_closed()


async def test_worker_that_gives_back_what_it_was_not_given_is_cut_off(sharing: Sharing) -> None:
    await sharing.pair.worker.send(Kind.TAKEN, payload=bytes(8))
    await sharing.pair.wait_closed()


@pytest.mark.parametrize(("kind", "flags"), [(Kind.TAKEN, 0), (Kind.ITEM, SHARED)])
async def test_worker_that_shares_nothing_and_says_it_does_is_cut_off(pair: Pair, kind: Kind, flags: int) -> None:
    await pair.greet()
    await pair.worker.send(kind, 1, bytes(8), flags)
    await pair.wait_closed()


async def test_memory_goes_back_when_nothing_large_comes_any_more(
    sharing: Sharing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "RELEASE_S", 0.05)

    def is_held() -> bool:
        return os.fstat(sharing.file).st_blocks > 0

    call = asyncio.create_task(sharing.pair.link.call(LARGE))
    frame = await sharing.take()
    await asyncio.sleep(0.3)
    assert is_held()  # the request is under way
    await sharing.answer(frame.request_id, LARGE)
    assert await call == LARGE
    await sharing.hear_taken()
    await wait_until(lambda: not is_held())
    again = asyncio.create_task(sharing.pair.link.call(LARGE))
    frame = await sharing.take()
    await sharing.answer(frame.request_id, LARGE)
    assert await again == LARGE
    await sharing.hear_taken()
    await wait_until(lambda: not is_held())


async def wait_until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110 - of the system, which tells nobody
            await asyncio.sleep(0.01)
