"""Real objects for tests of the doors: tokens in a dict, handlers that echo, an ASGI client without a network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

from clarifai_grpc.channel import clarifai_channel
from clarifai_grpc.grpc.api import service_pb2_grpc

from modelyard.errors import ModelBusy, ModelNotFound, Unauthenticated
from modelyard.server.api.access import Access
from modelyard.server.api.v2.call import Call, Handler, Incoming, Reply
from modelyard.server.api.v2.dispatch import V2
from modelyard.server.records import Caller
from modelyard.wire.messages import (
    MultiModelResponse,
    MultiOutputResponse,
    MultiStatusCodeResponse,
    Output,
    PostModelVersionsUploadResponse,
    SingleModelResponse,
    SingleUserResponse,
    StatusCode,
)
from modelyard.wire.outline import complete

ALL = Caller(user_id="ann", token_id="t1")
KEY = "Key all"


class FakeTokens:
    """Tokens by their text."""

    def __init__(self, **callers: Caller) -> None:
        self.callers = {"all": ALL, **callers}
        self.verified = 0

    def recall(self, text: str) -> Caller | None:
        return None

    async def verify(self, text: str) -> Caller:
        self.verified += 1
        if text not in self.callers:
            raise Unauthenticated("the token is not valid")
        return self.callers[text]


class EchoHandlers:
    """Handlers of every kind, which note what happens to them."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.received: list[Any] = []
        self.answered = 0
        self.cancelled = asyncio.Event()
        self.entered = asyncio.Event()

    async def echo(self, call: Call, request: Any) -> Reply:
        """Answers the inputs' texts; special texts misbehave."""
        self.calls.append(call)
        request = complete(request, call.raw)
        text = request.inputs[0].data.text.raw if request.inputs else ""
        await self._misbehave(text)
        answer = MultiOutputResponse()
        for one in request.inputs:
            answer.outputs.add().data.CopyFrom(one.data)
        return answer.SerializeToString() if text == "bytes" else answer

    async def generate(self, call: Call, request: Any) -> AsyncIterator[Reply]:
        self.calls.append(call)
        for one in complete(request, call.raw).inputs:
            await self._misbehave(one.data.text.raw)
            self.answered += 1
            yield MultiOutputResponse(outputs=[Output(data=one.data)])

    async def stream(self, call: Call, incomings: AsyncIterator[Incoming]) -> AsyncIterator[Reply]:
        self.calls.append(call)
        async for incoming in incomings:
            self.received.append(incoming)
            inputs = complete(incoming.message, incoming.raw).inputs  # type: ignore[attr-defined]
            for one in inputs:
                await self._misbehave(one.data.text.raw)
            yield MultiOutputResponse(outputs=[Output(data=one.data) for one in inputs])

    async def upload(self, call: Call, incomings: AsyncIterator[Incoming]) -> AsyncIterator[Reply]:
        self.calls.append(call)
        size = 0
        async for incoming in incomings:
            size += len(incoming.message.content_part.data)  # type: ignore[attr-defined]
        answer = PostModelVersionsUploadResponse()
        answer.status.code = StatusCode.MODEL_BUILDING
        answer.status.details = str(size)
        yield answer

    async def get_model(self, call: Call, request: Any) -> Reply:
        self.calls.append(call)
        if request.model_id == "missing":
            raise ModelNotFound("Model does not exist")
        answer = SingleModelResponse()
        answer.model.id = request.model_id
        answer.model.user_id, answer.model.app_id = call.user_id, call.app_id
        return answer

    async def list_models(self, call: Call, request: Any) -> Reply:
        self.calls.append(call)
        self.received.append(request)
        return MultiModelResponse()

    async def get_user(self, call: Call, request: Any) -> Reply:
        answer = SingleUserResponse()
        answer.user.id = call.user_id
        return answer

    async def delete_models(self, call: Call, request: Any) -> Reply:
        self.received.append(request)
        return MultiModelResponse()

    async def list_status_codes(self, call: Call, request: Any) -> Reply:
        self.calls.append(call)
        return MultiStatusCodeResponse()

    async def _misbehave(self, text: str) -> None:
        if text == "crash":
            raise RuntimeError("a secret of the insides")
        if text == "missing":
            raise ModelNotFound("Model does not exist")
        if text == "busy":
            raise ModelBusy("the model is busy", retry_after_s=6.1)
        if text == "hang":
            self.entered.set()
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.cancelled.set()
                raise

    def handlers(self) -> dict[str, Handler]:
        return {
            "PostModelOutputs": self.echo,
            "GenerateModelOutputs": self.generate,
            "StreamModelOutputs": self.stream,
            "PostModelVersionsUpload": self.upload,
            "GetModel": self.get_model,
            "ListModels": self.list_models,
            "GetUser": self.get_user,
            "DeleteModels": self.delete_models,
            "ListStatusCodes": self.list_status_codes,
        }


def make_v2(echo: EchoHandlers, **callers: Caller) -> V2:
    return V2(Access(FakeTokens(**callers)), echo.handlers())


def make_stub(channel: Any) -> service_pb2_grpc.V2Stub:
    """The published stub, which needs to be told first that its channel speaks gRPC."""
    clarifai_channel.wrap_response_deserializer = clarifai_channel._response_deserializer_for_grpc
    return service_pb2_grpc.V2Stub(channel)


class AsgiExchange:
    """One request given to an ASGI application, event by event."""

    def __init__(self, scope: dict[str, Any]) -> None:
        self.scope = scope
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.received = 0

    def put(self, body: bytes = b"", *, more: bool = False) -> None:
        self.incoming.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def disconnect(self) -> None:
        self.incoming.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> dict[str, Any]:
        event = await self.incoming.get()
        self.received += 1
        return event

    async def send(self, event: Any) -> None:
        self.sent.append(event)

    async def run(self, app: Any, timeout_s: float = 10) -> AsgiExchange:
        await asyncio.wait_for(app(self.scope, self.receive, self.send), timeout_s)
        return self

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(event.get("body", b"") for event in self.sent if event["type"] == "http.response.body")

    @property
    def trailers(self) -> dict[bytes, bytes]:
        found = [event for event in self.sent if event["type"] == "http.response.trailers"]
        return dict(found[0]["headers"]) if found else dict(self.headers)


def http_exchange(
    verb: str, path: str, chunks: Iterable[bytes] = (b"",), headers: dict[str, str] | None = None, query: str = ""
) -> AsgiExchange:
    """A request of which all is there."""
    given = {"authorization": KEY, **(headers or {})}
    exchange = AsgiExchange(
        {
            "type": "http",
            "method": verb,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "extensions": {"http.response.trailers": {}},
        }
    )
    parts = list(chunks)
    for number, chunk in enumerate(parts, 1):
        exchange.put(chunk, more=number < len(parts))
    return exchange


def grpc_exchange(
    name: str, chunks: Iterable[bytes] = (), headers: dict[str, str] | None = None, service: str = "clarifai.api.V2"
) -> AsgiExchange:
    """A gRPC request of which all is there."""
    given = {"content-type": "application/grpc", "te": "trailers", **(headers or {})}
    return http_exchange("POST", f"/{service}/{name}", chunks or (b"",), given)


def frame(message: Any, *, flag: int = 0) -> bytes:
    payload = message if isinstance(message, bytes) else message.SerializeToString()
    return bytes([flag]) + len(payload).to_bytes(4, "big") + payload


def split_frames(body: bytes) -> list[bytes]:
    """The messages of an answer's body."""
    messages = []
    while body:
        size = int.from_bytes(body[1:5], "big")
        assert body[0] == 0
        messages.append(body[5 : 5 + size])
        body = body[5 + size :]
    return messages


async def eventually(condition: Any, timeout_s: float = 60) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.002)
