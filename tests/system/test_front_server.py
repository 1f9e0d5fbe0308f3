"""The port under well-behaved but demanding clients, on every server that carries it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import pytest

from support.doors import frame, make_stub
from support.folders import write_folder
from support.http2 import DATA, END_STREAM, PING, RawHttp2
from support.probe import ProbeFiles, read_gauge, wait_until
from support.server import CARRIERS, V2, RunningServer, running_server
from support.uploads import deploy

pytestmark = pytest.mark.parametrize("carrier", CARRIERS)
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
PREDICT = "/clarifai.api.V2/PostModelOutputs"
MIB = 1024 * 1024


def open_aio(server: RunningServer, *options: tuple[str, int]) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(server.address, options=[*UNLIMITED, *options])


def text_of(answer: object) -> str:
    return answer.outputs[0].data.text.raw


def test_message_of_64_mebibytes_arrives_from_both_clients(v2: V2, server: RunningServer, echo_version: str) -> None:
    request = v2.text_request("echo", "size")
    request.inputs[0].data.image.base64 = bytes(64 * MIB)
    with grpc.insecure_channel(server.address, options=UNLIMITED) as channel:
        assert text_of(make_stub(channel).PostModelOutputs(request, metadata=v2.metadata)) == str(64 * MIB)

    async def talk() -> str:
        async with open_aio(server) as channel:
            return text_of(await make_stub(channel).PostModelOutputs(request, metadata=v2.metadata))

    assert asyncio.run(talk()) == str(64 * MIB)


def test_hundreds_of_streams_on_one_connection(v2: V2, server: RunningServer, echo_version: str) -> None:
    async def talk() -> list[str]:
        async with open_aio(server) as channel:
            stub = make_stub(channel)

            async def one(number: int) -> str:
                request = v2.text_request("echo", f"text {number}")
                return text_of(await stub.PostModelOutputs(request, metadata=v2.metadata, timeout=60))

            return await asyncio.gather(*(one(number) for number in range(400)))

    assert asyncio.run(talk()) == [f"text {number}" for number in range(400)]


def test_hundred_streams_are_open_at_the_same_time(v2: V2, server: RunningServer, echo_version: str) -> None:
    async def talk() -> list[str]:
        async with open_aio(server) as channel:
            stub = make_stub(channel)
            calls = [stub.StreamModelOutputs(metadata=v2.metadata, timeout=60) for _ in range(100)]
            for number, call in enumerate(calls):
                await call.write(v2.text_request("echo", f"a{number}"))
            texts = [text_of(await call.read()) for call in calls]
            for call in calls:
                await call.done_writing()
                assert await call.read() is grpc.aio.EOF
            return texts

    assert asyncio.run(talk()) == [f"A{number}" for number in range(100)]


def test_more_than_a_thousand_calls_on_one_channel(v2: V2, echo_version: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda number: text_of(v2.predict("echo", str(number))), range(1200)))
    assert texts == [str(number) for number in range(1200)]


def test_gzip_in_both_directions(v2: V2, server: RunningServer, echo_version: str) -> None:
    with grpc.insecure_channel(server.address, options=UNLIMITED, compression=grpc.Compression.Gzip) as channel:
        stub = make_stub(channel)
        text = "x" * 300_000
        assert text_of(stub.PostModelOutputs(v2.text_request("echo", text), metadata=v2.metadata)) == text
        pieces = stub.GenerateModelOutputs(v2.text_request("echo", f"{text} b"), metadata=v2.metadata)
        assert [text_of(one) for one in pieces] == [f"0:{text}", "1:b"]


def test_pings_are_answered(server: RunningServer) -> None:
    with RawHttp2(server.address) as raw:
        raw.send(PING, payload=b"12345678")
        while not raw.pongs and not raw.is_closed:
            raw.read()
        assert raw.pongs == [b"12345678"]


def test_half_closed_request_is_answered_to_its_end(v2: V2, echo_version: str) -> None:
    texts = [text_of(answer) for answer in v2.stream(v2.text_request("echo", text) for text in "abcdef")]
    assert texts == list("ABCDEF")


def test_stream_stays_half_open_while_the_client_is_silent(v2: V2, server: RunningServer, echo_version: str) -> None:
    messages = [frame(v2.text_request("echo", text)) for text in ("a", "b")]
    with RawHttp2(server.address) as raw:
        raw.post(1, "/clarifai.api.V2/StreamModelOutputs", server.token, None)
        raw.send(DATA, 0, 1, messages[0][:7])
        time.sleep(0.2)
        raw.send(DATA, 0, 1, messages[0][7:])
        while not raw.answers.get(1) or not raw.answers[1].body:
            raw.read()
        raw.send(DATA, END_STREAM, 1, messages[1])
        answer = raw.wait(1)
    assert (answer.grpc_status, b"A" in answer.body, b"B" in answer.body) == ("0", True, True)


def test_client_that_cancels_stops_the_model(v2: V2, server: RunningServer, echo_version: str) -> None:
    """Eight callers leave; with four threads and no cancellation the next would wait longer than it may."""
    for _ in range(8):
        call = v2.generate("echo", "x " + "pause " * 1000)
        assert text_of(next(call)) == "0:x"
        call.cancel()
    assert text_of(v2.predict("echo", "next", timeout=60)) == "next"


@pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not installed")
@pytest.mark.parametrize("flags", [("-c4", "-m50"), ("-c50", "-m1")])
def test_h2load_gets_every_answer(
    v2: V2, server: RunningServer, echo_version: str, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    body = tmp_path / "body"
    body.write_bytes(frame(v2.text_request("echo", "hi")))
    headers = ("content-type: application/grpc", "te: trailers", f"authorization: Key {server.token}")
    done = subprocess.run(
        ["h2load", "-n", "2000", *flags, "-d", body, *(f"-H{one}" for one in headers), server.url + PREDICT],
        capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout
    assert "status codes: 2000 2xx" in done.stdout, done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_makes_a_grpc_call_and_sees_its_trailers(
    v2: V2, server: RunningServer, echo_version: str, tmp_path: Path
) -> None:
    body, head = tmp_path / "body", tmp_path / "head"
    body.write_bytes(frame(v2.text_request("echo", "by curl")))
    headers = ("content-type: application/grpc", "te: trailers", f"authorization: Key {server.token}")
    done = subprocess.run(
        ["curl", "-sS", "-m", "30", "--http2-prior-knowledge", "--data-binary", f"@{body}", "-D", head,
         *(part for one in headers for part in ("-H", one)), server.url + PREDICT],
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert b"by curl" in done.stdout
    assert "grpc-status: 0" in head.read_text()


@pytest.mark.parametrize("kind", ["application/grpc+json", "application/grpc+thrift", "application/grpcweb"])
def test_other_content_types_of_grpc_are_refused_by_http(server: RunningServer, kind: str) -> None:
    with httpx.Client(http1=False, http2=True) as client:
        answer = client.post(server.url + PREDICT, content=b"", headers={"content-type": kind, "te": "trailers"})
    assert answer.status_code == 415, answer.text


def test_grpc_over_http_1_is_refused_in_words(server: RunningServer) -> None:
    answer = httpx.post(server.url + PREDICT, content=b"", headers={"content-type": "application/grpc"})
    assert (answer.status_code, "HTTP/2" in answer.text) == (505, True)


def test_shutdown_lets_a_call_finish_and_then_hangs_up(tmp_path: Path, carrier: str) -> None:
    with running_server(tmp_path / "data", "--carrier", carrier) as server, V2(server) as v2:
        files = ProbeFiles(server, deploy(v2, write_folder(tmp_path / "echo")))
        with RawHttp2(server.address) as raw, RawHttp2(server.address) as idle:
            raw.post(1, PREDICT, server.token, frame(v2.text_request("echo", "gate go")))
            idle.post(1, PREDICT, server.token, frame(v2.text_request("echo", "hi")))
            assert idle.wait(1).grpc_status == "0"
            wait_until(lambda: read_gauge(server, "modelyard_in_flight") == 1)
            stopping = threading.Thread(target=server.stop)
            stopping.start()
            wait_until(lambda: not server.is_ready)
            files.open("go")
            answer = raw.wait(1)
            assert (answer.grpc_status, b"gate go" in answer.body) == ("0", True)
            raw.wait_closed()
            idle.wait_closed()
            stopping.join(60)
            if carrier == "inloop":  # Envoy hangs up without a word when its last request is done
                assert (raw.goaway, idle.goaway) == (0, 0)
        assert server.process.returncode == 0
