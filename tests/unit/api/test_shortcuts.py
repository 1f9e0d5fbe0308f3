"""What our own carrier offers beside ASGI: nothing of it may change an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
import httpx
import pytest

from modelyard.server.api.asgi import make_app
from modelyard.server.carriers.inloop import InLoopCarrier
from modelyard.wire.messages import PostModelOutputsRequest
from support.doors import EchoHandlers, frame, make_stub, make_v2
from support.http2 import RawHttp2

ORIGIN = "https://console.example"
PREDICT = "/clarifai.api.V2/PostModelOutputs"
STREAM = "/clarifai.api.V2/StreamModelOutputs"
REST = "/v2/users/me/apps/main/models/m/outputs"
BODY = {"inputs": [{"data": {"text": {"raw": "hi"}}}]}


@dataclass
class House:
    """A served application."""

    echo: EchoHandlers
    url: str

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://")


@pytest.fixture
async def house() -> AsyncIterator[House]:
    echo, carrier = EchoHandlers(), InLoopCarrier()
    yield House(echo, await carrier.start(make_app(make_v2(echo), cors_origins=(ORIGIN,))))
    await carrier.stop(grace_s=1)


def web_message() -> bytes:
    request = PostModelOutputsRequest(model_id="m")
    request.inputs.add().data.text.raw = "hi"
    return frame(request)


@pytest.mark.parametrize("is_http2", [False, True])
async def test_pages_of_a_named_origin_are_told_that_they_may_read(house: House, is_http2: bool) -> None:
    headers = {"authorization": "Key all", "origin": ORIGIN}
    async with httpx.AsyncClient(base_url=house.url, http1=not is_http2, http2=is_http2, headers=headers) as client:
        for _ in range(2):
            answer = await client.post(REST, json=BODY)
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, ORIGIN)


@pytest.mark.parametrize("is_http2", [False, True])
async def test_the_status_of_grpc_web_is_in_the_body(house: House, is_http2: bool) -> None:
    headers = {"authorization": "Key all", "content-type": "application/grpc-web+proto"}
    async with httpx.AsyncClient(base_url=house.url, http1=not is_http2, http2=is_http2, headers=headers) as client:
        for _ in range(2):
            answer = await client.post(PREDICT, content=web_message())
            assert answer.headers["content-type"] == "application/grpc-web+proto"
            assert answer.content.endswith(b"grpc-status: 0\r\n")


async def test_the_same_headers_again_are_another_request(house: House) -> None:
    async with httpx.AsyncClient(base_url=house.url, headers={"authorization": "Key all"}) as client:
        ids = {(await client.post(REST, json=BODY)).headers["x-request-id"] for _ in range(3)}
        assert len(ids) == 3
        refused = await client.post(REST, json=BODY, headers={"authorization": "Key wrong"})
        assert refused.status_code == 401
        assert (await client.post(REST, json=BODY)).status_code == 200


async def test_headers_are_read_again_where_they_have_changed(house: House) -> None:
    async with grpc.aio.insecure_channel(house.address) as channel:
        stub, request = make_stub(channel), PostModelOutputsRequest(model_id="m")
        for number in range(3):
            metadata = (("authorization", "Key all"), ("x-clarifai-request-id-prefix", f"p{number}"))
            await stub.PostModelOutputs(request, metadata=metadata)
        await stub.PostModelOutputs(request, metadata=metadata, timeout=5)
    prefixes = [call.request_id.partition("-")[0] for call in house.echo.calls]
    assert prefixes == ["p0", "p1", "p2", "p2"]
    assert [call.deadline is not None for call in house.echo.calls] == [False, False, False, True]


@pytest.mark.parametrize("path", [PREDICT, STREAM])
async def test_a_wrong_token_is_refused_before_a_silent_client_says_more(house: House, path: str) -> None:
    def talk() -> bytes:
        with RawHttp2(house.address) as raw:
            raw.post(1, path, "wrong", None)
            return raw.wait(1).body

    assert b"token is not valid" in await asyncio.to_thread(talk)
