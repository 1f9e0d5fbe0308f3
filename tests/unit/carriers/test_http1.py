"""HTTP/1.1 from socket to application and back."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.server.carriers.base import BODY_IDLE_S, HEADER_BYTES, HEADERS_S, KEEP_ALIVE_S, STALL_S, STREAM_PATHS
from modelyard.server.carriers.http.http1 import KEPT_BYTES, REST_BYTES
from modelyard.server.carriers.http.http1_exchange import BODY_BYTES
from modelyard.server.carriers.http.http1_outlet import LINGER_BYTES, LINGER_S
from support.doors import eventually
from support.http1 import TIMEOUT_S, Http1Server

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
CLOSE = b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
Serve = Callable[[Any], Awaitable[Http1Server]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers = []

    async def start(app: Any) -> Http1Server:
        server = Http1Server(app)
        await server.open()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.close()


def post(body: bytes, *, path: bytes = b"/", headers: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: h\r\n%bContent-Length: %d\r\n\r\n%b" % (path, headers, len(body), body)


async def read_body(receive: Any) -> bytes:
    pieces, has_more = [], True
    while has_more:
        event = await receive()
        assert event["type"] == "http.request"
        pieces.append(event["body"])
        has_more = event["more_body"]
    return b"".join(pieces)


async def answer(send: Any, *pieces: bytes, status: int = 200, headers: Any = ()) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    for number, piece in enumerate(pieces, 1):
        await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Says what it was asked."""
    body = await read_body(receive)
    said = b"%b %b?%b %b" % (scope["method"].encode(), scope["raw_path"], scope["query_string"], body)
    await answer(send, said, headers=[(b"content-type", b"text/plain")])


def answering(*pieces: bytes, status: int = 200, headers: Any = ()) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_body(receive)
        await answer(send, *pieces, status=status, headers=headers)

    return app


class Held:
    """An application that waits to be let go on, and notes what it saw."""

    def __init__(self) -> None:
        self.begun = 0
        self.events: list[Any] = []
        self.errors: list[BaseException] = []
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers when told to; the path `/listen` waits for the client to leave."""
        self.begun += 1
        try:
            if scope["path"] == "/listen":
                while not self.events or self.events[-1]["type"] != "http.disconnect":
                    self.events.append(await receive())
            else:
                await self.go.wait()
            await answer(send, scope["raw_path"])
        except BaseException as error:
            self.errors.append(error)
            raise


# Requests.


async def test_a_request_is_answered(serve: Serve) -> None:
    client = await (await serve(echo)).dial()
    got = await client.ask(post(b"hello", path=b"/a%20b?c=d"))
    assert (got.status, got.body) == (200, b"POST /a%20b?c=d hello")
    assert got.headers["content-type"] == "text/plain"
    assert got.headers["date"].endswith(" GMT")
    assert set(got.headers) == {"content-type", "content-length", "date"}


async def test_the_application_is_told_who_asks(serve: Serve) -> None:
    scopes = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await answer(send, b"")

    client = await (await serve(app)).dial()
    await client.ask(b"GET /%C3%A4?q HTTP/1.1\r\nHost: h\r\nX-A: B\r\n\r\n")
    await client.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    first, second = scopes
    assert first["client"] == client.writer.get_extra_info("sockname")
    assert first["server"] == client.writer.get_extra_info("peername")
    assert (first["type"], first["method"], first["http_version"]) == ("http", "GET", "1.1")
    assert (first["path"], first["raw_path"], first["query_string"]) == ("/ä", b"/%C3%A4", b"q")
    assert first["headers"] == [(b"host", b"h"), (b"x-a", b"B")]
    assert "http.response.trailers" not in first.get("extensions", {})
    assert second["http_version"] == "1.0"
    assert second["headers"] == [(b"connection", b"keep-alive")]


async def test_a_connection_is_kept(serve: Serve) -> None:
    server = await serve(echo)
    client = await server.dial()
    for number in range(3):
        assert (await client.ask(post(b"%d" % number))).body == b"POST /? %d" % number
    assert len(server.connections) == 1


async def test_a_client_may_end_the_connection(serve: Serve) -> None:
    client = await (await serve(echo)).dial()
    assert (await client.ask(CLOSE)).headers["connection"] == "close"
    assert await client.read_to_end() == b""


async def test_old_clients_are_answered_and_hung_up_on(serve: Serve) -> None:
    client = await (await serve(echo)).dial()
    got = await client.ask(b"GET /old HTTP/1.0\r\n\r\n")
    assert (got.body, got.headers["connection"]) == (b"GET /old? ", "close")
    assert await client.read_to_end() == b""


async def test_old_clients_may_ask_to_be_kept(serve: Serve) -> None:
    client = await (await serve(echo)).dial()
    for _ in range(2):
        got = await client.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert got.headers["connection"] == "keep-alive"


async def test_requests_sent_at_once_are_answered_in_order(serve: Serve) -> None:
    client = await (await serve(echo)).dial()
    await client.send(b"".join(post(b"%d" % number) for number in range(500)))
    assert [(await client.read()).body for _ in range(500)] == [b"POST /? %d" % number for number in range(500)]


async def test_requests_sent_at_once_are_begun_one_by_one(serve: Serve) -> None:
    held = Held()
    client = await (await serve(held)).dial()
    await client.send(GET + CLOSE)
    await eventually(lambda: held.begun)
    await asyncio.sleep(0.02)
    assert held.begun == 1
    held.go.set()
    assert [(await client.read()).body for _ in range(2)] == [b"/", b"/last"]
    assert await client.read_to_end() == b""


async def test_nothing_is_begun_behind_the_last_request(serve: Serve) -> None:
    held = Held()
    held.go.set()
    client = await (await serve(held)).dial()
    await client.send(CLOSE + GET)
    assert (await client.read()).body == b"/last"
    assert await client.read_to_end() == b""
    assert held.begun == 1


async def test_a_request_inherits_nothing_from_the_one_before(serve: Serve) -> None:
    setting = contextvars.ContextVar("setting", default="unset")
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(setting.get())
        setting.set("set")
        await answer(send, b"")

    client = await (await serve(app)).dial()
    await client.send(GET * 3)
    for _ in range(3):
        await client.read()
    assert seen == ["unset"] * 3


async def test_what_waits_behind_a_request_is_bounded(serve: Serve) -> None:
    held = Held()
    client = await (await serve(held)).dial()
    total = 30_000_000
    client.writer.write(GET + GET * (total // len(GET)))
    await eventually(lambda: held.begun)
    left = -1
    while left != client.writer.transport.get_write_buffer_size():
        left = client.writer.transport.get_write_buffer_size()
        await asyncio.sleep(0.1)
    assert left > total // 2
    held.go.set()
    for _ in range(4 * KEPT_BYTES // len(GET)):
        assert (await client.read()).body == b"/"


SCRIPT = (
    post(b"one")
    + b"HEAD /h HTTP/1.1\r\nHost: h\r\n\r\n"
    + b"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"3;x=y\r\n\r\n\r\r\n2\r\n\n.\r\n0\r\nT: x\r\n\r\n"
    + CLOSE
)


async def talk(pieces: list[bytes]) -> bytes:
    """What a server says to these, without its dates."""
    server = Http1Server(echo)
    await server.open()
    client = await server.dial()
    for piece in pieces:
        await client.send(piece)
        if len(pieces) > 1:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    said = await client.read_to_end()
    await server.close()
    return b"\n".join(line for line in said.split(b"\r\n") if not line.startswith(b"date"))


@pytest.mark.parametrize("start", range(8))
async def test_answers_are_the_same_wherever_requests_are_split(start: int) -> None:
    whole = await talk([SCRIPT])
    assert whole.count(b"HTTP/1.1 200") == 4
    for at in range(1 + start, len(SCRIPT), 8):
        assert await talk([SCRIPT[:at], SCRIPT[at:]]) == whole


async def test_answers_are_the_same_byte_by_byte() -> None:
    assert await talk([SCRIPT[at : at + 1] for at in range(len(SCRIPT))]) == await talk([SCRIPT])


# Bodies of requests.


async def test_a_large_body_arrives(serve: Serve) -> None:
    client = await (await serve(echo)).dial()
    body = bytes(range(256)) * 40_000
    assert (await client.ask(post(body))).body == b"POST /? " + body


async def test_chunks_arrive(serve: Serve) -> None:
    client = await (await serve(echo)).dial()
    await client.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(50):
        await client.send(b"5\r\nhello\r\n")
    assert (await client.ask(b"0\r\n\r\n")).body == b"POST /? " + b"hello" * 50
    assert (await client.ask(GET)).status == 200


async def test_pieces_are_told_as_they_come(serve: Serve) -> None:
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while not events or events[-1]["more_body"]:
            events.append(await receive())
        await answer(send, b"")

    client = await (await serve(app)).dial()
    request = post(b"ab")
    await client.send(request[:-1])
    await eventually(lambda: events)
    await client.ask(request[-1:])
    assert [(one["body"], one["more_body"]) for one in events] == [(b"a", True), (b"b", False)]


EXPECTS = b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"


async def test_a_client_is_told_to_go_on_when_its_body_is_wanted(serve: Serve) -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        await echo(scope, receive, send)

    client = await (await serve(app)).dial()
    await client.send(EXPECTS)
    waiting = asyncio.ensure_future(client.read())
    await asyncio.sleep(0.02)
    assert not waiting.done()
    go.set()
    assert (await waiting).status == 100
    assert (await client.ask(b"hello")).body == b"POST /? hello"
    assert (await client.ask(GET)).status == 200


async def test_a_client_is_not_told_to_go_on_where_its_body_came_along(serve: Serve) -> None:
    client = await (await serve(echo)).dial()
    assert (await client.ask(EXPECTS + b"hello")).body == b"POST /? hello"


async def refuse(scope: Any, receive: Any, send: Any) -> None:
    """Answers before it has read."""
    await answer(send, b"no", status=401)


async def test_a_client_that_was_not_told_to_go_on_is_hung_up_on(serve: Serve) -> None:
    client = await (await serve(refuse)).dial()
    got = await client.ask(EXPECTS)
    assert (got.status, got.headers["connection"]) == (401, "close")
    assert await client.read_to_end() == b""


async def test_a_sender_is_held_back_while_the_application_does_not_read(serve: Serve) -> None:
    go, taken = asyncio.Event(), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        taken.append(len(await read_body(receive)))
        await answer(send, b"")

    server = await serve(app)
    client = await server.dial()
    total = 30_000_000
    client.writer.write(post(bytes(total)))
    left = -1
    while left != client.writer.transport.get_write_buffer_size():
        left = client.writer.transport.get_write_buffer_size()
        await asyncio.sleep(0.1)
    assert left > total // 2
    go.set()
    await client.read()
    assert taken == [total]


async def test_a_body_in_crumbs_arrives(serve: Serve) -> None:
    client = await (await serve(echo)).dial()
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert len((await client.ask(head + b"2\r\nab\r\n" * 300_000 + b"0\r\n\r\n")).body) == 600_000 + len(b"POST /? ")


# Clients that leave.


@pytest.mark.parametrize("way", ["closes", "aborts", "says no more"])
async def test_the_application_is_told_of_a_client_that_leaves(serve: Serve, way: str) -> None:
    held = Held()
    server = await serve(held)
    client = await server.dial()
    await client.send(b"GET /listen HTTP/1.1\r\nHost: h\r\n\r\n")
    await eventually(lambda: len(held.events) == 1)
    match way:
        case "closes":
            client.writer.close()
        case "aborts":
            client.writer.transport.abort()
        case _:
            client.writer.write_eof()
    await eventually(lambda: held.errors)
    assert [one["type"] for one in held.events] == ["http.request", "http.disconnect"]
    assert isinstance(held.errors[0], ConnectionResetError)
    await eventually(lambda: not server.connections)


async def test_the_application_is_told_of_a_client_that_leaves_in_its_body(serve: Serve) -> None:
    held = Held()
    client = await (await serve(held)).dial()
    await client.send(post(b"hello", path=b"/listen")[:-1])
    await eventually(lambda: held.events)
    client.writer.close()
    await eventually(lambda: held.errors)
    assert [one["type"] for one in held.events] == ["http.request", "http.disconnect"]


async def test_who_waits_for_room_is_told_of_a_client_that_leaves(serve: Serve) -> None:
    errors = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await answer(send, *[bytes(100_000)] * 1000)
        except OSError as error:
            errors.append(error)
            raise

    client = await (await serve(app)).dial(receive_bytes=4096)
    await client.ask(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", is_head=True)
    await client.send(GET)
    await asyncio.sleep(0.05)
    assert not errors
    await client.close()
    await eventually(lambda: errors)


async def test_what_waits_behind_a_client_that_left_is_not_begun(serve: Serve) -> None:
    held = Held()
    server = await serve(held)
    client = await server.dial()
    await client.send(GET + GET)
    client.writer.write_eof()
    await eventually(lambda: not server.connections)
    held.go.set()
    await asyncio.sleep(0.02)
    assert held.begun == 1


# Answers.


async def test_an_answer_in_pieces_is_chunked(serve: Serve) -> None:
    client = await (await serve(answering(b"a", b"", b"bc" * 50_000, b""))).dial()
    for _ in range(2):
        got = await client.ask(GET)
        assert got.body == b"a" + b"bc" * 50_000
        assert got.headers["transfer-encoding"] == "chunked"


async def test_an_answer_in_pieces_has_the_length_that_was_told(serve: Serve) -> None:
    client = await (await serve(answering(b"a", b"bc", headers=[(b"content-length", b"3")]))).dial()
    got = await client.ask(GET)
    assert (got.body, got.headers["content-length"]) == (b"abc", "3")


async def test_an_answer_in_pieces_ends_with_the_connection_of_an_old_client(serve: Serve) -> None:
    client = await (await serve(answering(b"a", b"bc"))).dial()
    got = await client.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert (got.body, got.headers["connection"]) == (b"abc", "close")


async def test_pieces_go_out_as_they_come(serve: Serve) -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await go.wait()
        await send({"type": "http.response.body"})

    client = await (await serve(app)).dial()
    await client.send(GET)
    seen = b""
    while b"first" not in seen:
        seen += await asyncio.wait_for(client._reader.read(100), TIMEOUT_S)
    go.set()


async def test_a_head_has_no_body(serve: Serve) -> None:
    client = await (await serve(answering(b"hello", headers=[(b"content-length", b"5")]))).dial()
    got = await client.ask(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", is_head=True)
    assert got.headers["content-length"] == "5"
    assert (await client.ask(GET)).body == b"hello"


@pytest.mark.parametrize("status", [204, 304])
async def test_some_answers_have_no_body(serve: Serve, status: int) -> None:
    client = await (await serve(answering(b"", status=status, headers=[(b"content-length", b"0")]))).dial()
    got = await client.ask(GET)
    assert got.status == status
    assert ("content-length" in got.headers) == (status == 304)
    assert (await client.ask(GET)).status == status


async def test_a_client_that_does_not_read_holds_the_application_back(serve: Serve) -> None:
    sent = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        for number in range(300):
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
            sent.append(number)
        await send({"type": "http.response.body"})

    client = await (await serve(app)).dial(receive_bytes=65_536)
    await client.send(GET)
    seen = -1
    while seen != len(sent):
        seen = len(sent)
        await asyncio.sleep(0.1)
    assert seen < 200
    assert len((await client.read()).body) == 30_000_000


async def test_an_application_that_fails_is_told_of(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        raise ValueError("no")

    client = await (await serve(app)).dial()
    got = await client.ask(GET)
    assert (got.status, got.headers["connection"]) == (500, "close")
    assert await client.read_to_end() == b""
    assert "carrier.crashed" in caplog.text


async def test_an_application_that_says_nothing_has_failed(serve: Serve) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        return

    client = await (await serve(app)).dial()
    assert (await client.ask(GET)).status == 500
    assert (
        await (await (await serve(app)).dial()).ask(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", is_head=True)
    ).status == 500


async def test_an_answer_that_breaks_off_is_seen_to(serve: Serve) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})

    client = await (await serve(app)).dial()
    await client.send(GET)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await client.read()


async def test_an_answer_that_is_too_short_ends_the_connection(serve: Serve) -> None:
    client = await (await serve(answering(b"abc", headers=[(b"content-length", b"5")]))).dial()
    await client.send(GET)
    with pytest.raises(asyncio.IncompleteReadError):
        await client.read()


async def test_an_answer_that_is_too_long_is_refused(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    client = await (await serve(answering(b"abc", headers=[(b"content-length", b"2")]))).dial()
    assert (await client.ask(GET)).status == 500
    assert "longer than its content-length" in caplog.text


@pytest.mark.parametrize(
    "header", [(b"x", b"a\r\nb: c"), (b"x", b"a\nb"), (b"x", b"a\rb"), (b"x\r\ny", b""), (b"x", b"\0")]
)
async def test_a_header_that_would_split_the_answer_is_refused(
    serve: Serve, caplog: pytest.LogCaptureFixture, header: tuple[bytes, bytes]
) -> None:
    client = await (await serve(answering(b"abc", headers=[header]))).dial()
    assert (await client.ask(GET)).status == 500
    assert "a line break or a NUL" in caplog.text


async def test_the_application_may_end_the_connection(serve: Serve) -> None:
    client = await (await serve(answering(b"abc", headers=[(b"connection", b"close")]))).dial()
    assert (await client.ask(GET)).headers["connection"] == "close"
    assert await client.read_to_end() == b""


async def test_receive_tells_of_the_end_of_a_complete_answer(serve: Serve) -> None:
    events = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        watching = asyncio.ensure_future(receive())
        events.append(await watching)
        watching = asyncio.ensure_future(receive())
        await answer(send, b"")
        events.append(await watching)

    client = await (await serve(app)).dial()
    await client.ask(GET)
    await eventually(lambda: len(events) == 2)
    assert events[1] == {"type": "http.disconnect"}
    assert (await client.ask(GET)).status == 200


# Answers before the end of the request.


async def test_a_small_rest_of_a_body_is_read_for_nothing(serve: Serve) -> None:
    client = await (await serve(refuse)).dial()
    request = post(bytes(REST_BYTES))
    got = await client.ask(request[:1000])
    assert (got.status, "connection" in got.headers) == (401, False)
    assert (await client.ask(request[1000:] + GET)).status == 401


async def test_a_client_that_still_sends_can_read_why_it_need_not(serve: Serve) -> None:
    server = await serve(refuse)
    client = await server.dial()
    client.writer.write(post(bytes(LINGER_BYTES - 200_000)))
    got = await client.read()
    assert (got.status, got.headers["connection"], got.body) == (401, "close", b"no")
    assert await client.read_to_end() == b""
    assert server.connections
    client.writer.close()
    await eventually(lambda: not server.connections)


async def test_a_client_that_never_stops_sending_is_hung_up_on(serve: Serve) -> None:
    server = await serve(refuse)
    client = await server.dial()
    assert (await client.ask(post(bytes(10 * LINGER_BYTES))[:1000])).status == 401
    server.look(LINGER_S - 0.5)
    assert server.connections
    server.look(LINGER_S + 0.5)
    await eventually(lambda: not server.connections)


async def test_a_client_that_sends_too_much_is_hung_up_on(serve: Serve) -> None:
    server = await serve(refuse)
    client = await server.dial()
    client.writer.write(post(bytes(10 * LINGER_BYTES)))
    assert (await client.read()).status == 401
    await eventually(lambda: not server.connections)


# What is refused.


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * HEADER_BYTES, 431),
        (b"GET /" + b"x" * HEADER_BYTES + b" HTTP/1.1\r\n", 414),
        (b"GET / HTTP/3.0\r\nHost: h\r\n\r\n", 505),
        (b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 501),
    ],
)
async def test_what_is_refused_is_told_why(serve: Serve, data: bytes, status: int) -> None:
    held = Held()
    client = await (await serve(held)).dial()
    got = await client.ask(data)
    assert (got.status, got.headers["connection"]) == (status, "close")
    assert got.body.endswith(b"\n")
    assert await client.read_to_end() == b""
    assert held.begun == 0


async def test_a_request_behind_a_good_one_is_refused_in_its_turn(serve: Serve) -> None:
    client = await (await serve(echo)).dial()
    await client.send(GET + b"nonsense\r\n\r\n")
    assert [(await client.read()).status for _ in range(2)] == [200, 400]
    assert await client.read_to_end() == b""


async def test_a_body_that_goes_wrong_is_refused(serve: Serve) -> None:
    held = Held()
    client = await (await serve(held)).dial()
    await client.send(b"POST /listen HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    await eventually(lambda: held.begun)
    assert (await client.ask(b"nonsense\r\n")).status == 400
    assert await client.read_to_end() == b""
    assert [one["type"] for one in held.events] == ["http.disconnect"]


async def test_a_body_that_goes_wrong_breaks_an_answer_off(serve: Serve) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    client = await (await serve(app)).dial()
    await client.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    await client._reader.readuntil(b"a\r\n")
    await client.send(b"nonsense\r\n")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await client._reader.readexactly(5)


@given(junk=st.lists(st.binary(max_size=200), max_size=4))
async def test_junk_leaves_the_server_whole(junk: list[bytes]) -> None:
    server = Http1Server(echo)
    await server.open()
    client = await server.dial()
    for piece in junk:
        client.writer.write(piece)
    client.writer.write_eof()
    await asyncio.gather(client.read_to_end(), return_exceptions=True)
    assert (await (await server.dial()).ask(GET)).status == 200
    await server.close()


# What takes too long.


async def test_headers_that_drip_are_given_up(serve: Serve) -> None:
    server = await serve(echo)
    client = await server.dial()
    await client.send(GET[:5])
    await asyncio.sleep(0.02)
    server.look(HEADERS_S - 1)
    await client.send(GET[5:10])
    await asyncio.sleep(0.02)
    server.look(HEADERS_S + 1)
    assert (await client.read()).status == 408
    assert await client.read_to_end() == b""


async def test_an_idle_connection_ends(serve: Serve) -> None:
    server = await serve(echo)
    client = await server.dial()
    await client.ask(GET)
    server.look(KEEP_ALIVE_S - 1)
    assert (await client.ask(GET)).status == 200
    server.look(KEEP_ALIVE_S + 1)
    assert await client.read_to_end() == b""


async def test_a_silent_body_is_given_up(serve: Serve) -> None:
    held = Held()
    server = await serve(held)
    client = await server.dial()
    await client.send(post(b"hello", path=b"/listen")[:-1])
    await eventually(lambda: held.events)
    server.look(BODY_IDLE_S - 1)
    await client.send(b"")
    server.look(BODY_IDLE_S + 1)
    assert (await client.read()).status == 408
    assert await client.read_to_end() == b""
    assert [one["type"] for one in held.events] == ["http.request", "http.disconnect"]


@pytest.mark.parametrize(
    ("path", "headers"),
    [(STREAM_PATHS[0].encode(), b""), (b"/x", b"Content-Type: application/grpc-web+proto\r\n")],
)
async def test_streams_may_be_silent(serve: Serve, path: bytes, headers: bytes) -> None:
    server = await serve(echo)
    client = await server.dial()
    request = post(b"hello", path=path, headers=headers)
    await client.send(request[:-1])
    await eventually(lambda: server.connections and server.connections[0].requests)
    server.look(100 * BODY_IDLE_S)
    assert (await client.ask(request[-1:])).status == 200


async def test_a_slow_application_is_waited_for(serve: Serve) -> None:
    held = Held()
    server = await serve(held)
    client = await server.dial()
    await client.send(GET)
    await eventually(lambda: held.begun)
    server.look(100 * BODY_IDLE_S)
    held.go.set()
    assert (await client.read()).status == 200


async def test_a_client_that_takes_nothing_is_given_up(serve: Serve) -> None:
    server = await serve(answering(*[bytes(1_000_000)] * 100))
    client = await server.dial(receive_bytes=4096)
    await client.send(GET)
    connection = server.connections[0] if server.connections else None
    await eventually(lambda: server.connections and server.connections[0].outlet.is_blocked)
    server.look()
    server.look(STALL_S - 1)
    assert server.connections
    assert connection is None or server.connections == [connection]
    server.look(2 * STALL_S)
    await eventually(lambda: not server.connections)


# How it ends.


async def test_draining_ends_idle_connections(serve: Serve) -> None:
    server = await serve(echo)
    client = await server.dial()
    await client.ask(GET)
    await server.port.drain(TIMEOUT_S)
    assert await client.read_to_end() == b""


async def test_draining_lets_a_request_finish(serve: Serve) -> None:
    held = Held()
    server = await serve(held)
    client = await server.dial()
    await client.send(GET + GET)
    await eventually(lambda: held.begun)
    draining = asyncio.ensure_future(server.port.drain(TIMEOUT_S))
    await asyncio.sleep(0.02)
    held.go.set()
    assert (await client.read()).headers["connection"] == "close"
    assert await client.read_to_end() == b""
    await client.close()
    await draining
    assert held.begun == 1


async def test_draining_waits_for_headers_that_are_under_way(serve: Serve) -> None:
    server = await serve(echo)
    client = await server.dial()
    await client.send(GET[:5])
    await asyncio.sleep(0.02)
    draining = asyncio.ensure_future(server.port.drain(TIMEOUT_S))
    await asyncio.sleep(0.02)
    assert (await client.ask(GET[5:])).headers["connection"] == "close"
    await draining


async def test_cut_requests_are_cancelled(serve: Serve) -> None:
    held = Held()
    server = await serve(held)
    client = await server.dial()
    await client.send(GET)
    await eventually(lambda: held.begun)
    await server.port.drain(0.01)
    assert (await client.read()).status == 503
    assert isinstance(held.errors[0], asyncio.CancelledError)
    await eventually(lambda: not server.connections)


async def test_a_request_is_cut_before_it_begins(serve: Serve) -> None:
    held = Held()
    server = await serve(held)
    client = await server.dial()
    await client.send(b"")
    await eventually(lambda: server.connections)
    connection = server.connections[0]
    connection.data_received(GET)
    assert connection.requests == 1
    connection.cut()
    await eventually(lambda: not server.connections)
    assert held.begun == 0
    assert connection.requests == 0


async def test_cut_answers_are_broken_off(serve: Serve) -> None:
    begun = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        begun.set()
        await asyncio.Event().wait()

    server = await serve(app)
    client = await server.dial()
    await client.send(GET)
    await begun.wait()
    server.connections[0].cut()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await client.read()


async def test_a_full_body_does_not_wait_for_the_one_behind_it(serve: Serve) -> None:
    """Both bounds are met at once: the body of one request and what is behind it."""
    client = await (await serve(echo)).dial()
    await client.send(post(bytes(BODY_BYTES + 1)) + GET * (2 * KEPT_BYTES // len(GET)) + CLOSE)
    assert len((await client.read()).body) == BODY_BYTES + 1 + len(b"POST /? ")
    for _ in range(2 * KEPT_BYTES // len(GET)):
        assert (await client.read()).status == 200
    assert (await client.read()).body == b"GET /last? "
