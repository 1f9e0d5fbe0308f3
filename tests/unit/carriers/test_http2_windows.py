"""Who may send how much over HTTP/2: bodies and answers go on exactly as their windows allow."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from h2.settings import SettingCodes
from hypothesis import given
from hypothesis import strategies as st

from modelyard.server.carriers.base import WINDOW_BYTES
from modelyard.server.carriers.http.http2 import CONNECTION_WINDOW_BYTES, WRITE_BUFFER_BYTES
from modelyard.server.carriers.http.http2_frames import CANCEL, MAX_WINDOW_BYTES, NUMBER
from modelyard.server.carriers.http.http2_stream import QUEUE_BYTES, TURN_BYTES
from support.apps import PATHS, Held, answer, answering, echo, read_some, say, start
from support.h2peer import Client, Dial, Peer, frame, goaways, padded
from support.http2 import DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])
"""Nothing here goes through a loop's own transports."""
MIB = 1024 * 1024
CRUMBS = 50_000


def window_of(bytes_: int) -> dict[int, int]:
    """The client's settings."""
    return {SettingCodes.INITIAL_WINDOW_SIZE: bytes_}


def grant(client: Client, bytes_: int, number: int | None = None) -> None:
    client.h2.increment_flow_control_window(bytes_, number)
    client.exchange()


# Answers.


async def test_large_bodies_both_ways(dial: Dial) -> None:
    client = dial(echo)
    body = bytes(range(256)) * 4096 * 9
    assert len(body) > WINDOW_BYTES
    assert (await client.get(client.post(body))).body == body


@pytest.mark.parametrize("window", [1, 10, 65_535])
async def test_a_small_window_is_enough(dial: Dial, window: int) -> None:
    client = dial(echo, window_of(window))
    body = bytes(range(256)) * 3 * (1 if window < 100 else 1000)
    assert (await client.get(client.post(body))).body == body


async def test_frames_are_as_large_as_the_client_takes_them(dial: Dial) -> None:
    sizes = {}
    for limit in (16_384, 100_000, (1 << 24) - 1):
        client = dial(answering(bytes(MIB)), window_of(MAX_WINDOW_BYTES) | {SettingCodes.MAX_FRAME_SIZE: limit})
        grant(client, MAX_WINDOW_BYTES - 65_535)
        sizes[limit] = max((await client.get(client.open(ends=True))).sizes)
    assert sizes == {16_384: 16_384, 100_000: 100_000, (1 << 24) - 1: MIB}


async def test_a_short_answer_does_not_wait_for_its_client(dial: Dial) -> None:
    """The application is done; only the bytes wait."""
    done = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, bytes(QUEUE_BYTES // 2), bytes(QUEUE_BYTES // 2))
        done.append(True)

    client = dial(app, window_of(0))
    number = client.open(ends=True)
    await client.until(lambda: done)
    await client.turn(3)
    got = client.answers[number]
    assert (got.headers, got.body, client.connection.requests) == ({":status": "200"}, b"", 1)
    grant(client, QUEUE_BYTES, number)
    assert len((await client.get(number)).body) == QUEUE_BYTES
    assert client.connection.requests == 0


async def test_a_long_answer_waits_for_its_client(dial: Dial) -> None:
    sent = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        for index in range(10):
            await say(send, bytes(QUEUE_BYTES), more=index < 9)
            sent.append(index)

    client = dial(app, window_of(0), grants=False)
    grant(client, MIB)
    number = client.open(ends=True)
    await client.turn(10)
    assert sent == [0]
    grant(client, QUEUE_BYTES - 1, number)
    await client.turn(10)
    assert sent == [0]
    grant(client, 1, number)
    await client.turn(10)
    assert sent == [0, 1]
    client.h2.reset_stream(number)
    await client.until(lambda: not client.connection.requests)
    assert sent == [0, 1]


async def test_a_window_may_shrink_below_nothing(dial: Dial) -> None:
    client = dial(answering(bytes(100_000)), window_of(1000), grants=False)
    number = client.open(ends=True)
    got = client.answers[number]
    await client.until(lambda: len(got.body) == 1000)
    client.h2.update_settings(window_of(0))  # the window is -1000
    await client.turn(3)
    grant(client, 1000, number)
    await client.turn(3)
    assert len(got.body) == 1000
    grant(client, 1, number)
    await client.until(lambda: len(got.body) == 1001)
    client.h2.update_settings(window_of(500))
    await client.until(lambda: len(got.body) == 1501)
    client.h2.update_settings(window_of(200_000))
    await client.until(lambda: len(got.body) == 65_535)
    grant(client, 100_000)
    assert len((await client.get(number)).body) == 100_000


async def test_the_end_of_an_answer_needs_no_window(dial: Dial) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, bytes(70_000), b"")

    client = dial(app, window_of(100_000), grants=False)
    number = client.open(ends=True)
    got = client.answers[number]
    await client.until(lambda: len(got.body) == 65_535)
    await client.turn(3)
    grant(client, 70_000 - 65_535)
    await client.until(lambda: len(got.body) == 70_000)
    await client.turn(3)
    assert got.is_whole


async def test_answers_take_turns(dial: Dial) -> None:
    client = dial(answering(bytes(2 * TURN_BYTES)), window_of(MAX_WINDOW_BYTES), grants=False)
    numbers = [client.open(ends=True) for _ in range(8)]
    await client.until(lambda: len(client.connection.waiting) == 8)
    client.order.clear()
    for _ in range(16):
        grant(client, TURN_BYTES)
        await client.turn(2)
    turns = [number for index, number in enumerate(client.order) if index == 0 or client.order[index - 1] != number]
    assert set(turns[:8]) == set(numbers)
    assert all(abs(turns.count(number) - 2) <= 1 for number in numbers)
    grant(client, 8 * TURN_BYTES)
    for number in numbers:
        assert len((await client.get(number)).body) == 2 * TURN_BYTES


async def test_many_answers_share_a_small_connection(dial: Dial) -> None:
    client = dial(echo, window_of(3000))
    numbers = [client.post(bytes([index]) * 10_000) for index in range(100)]
    for index, number in enumerate(numbers):
        assert (await client.get(number)).body == bytes([index]) * 10_000


async def test_trailers_follow_what_waited(dial: Dial) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send, trailers=True)
        await say(send, bytes(1000))
        await send({"type": "http.response.trailers", "headers": [(b"x", b"y")]})

    client = dial(app, window_of(0), grants=False)
    number = client.open(ends=True)
    await client.turn(5)
    assert client.answers[number].trailers == {}
    grant(client, 1000, number)
    got = await client.get(number)
    assert (len(got.body), got.trailers) == (1000, {"x": "y"})


async def test_a_client_that_reads_nothing_holds_the_application_back(dial: Dial) -> None:
    sent = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        for index in range(40):
            await say(send, bytes(100_000), more=index < 39)
            sent.append(index)

    client = dial(app, window_of(MAX_WINDOW_BYTES))
    grant(client, MAX_WINDOW_BYTES - 65_535)
    client.wire.is_read = False
    number = client.open(ends=True)
    await client.turn(200)
    assert len(sent) < 10
    assert len(client.wire.written) < 2 * WRITE_BUFFER_BYTES
    client.wire.is_read = True
    assert len((await client.get(number)).body) == 40 * 100_000


@pytest.mark.parametrize("trailers", [True, False])
@pytest.mark.parametrize("body", [b"", b"small", bytes(10_000)])
async def test_answers_that_are_not_read_are_bounded(body: bytes, trailers: bool) -> None:
    """However short they are: the requests of a client that reads nothing are a flood."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send, 200, [(b"x", b"y" * 50)], trailers=trailers)
        await say(send, body)
        if trailers:
            await send({"type": "http.response.trailers", "headers": [(b"x", b"y" * 50)]})

    peer = Peer(app)
    peer.wire.is_read = False
    for index in range(6000):
        peer.ask(2 * index + 1)
        if index % 100 == 0:
            await peer.turn(3)
    assert len(peer.wire.written) < 2 * WRITE_BUFFER_BYTES
    await peer.close()


async def test_refusals_that_are_not_read_are_bounded() -> None:
    peer = Peer(echo)
    peer.wire.is_read = False
    for index in range(60_000):
        peer.feed(frame(HEADERS, END_HEADERS | END_STREAM, 2 * index + 1, b"\x83"))
    assert len(peer.wire.written) < 2 * WRITE_BUFFER_BYTES
    await peer.close()


# Requests.


async def test_a_body_that_is_not_read_waits_with_its_client() -> None:
    held = Held()
    peer = Peer(held)
    peer.read()
    peer.ask(1, ends=False)
    for _ in range(WINDOW_BYTES // 16_384):
        peer.feed(frame(DATA, 0, 1, bytes(16_384)))
    await peer.turn(5)
    assert [kind for kind, _, _, _ in peer.read() if kind in (WINDOW_UPDATE, RST_STREAM)] == []
    peer.feed(frame(DATA, 0, 1, b"one too many"))
    assert [payload for kind, _, _, payload in peer.read() if kind == RST_STREAM] == [b"\x00\x00\x00\x03"]
    assert peer.connection._in_window + peer.connection._owed == CONNECTION_WINDOW_BYTES
    held.go.set()
    await peer.close()


async def test_more_than_the_connection_takes_ends_it() -> None:
    peer = Peer(Held())
    for number in range(1, 11, 2):
        peer.ask(number, ends=False)
        for _ in range(WINDOW_BYTES // 16_384):
            peer.feed(frame(DATA, 0, number, bytes(16_384)))
    assert goaways(peer.read()) == [(9, 3)]
    await peer.close()


async def test_a_body_is_read_as_fast_in_crumbs(dial: Dial) -> None:
    """What came in very many pieces is not handed out one by one."""
    held, events = asyncio.Event(), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await held.wait()
        while not events or events[-1]["more_body"]:
            events.append(await receive())
        await answer(send, b"")

    client = dial(app)
    number = client.open()
    await client.turn(2)
    client.feed(frame(DATA, 0, number, b"ab") * CRUMBS)
    held.set()
    client.h2.end_stream(number)
    await client.get(number)
    assert b"".join(event["body"] for event in events) == b"ab" * CRUMBS
    assert len(events) < 100


STEPS = st.one_of(
    st.tuples(st.just("open"), st.sampled_from(PATHS)),
    st.tuples(st.just("data"), st.integers(0, 40), st.integers(0, 3000), st.none() | st.integers(0, 255)),
    st.tuples(st.just("run"), st.integers(0, 40), st.integers(1, 20)),
    st.tuples(st.just("end"), st.integers(0, 40), st.booleans()),
    st.tuples(st.just("reset"), st.integers(0, 40)),
    st.tuples(st.just("cancel"), st.integers(0, 40)),
    st.tuples(st.just("turn")),
)


@given(st.lists(STEPS, max_size=60))
async def test_the_window_of_a_connection_is_always_given_back(steps: list[tuple[Any, ...]]) -> None:
    """What the client may send, and what the server keeps or has yet to tell of, are always the same together."""
    books = Books(Peer(read_some))
    connection, peer = books.peer.connection, books.peer
    for name, *options in steps:
        match name:
            case "open":
                books.open(*options)
            case "turn":
                await peer.turn()
            case _ if books.opened:
                books.go_on(name, books.opened[options[0] % len(books.opened)], *options[1:])
    await peer.turn(3)
    for number in books.opened:
        books.go_on("reset", number)
    await peer.until(lambda: not connection.requests)
    assert books.count() == connection._in_window
    assert connection._in_window + connection._owed == CONNECTION_WINDOW_BYTES
    await peer.close()


class Books:
    """A client that keeps account of what it may send."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.opened: list[int] = []
        self._allowed = 65_535
        peer.feed(frame(SETTINGS, 0, 0, b"\x00\x04\x7f\xff\xff\xff") + frame(WINDOW_UPDATE, 0, 0, b"\x7f\x00\x00\x00"))

    def open(self, path: str) -> None:
        self.opened.append(2 * len(self.opened) + 1)
        self.peer.ask(self.opened[-1], path=path, ends=False)

    def go_on(self, name: str, number: int, *options: Any) -> None:
        """One of the steps, with a request that was opened."""
        match name, options:
            case "data", (size, None):
                self._send(frame(DATA, 0, number, bytes(size)), size)
            case "data", (size, padding):
                self._send(padded(0, number, bytes(size), padding), size + 1 + padding)
            case "run", (times,):
                self._send(frame(DATA, 0, number, bytes(16_384)) * times, 16_384 * times)
            case "end", (has_body,):
                self._send(frame(DATA, END_STREAM, number, b"x" * has_body), int(has_body))
            case "reset", ():
                self.peer.feed(frame(RST_STREAM, 0, number, NUMBER.pack(CANCEL)))
            case "cancel", () if number in self.peer.connection.streams:
                self.peer.connection.streams[number].cancel()

    def count(self) -> int:
        """What it may send now."""
        for kind, _, number, payload in self.peer.read():
            if kind == WINDOW_UPDATE and not number:
                self._allowed += NUMBER.unpack(payload)[0]
        return self._allowed

    def _send(self, data: bytes, counted: int) -> None:
        self._allowed -= counted
        self.peer.feed(data)
