"""The port under clients that break the rules: they lose their connection, and nobody else notices."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack

import grpc
import httpx
import pytest

from support.doors import frame
from support.http2 import (
    CANCEL,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    RawHttp2,
)
from support.server import CARRIERS, V2, RunningServer
from support.sockets import children_of, resident_bytes

PREDICT = "/clarifai.api.V2/PostModelOutputs"
STREAM = "/clarifai.api.V2/StreamModelOutputs"
MIB = 1024 * 1024

pytestmark = pytest.mark.parametrize("carrier", CARRIERS)


@pytest.fixture(autouse=True)
def still_serves(v2: V2, echo_version: str) -> Iterator[None]:
    """Whatever a test does: another client is served during it and after it."""
    yield
    assert v2.predict("echo", "still here").outputs[0].data.text.raw == "still here"


def memory_of(server: RunningServer) -> int:
    """Resident bytes of the gateway and of what carries its doors, without the models."""
    fronts = [pid for pid in children_of(server.process.pid) if resident_bytes(pid, "envoy")]
    return resident_bytes(server.process.pid) + sum(resident_bytes(pid) for pid in fronts)


def answers_now(v2: V2) -> bool:
    """Is another client's call answered?"""
    return v2.predict("echo", "ok").outputs[0].data.text.raw == "ok"


def test_flood_of_resets_is_bounded(v2: V2, server: RunningServer) -> None:
    body = frame(v2.text_request("echo", "sleep 0.01"))
    before = memory_of(server)
    try:
        with RawHttp2(server.address) as raw:
            for number in range(3000):
                raw.post(2 * number + 1, PREDICT, server.token, body)
                raw.send(RST_STREAM, 0, 2 * number + 1, struct.pack(">I", CANCEL))
                if number % 500 == 0:
                    assert answers_now(v2)
    except OSError:
        pass  # cut off: so much the better
    assert answers_now(v2)
    assert memory_of(server) - before < 64 * MIB


def test_flood_of_settings_and_pings_is_bounded(v2: V2, server: RunningServer) -> None:
    before = memory_of(server)
    try:
        with RawHttp2(server.address) as raw:
            for _ in range(20_000):  # and no answer is read
                raw.send(SETTINGS)
                raw.send(6, payload=b"abcdefgh")
    except OSError:
        pass
    assert answers_now(v2)
    assert memory_of(server) - before < 64 * MIB


def test_flood_of_continuations_is_bounded(v2: V2, server: RunningServer) -> None:
    before = memory_of(server)
    with RawHttp2(server.address) as raw:
        block = raw.encode_headers(PREDICT, server.token)
        try:
            raw.send(HEADERS, 0, 1, block)
            for _ in range(2000):
                raw.send(CONTINUATION, 0, 1, b"\x00\x01a\x7f\x00" + b"b" * 127)
            raw.wait_closed()
        except OSError:
            pass
    assert memory_of(server) - before < 32 * MIB


def test_more_streams_than_allowed_are_refused_and_the_allowed_ones_answered(v2: V2, server: RunningServer) -> None:
    with RawHttp2(server.address) as raw:
        body = frame(v2.text_request("echo", "a"))
        for number in range(200):
            raw.post(2 * number + 1, STREAM, server.token, None)
        raw.send(DATA, END_STREAM, 1, body)
        answer = raw.wait(1)
        refused = [one for one in raw.answers.values() if one.reset]
        assert raw.goaway or (refused and answer.grpc_status == "0")


@pytest.mark.parametrize("size", [20_000, 200_000])
def test_headers_that_are_too_large_are_refused(v2: V2, server: RunningServer, size: int) -> None:
    with pytest.raises(grpc.RpcError) as error:
        v2.stub.PostModelOutputs(
            v2.text_request("echo", "x"), metadata=(*v2.metadata, ("x-large", "a" * size)), timeout=60
        )
    assert error.value.code() is not grpc.StatusCode.DEADLINE_EXCEEDED
    answer = httpx.get(f"{server.url}/healthz", headers={"x-large": "a" * size})
    assert answer.status_code in (400, 431)


def test_target_that_is_too_large_is_refused(server: RunningServer) -> None:
    answer = httpx.get(f"{server.url}/healthz?{'a' * 40_000}")
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "there is none"),
        (b"\x00\x00", "inside a message"),
        (b"\x00\x00\x00\x00\x10abc", "inside a message"),
        (b"\x00\xff\xff\xff\xff", "largest accepted"),
        (b"\x02\x00\x00\x00\x00", "compression flag"),
        (b"\x01\x00\x00\x00\x03abc", "grpc-encoding"),
        (b"\x00\x00\x00\x00\x02\xff\xff", "is not a clarifai.api"),
    ],
)
def test_wrong_grpc_body_is_told_in_the_status(server: RunningServer, body: bytes, text: str) -> None:
    with RawHttp2(server.address) as raw:
        raw.post(1, PREDICT, server.token, body)
        answer = raw.wait(1)
    status = {**answer.headers, **answer.trailers}
    assert status["grpc-status"] not in ("0", "4")
    assert text in status["grpc-message"].replace("%20", " ")


@pytest.mark.parametrize("timeout", ["1", "S", "123456789S", "-1S", "1.5S", "1s", " 1S", "1S ", "0x1S", "\u00b2S"])
def test_wrong_timeout_is_an_error(v2: V2, server: RunningServer, timeout: str) -> None:
    with RawHttp2(server.address) as raw:
        raw.post(1, PREDICT, server.token, frame(v2.text_request("echo", "x")), ("grpc-timeout", timeout))
        answer = raw.wait(1)
    assert answer.grpc_status != "0" or timeout.strip() != timeout


def test_connection_cut_inside_a_frame_harms_nobody(v2: V2, server: RunningServer) -> None:
    for size in (1, 8, 9, 20):
        with RawHttp2(server.address) as raw:
            raw.post(1, STREAM, server.token, None)
            raw.send(DATA, 0, 1, frame(v2.text_request("echo", "a")))
            raw.socket.sendall(
                (struct.pack(">I", 100)[1:] + bytes((DATA, 0)) + struct.pack(">I", 1) + b"x" * 50)[:size]
            )
    assert answers_now(v2)


@pytest.mark.parametrize(
    "frames",
    [
        [(DATA, 0, 0, b"x")],
        [(DATA, 0, 7, b"x")],
        [(WINDOW_UPDATE, 0, 0, b"\x00\x00\x00\x00")],
        [(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff")] * 2,
        [(SETTINGS, 0, 0, b"x")],
        [(HEADERS, END_HEADERS, 2, b"\x82")],
        [(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff")],
        [(CONTINUATION, END_HEADERS, 1, b"")],
        [(PRIORITY, 0, 1, b"x")],
        [(RST_STREAM, 0, 9, b"\x00\x00\x00\x08")],
    ],
)
def test_broken_rules_of_http2_end_the_connection(
    server: RunningServer, frames: list[tuple[int, int, int, bytes]]
) -> None:
    with RawHttp2(server.address) as raw:
        try:
            for one in frames:
                raw.send(*one)
            raw.wait_closed()
        except OSError:
            pass


def test_bytes_that_are_no_http_end_the_connection(server: RunningServer) -> None:
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20
    port = int(server.url.rpartition(":")[2])
    with ExitStack() as stack:
        opened = []
        for garbage in (hello, b"\x00" * 64, b"GET\r\n\r\n", b"SSH-2.0-x\r\n\r\n"):
            opened.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60)))
            opened[-1].sendall(garbage)
        for one in opened:
            while one.recv(1 << 16):
                pass


def test_client_that_reads_nothing_holds_its_own_stream_alone(v2: V2, server: RunningServer) -> None:
    """A window of nothing: the answers of a long generation have nowhere to go."""
    before = memory_of(server)
    with ExitStack() as stack:
        body = frame(v2.text_request("echo", " ".join("x" * 20)))
        for _ in range(20):
            raw = stack.enter_context(RawHttp2(server.address, window_bytes=0))
            raw.post(1, "/clarifai.api.V2/GenerateModelOutputs", server.token, body)
        assert answers_now(v2)
        assert memory_of(server) - before < 32 * MIB
