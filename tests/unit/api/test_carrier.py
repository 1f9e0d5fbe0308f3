"""The doors through the real carrier, with published clients: gRPC and plain HTTP on one port."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from clarifai_grpc.grpc.api import service_pb2, service_pb2_grpc

from modelyard.errors import InvalidRequest
from modelyard.server.api.asgi import make_app
from modelyard.server.carriers.base import Carrier
from modelyard.server.carriers.gateways import GatewaysCarrier
from modelyard.server.carriers.inloop import InLoopCarrier
from modelyard.server.carriers.pyvoy import PyvoyCarrier
from modelyard.wire.messages import PostModelOutputsRequest, StatusCode
from support.doors import EchoHandlers, make_stub, make_v2

METADATA = (("authorization", "Key all"),)
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def request_of(*texts: str) -> PostModelOutputsRequest:
    request = PostModelOutputsRequest(model_id="m")
    for text in texts:
        request.inputs.add().data.text.raw = text
    return request


CARRIERS = ("inloop", "gateways", "pyvoy")


@pytest.fixture
def run_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
        yield Path(folder)


def make_carrier(kind: str, run_dir: Path, port: int = 0) -> Carrier:
    match kind:
        case "inloop":
            return InLoopCarrier(port=port)
        case "pyvoy":
            return PyvoyCarrier(run_dir=run_dir, port=port)
        case _:
            return GatewaysCarrier(run_dir=run_dir, gateways=2, port=port)


class House:
    """A served application."""

    def __init__(self, echo: EchoHandlers, carrier: Carrier, url: str) -> None:
        self.echo = echo
        self.carrier = carrier
        self.url = url
        self.address = url.removeprefix("http://")


@pytest.fixture(params=CARRIERS)
async def house(request: pytest.FixtureRequest, run_dir: Path) -> AsyncIterator[House]:
    echo = EchoHandlers()
    carrier = make_carrier(request.param, run_dir)
    url = await carrier.start(make_app(make_v2(echo), is_ready=lambda: True))
    yield House(echo, carrier, url)
    await carrier.stop(grace_s=2)


@pytest.fixture
async def stub(house: House) -> AsyncIterator[service_pb2_grpc.V2Stub]:
    async with grpc.aio.insecure_channel(house.address, options=UNLIMITED) as channel:
        yield make_stub(channel)


async def test_aio_client_calls_every_kind(stub: service_pb2_grpc.V2Stub) -> None:
    answer = await stub.PostModelOutputs(request_of("a"), metadata=METADATA)
    assert answer.status.code == StatusCode.SUCCESS
    assert answer.outputs[0].data.text.raw == "a"
    many = [
        one.outputs[0].data.text.raw async for one in stub.GenerateModelOutputs(request_of("a", "b"), metadata=METADATA)
    ]
    assert many == ["a", "b"]


async def test_stream_is_ping_pong(stub: service_pb2_grpc.V2Stub) -> None:
    call = stub.StreamModelOutputs(metadata=METADATA)
    for number in range(20):
        await call.write(request_of(str(number)))
        assert (await call.read()).outputs[0].data.text.raw == str(number)
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_sync_client(house: House) -> None:
    def talk() -> list[str]:
        with grpc.insecure_channel(house.address, options=UNLIMITED, compression=grpc.Compression.Gzip) as channel:
            stub = make_stub(channel)
            one = stub.PostModelOutputs(request_of("sync" * 100), metadata=METADATA).outputs[0].data.text.raw
            more = stub.StreamModelOutputs(iter([request_of("x"), request_of("y")]), metadata=METADATA)
            return [one, *(answer.outputs[0].data.text.raw for answer in more)]

    assert await asyncio.to_thread(talk) == ["sync" * 100, "x", "y"]


async def test_large_messages_both_ways(stub: service_pb2_grpc.V2Stub) -> None:
    request = PostModelOutputsRequest(model_id="m")
    request.inputs.add().data.image.base64 = bytes(24 * 1024 * 1024)
    answer = await stub.PostModelOutputs(request, metadata=METADATA)
    assert len(answer.outputs[0].data.image.base64) == 24 * 1024 * 1024


async def test_upload_of_parts_beyond_a_hundred_mebibytes(stub: service_pb2_grpc.V2Stub) -> None:
    async def parts():
        yield service_pb2.PostModelVersionsUploadRequest(
            upload_config=service_pb2.PostModelVersionsUploadConfig(model_id="m")
        )
        part = service_pb2.PostModelVersionsUploadRequest()
        part.content_part.data = bytes(133_169_152)
        yield part

    answers = [one async for one in stub.PostModelVersionsUpload(parts(), metadata=METADATA)]
    assert [one.status.details for one in answers] == ["133169152"]


async def test_refused_upload_gets_its_answer_while_it_still_sends(house: House) -> None:
    """With the sync client, as uploaders are: grpc.aio itself may fail a write to a call that has just ended."""

    def parts():
        for _ in range(8):
            part = service_pb2.PostModelVersionsUploadRequest()
            part.content_part.data = bytes(4 * 1024 * 1024)
            yield part

    def talk() -> list[int]:
        with grpc.insecure_channel(house.address, options=UNLIMITED) as channel:
            answers = make_stub(channel).PostModelVersionsUpload(parts(), metadata=(("authorization", "Key wrong"),))
            return [one.status.code for one in answers]

    assert await asyncio.to_thread(talk) == [StatusCode.CONN_KEY_INVALID]


async def test_cancelled_call_cancels_its_handler(house: House, stub: service_pb2_grpc.V2Stub) -> None:
    call = stub.PostModelOutputs(request_of("hang"), metadata=METADATA)
    await asyncio.wait_for(_start(call, house.echo), 5)
    call.cancel()
    await asyncio.wait_for(house.echo.cancelled.wait(), 5)


async def _start(call: object, echo: EchoHandlers) -> None:
    await echo.entered.wait()


async def test_deadline_of_the_client_ends_its_handler(house: House, stub: service_pb2_grpc.V2Stub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await stub.PostModelOutputs(request_of("hang"), metadata=METADATA, timeout=0.2)
    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(house.echo.cancelled.wait(), 5)


async def test_method_without_a_handler_is_unimplemented(stub: service_pb2_grpc.V2Stub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await stub.PostWorkflows(service_pb2.PostWorkflowsRequest(), metadata=METADATA)
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "PostWorkflows" in error.value.details()


async def test_many_calls_on_one_channel(stub: service_pb2_grpc.V2Stub) -> None:
    async def talk(worker: int) -> None:
        for number in range(25):
            text = f"{worker}.{number}"
            answer = await stub.PostModelOutputs(request_of(text), metadata=METADATA)
            assert answer.outputs[0].data.text.raw == text

    await asyncio.gather(*(talk(worker) for worker in range(20)))


async def test_rest_on_the_same_port(house: House, stub: service_pb2_grpc.V2Stub) -> None:
    await stub.PostModelOutputs(request_of("a"), metadata=METADATA)
    async with httpx.AsyncClient(base_url=house.url, headers={"authorization": "Key all"}) as client:
        body = {"inputs": [{"data": {"text": {"raw": "hi"}}}]}
        answer = await client.post("/v2/models/m/outputs", json=body)
        assert answer.status_code == 200
        assert answer.json()["outputs"] == [{"data": {"text": {"raw": "hi"}}}]
        assert (await client.head("/healthz")).status_code == 200
        assert (await client.get("/v2/auth/methods")).status_code == 200
        missing = await client.get("/v2/users/ann/apps/main/models/missing")
        assert missing.status_code == 404
        async with client.stream(
            "POST", "/v2/users/me/apps/main/models/m/outputs/generate", json={"inputs": body["inputs"] * 3}
        ) as stream:
            assert len([line async for line in stream.aiter_lines()]) == 3


async def test_port_in_use_is_told(house: House) -> None:
    port = int(house.address.rpartition(":")[2])
    second = InLoopCarrier(port=port)
    with pytest.raises(InvalidRequest, match=f"port {port} is in use"):
        await second.start(make_app(make_v2(EchoHandlers()), is_ready=lambda: True))
    await second.stop(grace_s=1)


async def test_stop_lets_a_running_call_finish_and_cancels_what_is_left() -> None:
    echo = EchoHandlers()
    carrier = InLoopCarrier()
    url = await carrier.start(make_app(make_v2(echo), is_ready=lambda: True))
    async with grpc.aio.insecure_channel(url.removeprefix("http://")) as channel:
        call = make_stub(channel).PostModelOutputs(request_of("hang"), metadata=METADATA)
        await asyncio.wait_for(_start(call, echo), 5)
        begun = time.monotonic()
        await carrier.stop(grace_s=0.3)
        assert time.monotonic() - begun > 0.25
        assert echo.cancelled.is_set()
        with pytest.raises(grpc.aio.AioRpcError):
            await call
    await carrier.stop(grace_s=0.3)


async def test_client_that_stops_reading_holds_the_handler_back(house: House, stub: service_pb2_grpc.V2Stub) -> None:
    request = PostModelOutputsRequest(model_id="m")
    for _ in range(100):
        request.inputs.add().data.image.base64 = bytes(512 * 1024)
    call = stub.GenerateModelOutputs(request, metadata=METADATA)
    assert len((await call.read()).outputs[0].data.image.base64) == 512 * 1024
    seen = -1
    while seen != house.echo.answered:
        seen = house.echo.answered
        await asyncio.sleep(0.2)
    assert seen < 60
    rest = 0
    while await call.read() is not grpc.aio.EOF:
        rest += 1
    assert rest == 99
