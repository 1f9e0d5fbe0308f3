"""Requests and answers over HTTP/2, with a published client."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable
from typing import Any

import pytest
from h2.settings import SettingCodes

from modelyard.server.carriers.base import SHORTCUTS
from modelyard.server.carriers.http.http2_frames import (
    CANCEL,
    FLOW_CONTROL_ERROR,
    INTERNAL_ERROR,
    NO_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    STREAM_CLOSED,
)
from support.apps import Held, Listening, answer, answering, echo, read_body, say, start
from support.h2peer import Dial, Fields, Peer, frame, goaways, padded
from support.http2 import DATA, END_HEADERS, END_STREAM, HEADERS, PRIORITY, RST_STREAM, WINDOW_UPDATE

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])
"""Nothing here goes through a loop's own transports."""


# Requests.


async def test_a_request_is_answered(dial: Dial) -> None:
    client = dial(echo)
    got = await client.get(client.post(b"hello"))
    assert (got.headers, got.body, got.trailers, got.reset) == ({":status": "200"}, b"hello", {}, None)


async def test_the_application_is_told_who_asks(dial: Dial) -> None:
    scopes = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await answer(send, b"")

    client = dial(app)
    for _ in range(3):
        await client.get(client.open("/a?b", ("x", "y"), method="GET", ends=True))
    assert len({id(scope) for scope in scopes}) == 3
    for scope in scopes:
        scope.pop(SHORTCUTS, None)
    assert scopes[0] == scopes[1] == scopes[2]
    assert (scopes[0]["client"], scopes[0]["server"]) == (("1.2.3.4", 5), ("5.6.7.8", 9))
    assert (scopes[0]["type"], scopes[0]["http_version"], scopes[0]["method"]) == ("http", "2", "GET")
    assert (scopes[0]["path"], scopes[0]["query_string"]) == ("/a", b"b")
    assert scopes[0]["headers"] == [(b"host", b"h"), (b"x", b"y")]


async def test_a_body_of_trailers_ends_with_them(dial: Dial) -> None:
    client = dial(echo)
    assert (await client.get(client.post(b"abc", trailers=[(b"x", b"y")]))).body == b"abc"
    assert (await client.get(client.post(b"", trailers=[(b"x", b"y")]))).body == b""


async def test_the_body_is_told_as_it_comes(dial: Dial) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        has_more = True
        while has_more:
            event = await receive()
            has_more = event["more_body"]
            await say(send, event["body"] + b".", more=has_more)

    client = dial(app)
    number = client.open()
    for piece in (b"a", b"b"):
        client.h2.send_data(number, piece)
        await client.until(lambda piece=piece: client.answers[number].body.endswith(piece + b"."))
    client.h2.end_stream(number)
    assert (await client.get(number)).body == b"a.b.."


async def test_padding_is_no_part_of_a_body(dial: Dial) -> None:
    client = dial(echo)
    number = client.open()
    client.h2.send_data(number, b"abc", pad_length=9)
    client.h2.send_data(number, b"", pad_length=0)
    client.h2.send_data(number, b"def", pad_length=255, end_stream=True)
    assert (await client.get(number)).body == b"abcdef"


async def test_a_client_that_asks_whether_to_go_on_is_told_when_the_body_is_wanted(dial: Dial) -> None:
    held = Held()
    client = dial(held)
    number = client.open("/", ("expect", "100-continue"))
    await client.turn(3)
    assert client.answers[number].information == []
    held.go.set()
    await client.until(lambda: client.answers[number].information)
    client.h2.send_data(number, b"abc", end_stream=True)
    got = await client.get(number)
    assert (got.information, got.body) == ([100], b"abc")


async def test_a_client_is_not_told_to_go_on_when_it_need_not(dial: Dial) -> None:
    client = dial(answering(b"no", status=417))
    got = await client.get(client.open("/", ("expect", "100-continue")))
    assert (got.information, got.headers[":status"]) == ([], "417")
    client = dial(echo)
    number = client.post(b"abc", "/", ("expect", "100-continue"))
    assert (await client.get(number)).information == []
    listening = Listening()
    client = dial(listening)
    number = client.open("/", ("expect", "100-continue"), ends=True)
    await client.turn(5)
    assert (len(listening.events), client.answers[number].information) == (1, [])


async def test_receive_tells_that_the_answer_is_complete(dial: Dial) -> None:
    events = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_body(receive)
        await answer(send, b"a")
        events.append(await receive())

    client = dial(app)
    await client.get(client.post(b"abc"))
    await client.until(lambda: events)
    assert events == [{"type": "http.disconnect"}]


# Answers.


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("POST", 205)])
async def test_some_answers_have_no_body(dial: Dial, method: str, status: int) -> None:
    for pieces in ((b"abc",), (b"",), (b"a", b"b", b"c"), (b"a", b"")):
        client = dial(answering(*pieces, status=status, headers=[(b"x", b"y")]))
        got = await client.get(client.open(method=method, ends=True))
        assert (got.headers, got.body) == ({":status": str(status), "x": "y"}, b"")


@pytest.mark.parametrize("pieces", [(), (b"",), (b"", b""), (b"abc",), (b"a", b"", b"b"), (bytes(100_000),)])
async def test_trailers_follow_the_body(dial: Dial, pieces: tuple[bytes, ...]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send, trailers=True)
        for piece in pieces:
            await say(send, piece, more=True)
        await say(send, b"")
        await send({"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")]})

    client = dial(app)
    got = await client.get(client.post(b""))
    assert (got.body, got.trailers) == (b"".join(pieces), {"grpc-status": "0"})


async def test_an_answer_may_be_headers_alone(peers: Callable[[Any], Peer]) -> None:
    peer = peers(answering(b"", headers=[(b"grpc-status", b"5")]))
    peer.read()
    peer.ask(1)
    await peer.until(lambda: peer.wire.written)
    assert [(kind, flags) for kind, flags, _, _ in peer.read()] == [(HEADERS, END_HEADERS | END_STREAM)]


async def test_headers_and_a_short_body_are_written_at_once(peers: Callable[[Any], Peer]) -> None:
    peer = peers(answering(b"abc"))
    written: list[Any] = []
    peer.connection.write = written.append
    peer.ask(1)
    await peer.until(lambda: written)
    await peer.turn(3)
    assert len(written) == 1


@pytest.mark.parametrize("trailers", [None, [(b"x", b"y")]])
@pytest.mark.parametrize(("window", "is_sent"), [(65_535, True), (3, True), (2, False), (0, False)])
async def test_a_whole_answer_may_be_sent_at_once_where_there_is_room(
    dial: Dial, window: int, is_sent: bool, trailers: Fields | None
) -> None:
    replies = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        replies.append(scope[SHORTCUTS].reply(201, [(b"a", b"b")], b"abc", trailers))
        if not replies[-1]:
            await answer(send, b"by ASGI")

    client = dial(app, {SettingCodes.INITIAL_WINDOW_SIZE: window})
    number = client.open(ends=True)
    await client.until(lambda: replies)
    assert replies == [is_sent]
    if is_sent:
        got = await client.get(number)
        assert (got.headers, got.body) == ({":status": "201", "a": "b"}, b"abc")
        assert got.trailers == ({"x": "y"} if trailers else {})


async def test_headers_do_not_wait_for_a_body_that_comes_later(dial: Dial) -> None:
    held = Held()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        await say(send, b"", more=True)
        await held.go.wait()
        await say(send, b"abc")

    client = dial(app)
    number = client.open(ends=True)
    await client.until(lambda: client.answers[number].headers)
    held.go.set()
    assert (await client.get(number)).body == b"abc"


async def test_headers_may_be_longer_than_a_frame(dial: Dial) -> None:
    client = dial(answering(b"", headers=[(b"x", b"y" * 40_000)]))
    client.h2.decoder.max_header_list_size = 1 << 20
    got = await client.get(client.open(ends=True))
    assert got.headers["x"] == "y" * 40_000


async def test_an_answer_before_the_body_is_read_tells_to_send_no_more_of_it(dial: Dial) -> None:
    client = dial(answering(b"refused", status=401))
    number = client.open()
    client.h2.send_data(number, b"some of it")
    answers = client.answers[number]
    await client.until(lambda: answers.reset is not None)
    assert (answers.is_whole, answers.body, answers.reset) == (True, b"refused", NO_ERROR)
    assert (await client.get(client.open(ends=True))).body == b"refused"


# What goes wrong.


async def test_an_application_that_fails_answers_an_error(dial: Dial, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("oh")

    client = dial(app)
    got = await client.get(client.open(ends=True))
    assert (got.headers, got.body) == ({":status": "500", "content-length": "0"}, b"")
    assert "carrier.crashed path=/" in caplog.text


@pytest.mark.parametrize("trailers", [True, False])
@pytest.mark.parametrize("pieces", [(), (b"a",), (bytes(1000), bytes(1000))])
async def test_an_answer_that_is_not_complete_is_reset(dial: Dial, pieces: tuple[bytes, ...], trailers: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send, trailers=trailers)
        for piece in pieces:
            await say(send, piece, more=True)

    client = dial(app)
    got = await client.get(client.open(ends=True))
    assert (got.is_whole, got.reset) == (False, INTERNAL_ERROR)


@pytest.mark.parametrize(
    "events",
    [
        [{"type": "http.response.body", "body": b"a"}],
        [{"type": "http.response.trailers", "headers": []}],
        [{"type": "http.response.start", "status": 200}] * 2,
        [{"type": "http.response.start", "status": 200}, *[{"type": "http.response.body", "body": b""}] * 2],
        [{"type": "http.response.push"}],
    ],
)
async def test_events_that_do_not_belong_somewhere_are_the_applications_error(
    dial: Dial, events: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    errors = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for event in events[:-1]:
            await send(event)
        with pytest.raises(RuntimeError) as error:
            await send(events[-1])
        errors.append(error)

    client = dial(app)
    await client.get(client.open(ends=True))
    assert len(errors) == 1


async def test_a_client_that_gives_up_is_told_to_the_application(dial: Dial) -> None:
    listening = Listening()
    client = dial(listening)
    number = client.open()
    client.h2.send_data(number, b"a")
    await client.until(lambda: listening.events)
    client.h2.reset_stream(number, CANCEL)
    await client.until(lambda: listening.errors)
    assert [event["type"] for event in listening.events] == ["http.request", "http.disconnect"]
    await client.until(lambda: not client.connection.requests)


async def test_a_client_that_hangs_up_is_told_to_the_application(dial: Dial, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    listening, held = Listening(), Held()
    client, other = dial(listening), dial(held)
    client.open()
    other.post(b"abc")
    client.wire.abort()
    other.wire.abort()
    await client.until(lambda: listening.errors)
    held.go.set()
    await other.until(lambda: held.ends)
    await client.until(lambda: not client.connection.requests and not other.connection.requests)
    assert [event["type"] for event in listening.events] == ["http.disconnect"]
    assert held.ends == ["AssertionError"]  # of `read_body`, for there is none


async def test_a_length_that_is_wrong_resets_its_request_alone(dial: Dial) -> None:
    listening = Listening()
    client = dial(listening)
    short = client.open("/", ("content-length", "5"))
    long = client.open("/", ("content-length", "5"))
    none = client.open("/", ("content-length", "5"))
    good = client.open("/", ("content-length", "5"))
    client.feed(frame(DATA, END_STREAM, short, b"1234") + frame(DATA, 0, long, b"123456"))
    client.feed(frame(HEADERS, END_HEADERS | END_STREAM, none, client.h2.encoder.encode([("x", "y")])))
    client.feed(frame(DATA, 0, good, b"12345") + frame(DATA, END_STREAM, good))
    await client.until(lambda: len(listening.errors) == 3)
    resets = [client.answers[number].reset for number in (short, long, none, good)]
    assert resets == [PROTOCOL_ERROR, PROTOCOL_ERROR, PROTOCOL_ERROR, None]


async def test_a_request_without_a_body_whose_length_is_not_nought_is_malformed(peers: Callable[[Any], Peer]) -> None:
    held = Held()
    peer = peers(held)
    peer.read()
    peer.ask(1, ("content-length", "5"))
    assert peer.read() == [(RST_STREAM, 0, 1, struct.pack(">I", PROTOCOL_ERROR))]


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (frame(WINDOW_UPDATE, 0, 1, bytes(4)), PROTOCOL_ERROR),
        (frame(WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff"), FLOW_CONTROL_ERROR),
        (frame(DATA, END_STREAM, 1) + frame(DATA, 0, 1, b"x"), STREAM_CLOSED),
        (frame(DATA, END_STREAM, 1) + padded(END_STREAM, 1, b"", 5), STREAM_CLOSED),
        (frame(DATA, END_STREAM, 1) + frame(HEADERS, END_HEADERS | END_STREAM, 1), STREAM_CLOSED),
        (frame(HEADERS, END_HEADERS | END_STREAM, 5, b"\x82"), PROTOCOL_ERROR),
    ],
)
async def test_what_is_wrong_with_a_request_resets_it_alone(
    peers: Callable[[Any], Peer], broken: bytes, code: int
) -> None:
    held = Held()
    peer = peers(held)
    peer.ask(1, ends=False)
    peer.ask(3)
    await peer.until(lambda: held.begun == 2)
    peer.read()
    peer.feed(broken)
    assert [int.from_bytes(payload, "big") for kind, _, _, payload in peer.read() if kind == RST_STREAM] == [code]
    peer.feed(frame(DATA, END_STREAM, 1))
    held.go.set()
    await peer.until(lambda: not peer.connection.requests)
    assert 3 in [number for kind, _, number, _ in peer.read() if kind == HEADERS]


OPEN = frame(HEADERS, END_HEADERS, 1, b"\x83\x86\x84")


@pytest.mark.parametrize(
    "broken",
    [
        frame(DATA, 0, 0, b"x"),
        frame(DATA, 0, 3, b"x"),
        frame(DATA, 0, 2, b"x"),
        frame(HEADERS, END_HEADERS, 0, b"\x83\x86\x84"),
        frame(HEADERS, END_HEADERS, 2, b"\x83\x86\x84"),
        frame(HEADERS, END_HEADERS, 1, b""),
        frame(RST_STREAM, 0, 3, bytes(4)),
        frame(RST_STREAM, 0, 0, bytes(4)),
        frame(RST_STREAM, 0, 1, bytes(5)),
        frame(WINDOW_UPDATE, 0, 3, b"\x00\x00\x00\x01"),
        frame(WINDOW_UPDATE, 0, 0, bytes(4)),
        frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
        frame(WINDOW_UPDATE, 0, 1, bytes(3)),
        frame(PRIORITY, 0, 0, bytes(5)),
        frame(PRIORITY, 0, 1, bytes(4)),
        frame(4, 0, 1),
        frame(4, 1, 0, bytes(6)),
        frame(4, 0, 0, bytes(5)),
        frame(4, 0, 0, b"\x00\x04\x80\x00\x00\x00"),
        frame(4, 0, 0, b"\x00\x05\x00\x00\x3f\xff"),
        frame(4, 0, 0, b"\x00\x05\x01\x00\x00\x00"),
        frame(4, 0, 0, b"\x00\x02\x00\x00\x00\x02"),
        frame(5, 0, 1, bytes(4)),
        frame(6, 0, 0, bytes(7)),
        frame(6, 0, 1, bytes(8)),
        frame(7, 0, 1, bytes(8)),
        frame(9, END_HEADERS, 1, b""),
    ],
)
async def test_a_broken_rule_ends_the_connection_with_a_word(peers: Callable[[Any], Peer], broken: bytes) -> None:
    listening = Listening()
    peer = peers(listening)
    peer.feed(OPEN)
    peer.feed(broken + frame(200))
    ((last_stream, code),) = goaways(peer.read())
    assert (last_stream, code > 0, peer.wire.has_ended) == (1, True, True)
    await peer.until(lambda: listening.errors)
    assert peer.read() == []


@pytest.mark.parametrize(
    "harmless",
    [
        frame(200, 0, 77, b"x"),
        frame(PRIORITY, 0, 9, bytes(5)),
        frame(RST_STREAM, 0, 1, bytes(4)),
        frame(WINDOW_UPDATE, 0, 1, b"\x00\x00\x00\x01"),
        frame(7, 0, 0, bytes(8)),
        frame(6, 1, 0, b"whatever"),
        frame(4, 0, 0, b"\xff\xff\xff\xff\xff\xff"),
        frame(4, 1, 0),
        frame(DATA, 0, 1, b"too late"),
        padded(0, 1, b"too late", 9),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x83"),
    ],
)
async def test_what_comes_late_or_is_not_known_is_ignored(dial: Dial, harmless: bytes) -> None:
    client = dial(echo)
    await client.get(client.post(b"first"))
    client.feed(harmless)
    assert (await client.get(client.post(b"second"))).body == b"second"


async def test_more_requests_than_allowed_are_refused(peers: Callable[[Any], Peer]) -> None:
    held = Held()
    peer = peers(held)
    for index in range(130):
        peer.ask(2 * index + 1)
    await peer.until(lambda: held.begun == 128)
    refusals = [(number, payload) for kind, _, number, payload in peer.read() if kind == RST_STREAM]
    assert refusals == [(number, struct.pack(">I", REFUSED_STREAM)) for number in (257, 259)]
    held.go.set()
    await peer.until(lambda: not peer.connection.requests)
    peer.read()
    peer.ask(261)
    await peer.until(lambda: held.begun == 129)


async def test_a_request_that_was_given_up_counts_until_the_application_is_done(peers: Callable[[Any], Peer]) -> None:
    """Else a client could have any number of them worked on, by giving each up at once."""
    held = Held()
    peer = peers(held)
    for index in range(200):
        peer.ask(2 * index + 1)
        peer.feed(frame(RST_STREAM, 0, 2 * index + 1, struct.pack(">I", CANCEL)))
    await peer.turn(3)
    assert (peer.connection.requests, held.begun) == (128, 128)
    assert goaways(peer.read()) == []
    held.go.set()
    await peer.until(lambda: not peer.connection.requests)


async def test_tasks_that_were_cancelled_before_they_began_are_forgotten(peers: Callable[[Any], Peer]) -> None:
    peer = peers(echo)
    peer.ask(1, ends=False)
    peer.connection.cut()
    await asyncio.sleep(0)
    await peer.until(lambda: not peer.connection.requests)
    assert peer.wire.has_ended
