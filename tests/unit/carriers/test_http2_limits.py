"""What HTTP/2 clients may take their time for, how they are told to go, and what is a flood."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any

import pytest

from modelyard.server.carriers.base import BODY_IDLE_S, HEADERS_S, KEEP_ALIVE_S, STALL_S, STREAM_PATHS
from modelyard.server.carriers.http.http2 import WRITE_BUFFER_BYTES
from modelyard.server.carriers.http.http2_frames import (
    CANCEL,
    ENHANCE_YOUR_CALM,
    MAX_STREAM,
    NO_ERROR,
    Http2Error,
)
from modelyard.server.carriers.http.http2_patience import ANSWERS_S
from modelyard.server.carriers.http.oddities import ALLOWED, ALLOWED_PER_S, Oddities
from support.apps import Held, Listening, answer, answering, echo, say, start
from support.h2peer import Peer, frame, goaways, padded
from support.http2 import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])
"""Nothing here goes through a loop's own transports."""
Dial = Callable[[Any], Peer]
NO_WINDOW = frame(SETTINGS, 0, 0, b"\x00\x04\x00\x00\x00\x00")


@pytest.fixture
def dial(peers: Dial) -> Dial:
    """A client that has read the server's settings."""

    def make(app: Any) -> Peer:
        peer = peers(app)
        peer.read()
        return peer

    return make


def resets(peer: Peer) -> list[tuple[int, int]]:
    """The stream and the code of each."""
    return [(number, int.from_bytes(code, "big")) for kind, _, number, code in peer.read() if kind == RST_STREAM]


# Silence.


@pytest.mark.parametrize(
    "begun",
    [
        b"\x00",
        frame(HEADERS, END_HEADERS, 1, b"\x83\x86\x84")[:-1],
        frame(HEADERS, 0, 1, b"\x83"),
        frame(HEADERS, 0, 1, b"\x83") + frame(CONTINUATION, 0, 1, b"\x86"),
        frame(PING, 0, 0, bytes(8))[:-1],
        frame(DATA, 0, 1)[:8],
    ],
)
async def test_what_begins_and_does_not_end_is_given_up(dial: Dial, begun: bytes) -> None:
    peer = dial(echo)
    peer.feed(begun)
    peer.look(1)
    peer.look(HEADERS_S)
    assert not peer.wire.has_ended
    peer.look(2 + HEADERS_S)
    assert goaways(peer.read()) == [(0, ENHANCE_YOUR_CALM)]
    assert (peer.wire.has_ended, peer.wire.is_lost) == (True, False)
    peer.look(3 + HEADERS_S + ANSWERS_S)
    assert peer.wire.is_lost


async def test_a_drip_is_as_slow_as_silence(dial: Dial) -> None:
    peer = dial(echo)
    for second in range(int(HEADERS_S) + 2):
        peer.feed(frame(HEADERS, END_HEADERS, 1, bytes(100))[second : second + 1])
        peer.look(second)
    assert peer.wire.has_ended


async def test_frames_that_each_end_soon_may_go_on_for_long(dial: Dial) -> None:
    peer = dial(echo)
    rest = frame(PING, 0, 0, bytes(8))
    for second in range(30):
        peer.feed(rest[5:] + rest[:5] if second else rest[:5])
        peer.look(second)
    assert not peer.wire.has_ended


async def test_a_silent_body_is_given_up(dial: Dial) -> None:
    listening = Listening()
    peer = dial(listening)
    peer.ask(1, ends=False)
    peer.feed(frame(DATA, 0, 1, b"a"))
    await peer.until(lambda: listening.events)
    await peer.turn(2)
    peer.look(BODY_IDLE_S - 1)
    assert resets(peer) == []
    peer.look(BODY_IDLE_S + 1)
    assert resets(peer) == [(1, CANCEL)]
    await peer.until(lambda: listening.errors)
    assert not peer.wire.has_ended


@pytest.mark.parametrize("path", [*STREAM_PATHS, "/clarifai.api.V2/StreamModelOutputs"])
async def test_a_stream_may_be_silent(dial: Dial, path: str) -> None:
    listening = Listening()
    peer = dial(listening)
    peer.ask(1, *[("content-type", "application/grpc")] * path.startswith("/c"), path=path, ends=False)
    await peer.turn(2)
    peer.look(100 * BODY_IDLE_S)
    assert (resets(peer), listening.events) == ([], [])


async def test_an_application_may_be_silent(dial: Dial) -> None:
    held = Held()
    peer = dial(held)
    peer.ask(1, ends=False)
    peer.ask(3)
    await peer.turn(2)
    for day in range(3):
        peer.look(day * 86_400)
    assert (peer.read(), held.ends) == ([], [])


async def test_an_answer_that_is_not_taken_is_given_up(dial: Dial) -> None:
    errors = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await answer(send, bytes(1000 if scope["path"] == "/short" else 100_000))
        except OSError as error:
            errors.append(error)
            raise

    peer = dial(app)
    peer.feed(NO_WINDOW)
    peer.ask(1, path="/long")
    peer.ask(3, path="/short")
    await peer.turn(3)
    peer.look(STALL_S - 1)
    assert (resets(peer), errors) == ([], [])
    peer.look(STALL_S + 1)
    assert resets(peer) == [(1, CANCEL), (3, CANCEL)]
    await peer.until(lambda: not peer.connection.requests)
    assert len(errors) == 1


async def test_a_client_that_reads_nothing_is_cut_off(dial: Dial) -> None:
    peer = dial(answering(bytes(2 * WRITE_BUFFER_BYTES)))
    peer.feed(frame(SETTINGS, 0, 0, b"\x00\x04\x7f\xff\xff\xff") + frame(WINDOW_UPDATE, 0, 0, b"\x7f\x00\x00\x00"))
    peer.wire.is_read = False
    peer.ask(1)
    await peer.until(lambda: peer.connection.is_paused)
    peer.look(STALL_S - 1)
    assert not peer.wire.is_lost
    peer.look(STALL_S + 1)
    assert peer.wire.is_lost


async def test_an_idle_connection_is_told_to_go(dial: Dial) -> None:
    peer = dial(echo)
    peer.ask(1)
    await peer.until(lambda: not peer.connection.requests)
    peer.look(1)
    peer.look(KEEP_ALIVE_S)
    assert goaways(peer.read()) == []
    peer.look(2 + KEEP_ALIVE_S)
    assert goaways(peer.read()) == [(1, NO_ERROR)]
    assert (peer.wire.has_ended, peer.wire.is_lost) == (True, False)
    peer.look(3 + KEEP_ALIVE_S + ANSWERS_S)
    assert peer.wire.is_lost


async def test_a_connection_with_a_request_is_not_idle(dial: Dial) -> None:
    peer = dial(Held())
    peer.ask(1)
    for times in range(4):
        peer.look(times * KEEP_ALIVE_S)
    assert goaways(peer.read()) == []


# Going.


async def test_a_client_hears_that_it_should_go_before_requests_are_refused(dial: Dial) -> None:
    held = Held()
    peer = dial(held)
    peer.ask(1)
    await peer.until(lambda: held.begun == 1)
    peer.connection.drain()
    peer.connection.drain()
    first, ping = peer.read()
    assert goaways([first]) == [(MAX_STREAM, NO_ERROR)]
    assert (ping[0], ping[1]) == (PING, 0)
    peer.ask(3)
    peer.feed(frame(PING, ACK, 0, b"another."))
    assert peer.read() == []
    peer.feed(frame(PING, ACK, 0, ping[3]))
    assert goaways(peer.read()) == [(3, NO_ERROR)]
    peer.ask(5)
    peer.feed(frame(DATA, END_STREAM, 5, b"late"))
    held.go.set()
    await peer.until(lambda: peer.wire.has_ended)
    answered = {number for kind, _, number, _ in peer.read() if kind == HEADERS}
    assert (answered, held.begun) == ({1, 3}, 2)


async def test_a_client_that_does_not_hear_is_refused_too(dial: Dial) -> None:
    held = Held()
    peer = dial(held)
    peer.ask(1)
    peer.connection.drain()
    peer.look(ANSWERS_S - 1)
    assert len(goaways(peer.read())) == 1
    peer.look(ANSWERS_S + 1)
    assert goaways(peer.read()) == [(1, NO_ERROR)]
    assert not peer.wire.has_ended
    held.go.set()
    await peer.until(lambda: peer.wire.has_ended)


async def test_a_connection_without_requests_goes_at_once_when_it_heard(dial: Dial) -> None:
    peer = dial(echo)
    peer.connection.drain()
    ping = peer.read()[1]
    peer.feed(frame(PING, ACK, 0, ping[3]))
    assert goaways(peer.read()) == [(0, NO_ERROR)]
    assert peer.wire.has_ended


async def test_who_reads_slowly_gets_what_was_written_before_the_end(dial: Dial) -> None:
    peer = dial(echo)
    peer.wire.is_read = False
    peer.ask(1)
    await peer.until(lambda: not peer.connection.requests)
    peer.connection.cut()
    assert peer.wire.has_ended
    later_s = 0.0
    for _ in range(5):
        later_s += STALL_S - 1
        peer.look(later_s)
        assert not peer.wire.is_lost
        del peer.wire.written[0]
    peer.look(later_s + 1)
    peer.look(later_s + 2 + STALL_S)
    assert peer.wire.is_lost


async def test_who_comes_while_the_port_drains_is_told_so() -> None:
    peer = Peer(echo)
    peer.port.is_draining = True
    late = type(peer.connection)(peer.port)
    peer.wire._protocol = late
    late.connection_made(peer.wire)
    assert goaways(peer.read()) == [(MAX_STREAM, NO_ERROR)]
    peer.port.remove(peer.connection)
    await peer.close()


async def test_what_is_cut_is_answered_by_an_error(dial: Dial) -> None:
    held = Held()
    peer = dial(held)
    peer.ask(1)
    peer.ask(3, ends=False)
    await peer.until(lambda: held.begun == 2)
    peer.connection.cut()
    await peer.until(lambda: not peer.connection.requests)
    frames = peer.read()
    assert held.ends == ["CancelledError"] * 2
    assert goaways(frames) == [(3, NO_ERROR)]
    assert [(number, block[:1]) for kind, _, number, block in frames if kind == HEADERS] == [(1, b"\x8e"), (3, b"\x8e")]
    assert peer.wire.has_ended


async def test_what_is_cut_while_its_bytes_wait_is_reset(dial: Dial) -> None:
    peer = dial(answering(bytes(1000)))
    peer.feed(NO_WINDOW)
    peer.ask(1)
    await peer.turn(3)
    peer.connection.cut()
    assert resets(peer) == [(1, CANCEL)]
    assert (peer.connection.requests, peer.wire.has_ended) == (0, True)


async def test_the_port_drains_its_connections(dial: Dial) -> None:
    held = Held()
    peer = dial(held)
    peer.ask(1)
    await peer.until(lambda: held.begun)
    draining = asyncio.create_task(peer.port.drain(0.01))
    await peer.until(lambda: peer.wire.has_ended)
    peer.wire.abort()
    await draining
    assert held.ends == ["CancelledError"]


async def test_nothing_is_written_to_a_connection_that_is_lost(dial: Dial) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        await say(send, b"a", more=True)
        while (await receive())["type"] != "http.disconnect":
            pass
        for event in (say(send, b"b" * 100_000), say(send, b"")):
            with pytest.raises(OSError, match="the client has gone"):
                await event

    peer = dial(app)
    peer.ask(1, ends=False)
    await peer.until(lambda: peer.wire.written)
    peer.read()
    connection = peer.connection
    connection.connection_lost(ConnectionResetError())
    await peer.until(lambda: not connection.requests)
    connection.write(b"x")
    connection.write_all([b"x"])
    connection.give_back(1 << 30)
    connection.drain()
    connection.cut()
    connection.look(0)
    connection.resume_writing()
    peer.feed(frame(HEADERS, END_HEADERS, 3, b"\x83\x86\x84"))
    assert peer.read() == []


# Floods.

ODD = {
    "settings": lambda index: frame(SETTINGS),
    "acks": lambda index: frame(SETTINGS, ACK),
    "empty data": lambda index: frame(DATA, 0, 1),
    "resets": lambda index: frame(RST_STREAM, 0, 1, struct.pack(">I", CANCEL)),
    "late trailers": lambda index: frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x83"),
    "malformed": lambda index: frame(HEADERS, END_HEADERS | END_STREAM, 2 * index + 3, b"\x83"),
    "cancelled": lambda index: (
        frame(HEADERS, END_HEADERS, 2 * index + 3, b"\x83\x86\x84")
        + frame(RST_STREAM, 0, 2 * index + 3, struct.pack(">I", CANCEL))
    ),
    "made to reset": lambda index: (
        frame(HEADERS, END_HEADERS, 2 * index + 3, b"\x83\x86\x84") + frame(WINDOW_UPDATE, 0, 2 * index + 3, bytes(4))
    ),
}


@pytest.mark.parametrize("kind", ODD)
async def test_a_flood_of_what_brings_nothing_ends_the_connection(dial: Dial, kind: str) -> None:
    peer = dial(Listening())
    peer.ask(1, ends=kind == "late trailers")
    if kind == "late trailers":
        peer.feed(frame(RST_STREAM, 0, 1, bytes(4)))
    for index in range(200):
        peer.feed(ODD[kind](index))
        await peer.turn()
    assert (goaways(peer.read()), peer.wire.has_ended) == ([], False)
    for index in range(200, 3000):
        peer.feed(ODD[kind](index))
        if index % 50 == 0:
            await peer.turn(3)
    ((_, code),) = goaways(peer.read())
    assert (code, peer.wire.has_ended) == (ENHANCE_YOUR_CALM, True)


async def test_pings_of_a_client_that_does_not_read_are_a_flood(dial: Dial) -> None:
    peer = dial(echo)
    ping = frame(PING, 0, 0, bytes(8))
    for _ in range(10):
        peer.feed(ping * 5000)
        assert len(peer.read()) == 5000
    peer.wire.is_read = False
    peer.feed(ping * 100_000)
    assert len(peer.wire.written) < WRITE_BUFFER_BYTES + 2 * ALLOWED * len(ping)
    assert goaways(peer.read()) == [(0, ENHANCE_YOUR_CALM)]


async def test_a_body_in_crumbs_is_no_flood(dial: Dial) -> None:
    peer = dial(echo)
    peer.ask(1, ends=False)
    for _ in range(100):
        peer.feed((frame(DATA, 0, 1, b"x") + padded(0, 1, b"y", 3)) * 50)
        await peer.turn()
    peer.feed(frame(DATA, END_STREAM, 1))
    await peer.until(lambda: not peer.connection.requests)
    assert b"".join(body for kind, _, _, body in peer.read() if kind == DATA) == b"xy" * 5000


class Clock:
    """The part of a loop that is asked for the time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now


async def test_so_many_oddities_are_allowed() -> None:
    clock: Any = Clock()
    oddities = Oddities(clock)
    for _ in range(int(ALLOWED)):
        oddities.count()
    for _ in range(100):
        clock.now += 1
        for _ in range(int(ALLOWED_PER_S)):
            oddities.count()
    with pytest.raises(Http2Error) as error:
        oddities.count()
    assert (error.value.code, error.value.stream) == (ENHANCE_YOUR_CALM, 0)
    clock.now += 86_400
    for _ in range(1 + int(ALLOWED)):  # the one that looks at the clock is free
        oddities.count()
    with pytest.raises(Http2Error):
        oddities.count()


async def test_a_goaway_of_the_client_does_not_cost_it_its_answers(dial: Dial) -> None:
    peer = dial(echo)
    peer.ask(1, ends=False)
    peer.feed(frame(GOAWAY, 0, 0, bytes(8)) + frame(DATA, END_STREAM, 1, b"abc"))
    await peer.until(lambda: not peer.connection.requests)
    assert [body for kind, _, _, body in peer.read() if kind == DATA] == [b"abc"]
