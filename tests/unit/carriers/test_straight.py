"""Requests that go straight to what is there for them: answered once each, and as ever where that is declined."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest
from hpack import Decoder
from hypothesis import given
from hypothesis import strategies as st

from modelyard.server.carriers.base import KEEP_ALIVE_S, SHORTCUTS, STRAIGHT, Shortcuts
from modelyard.server.carriers.http.http2 import CONNECTION_WINDOW_BYTES
from modelyard.server.carriers.http.http2_frames import CANCEL, NO_ERROR, PROTOCOL_ERROR
from support.apps import answer
from support.doors import eventually
from support.h2peer import Client, frame, padded
from support.http1 import Http1Server
from support.http2 import CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM

only_http2 = pytest.mark.parametrize("line", ["http2"], indirect=True)


@dataclass
class Desk:
    """Has its requests go straight from the second on, where bodies do not begin with "no". It fails at "bad"."""

    is_held: bool = False  # until `reply` is called
    concludes: bool = True  # when the client leaves
    begun: int = 0
    asked: list[bytes] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)
    left: list[bytes] = field(default_factory=list)
    open: list[tuple[Shortcuts, bytes]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun += 1
        self.trailers = [(b"x", b"y")] if scope["http_version"] == "2" else None
        scope[SHORTCUTS].memo[STRAIGHT] = self.take
        body = b""
        while (event := await receive())["type"] == "http.request":
            body += event["body"]
            if not event["more_body"]:
                self.asked.append(body)
                await answer(send, b"asked " + body)

    def take(self, shortcuts: Shortcuts, body: bytes) -> bool:
        if body.startswith(b"no"):
            return False
        assert body != b"bad"
        self.taken.append(body)
        self.open.append((shortcuts, body))
        shortcuts.listen(lambda: self._on_left(shortcuts, body))
        if not self.is_held:
            asyncio.get_running_loop().call_soon(self.reply)
        return True

    def reply(self, index: int = 0) -> bool:
        """Answer one that is open: at once, if that can be."""
        shortcuts, body = self.open.pop(index)
        if shortcuts.reply(201, [], b"taken " + body, self.trailers):
            shortcuts.conclude()
            return True
        if body not in self.left or not self.concludes:
            shortcuts.answer_late(lambda send: answer(send, b"taken " + body, status=202))
        return False

    def _on_left(self, shortcuts: Shortcuts, body: bytes) -> None:
        self.left.append(body)
        if self.concludes:
            shortcuts.conclude_soon()


class Http1Line(Http1Server):
    """A server of HTTP/1 that reads bytes in the pieces that it is fed, and its client."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.desk, self.piece_bytes = desk, 0

    async def begin(self) -> None:
        await self.open()
        self.client = await self.dial()
        await eventually(lambda: self.connections)
        self.connection = self.connections[0]
        self.feed = self.connection.data_received

    def pack(self, *bodies: bytes) -> bytes:
        return b"".join(b"POST / HTTP/1.1\r\nHost: h\r\n" + self._pack_body(body) for body in bodies)

    async def take(self) -> tuple[int, bytes]:
        got = await self.client.read()
        return got.status, got.body

    def _pack_body(self, body: bytes) -> bytes:
        if not self.piece_bytes:
            return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        pieces = [body[at : at + self.piece_bytes] for at in range(0, len(body), self.piece_bytes)] + [b""]
        return b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces)


class Http2Line(Client):
    """The same over HTTP/2, in memory."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.desk, self.piece_bytes, self._due = desk, 0, deque[int]()

    def pack(self, *bodies: bytes) -> bytes:
        for body in bodies:
            length = [] if self.piece_bytes else [("content-length", f"{len(body)}")]
            self._due.append(number := self.h2.get_next_available_stream_id())
            self.h2.send_headers(number, [(":method", "POST"), (":scheme", "http"), (":path", "/"), *length])
            step = self.piece_bytes or len(body) or 1
            for at in range(0, len(body) or 1, step):
                self.h2.send_data(number, body[at : at + step], end_stream=at + step >= len(body))
        return bytes(self.h2.data_to_send())

    async def take(self) -> tuple[int, bytes]:
        got = await self.get(self._due.popleft())
        assert got.trailers == ({"x": "y"} if got.headers[":status"] == "201" else {})
        return int(got.headers[":status"]), got.body


Line: TypeAlias = Http1Line | Http2Line


@pytest.fixture(params=["http1", "http2"])
async def line(request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    """Its first request was answered by the application."""
    made: Line = Http2Line(Desk()) if request.param == "http2" else Http1Line(Desk())
    if isinstance(made, Http1Line):
        await made.begin()
    made.port._timer.cancel()  # who looks, and when, is told in the tests
    made.feed(made.pack(b"one"))
    assert await made.take() == (200, b"asked one")
    yield made
    if isinstance(made, Http1Line) and made.connections:
        made.connection.drain()
        assert await made.client.read_to_end() == b"", "an answer that nobody asked for"
    await made.close()
    assert not made.connection.requests


def hold(line: Line, *bodies: bytes) -> list[bytes]:
    line.desk.is_held = True
    line.feed(line.pack(*bodies))
    return [body for _, body in line.desk.open]


async def test_requests_go_straight_from_the_second_on_where_that_is_not_declined(line: Line) -> None:
    for body, got in ((b"two", (201, b"taken two")), (b"no!", (200, b"asked no!")), (b"three", (201, b"taken three"))):
        line.feed(line.pack(body))
        assert await line.take() == got
    assert (line.desk.asked, line.desk.taken) == ([b"one", b"no!"], [b"two", b"three"])


async def ask_in_pieces(line: Line, bodies: list[bytes], cuts: list[int]) -> None:
    desk, data, last = line.desk, line.pack(*bodies), 0
    before = Counter(desk.asked + desk.taken)
    for at in [*sorted(cuts), len(data)]:
        line.feed(data[last:at])
        last = at
        await asyncio.sleep(0)
    assert [(await line.take())[1][6:] for _ in bodies] == bodies
    assert Counter(desk.asked + desk.taken) - before == Counter(bodies)


async def test_a_request_is_answered_once_wherever_it_is_split(line: Line) -> None:
    for at in range(100):
        await ask_in_pieces(line, [b"two"], [at])
    assert line.desk.asked == [b"one", b"two", b"two"]


BODIES = st.lists(st.sampled_from([b"yes", b"no!", b"bad", b"", b"y" * 2000, b"no" * 1000]), max_size=6)


@given(BODIES, st.lists(st.integers(0, 300) | st.integers(0, 9999), max_size=8), st.sampled_from([0, 1, 2, 1500]))
async def test_requests_are_answered_in_any_pieces(line: Line, bodies: list[bytes], cuts: list[int], step: int) -> None:
    line.piece_bytes = step
    await ask_in_pieces(line, bodies, cuts)


async def test_only_answers_that_have_an_order_wait_for_each_other(line: Line) -> None:
    bodies = [b"two", b"six", b"ten"]
    assert hold(line, *bodies) == (bodies if isinstance(line, Http2Line) else bodies[:1])
    while line.desk.open:
        assert line.desk.reply(-1)
    assert [await line.take() for _ in bodies] == [(201, b"taken " + one) for one in bodies]


@pytest.mark.parametrize("is_in_parts", [True, False])
async def test_a_body_that_comes_late_or_in_parts_is_for_the_application(line: Line, is_in_parts: bool) -> None:
    data, at = line.pack(b"two"), -12 if isinstance(line, Http2Line) else -3
    line.feed(data[:at])
    await asyncio.sleep(0)
    assert line.desk.begun == 1
    if is_in_parts:
        line.feed(data[at:-2])
    else:
        line.connection.look(asyncio.get_running_loop().time())
    await eventually(lambda: line.desk.begun == 2)
    line.feed(data[-2 if is_in_parts else at :])
    assert await line.take() == (200, b"asked two")


async def test_a_request_has_come_when_its_head_has(line: Line) -> None:
    line.desk.is_held = True
    data = line.pack(b"two")
    before = time.monotonic()
    line.feed(data[:-3])
    between = time.monotonic()
    line.feed(data[-3:])
    ((shortcuts, _),) = line.desk.open
    assert before <= shortcuts.came_at <= between
    line.desk.reply()
    assert await line.take() == (201, b"taken two")


@only_http2
async def test_a_client_has_its_window_back(line: Http2Line) -> None:
    for _ in range(50):
        line.feed(line.pack(*[b"no" * 25_000, b"yes" * 16_667] * 2))
        assert [len((await line.take())[1]) for _ in range(4)] == [50_006, 50_007] * 2
    assert (len(line.desk.taken), line.connection._in_window + line.connection._owed) == (100, CONNECTION_WINDOW_BYTES)


@pytest.mark.parametrize("way", ["close", "abort", "write_eof"])
@pytest.mark.parametrize("concludes", [True, False])
async def test_a_client_that_leaves_is_told_of_once(line: Line, way: str, concludes: bool) -> None:
    line.desk.concludes = concludes
    left = hold(line, b"two")
    if isinstance(line, Http2Line):
        line.wire.abort()
    else:
        getattr(line.client.writer.transport, way)()
        await eventually(lambda: not line.connections)
    await asyncio.sleep(0)
    assert not line.desk.reply()
    await eventually(lambda: not line.connection.requests)
    assert line.desk.left == left


@only_http2
async def test_a_request_that_is_given_up_leaves_the_others_alone(line: Http2Line) -> None:
    hold(line, b"two", b"six")
    line.feed(frame(RST_STREAM, 0, 3, CANCEL.to_bytes(4, "big")))
    await asyncio.sleep(0)
    assert (line.desk.left, line.connection.requests) == ([b"two"], 1)
    assert (line.desk.reply(), line.read(), line.desk.reply()) == (False, [], True)
    assert {number for _, _, number, _ in line.read()} == {5}


@pytest.mark.parametrize(("way", "concludes"), [("cut", True), ("cut", False), ("drain", False)])
async def test_a_request_is_answered_though_the_server_stops(line: Line, way: str, concludes: bool) -> None:
    line.desk.concludes = concludes
    hold(line, b"two")
    getattr(line.connection, way)()
    line.connection.look(asyncio.get_running_loop().time() + 2 * KEEP_ALIVE_S)
    assert (line.desk.left, concludes or line.desk.reply()) == ([b"two"] * (way == "cut"), True)
    if isinstance(line, Http1Line):
        assert (await line.take())[0] == (503 if concludes else 201)
        assert await line.client.read_to_end() == b""
        return
    await eventually(lambda: line.wire.has_ended)
    first = next(block for kind, _, _, block in line.read() if kind == HEADERS)
    assert dict(Decoder().decode(first, raw=True))[b":status"] == (b"500" if concludes else b"201")


async def test_an_answer_may_wait_for_its_client(line: Line) -> None:
    hold(line, b"two")
    line.connection.pause_writing()
    assert not line.desk.reply()
    await asyncio.sleep(0)
    line.connection.resume_writing()
    assert await line.take() == (202, b"taken two")


LENGTH = b"\x0f\x0d\x013"
HEAD = frame(HEADERS, END_HEADERS, 3, b"\x83\x86\x84" + LENGTH)
END = frame(DATA, END_STREAM, 3, b"two")
FATES = [
    (padded(END_STREAM, 3, b"two", 9), "answered"),
    (frame(DATA, 0, 3, b"two") + frame(DATA, END_STREAM, 3), "answered"),
    (frame(DATA, 0, 3, b"two") + frame(HEADERS, END_HEADERS | END_STREAM, 3, LENGTH), "answered"),
    (b"", "cut"),
    (frame(DATA, END_STREAM, 3, b"tw"), "reset"),
    (frame(DATA, 0, 3, b"four") + END, "reset"),
    (frame(RST_STREAM, 0, 3, CANCEL.to_bytes(4, "big")) + END, "dropped"),
    (frame(CONTINUATION, END_HEADERS, 3) + END, "dropped"),
]


@only_http2
@pytest.mark.parametrize("is_apart", [True, False])
@pytest.mark.parametrize(("data", "fate"), FATES)
async def test_a_body_is_whole_or_nobody_gets_it(line: Http2Line, data: bytes, fate: str, is_apart: bool) -> None:
    for piece in (HEAD, data) if is_apart else (HEAD + data,):
        line.feed(piece)
        await asyncio.sleep(0)
    if not data:
        line.connection.cut()
    await eventually(lambda: not line.connection.requests)
    frames, answers = line.read(), [3] if fate in ("answered", "cut") else []
    assert line.desk.taken + line.desk.asked[1:] == [b"two"] * (fate == "answered")
    assert [number for kind, flags, number, _ in frames if kind < 2 and flags & END_STREAM] == answers
    resets = {"reset": [PROTOCOL_ERROR], "cut": [NO_ERROR]}.get(fate, [])
    assert [code[3] for kind, _, _, code in frames if kind == RST_STREAM] == resets
    assert line.connection._in_window + line.connection._owed == CONNECTION_WINDOW_BYTES


@only_http2
async def test_who_waits_for_a_word_is_told_to_go_on(line: Http2Line) -> None:
    for _ in range(2):
        number = line.open("/", ("expect", "100-continue"))
        await line.turn(10)
        assert line.answers[number].information == [100]
        line.h2.send_data(number, b"two", end_stream=True)
        await line.get(number)


async def test_a_request_that_nobody_began_leaves_nothing(line: Line) -> None:
    line.feed(line.pack(b"two")[:-12] if isinstance(line, Http2Line) else line.pack(b"two")[:-3])
    assert line.connection.requests == 1
    line.connection.cut()
    await eventually(lambda: not line.connection.requests)
